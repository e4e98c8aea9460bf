//! Small writes, gathered per stream before they take the session's lock.
//!
//! A write of a hundred bytes costs less than the lock and what has to be decided under it. So the
//! session promises a stream some room in advance, a writer uses it up under a lock of its own, and
//! whoever takes the session's lock next brings in what was gathered: everything that is done to the
//! session happens after the writes that came before it.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use p2_mux::{Session, StreamId};

use crate::{clock, stream::Handle};

/// Room promised to one stream at a time, bytes: what a session may hold beyond its buffer for each
/// stream with small writes.
const PROMISE: u32 = 8 << 10;
/// Writes up to this many bytes are gathered.
pub(crate) const GATHERED: usize = 1 << 10;

/// Memory that a stream may keep for its next writes until the peer has the last ones, bytes.
const KEPT: usize = 256;

/// Where one stream gathers, and room that it was promised: nothing while it is idle.
#[derive(Debug, Default)]
pub(crate) struct Stage(Mutex<Option<Box<Gathered>>>);

#[derive(Debug)]
struct Gathered {
    bytes: Vec<u8>,
    /// Bytes that the session has still room for.
    promised: u32,
    /// Bytes that came together the last time: as many may come again.
    usual: usize,
}

/// The streams of one session that have gathered something.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    any: AtomicBool,
    streams: Mutex<Vec<Arc<Handle>>>,
    /// The writer would send what is gathered if it knew of it.
    wanted: AtomicBool,
}

impl Stage {
    /// Gathers `data` if all of it was promised room; tells whether it did, and whether it is the
    /// first.
    fn gather(&self, data: &[u8]) -> Option<First> {
        let mut stage = self.lock();
        let gathered = stage.as_mut()?;
        gathered.promised = gathered.promised.checked_sub(u32::try_from(data.len()).ok()?)?;
        let first = gathered.bytes.is_empty();
        if first {
            gathered.bytes.reserve(gathered.usual.max(data.len()));
        }
        gathered.bytes.extend_from_slice(data);
        Some(First(first))
    }

    /// Hands over what was gathered, and has room promised anew.
    fn settle(&self, session: &mut Session, stream: StreamId) {
        let mut stage = self.lock();
        let Some(gathered) = stage.as_mut() else { return };
        // A stream that takes no more bytes has its promise revoked, so its next write says so.
        let _ = session.write_promised(clock::now(), stream, &gathered.bytes);
        gathered.usual = gathered.bytes.len();
        if gathered.bytes.capacity() > KEPT {
            gathered.bytes = Vec::new();
        }
        gathered.bytes.clear();
        gathered.promised = room(session, stream);
    }

    /// Has the session promise room for the writes to come.
    pub(crate) fn promise(&self, session: &Session, stream: StreamId) {
        let promised = room(session, stream);
        match &mut *self.lock() {
            Some(gathered) => gathered.promised = promised,
            none => *none = Some(Box::new(Gathered { bytes: Vec::new(), promised, usual: 0 })),
        }
    }

    /// The same, if there was a promise before.
    pub(crate) fn promise_again(&self, session: &Session, stream: StreamId) {
        if let Some(gathered) = &mut *self.lock() {
            gathered.promised = room(session, stream);
        }
    }

    /// Gives promise and memory back, unless something is gathered.
    pub(crate) fn rest(&self) -> bool {
        let mut stage = self.lock();
        let rests = stage.as_ref().is_none_or(|gathered| gathered.bytes.is_empty());
        if rests {
            *stage = None;
        }
        rests
    }

    /// The stream takes no more bytes: the next write has to ask the session why.
    pub(crate) fn revoke(&self) {
        if let Some(gathered) = &mut *self.lock() {
            gathered.promised = 0;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<Gathered>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The room that is promised to `stream`.
fn room(session: &Session, stream: StreamId) -> u32 {
    session.writable(stream).try_into().map_or(PROMISE, |room: u32| room.min(PROMISE))
}

/// Whether a stage held nothing before.
struct First(bool);

impl Staging {
    /// Gathers `data` for a stream if there was room promised for it. Returns whether it did, and
    /// whether the writer has to be told.
    pub(crate) fn gather(&self, handle: &Arc<Handle>, data: &[u8]) -> Option<bool> {
        let First(first) = handle.stage.gather(data)?;
        if !first {
            return Some(false);
        }
        self.lock().push(Arc::clone(handle));
        // Either this store is seen by `closing`, or its store is seen here.
        self.any.store(true, Ordering::SeqCst);
        Some(self.wanted.load(Ordering::SeqCst))
    }

    /// Brings everything in; the session's lock is held from before this until after
    /// [`Staging::closing`].
    pub(crate) fn opening(&self, session: &mut Session) {
        if self.any.load(Ordering::Acquire) {
            self.any.store(false, Ordering::SeqCst);
            let streams = std::mem::take(&mut *self.lock());
            streams.iter().for_each(|handle| handle.stage.settle(session, handle.id));
        }
    }

    /// The lock is about to be released; `wanted`: more bytes could be sent. Returns whether some
    /// were gathered meanwhile, of which the writer was not told.
    pub(crate) fn closing(&self, wanted: bool) -> bool {
        // Stored under the session's lock alone. While it stays true, whoever gathers sees it.
        if self.wanted.load(Ordering::Relaxed) != wanted {
            self.wanted.store(wanted, Ordering::SeqCst);
        }
        wanted && self.any.load(Ordering::SeqCst)
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Handle>>> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

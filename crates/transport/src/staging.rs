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

use bytes::BytesMut;
use p2_mux::{Session, StreamId};

use crate::clock;

/// Room promised to one stream at a time, bytes: what a session may hold beyond its buffer for each
/// stream with small writes.
const PROMISE: usize = 8 << 10;
/// Writes up to this many bytes are gathered.
pub(crate) const GATHERED: usize = 1 << 10;

/// Memory that a stream with nothing gathered may keep for its next writes, bytes.
const KEPT: usize = 256;

/// What one stream has gathered.
#[derive(Debug)]
pub(crate) struct Stage {
    stream: StreamId,
    gathered: Mutex<Gathered>,
}

#[derive(Debug, Default)]
struct Gathered {
    bytes: BytesMut,
    /// Bytes that the session has still room for.
    promised: usize,
}

/// The stages of one session that hold something.
#[derive(Debug, Default)]
pub(crate) struct Staging {
    any: AtomicBool,
    stages: Mutex<Vec<Arc<Stage>>>,
    /// The writer would send what is gathered if it knew of it.
    wanted: AtomicBool,
}

impl Stage {
    pub(crate) fn new(stream: StreamId) -> Arc<Self> {
        Arc::new(Self { stream, gathered: Mutex::default() })
    }

    /// Gathers `data` if all of it was promised room; tells whether it did, and whether it is the
    /// first.
    fn gather(&self, data: &[u8]) -> Option<First> {
        let mut gathered = self.lock();
        gathered.promised = gathered.promised.checked_sub(data.len())?;
        let first = gathered.bytes.is_empty();
        gathered.bytes.extend_from_slice(data);
        Some(First(first))
    }

    /// Hands over what was gathered, and has room promised anew.
    fn settle(&self, session: &mut Session) {
        let mut gathered = self.lock();
        // A stream that takes no more bytes has its promise revoked, so its next write says so.
        let _ = session.write_promised(clock::now(), self.stream, &gathered.bytes);
        if gathered.bytes.capacity() > KEPT {
            gathered.bytes = BytesMut::new();
        }
        gathered.bytes.clear();
        gathered.promised = session.writable(self.stream).min(PROMISE);
    }

    /// Has the session promise room for the writes to come.
    pub(crate) fn promise(&self, session: &Session) {
        self.lock().promised = session.writable(self.stream).min(PROMISE);
    }

    /// The stream takes no more bytes: the next write has to ask the session why.
    pub(crate) fn revoke(&self) {
        self.lock().promised = 0;
    }

    fn lock(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a stage held nothing before.
struct First(bool);

impl Staging {
    /// Gathers `data` for `stage` if there was room promised for it. Returns whether it did, and
    /// whether the writer has to be told.
    pub(crate) fn gather(&self, stage: &Arc<Stage>, data: &[u8]) -> Option<bool> {
        let First(first) = stage.gather(data)?;
        if !first {
            return Some(false);
        }
        self.lock().push(Arc::clone(stage));
        // Either this store is seen by `closing`, or its store is seen here.
        self.any.store(true, Ordering::SeqCst);
        Some(self.wanted.load(Ordering::SeqCst))
    }

    /// Brings everything in; the session's lock is held from before this until after
    /// [`Staging::closing`].
    pub(crate) fn opening(&self, session: &mut Session) {
        if self.any.load(Ordering::Acquire) {
            self.any.store(false, Ordering::SeqCst);
            let stages = std::mem::take(&mut *self.lock());
            stages.iter().for_each(|stage| stage.settle(session));
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

    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Stage>>> {
        self.stages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

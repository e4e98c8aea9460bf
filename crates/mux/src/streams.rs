//! The table of live streams: numbers them, counts them, remembers which ones ever existed.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use p2_frame::{Role, StreamId};

use crate::stream::{OpenOptions, Stream};

/// A map from streams that exist.
///
/// ```
/// use p2_mux::{Role, StreamId, StreamMap};
/// let mut names = StreamMap::default();
/// names.insert(StreamId::new(Role::Client, 0).unwrap(), "app");
/// assert_eq!(names.len(), 1);
/// ```
pub type StreamMap<T> = HashMap<StreamId, T, BuildHasherDefault<IdHasher>>;

/// Hashes a stream id by a multiplication: ids come in order, so nobody can choose collisions,
/// and a fixed hash keeps the session deterministic.
///
/// ```
/// use std::hash::Hasher;
/// let mut hasher = p2_mux::IdHasher::default();
/// hasher.write_u64(4);
/// assert_ne!(hasher.finish(), 4);
/// ```
#[derive(Debug, Default)]
pub struct IdHasher(u64);

impl Hasher for IdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u64(u64::from(*byte));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = (self.0 ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}

#[derive(Debug)]
pub(crate) struct Streams {
    role: Role,
    live: StreamMap<Box<Stream>>,
    /// Streams this side has opened, ever: the index of the next.
    pub(crate) opened: u64,
    /// Streams the peer has opened, ever.
    pub(crate) seen: u64,
    own_live: u64,
    peer_live: u64,
    incoming: VecDeque<StreamId>,
    /// What the last stream of this side and of the peer was opened with.
    latest: [Arc<OpenOptions>; 2],
}

impl Streams {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            role,
            live: HashMap::default(),
            opened: 0,
            seen: 0,
            own_live: 0,
            peer_live: 0,
            incoming: VecDeque::new(),
            latest: Default::default(),
        }
    }

    /// `options` to be kept: streams that follow each other and are alike share theirs.
    pub(crate) fn shared(&mut self, id: StreamId, options: OpenOptions) -> Arc<OpenOptions> {
        let [own, peer] = &mut self.latest;
        let latest = if id.initiator() == self.role { own } else { peer };
        if **latest != options {
            *latest = Arc::new(options);
        }
        Arc::clone(latest)
    }

    pub(crate) fn get(&self, id: StreamId) -> Option<&Stream> {
        self.live.get(&id).map(|stream| &**stream)
    }

    pub(crate) fn get_mut(&mut self, id: StreamId) -> Option<&mut Stream> {
        self.live.get_mut(&id).map(|stream| &mut **stream)
    }

    pub(crate) fn is_own(&self, id: StreamId) -> bool {
        id.initiator() == self.role
    }

    /// Whether the id was handed out before, by whichever side owns it.
    pub(crate) fn existed(&self, id: StreamId) -> bool {
        let count = if self.is_own(id) { self.opened } else { self.seen };
        id.index() < count
    }

    pub(crate) const fn own_live(&self) -> u64 {
        self.own_live
    }

    pub(crate) const fn peer_live(&self) -> u64 {
        self.peer_live
    }

    /// The id the next stream of this side gets; `None` after 2^62 of them.
    pub(crate) fn next_own(&self) -> Option<StreamId> {
        StreamId::new(self.role, self.opened)
    }

    pub(crate) fn insert_own(&mut self, id: StreamId, stream: Stream) {
        self.opened = self.opened.saturating_add(1);
        self.own_live = self.own_live.saturating_add(1);
        self.live.insert(id, Box::new(stream));
    }

    pub(crate) fn insert_peer(&mut self, id: StreamId, stream: Stream) {
        self.seen = self.seen.saturating_add(1);
        self.peer_live = self.peer_live.saturating_add(1);
        // Those that were taken back are cleared out once they are the greater part.
        if self.incoming.len() as u64 > self.peer_live.saturating_mul(2).saturating_add(64) {
            let live = &self.live;
            self.incoming.retain(|id| live.get(id).is_some_and(|stream| !stream.accepted));
        }
        self.incoming.push_back(id);
        self.live.insert(id, Box::new(stream));
    }

    /// The next stream of the peer that nobody has taken.
    pub(crate) fn accept(&mut self) -> Option<StreamId> {
        loop {
            let id = self.incoming.pop_front()?;
            match self.live.get_mut(&id) {
                Some(stream) if !stream.accepted => {
                    stream.accepted = true;
                    stream.held = true;
                    return Some(id);
                }
                // Taken back or refused before anybody came for it.
                _ => {}
            }
        }
    }

    /// Nobody shall be offered this stream.
    pub(crate) fn withdraw(&mut self, id: StreamId) {
        if self.incoming.back() == Some(&id) {
            self.incoming.pop_back();
        }
        if let Some(stream) = self.live.get_mut(&id) {
            stream.accepted = true;
        }
    }

    /// The stream is over and no longer counts against its side's limit. False if it did not.
    pub(crate) fn retire(&mut self, id: StreamId) -> bool {
        let own = self.is_own(id);
        let Some(stream) = self.live.get_mut(&id) else {
            return false;
        };
        if std::mem::replace(&mut stream.retired, true) {
            return false;
        }
        let count = if own { &mut self.own_live } else { &mut self.peer_live };
        *count = count.saturating_sub(1);
        true
    }

    pub(crate) fn remove(&mut self, id: StreamId) -> Option<Box<Stream>> {
        self.live.remove(&id)
    }

    /// Whether every stream is over, held or not.
    pub(crate) const fn all_over(&self) -> bool {
        self.own_live == 0 && self.peer_live == 0
    }

    /// All live ids in ascending order: the only way to walk the table.
    pub(crate) fn ids(&self) -> Vec<StreamId> {
        #[allow(clippy::disallowed_methods, reason = "sorted before anybody sees the order")]
        let mut ids: Vec<StreamId> = self.live.keys().copied().collect();
        ids.sort_unstable_by_key(|id| id.to_wire());
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_stream_is_small() {
        // With what an allocation costs beside it, 240 bytes.
        let size = std::mem::size_of::<Stream>();
        assert!(size <= 232, "{size} bytes: what is rarely there belongs in a box of its own");
    }
}

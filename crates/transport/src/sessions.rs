//! The sessions of a server: who lives, who ended lately, and how much there may be of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::{Duration, Instant},
};

use p2_mux::handshake::{Known, KnownState, Secret};

use tokio::sync::mpsc::OwnedPermit;

use crate::{Connection, shared::Shared, state::State};

/// Sessions at once unless set otherwise.
pub(crate) const SESSIONS: usize = 128;
/// Sessions without a link that a full server keeps: beyond, the one that has been without for
/// longest makes room for a newcomer. A common outage costs nobody anything until then.
pub(crate) const DETACHED: usize = 64;
/// Times a minute that a session may take its own place while the old link still lives.
const TAKEOVERS: usize = 10;
const MINUTE: Duration = Duration::from_secs(60);
/// Ended sessions that are remembered, so that a peer that lost the last answer can ask again.
const TOMBS: usize = 1024;

/// Sessions by their identity.
#[derive(Debug)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
    most: usize,
}

#[derive(Debug, Default)]
struct Inner {
    live: HashMap<[u8; 16], Live>,
    tombs: HashMap<[u8; 16], (Secret, u64, KnownState)>,
    /// In the order of their deaths.
    buried: VecDeque<[u8; 16]>,
    /// Ended, while somebody still works on what they brought. They need their place until then, or
    /// a peer that opens, closes and comes again could pile up work without end.
    lingering: Vec<Weak<Shared>>,
    closing: bool,
}

#[derive(Debug)]
struct Live {
    shared: Arc<Shared>,
    secret: Secret,
    /// Its place in the queue of those to be accepted, until its client is known to know of it.
    place: Option<OwnedPermit<Connection>>,
    /// Its client is known to know of it.
    heard: bool,
    takeovers: VecDeque<Instant>,
    /// What it had moved when it was last taken over.
    progress: u64,
    detached: Option<Instant>,
    /// It had to make room, and is on its way out.
    leaving: bool,
}

/// Why a session may not be taken over now.
pub(crate) enum Denied {
    /// It has ended since it was looked up.
    Gone,
    /// Too often; wait.
    Often(Duration),
}

impl Sessions {
    pub(crate) fn new(most: usize) -> Self {
        Self { inner: Mutex::default(), most: most.max(1) }
    }

    /// What is known of a session.
    pub(crate) fn look_up(&self, id: &[u8; 16]) -> Option<Known> {
        let inner = self.lock();
        if let Some(live) = inner.live.get(id) {
            let epoch = live.shared.with(|state| state.session.epoch());
            let secret = live.secret.clone();
            return Some(Known { secret, epoch, state: KnownState::Live });
        }
        let (secret, epoch, state) = inner.tombs.get(id)?;
        Some(Known { secret: secret.clone(), epoch: *epoch, state: *state })
    }

    /// Makes room for another. `Ok` may hold a session that has to go for it, `Err` says why there
    /// is no room.
    pub(crate) fn make_room(&self) -> Result<Option<Arc<Shared>>, &'static str> {
        let mut inner = self.lock();
        if inner.closing {
            return Err("shutting down");
        }
        if inner.staying() < self.most {
            return Ok(None);
        }
        let victim = inner.dispensable().ok_or("too many sessions")?;
        victim.leaving = true;
        victim.place = None;
        Ok(Some(victim.shared.clone()))
    }

    /// Adds a session, if there still is room.
    pub(crate) fn add(
        &self,
        id: [u8; 16],
        secret: Secret,
        shared: Arc<Shared>,
        place: Option<OwnedPermit<Connection>>,
    ) -> bool {
        let mut inner = self.lock();
        let room = !inner.closing && inner.staying() < self.most;
        if room {
            let live = Live {
                shared,
                secret,
                heard: place.is_none(),
                place,
                takeovers: VecDeque::new(),
                progress: 0,
                detached: None,
                leaving: false,
            };
            inner.live.insert(id, live);
        }
        room
    }

    /// The client has sent a frame or resumed, so it knows that it has the session. The first time,
    /// hands out the session's place among those to be accepted.
    pub(crate) fn heard(&self, id: &[u8; 16]) -> Option<OwnedPermit<Connection>> {
        let mut inner = self.lock();
        let live = inner.live.get_mut(id)?;
        live.heard = true;
        live.place.take()
    }

    /// Whether the client has shown no sign yet that it knows of the session.
    pub(crate) fn is_unheard(&self, id: &[u8; 16]) -> bool {
        self.lock().live.get(id).is_some_and(|live| !live.heard)
    }

    /// The session, for a link that has proven that it may have it, and so knows of it.
    ///
    /// Takeovers from a link that moved nothing are limited: somebody fights for the session. One
    /// whose `epoch` is not the highest will be refused and does not count.
    pub(crate) fn take_over(&self, id: &[u8; 16], epoch: u64) -> Result<Arc<Shared>, Denied> {
        let mut inner = self.lock();
        let live = inner.live.get_mut(id).filter(|live| !live.leaving).ok_or(Denied::Gone)?;
        live.heard = true;
        let now = Instant::now();
        while live.takeovers.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            live.takeovers.pop_front();
        }
        let look = |state: &mut State| {
            let attached = state.session.is_attached() && epoch > state.session.epoch();
            (attached, state.session.progress())
        };
        let (attached, progress) = live.shared.with(look);
        let moved = std::mem::replace(&mut live.progress, progress) < progress;
        if attached && !moved {
            if live.takeovers.len() >= TAKEOVERS {
                let oldest = live.takeovers.front().map_or(MINUTE, |at| now.duration_since(*at));
                return Err(Denied::Often(MINUTE.saturating_sub(oldest)));
            }
            live.takeovers.push_back(now);
        }
        live.detached = None;
        Ok(live.shared.clone())
    }

    /// A session has lost its link.
    pub(crate) fn detach(&self, id: &[u8; 16]) {
        if let Some(live) = self.lock().live.get_mut(id) {
            live.detached = Some(Instant::now());
        }
    }

    /// A session is over. Without a `state` nothing is remembered of it. Returns whether anyone
    /// knew of it.
    pub(crate) fn bury(&self, id: &[u8; 16], state: Option<KnownState>) -> bool {
        let mut inner = self.lock();
        let Some(live) = inner.live.remove(id) else { return false };
        // One that made room has given its place up already.
        if !live.leaving {
            inner.lingering.push(Arc::downgrade(&live.shared));
        }
        let (Some(state), true) = (state, live.heard) else { return false };
        let epoch = live.shared.with(|state| state.session.epoch());
        inner.tombs.insert(*id, (live.secret, epoch, state));
        inner.buried.push_back(*id);
        if inner.buried.len() > TOMBS {
            if let Some(oldest) = inner.buried.pop_front() {
                inner.tombs.remove(&oldest);
            }
        }
        true
    }

    /// Takes nobody in any more and hands out those who are there.
    pub(crate) fn close(&self) -> Vec<Arc<Shared>> {
        let mut inner = self.lock();
        inner.closing = true;
        inner.live.values().map(|live| live.shared.clone()).collect()
    }

    /// Sessions that live, and of these those without a link.
    pub(crate) fn count(&self) -> (usize, usize) {
        let inner = self.lock();
        let detached = inner.live.values().filter(|live| live.detached.is_some()).count();
        (inner.live.len(), detached)
    }

    /// Live streams of the session that has most.
    pub(crate) fn most_live(&self) -> u64 {
        let live = |live: &Live| live.shared.with(|state| state.session.live());
        self.lock().live.values().map(live).max().unwrap_or(0)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Sessions that need their place.
    fn staying(&mut self) -> usize {
        self.lingering.retain(|shared| shared.strong_count() > 0);
        let live = self.live.values().filter(|live| !live.leaving).count();
        live.saturating_add(self.lingering.len())
    }

    /// The session whose place a newcomer may have: one whose client never spoke, else, while more
    /// wait for a link than are kept, the one that has waited for longest.
    fn dispensable(&mut self) -> Option<&mut Live> {
        let waiting = |live: &&mut Live| {
            let detached = live.detached.is_some() && !live.leaving;
            detached && !live.shared.with(|state| state.session.is_attached())
        };
        let mut waiting: Vec<&mut Live> = self.live.values_mut().filter(waiting).collect();
        let heard = waiting.iter().filter(|live| live.heard).count();
        waiting.sort_by_key(|live| (live.heard, live.detached));
        waiting.into_iter().next().filter(|live| !live.heard || heard > DETACHED)
    }
}

#[cfg(test)]
mod tests {
    use p2_mux::{Attachment, CodecId, Config, ProcessBudget, Role, Session};

    use super::*;
    use crate::clock;

    fn session() -> Arc<Shared> {
        let session = Session::new(Config::new(Role::Server), ProcessBudget::default());
        Arc::new(Shared::new(session, String::new()))
    }

    fn attach(shared: &Shared, epoch: u64) {
        shared.with(|state| {
            let link = Attachment::new(epoch, CodecId::NONE);
            state.session.attach(clock::now(), link).expect("attached");
        });
    }

    /// One byte arrives at offset `n` of a stream of the peer.
    fn deliver(shared: &Shared, n: u64) {
        use p2_frame::{Data, Frame, Open};
        let stream = p2_mux::StreamId::new(Role::Client, 0).expect("in range");
        let open = Frame::Open(Open {
            stream,
            label: 0,
            name: String::new(),
            priority: 2,
            unidirectional: true,
            metadata: Vec::new(),
            ext: Vec::new(),
        });
        let data = Frame::Data(Data {
            stream,
            offset: n,
            codec: CodecId::NONE,
            restart: false,
            raw_len: 1,
            payload: bytes::Bytes::from_static(b"x"),
        });
        shared.with(|state| {
            let now = clock::now();
            if n == 0 {
                state.session.receive(now, open, 1).expect("the first stream");
            }
            state.session.receive(now, data, 1).expect("the next byte");
            state.session.deliver(now, 1, stream, n, bytes::Bytes::from_static(b"x"));
        });
    }

    fn secret() -> Secret {
        Secret::new([7; 32])
    }

    #[test]
    fn there_is_room_for_as_many_as_allowed() {
        let sessions = Sessions::new(2);
        assert!(sessions.add([1; 16], secret(), session(), None));
        assert!(sessions.make_room().is_ok());
        assert!(sessions.add([2; 16], secret(), session(), None));
        assert!(sessions.make_room().is_err());
        assert!(!sessions.add([3; 16], secret(), session(), None));
        sessions.bury(&[1; 16], None);
        assert!(sessions.add([3; 16], secret(), session(), None));
    }

    #[test]
    fn an_eleventh_takeover_in_a_minute_has_to_wait() {
        let sessions = Sessions::new(1);
        let shared = session();
        attach(&shared, 1);
        sessions.add([1; 16], secret(), shared, None);
        for _ in 0..TAKEOVERS {
            assert!(sessions.take_over(&[1; 16], u64::MAX).is_ok());
        }
        assert!(
            matches!(sessions.take_over(&[1; 16], u64::MAX), Err(Denied::Often(wait)) if wait <= MINUTE)
        );
    }

    #[test]
    fn taking_over_from_a_link_that_moved_something_is_not_limited() {
        let sessions = Sessions::new(1);
        let shared = session();
        attach(&shared, 1);
        sessions.add([1; 16], secret(), shared.clone(), None);
        for n in 0..3 * TAKEOVERS as u64 {
            deliver(&shared, n);
            assert!(sessions.take_over(&[1; 16], u64::MAX).is_ok(), "{n}");
        }
    }

    #[test]
    fn coming_back_after_a_lost_link_is_no_takeover() {
        let sessions = Sessions::new(1);
        sessions.add([1; 16], secret(), session(), None);
        for _ in 0..3 * TAKEOVERS {
            assert!(sessions.take_over(&[1; 16], u64::MAX).is_ok());
        }
    }

    #[test]
    fn a_common_outage_ends_no_session_until_a_newcomer_needs_the_place() {
        let sessions = Sessions::new(SESSIONS);
        let id = |n: usize| (n as u128).to_le_bytes();
        let all: Vec<_> = (0..SESSIONS).map(|_| session()).collect();
        for (n, shared) in all.iter().enumerate() {
            assert!(sessions.add(id(n), secret(), shared.clone(), None));
        }
        (0..SESSIONS).for_each(|n| sessions.detach(&id(n)));
        assert_eq!(sessions.count(), (SESSIONS, SESSIONS), "nobody had to go");
        for (n, shared) in all.iter().enumerate().skip(DETACHED + 1) {
            assert!(sessions.take_over(&id(n), u64::MAX).is_ok());
            attach(shared, 1);
        }
        let victim = sessions.make_room().expect("room").expect("somebody has to go for it");
        assert!(Arc::ptr_eq(&victim, &all[0]), "the oldest");
        assert!(sessions.add([255; 16], secret(), session(), None));
        assert!(matches!(sessions.take_over(&id(0), u64::MAX), Err(Denied::Gone)));
        assert!(sessions.make_room().is_err(), "the rest of the waiting ones are kept");
    }

    #[tokio::test]
    async fn a_session_whose_client_never_spoke_yields_its_place_first() {
        let (arrivals, _accepted) = tokio::sync::mpsc::channel::<Connection>(2);
        let place = || arrivals.clone().try_reserve_owned().ok();
        let sessions = Sessions::new(2);
        let silent = session();
        sessions.add([1; 16], secret(), session(), None);
        sessions.detach(&[1; 16]);
        sessions.add([2; 16], secret(), silent.clone(), place());
        sessions.detach(&[2; 16]);
        let victim = sessions.make_room().expect("room").expect("somebody has to go for it");
        assert!(Arc::ptr_eq(&victim, &silent));
        assert_eq!(arrivals.capacity(), 2, "its place among those to be accepted is free as well");
        assert!(sessions.make_room().is_ok_and(|victim| victim.is_none()));
    }

    #[test]
    fn whoever_resumes_a_session_knows_of_it() {
        let (arrivals, _accepted) = tokio::sync::mpsc::channel::<Connection>(1);
        let sessions = Sessions::new(1);
        let place = arrivals.try_reserve_owned().ok();
        sessions.add([1; 16], secret(), session(), place);
        assert!(sessions.is_unheard(&[1; 16]));
        assert!(sessions.take_over(&[1; 16], u64::MAX).is_ok());
        assert!(!sessions.is_unheard(&[1; 16]));
        assert!(sessions.heard(&[1; 16]).is_some(), "its place is still there to be taken");
    }

    #[test]
    fn the_dead_are_remembered_within_bounds() {
        let sessions = Sessions::new(1);
        let id = |n: usize| (n as u128).to_le_bytes();
        for n in 0..=TOMBS {
            sessions.add(id(n), secret(), session(), None);
            sessions.bury(&id(n), Some(KnownState::Closed));
        }
        assert!(sessions.look_up(&id(0)).is_none());
        let tomb = sessions.look_up(&id(1)).expect("remembered");
        assert_eq!(tomb.state, KnownState::Closed);
        assert!(matches!(sessions.take_over(&id(1), u64::MAX), Err(Denied::Gone)));
    }
}

//! The sessions of a server: who lives, who ended lately, and how much there may be of it.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use p2_mux::handshake::{Known, KnownState, Secret};

use tokio::sync::mpsc::OwnedPermit;

use crate::{Connection, shared::Shared};

/// Sessions at once unless set otherwise.
pub(crate) const SESSIONS: usize = 128;
/// Sessions without a link; the one that has been without for longest makes room.
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
    closing: bool,
}

#[derive(Debug)]
struct Live {
    shared: Arc<Shared>,
    secret: Secret,
    /// Its place in the queue of those to be accepted, until its client is known to know of it.
    place: Option<OwnedPermit<Connection>>,
    takeovers: VecDeque<Instant>,
    detached: Option<Instant>,
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

    /// Whether there is room for another; `Err` says why not.
    pub(crate) fn room(&self) -> Result<(), &'static str> {
        let inner = self.lock();
        if inner.closing {
            return Err("shutting down");
        }
        if inner.live.len() < self.most { Ok(()) } else { Err("too many sessions") }
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
        let room = !inner.closing && inner.live.len() < self.most;
        if room {
            let takeovers = VecDeque::new();
            let live = Live { shared, secret, place, takeovers, detached: None };
            inner.live.insert(id, live);
        }
        room
    }

    /// The client has sent a frame, so it knows that it has the session. The first time, hands out
    /// the session's place among those to be accepted.
    pub(crate) fn heard(&self, id: &[u8; 16]) -> Option<OwnedPermit<Connection>> {
        self.lock().live.get_mut(id)?.place.take()
    }

    /// Whether the session still waits for its client's first frame.
    pub(crate) fn is_unheard(&self, id: &[u8; 16]) -> bool {
        self.lock().live.get(id).is_some_and(|live| live.place.is_some())
    }

    /// The session, for a link that has proven that it may have it.
    pub(crate) fn take_over(&self, id: &[u8; 16]) -> Result<Arc<Shared>, Denied> {
        let mut inner = self.lock();
        let live = inner.live.get_mut(id).ok_or(Denied::Gone)?;
        let now = Instant::now();
        while live.takeovers.front().is_some_and(|at| now.duration_since(*at) >= MINUTE) {
            live.takeovers.pop_front();
        }
        if live.shared.with(|state| state.session.is_attached()) {
            if live.takeovers.len() >= TAKEOVERS {
                let oldest = live.takeovers.front().map_or(MINUTE, |at| now.duration_since(*at));
                return Err(Denied::Often(MINUTE.saturating_sub(oldest)));
            }
            live.takeovers.push_back(now);
        }
        live.detached = None;
        Ok(live.shared.clone())
    }

    /// A session has lost its link. Returns one that has to make room for it.
    pub(crate) fn detach(&self, id: &[u8; 16]) -> Option<Arc<Shared>> {
        let mut inner = self.lock();
        inner.live.get_mut(id)?.detached = Some(Instant::now());
        let waiting = inner.live.values().filter_map(|live| Some((live.detached?, &live.shared)));
        if waiting.clone().count() <= DETACHED {
            return None;
        }
        waiting.min_by_key(|(since, _)| *since).map(|(_, shared)| shared.clone())
    }

    /// A session is over. Without a `state` nothing is remembered of it. Returns whether anyone
    /// knew of it.
    pub(crate) fn bury(&self, id: &[u8; 16], state: Option<KnownState>) -> bool {
        let mut inner = self.lock();
        let Some(live) = inner.live.remove(id) else { return false };
        let (Some(state), None) = (state, live.place) else { return false };
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

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
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

    fn secret() -> Secret {
        Secret::new([7; 32])
    }

    #[test]
    fn there_is_room_for_as_many_as_allowed() {
        let sessions = Sessions::new(2);
        assert!(sessions.add([1; 16], secret(), session(), None));
        assert!(sessions.room().is_ok());
        assert!(sessions.add([2; 16], secret(), session(), None));
        assert!(sessions.room().is_err());
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
            assert!(sessions.take_over(&[1; 16]).is_ok());
        }
        assert!(matches!(sessions.take_over(&[1; 16]), Err(Denied::Often(wait)) if wait <= MINUTE));
    }

    #[test]
    fn coming_back_after_a_lost_link_is_no_takeover() {
        let sessions = Sessions::new(1);
        sessions.add([1; 16], secret(), session(), None);
        for _ in 0..3 * TAKEOVERS {
            assert!(sessions.take_over(&[1; 16]).is_ok());
        }
    }

    #[test]
    fn the_session_longest_without_a_link_makes_room() {
        let sessions = Sessions::new(SESSIONS);
        let oldest = session();
        sessions.add([0; 16], secret(), oldest.clone(), None);
        assert!(sessions.detach(&[0; 16]).is_none());
        for index in 1..DETACHED {
            let id = [index as u8; 16];
            sessions.add(id, secret(), session(), None);
            assert!(sessions.detach(&id).is_none(), "{index}");
        }
        sessions.add([255; 16], secret(), session(), None);
        let victim = sessions.detach(&[255; 16]).expect("one too many");
        assert!(Arc::ptr_eq(&victim, &oldest));
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
        assert!(matches!(sessions.take_over(&id(1)), Err(Denied::Gone)));
    }
}

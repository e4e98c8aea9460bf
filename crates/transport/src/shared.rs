//! The session behind its lock, and everyone who waits for it.
//!
//! Every call goes through [`Shared::with`]: it locks, acts, drains what the session has to tell,
//! unlocks, and only then wakes whoever waits. Encoding, decoding and I/O happen outside.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
    task::Waker,
    time::Instant,
};

use p2_mux::{ErrorCode, Session};
use tokio::sync::{Notify, broadcast, watch};

use crate::{
    LinkState, SessionError, SessionEvent, SessionSummary,
    staging::Staging,
    state::{Effects, Owing, State, Told},
    users::Users,
};

/// How a session ended.
pub(crate) type Outcome = Result<Arc<SessionSummary>, SessionError>;
/// Events an observer may be behind before it misses the oldest.
const EVENTS: usize = 256;

/// How urgently the writer was called since it last looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Call {
    None,
    Soon,
    AtOnce,
}

/// One session, shared by its handles and the tasks of its links.
pub(crate) struct Shared {
    state: Mutex<State>,
    pub(crate) staging: Staging,
    pub(crate) users: Users,
    /// The writer has something to do, or its timer has moved.
    pub(crate) work: Notify,
    call: AtomicU8,
    /// The peer opened a stream.
    pub(crate) arrivals: Notify,
    /// A stream can be opened again.
    pub(crate) openings: Notify,
    /// A link has come to its end.
    pub(crate) hung_up: Notify,
    /// Dial now.
    pub(crate) retry: Notify,
    pub(crate) link: watch::Sender<LinkState>,
    /// The epoch of the link that carries the session; all others have to go.
    pub(crate) fence: watch::Sender<u64>,
    pub(crate) events: broadcast::Sender<SessionEvent>,
    pub(crate) outcome: watch::Sender<Option<Outcome>>,
}

impl Shared {
    pub(crate) fn new(session: Session, name: String) -> Self {
        Self {
            state: Mutex::new(State::new(session, name)),
            staging: Staging::default(),
            users: Users::default(),
            work: Notify::new(),
            call: AtomicU8::new(Call::None as u8),
            arrivals: Notify::new(),
            openings: Notify::new(),
            hung_up: Notify::new(),
            retry: Notify::new(),
            link: watch::Sender::new(LinkState::Connecting { attempt: 1 }),
            fence: watch::Sender::new(0),
            events: broadcast::Sender::new(EVENTS),
            outcome: watch::Sender::new(None),
        }
    }

    /// Acts on the session and then tells everyone whom it concerns.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let (result, owing) = self.with_deferring(act);
        if owing.is_some() {
            self.wake_writer();
        }
        result
    }

    /// How the writer was called since it last asked.
    pub(crate) fn take_call(&self) -> Call {
        const SOON: u8 = Call::Soon as u8;
        const NONE: u8 = Call::None as u8;
        match self.call.swap(NONE, Ordering::AcqRel) {
            NONE => Call::None,
            SOON => Call::Soon,
            _ => Call::AtOnce,
        }
    }

    /// Calls the writer, unless a call as urgent is on its way already.
    fn call(&self, call: Call) {
        let (none, call) = (Call::None as u8, call as u8);
        // Whoever called more urgently before is still heard.
        if self.call.fetch_max(call, Ordering::AcqRel) == none {
            self.work.notify_one();
        }
    }

    /// There is something for the writer to do, at once.
    pub(crate) fn wake_writer(&self) {
        self.call(Call::AtOnce);
    }

    /// The same for a reader, whose credit may wait until other readers had their turn: what they
    /// have to say goes out together.
    pub(crate) fn with_as_reader<R>(&self, act: impl FnOnce(&mut State) -> R) -> R {
        let (result, owing) = self.with_deferring(act);
        if owing.is_some() {
            self.call(Call::Soon);
        }
        result
    }

    /// The same, but what the writer has to do is for the caller to tell it, or to see to as the
    /// writer.
    pub(crate) fn with_deferring<R>(
        &self,
        act: impl FnOnce(&mut State) -> R,
    ) -> (R, Option<Owing>) {
        let (result, effects) = self.act(act);
        let owing = effects.owing;
        self.apply(effects);
        (result, owing)
    }

    /// The same, but those who wait for streams are for the caller to wake: they are added to
    /// `waiting`.
    pub(crate) fn with_collecting<R>(
        &self,
        waiting: &mut Vec<Waker>,
        act: impl FnOnce(&mut State) -> R,
    ) -> (R, Option<Owing>) {
        let (result, mut effects) = self.act(act);
        let owing = effects.owing;
        waiting.extend(effects.waker.take());
        waiting.append(&mut effects.wakers);
        self.apply(effects);
        (result, owing)
    }

    /// Ends the session here and now, for a reason that the session itself does not know.
    pub(crate) fn fail(&self, error: SessionError) {
        self.with(|state| {
            if state.session.ended().is_none() {
                let (code, reason) = match &error {
                    SessionError::Protocol { why, .. } => (ErrorCode::PROTOCOL, why.clone()),
                    SessionError::Expired { .. } => (ErrorCode::TIMEOUT, "expired".into()),
                    SessionError::Aborted { code, reason } => (*code, reason.clone()),
                    _ => (ErrorCode::CANCELLED, String::new()),
                };
                state.fail(error, code, &reason);
            }
        });
    }

    /// Ends the session because the two ends do not remember the same.
    pub(crate) fn fail_protocol(&self, why: String) {
        let unacknowledged = self.with(|state| state.unacknowledged());
        self.fail(SessionError::Protocol { why, unacknowledged });
    }

    /// A link carries the session; links before it have to go.
    pub(crate) fn up(&self, epoch: u64, since: Instant, resumed: bool, address: &str) {
        // Two links that came in quick succession may get here in either order.
        self.fence.send_if_modified(|current| {
            let newer = *current < epoch;
            *current = epoch.max(*current);
            newer
        });
        let address = address.to_owned();
        self.announce(SessionEvent::LinkUp { resumed, address: address.clone() });
        self.set_link(LinkState::Up { since, rtt: None, resumed, address });
    }

    /// Shows `state`, unless the session has ended: that is the last word.
    pub(crate) fn set_link(&self, state: LinkState) {
        self.link.send_if_modified(|link| {
            let open = !matches!(link, LinkState::Closed);
            if open {
                *link = state;
            }
            open
        });
    }

    /// Tells observers.
    pub(crate) fn announce(&self, event: SessionEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// Waits for the session's end.
    pub(crate) async fn ended(&self) -> Outcome {
        let mut outcome = self.outcome.subscribe();
        match outcome.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            // The sender lives in `self`.
            _ => Err(SessionError::Closed),
        }
    }

    /// Acts on the session under its lock.
    fn act<R>(&self, act: impl FnOnce(&mut State) -> R) -> (R, Effects) {
        let mut effects = Effects::default();
        let mut state = self.lock();
        self.staging.opening(&mut state.session);
        let result = act(&mut state);
        state.drain(&mut effects, || self.events.receiver_count() > 0);
        if self.staging.closing(state.session.has_room()) {
            effects.owing = Some(Owing::Gathered);
        }
        (result, effects)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, effects: Effects) {
        if let Some(waker) = effects.waker {
            waker.wake();
        }
        for waker in effects.wakers {
            waker.wake();
        }
        for _ in 0..effects.arrivals {
            self.arrivals.notify_one();
        }
        if effects.openings {
            self.openings.notify_waiters();
        }
        if let Some(told) = effects.told {
            self.tell(*told);
        }
    }

    /// What does not happen all the time.
    fn tell(&self, told: Told) {
        if let Some(measured) = told.rtt {
            self.link.send_if_modified(|link| match link {
                LinkState::Up { rtt, .. } => {
                    *rtt = Some(measured);
                    true
                }
                _ => false,
            });
        }
        for event in told.events {
            self.announce(event);
        }
        if let Some(outcome) = told.outcome {
            self.outcome.send_replace(Some(outcome.clone()));
            self.link.send_replace(LinkState::Closed);
            self.announce(SessionEvent::Closed(outcome));
            self.arrivals.notify_waiters();
            self.openings.notify_waiters();
            self.retry.notify_one();
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, name) = {
            let state = self.lock();
            (state.id, state.name.clone())
        };
        f.debug_struct("Session").field("id", &id).field("name", &name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use p2_mux::{Config, ProcessBudget, Role};

    use super::*;

    #[tokio::test]
    async fn calls_wake_the_writer_once_until_it_looks_and_the_most_urgent_counts() {
        let session = Session::new(Config::new(Role::Client), ProcessBudget::default());
        let shared = Shared::new(session, String::new());
        for _ in 0..3 {
            shared.call(Call::Soon);
            shared.call(Call::AtOnce);
            shared.call(Call::Soon);
            shared.work.notified().await;
            assert_eq!(shared.take_call(), Call::AtOnce);
            assert_eq!(shared.take_call(), Call::None);
        }
        // One that dies between its notice and its look leaves the call to the next.
        shared.wake_writer();
        drop(shared.work.notified());
        shared.wake_writer();
        shared.work.notified().await;
        assert_eq!(shared.take_call(), Call::AtOnce);
    }
}

//! What has to be done once a session's lock is released.

use std::{task::Waker, time::Duration};

use crate::{SessionEvent, shared::Outcome};

/// Why the writer should look at the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owing {
    /// There is something to send, or to say at an earlier time.
    Transmit,
    /// Bytes were gathered that the session does not know of yet.
    Gathered,
}

/// What to do once the lock is released.
#[derive(Default)]
pub(crate) struct Effects {
    /// The first of them; most calls concern one task at most.
    pub(crate) waker: Option<Waker>,
    pub(crate) wakers: Vec<Waker>,
    pub(crate) arrivals: usize,
    pub(crate) openings: bool,
    pub(crate) owing: Option<Owing>,
    pub(crate) told: Option<Box<Told>>,
}

/// The part of [`Effects`] that is rare, or for observers.
#[derive(Default)]
pub(crate) struct Told {
    pub(crate) events: Vec<SessionEvent>,
    pub(crate) rtt: Option<Duration>,
    pub(crate) outcome: Option<Outcome>,
}

impl Effects {
    pub(super) fn wake(&mut self, waker: Option<Waker>) {
        match (waker, &self.waker) {
            (Some(waker), None) => self.waker = Some(waker),
            (Some(waker), Some(_)) => self.wakers.push(waker),
            (None, _) => {}
        }
    }

    pub(super) fn told(&mut self) -> &mut Told {
        self.told.get_or_insert_default()
    }

    pub(super) fn event(&mut self, event: SessionEvent) {
        self.told().events.push(event);
    }
}

//! Who holds a session: its handles and its streams.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{clock, state::State};

/// How many hold it. With the last one the session is closed in the background.
#[derive(Debug, Default)]
pub(crate) struct Users(AtomicUsize);

impl Users {
    /// One more.
    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// One less.
    pub(crate) fn remove(&self, state: &mut State) {
        if self.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            state.orphaned(clock::now());
        }
    }

    /// One less, if others are left: the last one has to be removed under the session's lock.
    pub(crate) fn try_remove(&self) -> bool {
        let one_less = |count: usize| count.checked_sub(1).filter(|left| *left > 0);
        self.0.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_less).is_ok()
    }
}

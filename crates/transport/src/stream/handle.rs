//! What the two halves of a stream share.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
};

use p2_mux::{OpenOptions, StreamId};

use crate::{clock, shared::Shared, staging::Stage};

/// One stream in the hands of its application. The session keeps a reference while small writes are
/// gathered here; letting go of that one does nothing, so it may happen under the session's lock.
pub(crate) struct Handle {
    pub(crate) shared: Arc<Shared>,
    pub(crate) id: StreamId,
    pub(crate) options: Arc<OpenOptions>,
    pub(crate) stage: Stage,
    /// Opened by this side.
    ours: bool,
    /// Halves that the application holds.
    halves: AtomicU8,
}

impl Handle {
    /// Both halves of a stream that the session has just opened or accepted.
    pub(crate) fn new(
        shared: Arc<Shared>,
        id: StreamId,
        options: Arc<OpenOptions>,
        ours: bool,
    ) -> Self {
        shared.users.add();
        Self { shared, id, options, stage: Stage::default(), ours, halves: AtomicU8::new(2) }
    }

    /// Whether this side has a sending half.
    pub(crate) fn can_send(&self) -> bool {
        self.ours || !self.options.unidirectional
    }

    /// Whether this side has a receiving half.
    pub(crate) fn can_receive(&self) -> bool {
        !self.ours || !self.options.unidirectional
    }

    /// The application lets go of one half. With the last one the session forgets the stream, and
    /// ends what has not ended; returns whether it was the last.
    pub(super) fn let_go(&self) -> bool {
        let last = self.halves.fetch_sub(1, Ordering::AcqRel) == 1;
        if last {
            let now = clock::now();
            self.shared.with(|state| {
                state.release(now, self.id);
                self.shared.users.remove(state);
            });
        }
        last
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let options = &self.options;
        f.debug_struct("Handle").field("id", &self.id).field("options", options).finish()
    }
}

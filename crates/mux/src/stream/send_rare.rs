//! What most sending halves never need, kept aside while one does.

use p2_frame::ErrorCode;

use super::gaps::GapsOut;
use crate::time::Time;

/// Ends, gaps and waiting writers of one half.
#[derive(Debug, Default)]
pub(super) struct Rare {
    pub(super) reset: Option<ErrorCode>,
    pub(super) stopped: Option<ErrorCode>,
    pub(super) gaps: GapsOut,
    /// The limit at which a writer had to wait, until the peer has been told.
    pub(super) blocked_at: Option<u64>,
    pub(super) blocked_told: Option<u64>,
    /// Since when a writer waits for nothing but the peer's credit.
    pub(super) blocked_since: Option<Time>,
}

impl Rare {
    /// Nothing of it is needed any more: the peer has given more than the limit it was told of.
    pub(super) fn is_over(&self, limit: u64) -> bool {
        let told = self.blocked_told.is_some_and(|at| at >= limit);
        let ended = self.reset.is_some() || self.stopped.is_some();
        let waits = told || self.blocked_at.is_some() || self.blocked_since.is_some();
        !ended && !waits && self.gaps.dropped() == 0
    }
}

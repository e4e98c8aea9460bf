//! Memory that windows may promise beyond what every stream gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The growth all sessions of a process share. Clones share one account.
///
/// ```
/// let shared = p2_mux::ProcessBudget::new(512 << 20);
/// let same = shared.clone();
/// assert_eq!(same.available(), 512 << 20);
/// ```
#[derive(Debug, Clone)]
pub struct ProcessBudget(Arc<AtomicU64>);

impl ProcessBudget {
    /// An account of `bytes`.
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(AtomicU64::new(bytes)))
    }

    /// Bytes nobody holds at the moment.
    pub fn available(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn take(&self, bytes: u64) -> bool {
        let take = |free: u64| free.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }

    fn give(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Default for ProcessBudget {
    fn default() -> Self {
        Self::new(crate::limits::PROCESS_BUDGET)
    }
}

/// One session's account, itself covered by the process.
#[derive(Debug)]
pub(crate) struct Budget {
    free: u64,
    taken: u64,
    process: ProcessBudget,
}

impl Budget {
    pub(crate) const fn new(bytes: u64, process: ProcessBudget) -> Self {
        Self { free: bytes, taken: 0, process }
    }

    pub(crate) fn take(&mut self, bytes: u64) -> bool {
        let Some(rest) = self.free.checked_sub(bytes) else {
            return false;
        };
        if !self.process.take(bytes) {
            return false;
        }
        self.free = rest;
        self.taken = self.taken.saturating_add(bytes);
        true
    }

    pub(crate) fn give(&mut self, bytes: u64) {
        let bytes = bytes.min(self.taken);
        self.taken = self.taken.saturating_sub(bytes);
        self.free = self.free.saturating_add(bytes);
        self.process.give(bytes);
    }
}

impl Drop for Budget {
    fn drop(&mut self) {
        self.process.give(self.taken);
    }
}

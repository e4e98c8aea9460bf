//! How fast something moves between two looks.

use std::time::Instant;

use super::human;

/// A count and when it was taken.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) since: Instant,
    pub(super) count: u64,
}

impl Pace {
    pub(super) fn new() -> Self {
        Self { since: Instant::now(), count: 0 }
    }

    /// The rate since the last call.
    pub(super) fn rate(&mut self, count: u64) -> String {
        let rate = human::rate(count.saturating_sub(self.count), self.since.elapsed());
        *self = Self { since: Instant::now(), count };
        rate
    }
}

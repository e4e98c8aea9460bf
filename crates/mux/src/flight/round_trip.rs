//! The path's own round trip, from samples with little in flight.

use std::time::Duration;

use super::SLACK;
use crate::time::Time;

/// The shortest round trip is forgotten after one to two of these.
const LEAST_AGE: Duration = Duration::from_secs(10);

/// Means over some eight samples with little in flight.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoundTrip {
    pub(super) time: Duration,
    /// What was in flight up to the receipted byte: that it takes its time to pass is our doing.
    pub(super) bytes: u64,
    /// The shortest of this period and of the one before.
    least: (Duration, Duration),
    least_since: Time,
    /// When it was last measured or confirmed.
    pub(super) at: Time,
}

impl RoundTrip {
    pub(super) const fn new(now: Time, sample: Duration, bytes: u64) -> Self {
        let least = (sample, sample);
        Self { time: sample, bytes, least, least_since: now, at: now }
    }

    pub(super) fn add(&mut self, now: Time, sample: Duration, bytes: u64) {
        self.time = self.time.saturating_mul(7).saturating_add(sample) / 8;
        self.bytes = self.bytes.saturating_mul(7).saturating_add(bytes) / 8;
        if now.since(self.least_since) > LEAST_AGE {
            self.least = (sample, self.least.0);
            self.least_since = now;
        }
        self.least.0 = self.least.0.min(sample);
        self.at = now;
    }

    pub(super) fn shortest(&self) -> Duration {
        self.least.0.min(self.least.1)
    }

    /// Longer than this, and it waits in a queue.
    pub(super) fn long(&self) -> Duration {
        self.time.saturating_add(self.time / 16).saturating_add(SLACK * 2)
    }
}

//! Sums over sources and sinks, for whoever counts on when they have gone.

use std::collections::BTreeMap;
use std::time::Duration;

use super::SourceStatus;

/// What sources have come to together.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct SourceTotals {
    /// Those that run now.
    pub(crate) running: u64,
    /// Of these, those that wait for room.
    pub(crate) paused: u64,
    /// What those that run now have and streams have not been given yet.
    pub(crate) backlog: u64,
    /// Bytes handed to streams.
    pub(crate) bytes: u64,
    /// Waits for room.
    pub(crate) pauses: u64,
    /// How long those took.
    pub(crate) paused_for: Duration,
    /// Files that were renamed or cut.
    pub(crate) rotations: u64,
}

impl SourceTotals {
    pub(super) fn add_running(&mut self, source: &SourceStatus) {
        self.running += 1;
        self.paused += u64::from(source.paused);
        self.backlog = self.backlog.saturating_add(source.backlog_bytes.unwrap_or(0));
        self.add_ended(source);
    }

    pub(super) fn add_ended(&mut self, source: &SourceStatus) {
        self.bytes = self.bytes.saturating_add(source.bytes);
        self.pauses += source.pauses;
        self.paused_for += Duration::try_from_secs_f64(source.paused_seconds).unwrap_or_default();
        self.rotations += source.rotations;
    }

    /// Adds those of another session.
    pub(crate) fn add(&mut self, other: &Self) {
        self.running += other.running;
        self.paused += other.paused;
        self.backlog = self.backlog.saturating_add(other.backlog);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.pauses += other.pauses;
        self.paused_for += other.paused_for;
        self.rotations += other.rotations;
    }
}

/// What sinks have come to together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SinkTotals {
    /// Streams that are being written now.
    pub(crate) open: u64,
    /// Bytes written.
    pub(crate) bytes: u64,
    /// Writes.
    pub(crate) writes: u64,
    /// Requests for stable storage.
    pub(crate) syncs: u64,
    /// Operations that failed, by the word for the reason.
    pub(crate) errors: BTreeMap<&'static str, u64>,
}

impl SinkTotals {
    /// Adds those of another sink.
    pub(crate) fn add(&mut self, other: &Self) {
        self.open += other.open;
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.writes += other.writes;
        self.syncs += other.syncs;
        for (reason, count) in &other.errors {
            *self.errors.entry(reason).or_default() += count;
        }
    }
}

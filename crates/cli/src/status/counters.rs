//! What sources and sinks count while they work; whoever looks reads it without stopping them.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{SinkStatus, SinkTotals, SourceStatus, SourceTotals};

/// Asks how much is there and not handed over yet, given what was.
pub(crate) type Backlog = Box<dyn Fn(u64) -> Option<u64> + Send + Sync>;

/// The sources of one session; clones are the same list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources(Arc<Mutex<List>>);

#[derive(Debug, Default)]
struct List {
    next: u64,
    entries: BTreeMap<u64, Arc<SourceCounters>>,
    /// What those that have ended came to.
    past: SourceTotals,
}

/// What feeds one stream, as it counts.
#[derive(Default)]
pub(crate) struct SourceCounters {
    label: u32,
    name: String,
    bytes: AtomicU64,
    dropped: AtomicU64,
    rotations: AtomicU64,
    buffered: AtomicU64,
    waits: Mutex<Waits>,
    backlog: Mutex<Option<Backlog>>,
}

#[derive(Debug, Default)]
struct Waits {
    count: u64,
    total: Duration,
    since: Option<Instant>,
}

/// A source's place in the list, given back on drop.
#[derive(Debug)]
pub(crate) struct SourceEntry {
    list: Sources,
    key: u64,
    counters: Arc<SourceCounters>,
}

/// A wait for room, over when dropped.
pub(crate) struct Pause<'a>(&'a SourceCounters);

impl Sources {
    /// Adds a source.
    pub(crate) fn enter(&self, label: u32, name: &str) -> SourceEntry {
        let counters =
            Arc::new(SourceCounters { label, name: name.to_owned(), ..Default::default() });
        let mut list = lock(&self.0);
        let key = list.next;
        list.next += 1;
        list.entries.insert(key, Arc::clone(&counters));
        SourceEntry { list: self.clone(), key, counters }
    }

    /// The first `most` of them, in the order in which they began.
    pub(crate) fn list(&self, most: usize) -> Vec<Arc<SourceCounters>> {
        lock(&self.0).entries.values().take(most).cloned().collect()
    }

    /// All of them together, those that have ended included.
    pub(crate) fn totals(&self) -> SourceTotals {
        let (mut totals, running) = {
            let list = lock(&self.0);
            (list.past, list.entries.values().cloned().collect::<Vec<_>>())
        };
        running.iter().for_each(|source| totals.add_running(&source.status()));
        totals
    }
}

impl SourceEntry {
    /// The counters, for who counts beside.
    pub(crate) fn shared(&self) -> Arc<SourceCounters> {
        Arc::clone(&self.counters)
    }
}

impl Deref for SourceEntry {
    type Target = SourceCounters;

    fn deref(&self) -> &SourceCounters {
        &self.counters
    }
}

impl Drop for SourceEntry {
    fn drop(&mut self) {
        let mut list = lock(&self.list.0);
        list.entries.remove(&self.key);
        list.past.add_ended(&self.counters.status());
    }
}

impl SourceCounters {
    /// Bytes were handed to the stream.
    pub(crate) fn sent(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// Bytes were dropped by a full buffer.
    pub(crate) fn dropped(&self, bytes: u64) {
        self.dropped.fetch_add(bytes, Relaxed);
    }

    /// The file was renamed or cut, and another one is followed.
    pub(crate) fn rotated(&self) {
        self.rotations.fetch_add(1, Relaxed);
    }

    /// That many bytes wait in a buffer in front of the stream.
    pub(crate) fn buffered(&self, bytes: usize) {
        self.buffered.store(bytes as u64, Relaxed);
    }

    /// How to ask for the backlog from now on.
    pub(crate) fn set_backlog(&self, backlog: Backlog) {
        *lock(&self.backlog) = Some(backlog);
    }

    /// From now on it waits for room.
    pub(crate) fn pause(&self) -> Pause<'_> {
        let mut waits = lock(&self.waits);
        waits.count += 1;
        waits.since = Some(Instant::now());
        Pause(self)
    }

    /// Bytes handed to the stream, and bytes dropped.
    pub(crate) fn totals(&self) -> (u64, u64) {
        (self.bytes.load(Relaxed), self.dropped.load(Relaxed))
    }

    /// How it is now.
    pub(crate) fn status(&self) -> SourceStatus {
        let (bytes, dropped_bytes) = self.totals();
        let buffered = self.buffered.load(Relaxed);
        let ahead = lock(&self.backlog).as_ref().and_then(|ask| ask(bytes));
        let backlog_bytes = match ahead {
            None => (buffered > 0).then_some(buffered),
            Some(ahead) => Some(ahead.saturating_add(buffered)),
        };
        let waits = lock(&self.waits);
        let paused_for = waits.total + waits.since.map_or(Duration::ZERO, |since| since.elapsed());
        SourceStatus {
            label: self.label,
            name: self.name.clone(),
            bytes,
            backlog_bytes,
            dropped_bytes,
            paused: waits.since.is_some(),
            pauses: waits.count,
            paused_seconds: paused_for.as_secs_f64(),
            rotations: self.rotations.load(Relaxed),
        }
    }
}

impl std::fmt::Debug for SourceCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.status().fmt(f)
    }
}

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        let mut waits = lock(&self.0.waits);
        if let Some(since) = waits.since.take() {
            waits.total += since.elapsed();
        }
    }
}

/// Where a receiver puts streams, as it counts.
#[derive(Debug, Default)]
pub(crate) struct SinkCounters {
    /// `stdout` or `dir`.
    pub(crate) kind: &'static str,
    /// The directory.
    pub(crate) place: Option<String>,
    /// What counts as delivered.
    pub(crate) ack: String,
    /// Streams that are being written.
    pub(crate) open: AtomicU64,
    /// Streams that ended well.
    pub(crate) finished: AtomicU64,
    /// Streams that ended early.
    pub(crate) failed: AtomicU64,
    /// Bytes written.
    pub(crate) bytes: AtomicU64,
    /// Writes.
    pub(crate) writes: AtomicU64,
    /// Requests for stable storage.
    pub(crate) syncs: AtomicU64,
    /// Operations that failed, by the word for the reason.
    pub(crate) errors: Mutex<BTreeMap<&'static str, u64>>,
}

impl SinkCounters {
    /// An operation failed.
    pub(crate) fn failed_by(&self, reason: &'static str) {
        *lock(&self.errors).entry(reason).or_default() += 1;
    }

    /// What it has come to.
    pub(crate) fn totals(&self) -> SinkTotals {
        SinkTotals {
            open: self.open.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            writes: self.writes.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            errors: lock(&self.errors).clone(),
        }
    }

    /// How it is now.
    pub(crate) fn status(&self) -> SinkStatus {
        SinkStatus {
            kind: self.kind.to_owned(),
            place: self.place.clone(),
            ack: self.ack.clone(),
            streams_open: self.open.load(Relaxed),
            streams_finished: self.finished.load(Relaxed),
            streams_failed: self.failed.load(Relaxed),
            bytes: self.bytes.load(Relaxed),
            writes: self.writes.load(Relaxed),
            syncs: self.syncs.load(Relaxed),
            errors: lock(&self.errors).values().sum(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_listed_while_it_lives() {
        let sources = Sources::default();
        let first = sources.enter(1, "app");
        let second = sources.enter(2, "web");
        first.sent(10);
        first.dropped(3);
        first.rotated();
        let names = |most| -> Vec<String> {
            sources.list(most).iter().map(|source| source.status().name).collect()
        };
        assert_eq!(names(9), ["app", "web"]);
        assert_eq!(names(1), ["app"]);
        let status = first.status();
        assert_eq!((status.bytes, status.dropped_bytes, status.rotations), (10, 3, 1));
        drop(first);
        assert_eq!(names(9), ["web"]);
        drop(second);
        assert!(names(9).is_empty());
    }

    #[test]
    fn a_pause_lasts_until_it_is_dropped() {
        let sources = Sources::default();
        let source = sources.enter(1, "app");
        source.set_backlog(Box::new(|sent| Some(77 - sent)));
        source.sent(7);
        source.buffered(1);
        let pause = source.pause();
        std::thread::sleep(Duration::from_millis(2));
        let during = source.status();
        assert!(during.paused && during.paused_seconds > 0.0, "{during:?}");
        assert_eq!((during.pauses, during.backlog_bytes), (1, Some(71)));
        drop(pause);
        let after = source.status();
        assert!(!after.paused && after.paused_seconds >= during.paused_seconds, "{after:?}");
    }
}

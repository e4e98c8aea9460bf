//! What became of each stream, bounded however many there were.

use crate::status::SourceCounters;

/// Streams remembered one by one; the rest is summed.
const KEPT: usize = 16_384;

/// Why a stream did not end well.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Failure {
    /// The source itself failed for good.
    #[error("{0}")]
    Source(String),
    /// The peer refused, reset or stopped this stream.
    #[error("{0}")]
    Stream(String),
    /// What arrived at the peer is not what was sent.
    #[error("{0}")]
    Damaged(String),
    /// The program was told to stop before the last byte was acknowledged.
    #[error("stopped before everything was acknowledged")]
    Stopped,
    /// The session ended under the stream.
    #[error("{0}")]
    Lost(String),
}

impl Failure {
    /// Whether a source or a sink failed for good, as opposed to a stop or the end of the session.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::Source(_) | Self::Stream(_) | Self::Damaged(_))
    }
}

/// The end of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StreamOutcome {
    /// The stream's name.
    pub(crate) name: String,
    /// The number that users see.
    pub(crate) label: u32,
    /// Bytes handed to the session.
    pub(crate) bytes: u64,
    /// Bytes that a full drop-oldest buffer threw away.
    pub(crate) dropped: u64,
    /// Why it failed, if it did.
    pub(crate) failure: Option<Failure>,
}

/// The end of all streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourcesOutcome {
    /// One entry a stream, failures preferred when there are very many.
    pub(crate) streams: Vec<StreamOutcome>,
    /// Streams that ended, kept in `streams` or not.
    pub(crate) total: u64,
    /// Streams that failed.
    pub(crate) failed: u64,
    /// Whether one of the failures was a source or a sink that failed for good.
    pub(crate) permanent: bool,
    /// Whether one of them was that other bytes arrived than were sent.
    pub(crate) damaged: bool,
    /// Bytes of all streams.
    pub(crate) bytes: u64,
    /// Dropped bytes of all streams.
    pub(crate) dropped: u64,
}

impl SourcesOutcome {
    /// The streams that failed, as far as they were kept.
    #[cfg(test)]
    pub(crate) fn failures(&self) -> impl Iterator<Item = (&StreamOutcome, &Failure)> {
        self.streams
            .iter()
            .filter_map(|stream| stream.failure.as_ref().map(|failure| (stream, failure)))
    }

    pub(super) fn record(&mut self, stream: StreamOutcome) {
        self.total += 1;
        self.bytes = self.bytes.saturating_add(stream.bytes);
        self.dropped = self.dropped.saturating_add(stream.dropped);
        if let Some(failure) = &stream.failure {
            self.failed += 1;
            self.permanent |= failure.is_permanent();
            self.damaged |= matches!(failure, Failure::Damaged(_));
        }
        if self.streams.len() < KEPT {
            self.streams.push(stream);
        } else if stream.failure.is_some() {
            if let Some(good) = self.streams.iter_mut().find(|kept| kept.failure.is_none()) {
                *good = stream;
            }
        }
    }
}

impl StreamOutcome {
    /// What became of the stream that `counters` are about.
    pub(super) fn new(
        name: String,
        label: u32,
        counters: &SourceCounters,
        failure: Option<Failure>,
    ) -> Self {
        let (bytes, dropped) = counters.totals();
        Self { name, label, bytes, dropped, failure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(label: u32, failure: Option<Failure>) -> StreamOutcome {
        StreamOutcome { name: format!("s{label}"), label, bytes: 2, dropped: 1, failure }
    }

    #[test]
    fn a_failure_is_kept_even_when_the_list_is_full() {
        let mut all = SourcesOutcome::default();
        for label in 0..KEPT as u32 {
            all.record(stream(label, None));
        }
        all.record(stream(77_777, Some(Failure::Source("gone".into()))));
        all.record(stream(88_888, None));
        assert_eq!(all.streams.len(), KEPT);
        assert_eq!((all.total, all.failed), (KEPT as u64 + 2, 1));
        assert_eq!(all.bytes, 2 * (KEPT as u64 + 2));
        let kept: Vec<u32> = all.failures().map(|(stream, _)| stream.label).collect();
        assert_eq!(kept, [77_777]);
        assert!(all.permanent);
    }

    #[test]
    fn a_stop_is_not_a_permanent_failure() {
        let mut all = SourcesOutcome::default();
        all.record(stream(1, Some(Failure::Stopped)));
        all.record(stream(2, Some(Failure::Lost("expired".into()))));
        assert_eq!(all.failed, 2);
        assert!(!all.permanent);
    }
}

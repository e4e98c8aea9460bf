//! What was lost and what came twice, computed from the two ends' own numbers.

use p2_transport::{SessionStats, SessionSummary};

/// Bytes that are neither with the peer nor held for it, and bytes that it has too often.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Ledger {
    /// Accepted here, not acknowledged, and not held either: nobody has them.
    pub(crate) lost: u64,
    /// Acknowledged or delivered beyond what was ever sent.
    pub(crate) duplicated: u64,
}

impl Ledger {
    /// Of a session that lives: for each stream, sent = acknowledged + held.
    pub(crate) fn of(stats: &SessionStats) -> Self {
        let mut ledger = Self::default();
        for stream in &stats.streams {
            let accounted = stream.acked_by_peer.saturating_add(stream.retained);
            ledger.lost = ledger.lost.saturating_add(stream.bytes_sent.saturating_sub(accounted));
            let beyond = stream.acked_by_peer.saturating_sub(stream.bytes_sent);
            ledger.duplicated = ledger.duplicated.saturating_add(beyond);
        }
        ledger
    }

    /// Of a session that is over, as the session itself computed it.
    pub(crate) fn of_summary(summary: &SessionSummary) -> Self {
        Self { lost: summary.lost, duplicated: summary.duplicated }
    }
}

impl std::fmt::Display for Ledger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = |bytes| match bytes {
            0 => "0".to_owned(),
            bytes => super::human::bytes(bytes),
        };
        write!(f, "lost {}   duplicated {}", shown(self.lost), shown(self.duplicated))
    }
}

#[cfg(test)]
mod tests {
    use p2_transport::StreamStats;

    use super::*;

    fn stream(sent: u64, acked: u64, retained: u64) -> StreamStats {
        let mut stream = StreamStats::default();
        stream.bytes_sent = sent;
        stream.acked_by_peer = acked;
        stream.retained = retained;
        stream
    }

    #[test]
    fn bytes_that_nobody_has_are_lost_and_bytes_never_sent_are_duplicates() {
        let mut stats = SessionStats::default();
        stats.streams = vec![stream(100, 60, 40), stream(10, 10, 0)];
        assert_eq!(Ledger::of(&stats).to_string(), "lost 0   duplicated 0");
        stats.streams = vec![stream(2048, 500, 524), stream(10, 15, 0)];
        assert_eq!(Ledger::of(&stats).to_string(), "lost 1 KiB   duplicated 5 B");
    }
}

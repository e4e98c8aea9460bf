//! The account of a session: what every stream that ever lived did, in bounded memory.

use std::time::Duration;

use p2_mux::{self as mux, RecvState, SendState};

use crate::{HalfState, SessionId, SessionSummary, StreamStats};

/// Streams whose figures are kept one by one; later ones are summed.
const KEPT: usize = 1024;

/// Figures of the streams that the session has forgotten.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    kept: Vec<StreamStats>,
    others: StreamStats,
    other_streams: u64,
    total: Total,
}

/// What a summary adds up over streams.
#[derive(Debug, Default, Clone)]
pub(crate) struct Total {
    pub(crate) sent: u64,
    pub(crate) received: u64,
    lost: u64,
    duplicated: u64,
    pub(crate) dropped: u64,
    pub(crate) verified: u64,
    pub(crate) reset: u64,
}

/// What only the connection knows of a session.
pub(crate) struct Frame {
    pub(crate) name: String,
    pub(crate) id: SessionId,
    pub(crate) lasted: Duration,
    pub(crate) outage: Duration,
    pub(crate) handshakes_sent: u64,
    pub(crate) handshakes_received: u64,
}

impl Ledger {
    /// A stream has left the session.
    pub(crate) fn enter(&mut self, stats: mux::StreamStats) {
        self.total.add(&stats);
        self.keep(StreamStats::from(stats));
    }

    /// Sums over forgotten streams and `live` ones.
    pub(crate) fn total(&self, live: &[mux::StreamStats]) -> Total {
        let mut total = self.total.clone();
        live.iter().for_each(|stats| total.add(stats));
        total
    }

    /// The streams that have ended, from the `since`th on, and the sum of those beyond the bound.
    pub(crate) fn ended(&self, since: usize) -> (Vec<StreamStats>, StreamStats, &Total) {
        let kept = self.kept.get(since..).unwrap_or_default();
        (kept.to_vec(), self.others.clone(), &self.total)
    }

    /// The end of the account.
    pub(crate) fn summary(&self, session: &mux::SessionStats, frame: Frame) -> SessionSummary {
        let total = self.total(&session.streams);
        let mut all = Self {
            kept: self.kept.clone(),
            others: self.others.clone(),
            other_streams: self.other_streams,
            total: Total::default(),
        };
        session.streams.iter().for_each(|stats| all.keep(StreamStats::of(stats)));
        let wire = &session.totals;
        SessionSummary {
            name: frame.name,
            id: frame.id,
            lasted: frame.lasted,
            streams: all.kept,
            other_streams: all.other_streams,
            others: all.others,
            raw_sent: total.sent,
            raw_received: total.received,
            wire_sent: wire.wire_sent.saturating_add(frame.handshakes_sent),
            wire_received: wire.wire_received.saturating_add(frame.handshakes_received),
            lost: total.lost,
            duplicated: total.duplicated,
            dropped: total.dropped,
            verified_streams: total.verified,
            reset_streams: total.reset,
            reconnects: wire.links.saturating_sub(1),
            replayed_bytes: wire.replayed,
            duplicate_bytes: wire.duplicates_discarded,
            outage: frame.outage,
        }
    }

    fn keep(&mut self, stats: StreamStats) {
        if self.kept.len() < KEPT {
            self.kept.push(stats);
        } else {
            self.others.add(&stats);
            self.other_streams = self.other_streams.saturating_add(1);
        }
    }
}

impl Total {
    fn add(&mut self, stats: &mux::StreamStats) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.sent, stats.bytes_written);
        add(&mut self.received, stats.bytes_received);
        add(&mut self.dropped, stats.dropped);
        // Given up on purpose is not lost: resets are counted as such.
        if matches!(stats.send_state, Some(SendState::Open | SendState::Finished)) {
            add(&mut self.lost, stats.bytes_written.saturating_sub(stats.acked_by_peer));
        }
        if let Some(declared) = stats.recv_final {
            add(&mut self.duplicated, stats.bytes_received.saturating_sub(declared));
        }
        let halves = HalfState::both(stats);
        let fine = |half: &HalfState| matches!(half, HalfState::Finished | HalfState::Absent);
        if halves.iter().all(fine) {
            add(&mut self.verified, 1);
        }
        let stopped = stats.recv_state == Some(RecvState::Stopped);
        if stopped || halves.contains(&HalfState::Reset) {
            add(&mut self.reset, 1);
        }
    }
}

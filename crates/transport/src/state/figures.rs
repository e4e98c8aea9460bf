//! A session's figures, put together from everybody who counts.

use p2_mux::Time;

use super::State;
use crate::{SessionAccount, SessionStats, StreamStats};

impl State {
    /// Every figure.
    pub(crate) fn stats(&self, now: Time) -> SessionStats {
        let stats = self.session.stats();
        let sums = self.ledger.total(&stats.streams);
        let (totals, tally) = (&stats.totals, &self.tally);
        let without = self.last_outage(now);
        SessionStats {
            name: self.name.clone(),
            id: self.id,
            epoch: stats.epoch,
            link_up: stats.attached,
            rtt: stats.rtt,
            min_rtt: stats.min_rtt,
            links: totals.links,
            reconnects: totals.links.saturating_sub(1),
            resumes: totals.resumes,
            replayed_bytes: totals.replayed,
            duplicate_bytes: totals.duplicates_discarded,
            wire_sent: totals.wire_sent.saturating_add(self.handshakes_sent),
            wire_received: totals.wire_received.saturating_add(self.handshakes_received),
            raw_sent: sums.sent,
            raw_received: sums.received,
            frames_sent: totals.frames_sent,
            frames_received: totals.frames_received,
            pings_sent: totals.pings_sent,
            pongs_received: totals.pings_answered,
            pings_missed: totals.pings_missed,
            pings_answered: totals.pings_received,
            retained: stats.retained,
            retained_limit: stats.retained_limit,
            in_flight: stats.in_flight,
            streams: stats.streams.iter().map(StreamStats::of).collect(),
            closed_streams: totals.streams_forgotten,
            decode_errors: tally.damaged_frames.saturating_add(tally.damaged_payloads),
            outage: self.outage.saturating_add(without),
            current_outage: without,
            plain_sent: tally.plain,
            dropped_bytes: sums.dropped,
            damaged_frames: tally.damaged_frames,
            connect_failures: tally.connect_failures.clone(),
            disconnects: tally.disconnects.clone(),
            outages: tally.outages.clone(),
            round_trips: tally.round_trips.clone(),
            queue_waits: stats.waits,
            credit_blocked: tally
                .credit_blocked
                .unwrap_or_else(|| self.session.credit_blocked(now)),
        }
    }

    /// The same with the streams that have ended, from the `since`th on.
    pub(crate) fn account(&self, now: Time, since: usize) -> SessionAccount {
        let (ended, others, total) = self.ledger.ended(since);
        let (verified_streams, reset_streams) = (total.verified, total.reset);
        SessionAccount { stats: self.stats(now), ended, others, verified_streams, reset_streams }
    }
}

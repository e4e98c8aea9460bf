//! What sessions come to together, those that have ended included.

use std::collections::BTreeMap;
use std::time::Duration;

use p2_transport::{
    ConnectFailure, DisconnectReason, Histogram, Priority, SessionAccount, SessionError,
};

use super::catalog;
use super::sheet::Sheet;
use crate::report::Side;

/// How a session ended, in the words of the label `result`.
pub(super) const RESULTS: [&str; 7] =
    ["ok", "lost", "expired", "refused", "gave_up", "aborted", "failed"];
/// Those of them that are failures to resume.
const LOST: [&str; 4] = ["lost", "expired", "refused", "gave_up"];
const SIDES: [(Side, &str); 2] = [(Side::Sender, "send"), (Side::Receiver, "recv")];
const PRIORITIES: [Priority; 5] =
    [Priority::Realtime, Priority::High, Priority::Normal, Priority::Low, Priority::Bulk];

/// Sums over sessions. All of it only rises as long as sessions are added and none is taken away.
#[derive(Debug, Clone, Default)]
pub(super) struct Totals {
    sides: [SideTotals; 2],
    lost: BTreeMap<&'static str, u64>,
    links: u64,
    reconnects: u64,
    resumes: u64,
    connect_failures: BTreeMap<ConnectFailure, u64>,
    disconnects: BTreeMap<DisconnectReason, u64>,
    times: Times,
    credit_blocked: Duration,
    wire: [u64; 2],
    frames: [u64; 2],
    replayed: u64,
    duplicate: u64,
    dropped: [u64; 2],
    heartbeats: [u64; 4],
    plain: u64,
    damaged: [u64; 2],
}

/// Distributions.
#[derive(Debug, Clone)]
struct Times {
    outages: Histogram,
    round_trips: Histogram,
    queue_waits: [Histogram; 5],
}

impl Default for Times {
    fn default() -> Self {
        Self {
            outages: Histogram::of_outages(),
            round_trips: Histogram::of_round_trips(),
            queue_waits: std::array::from_fn(|_| Histogram::of_queue_waits()),
        }
    }
}

#[derive(Debug, Clone, Default)]
struct SideTotals {
    sessions_opened: u64,
    sessions_ended: BTreeMap<&'static str, u64>,
    streams_opened: u64,
    streams_complete: u64,
    streams_reset: u64,
}

impl Totals {
    /// Adds all that a session has come to; `end` says how it ended, if it has.
    pub(super) fn add(&mut self, side: Side, account: &SessionAccount, end: Option<&'static str>) {
        let stats = &account.stats;
        let of_side = &mut self.sides[index(side)];
        of_side.sessions_opened += 1;
        of_side.streams_opened += stats.closed_streams + stats.streams.len() as u64;
        of_side.streams_complete += account.verified_streams;
        of_side.streams_reset += account.reset_streams;
        if let Some(end) = end {
            *of_side.sessions_ended.entry(end).or_default() += 1;
            if LOST.contains(&end) && stats.links > 0 {
                *self.lost.entry(end).or_default() += 1;
            }
        }
        self.links += stats.links;
        self.reconnects += stats.reconnects;
        self.resumes += stats.resumes;
        for (kind, count) in &stats.connect_failures {
            *self.connect_failures.entry(*kind).or_default() += count;
        }
        for (reason, count) in &stats.disconnects {
            *self.disconnects.entry(*reason).or_default() += count;
        }
        self.times.outages.add(&stats.outages);
        self.times.round_trips.add(&stats.round_trips);
        for (sum, waits) in self.times.queue_waits.iter_mut().zip(&stats.queue_waits) {
            sum.add(waits);
        }
        self.credit_blocked += stats.credit_blocked;
        let pairs = [
            (&mut self.wire, [stats.wire_sent, stats.wire_received]),
            (&mut self.frames, [stats.frames_sent, stats.frames_received]),
            (
                &mut self.damaged,
                [stats.damaged_frames, stats.decode_errors.saturating_sub(stats.damaged_frames)],
            ),
        ];
        for (sums, more) in pairs {
            sums.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
        self.replayed += stats.replayed_bytes;
        self.duplicate += stats.duplicate_bytes;
        self.dropped[index(side)] += stats.dropped_bytes;
        let beats =
            [stats.pings_sent, stats.pongs_received, stats.pings_missed, stats.pings_answered];
        self.heartbeats.iter_mut().zip(beats).for_each(|(sum, more)| *sum += more);
        self.plain += stats.plain_sent;
    }

    /// Adds every row that there can be, those that are 0 too.
    pub(super) fn put(&self, sheet: &mut Sheet) {
        for (side, word) in SIDES {
            let of_side = &self.sides[index(side)];
            sheet.put(&catalog::SESSIONS_OPENED, &[word], of_side.sessions_opened);
            for result in RESULTS {
                let count = of_side.sessions_ended.get(result).copied().unwrap_or(0);
                sheet.put(&catalog::SESSIONS_ENDED, &[word, result], count);
            }
            sheet.put(&catalog::STREAMS_OPENED, &[word], of_side.streams_opened);
            sheet.put(&catalog::STREAMS_ENDED, &[word, "complete"], of_side.streams_complete);
            sheet.put(&catalog::STREAMS_ENDED, &[word, "reset"], of_side.streams_reset);
        }
        sheet.put(&catalog::LINKS, &[], self.links);
        sheet.put(&catalog::RECONNECTS, &[], self.reconnects);
        sheet.put(&catalog::RESUMES, &["ok"], self.resumes);
        for result in LOST {
            sheet.put(&catalog::RESUMES, &[result], self.lost.get(result).copied().unwrap_or(0));
        }
        for kind in ConnectFailure::ALL {
            let count = self.connect_failures.get(kind).copied().unwrap_or(0);
            sheet.put(&catalog::CONNECT_FAILURES, &[kind.word()], count);
        }
        for reason in DisconnectReason::ALL {
            let count = self.disconnects.get(reason).copied().unwrap_or(0);
            sheet.put(&catalog::DISCONNECTS, &[reason.word()], count);
        }
        for (at, direction) in ["sent", "received"].into_iter().enumerate() {
            sheet.put(&catalog::WIRE_BYTES, &[direction], self.wire[at]);
            sheet.put(&catalog::FRAMES, &[direction], self.frames[at]);
        }
        sheet.put(&catalog::REPLAYED_BYTES, &[], self.replayed);
        sheet.put(&catalog::DUPLICATE_BYTES, &[], self.duplicate);
        for (at, reason) in ["buffer_full", "at_source"].into_iter().enumerate() {
            sheet.put(&catalog::DROPPED_BYTES, &[reason], self.dropped[at]);
        }
        for (at, event) in ["sent", "answered", "missed", "received"].into_iter().enumerate() {
            sheet.put(&catalog::HEARTBEATS, &[event], self.heartbeats[at]);
        }
        for (at, reason) in ["frame", "payload"].into_iter().enumerate() {
            sheet.put(&catalog::DECODE_ERRORS, &[reason], self.damaged[at]);
        }
        sheet.put(&catalog::CODEC_SKIPPED_BYTES, &[], self.plain);
        sheet.put(&catalog::CREDIT_BLOCKED, &[], self.credit_blocked);
        sheet.put(&catalog::OUTAGE, &[], self.times.outages.clone());
        sheet.put(&catalog::RTT, &[], self.times.round_trips.clone());
        for (priority, waits) in PRIORITIES.into_iter().zip(&self.times.queue_waits) {
            sheet.put(&catalog::QUEUE_WAIT, &[&priority.to_string()], waits.clone());
        }
    }
}

/// The word for how a session ended.
pub(super) const fn result(outcome: &Result<(), SessionError>) -> &'static str {
    match outcome {
        Ok(()) | Err(SessionError::Closed) => "ok",
        Err(SessionError::PeerRestarted { .. } | SessionError::Unknown { .. }) => "lost",
        Err(SessionError::Expired { .. }) => "expired",
        Err(SessionError::Refused(_)) => "refused",
        Err(SessionError::RetriesExhausted { .. }) => "gave_up",
        Err(SessionError::Aborted { .. } | SessionError::ClosedByPeer { .. }) => "aborted",
        Err(_) => "failed",
    }
}

const fn index(side: Side) -> usize {
    match side {
        Side::Sender => 0,
        Side::Receiver => 1,
    }
}

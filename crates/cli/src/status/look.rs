//! One session's figures turned into its status.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use p2_transport::{HalfState, LinkState, SessionStats, StreamStats};

use super::hub::Running;
use super::meter::{Lag, Meter};
use super::{SessionState, SessionStatus, StreamStatus};
use crate::report::Side;

/// Streams and sources of one session that are listed one by one.
const LISTED: usize = 1_000;

/// The same of all sessions together: an answer stays within a few megabytes.
const LISTED_IN_ALL: usize = 10_000;

/// A look at each of them.
pub(super) fn at(sessions: &[Arc<Running>]) -> Vec<SessionStatus> {
    let most = (LISTED_IN_ALL / sessions.len().max(1)).clamp(1, LISTED);
    sessions.iter().map(|session| session.status(most)).collect()
}

/// What looks at one session leave for the next look.
#[derive(Debug, Default)]
pub(super) struct Tracks {
    raw: Meter,
    streams: HashMap<u64, Track>,
}

#[derive(Debug, Default)]
struct Track {
    rate: Meter,
    lag: Lag,
}

impl Running {
    /// Whether the next look would tell rates.
    pub(super) fn is_measured(&self, now: Instant) -> bool {
        self.tracks.lock().unwrap_or_else(PoisonError::into_inner).raw.is_ready(now)
    }

    /// A look at this session, with `most` of its streams and as many of its sources.
    fn status(&self, most: usize) -> SessionStatus {
        let link = self.connection.link().borrow().clone();
        let stats = self.connection.stats();
        let peer = self.connection.peer();
        let codecs = self.connection.codecs();
        let (side, codec) = match self.side {
            Side::Sender => ("send", codecs.to_peer),
            Side::Receiver => ("recv", codecs.from_peer),
        };
        let now = Instant::now();
        let mut status = SessionStatus {
            number: self.number,
            side: side.to_owned(),
            peer: if self.target.is_empty() { peer.address } else { self.target.clone() },
            agent: peer.agent,
            started: self.since_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            age_seconds: self.since.elapsed().as_secs_f64(),
            codec: codec.to_string(),
            sources: self.sources.list(most).iter().map(|source| source.status()).collect(),
            ..SessionStatus::default()
        };
        set_link(&mut status, &link);
        let mut tracks = self.tracks.lock().unwrap_or_else(PoisonError::into_inner);
        set_figures(&mut status, self.side, stats, now, &mut tracks, most);
        status
    }
}

fn set_link(status: &mut SessionStatus, link: &LinkState) {
    match link {
        LinkState::Connecting { attempt } => {
            status.state = SessionState::Connecting;
            status.state_seconds = status.age_seconds;
            status.attempt = Some(*attempt);
        }
        LinkState::Up { since, .. } => {
            status.state = SessionState::Up;
            status.state_seconds = since.elapsed().as_secs_f64();
        }
        LinkState::Down { reason, attempt, retry_in, since, .. } => {
            status.state = SessionState::Down;
            status.state_seconds = since.elapsed().as_secs_f64();
            status.reason = Some(reason.clone());
            status.attempt = (status.side == "send").then_some(*attempt);
            status.retry_in_seconds = retry_in.map(|time| time.as_secs_f64());
        }
        _ => status.state = SessionState::Closed,
    }
}

fn set_figures(
    status: &mut SessionStatus,
    side: Side,
    stats: SessionStats,
    now: Instant,
    tracks: &mut Tracks,
    most: usize,
) {
    let (raw, wire) = crate::report::moved(side, &stats);
    status.name = stats.name;
    status.rtt_seconds = stats.rtt.map(seconds);
    status.min_rtt_seconds = stats.min_rtt.map(seconds);
    status.reconnects = stats.reconnects;
    status.resumes = stats.resumes;
    status.outage_seconds = seconds(stats.outage);
    status.heartbeats_missed = stats.pings_missed;
    status.raw_bytes = raw;
    status.wire_bytes = wire;
    status.bytes_per_second = tracks.raw.look(now, raw);
    status.ratio = ratio(raw, wire);
    status.retained_bytes = stats.retained;
    status.retained_limit_bytes = stats.retained_limit;
    status.replayed_bytes = stats.replayed_bytes;
    status.duplicate_bytes = stats.duplicate_bytes;
    status.decode_errors = stats.decode_errors;
    status.streams_open = stats.streams.len() as u64;
    status.streams_closed = stats.closed_streams;

    let mut halves: Vec<Half> = stats.streams.into_iter().filter_map(|s| half(side, s)).collect();
    let unacked = halves.iter().fold(0_u64, |sum, half| sum.saturating_add(half.unacked()));
    status.unacked_bytes = unacked;
    if halves.len() > most {
        halves.sort_by_key(|half| std::cmp::Reverse(half.raw));
        halves.truncate(most);
    }
    halves.sort_by_key(|half| (half.stats.label, half.id));
    // What has ended is forgotten, what lives is remembered.
    let mut before = std::mem::take(&mut tracks.streams);
    status.streams = halves
        .into_iter()
        .map(|half| {
            let mut track = before.remove(&half.id).unwrap_or_default();
            let rate = track.rate.look(now, half.raw);
            let lag = track.lag.look(now, half.raw, half.acked);
            tracks.streams.insert(half.id, track);
            half.status(rate, lag)
        })
        .collect();
}

/// The half of a stream that the session's direction is about.
struct Half {
    id: u64,
    raw: u64,
    wire: u64,
    acked: u64,
    state: HalfState,
    stats: StreamStats,
}

fn half(side: Side, stats: StreamStats) -> Option<Half> {
    let (raw, wire, acked, state) = match side {
        Side::Sender => (stats.bytes_sent, stats.wire_sent, stats.acked_by_peer, stats.send_state),
        Side::Receiver => {
            (stats.bytes_received, stats.wire_received, stats.acknowledged, stats.recv_state)
        }
    };
    Some(Half { id: stats.id?.to_wire(), raw, wire, acked, state, stats })
}

impl Half {
    fn unacked(&self) -> u64 {
        self.raw.saturating_sub(self.acked)
    }

    fn status(self, rate: Option<f64>, lag: Option<Duration>) -> StreamStatus {
        let unacked_bytes = self.unacked();
        let Self { id, raw, wire, acked, state, stats } = self;
        let codec = stats.codec_sent.or(stats.codec_received);
        StreamStatus {
            id,
            label: stats.label,
            name: stats.name,
            priority: stats.priority.to_string(),
            codec: codec.map(|codec| codec.to_string()),
            state: word(state).to_owned(),
            raw_bytes: raw,
            wire_bytes: wire,
            acked_bytes: acked,
            unacked_bytes,
            bytes_per_second: rate,
            ratio: ratio(raw, wire),
            lag_seconds: lag.map(seconds),
            dropped_bytes: stats.dropped,
            replayed_bytes: stats.replayed,
            duplicate_bytes: stats.duplicates,
        }
    }
}

fn word(state: HalfState) -> &'static str {
    match state {
        HalfState::Open => "open",
        HalfState::Ending => "ending",
        HalfState::Reset => "reset",
        _ => "finished",
    }
}

fn seconds(time: Duration) -> f64 {
    time.as_secs_f64()
}

fn ratio(raw: u64, wire: u64) -> Option<f64> {
    (raw > 0 && wire > 0).then(|| raw as f64 / wire as f64)
}

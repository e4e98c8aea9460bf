//! Numbers of sessions and streams: plain structs, pulled by whoever shows or exports them.

use std::{collections::BTreeMap, time::Duration};

use p2_mux::{self as mux, CodecId, Histogram, Priority, RecvState, SendState, StreamId};

use crate::{ConnectFailure, DisconnectReason, SessionId};

/// How far one half of a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum HalfState {
    /// Bytes may follow.
    #[default]
    Open,
    /// The end is known (sent or received), not yet acknowledged or read.
    Ending,
    /// Ended in order: acknowledged, or read to the end.
    Finished,
    /// Ended early, by a reset or a stop.
    Reset,
    /// The stream is one-way and has no such half.
    Absent,
}

/// One stream, seen from this side. Bytes are raw bytes unless the name says wire.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct StreamStats {
    /// The stream; `None` only in sums of several.
    pub id: Option<StreamId>,
    /// Its label.
    pub label: u32,
    /// Its name.
    pub name: String,
    /// Its class.
    pub priority: Priority,
    /// The codec of the last frame sent.
    pub codec_sent: Option<CodecId>,
    /// The codec of the last frame received.
    pub codec_received: Option<CodecId>,
    /// Accepted from the application.
    pub bytes_sent: u64,
    /// Received from the peer, once each.
    pub bytes_received: u64,
    /// On the wire, headers and repeats included.
    pub wire_sent: u64,
    /// On the wire, headers and repeats included.
    pub wire_received: u64,
    /// DATA frames.
    pub frames_sent: u64,
    /// DATA frames.
    pub frames_received: u64,
    /// Sent bytes that are the peer's responsibility.
    pub acked_by_peer: u64,
    /// Received bytes that are this application's responsibility.
    pub acknowledged: u64,
    /// Held here until the peer acknowledges them.
    pub retained: u64,
    /// How far ahead of the acknowledged bytes the peer may send at present.
    pub window: u64,
    /// Dropped by the source, as its gaps say.
    pub dropped: u64,
    /// Sent again after a resume.
    pub replayed: u64,
    /// Received again and thrown away.
    pub duplicates: u64,
    /// Digest of everything sent, once finished.
    pub digest_sent: Option<u64>,
    /// Whether length and digest of everything received agreed, once finished.
    pub digest_verified: Option<bool>,
    /// The sending half.
    pub send_state: HalfState,
    /// The receiving half.
    pub recv_state: HalfState,
}

/// One session, seen from this side.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SessionStats {
    /// Its name, chosen by the client.
    pub name: String,
    /// Its identity.
    pub id: SessionId,
    /// Up by one with each link.
    pub epoch: u64,
    /// Whether there is a link now.
    pub link_up: bool,
    /// The last round trip.
    pub rtt: Option<Duration>,
    /// The shortest round trip of this link.
    pub min_rtt: Option<Duration>,
    /// Links attached so far.
    pub links: u64,
    /// Links after the first.
    pub reconnects: u64,
    /// Links that resumed the session.
    pub resumes: u64,
    /// Raw bytes sent again after resumes.
    pub replayed_bytes: u64,
    /// Raw bytes received again and thrown away.
    pub duplicate_bytes: u64,
    /// Bytes written to links, handshakes included.
    pub wire_sent: u64,
    /// Bytes read from links, handshakes included.
    pub wire_received: u64,
    /// Raw bytes accepted from the application.
    pub raw_sent: u64,
    /// Raw bytes received, once each.
    pub raw_received: u64,
    /// Frames of every kind.
    pub frames_sent: u64,
    /// Frames of every kind.
    pub frames_received: u64,
    /// Heartbeats sent.
    pub pings_sent: u64,
    /// Answers received.
    pub pongs_received: u64,
    /// Links that died because no answer came.
    pub pings_missed: u64,
    /// The peer's heartbeats answered.
    pub pings_answered: u64,
    /// Raw bytes held for the peer, all streams together.
    pub retained: u64,
    /// Their bound.
    pub retained_limit: u64,
    /// Bytes on the link that the peer has not read yet, as far as this side knows.
    pub in_flight: u64,
    /// The streams that live.
    pub streams: Vec<StreamStats>,
    /// Streams that have ended and are no longer held.
    pub closed_streams: u64,
    /// Frames that failed to decode or whose checksum was wrong; each cost its link.
    pub decode_errors: u64,
    /// Time without a link since the first.
    pub outage: Duration,
    /// Of that, the time since the last link was lost; zero while there is one.
    pub current_outage: Duration,
    /// Raw bytes put on links without a codec, repeats included.
    pub plain_sent: u64,
    /// Raw bytes that sources dropped by their own policy, as their gaps say.
    pub dropped_bytes: u64,
    /// Of the decode errors, those of frames; the others are of payloads.
    pub damaged_frames: u64,
    /// Attempts that made no link. A server makes none.
    pub connect_failures: BTreeMap<ConnectFailure, u64>,
    /// Links that ended.
    pub disconnects: BTreeMap<DisconnectReason, u64>,
    /// Times without a link, those that are over.
    pub outages: Histogram,
    /// Round trips of heartbeats.
    pub round_trips: Histogram,
    /// How long frames with stream bytes waited for their turn, by class, the most urgent first.
    pub queue_waits: Vec<Histogram>,
    /// How long writers waited for the peer's credit alone, all streams together.
    pub credit_blocked: Duration,
}

/// A session's figures together with those of its streams that have ended, as of one moment.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SessionAccount {
    /// The session and the streams that live.
    pub stats: SessionStats,
    /// Streams that have ended, in the order of their ends, from the one that was asked for on.
    pub ended: Vec<StreamStats>,
    /// The sum of those that ended after the first 1,024.
    pub others: StreamStats,
    /// Streams whose length and digest agreed at both ends.
    pub verified_streams: u64,
    /// Streams that were reset or stopped before their end.
    pub reset_streams: u64,
}

/// What a session did, once it is over.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct SessionSummary {
    /// Its name.
    pub name: String,
    /// Its identity.
    pub id: SessionId,
    /// From the first link to the end.
    pub lasted: Duration,
    /// The streams that ever lived, up to a bound of 1,024.
    pub streams: Vec<StreamStats>,
    /// Streams beyond that bound.
    pub other_streams: u64,
    /// Their sum.
    pub others: StreamStats,
    /// Raw bytes accepted from the application.
    pub raw_sent: u64,
    /// Raw bytes received, once each.
    pub raw_received: u64,
    /// Bytes written to links.
    pub wire_sent: u64,
    /// Bytes read from links.
    pub wire_received: u64,
    /// Bytes accepted here and never acknowledged by the peer. Computed, not assumed.
    pub lost: u64,
    /// Bytes delivered beyond what the peer's end of the stream declared. Computed, not assumed.
    pub duplicated: u64,
    /// Bytes that sources dropped by their own policy.
    pub dropped: u64,
    /// Streams whose length and digest agreed at both ends.
    pub verified_streams: u64,
    /// Streams that were reset or stopped before their end.
    pub reset_streams: u64,
    /// Links after the first.
    pub reconnects: u64,
    /// Raw bytes sent again.
    pub replayed_bytes: u64,
    /// Raw bytes received again and thrown away.
    pub duplicate_bytes: u64,
    /// Time without a link.
    pub outage: Duration,
}

/// What a server holds and has seen.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ServerStats {
    /// Links accepted since the start.
    pub links_accepted: u64,
    /// Links that have not proven themselves yet.
    pub handshakes: usize,
    /// Links refused or dropped before they proved themselves.
    pub links_refused: u64,
    /// Sessions that live.
    pub sessions: usize,
    /// Of these, sessions without a link.
    pub detached: usize,
    /// Sessions that have ended.
    pub sessions_ended: u64,
    /// Sessions that expired without a link.
    pub sessions_expired: u64,
}

impl StreamStats {
    pub(crate) fn of(stats: &mux::StreamStats) -> Self {
        Self::from(stats.clone())
    }

    /// Adds the figures of another stream to a sum.
    pub(crate) fn add(&mut self, other: &Self) {
        let sums = [
            (&mut self.bytes_sent, other.bytes_sent),
            (&mut self.bytes_received, other.bytes_received),
            (&mut self.wire_sent, other.wire_sent),
            (&mut self.wire_received, other.wire_received),
            (&mut self.frames_sent, other.frames_sent),
            (&mut self.frames_received, other.frames_received),
            (&mut self.acked_by_peer, other.acked_by_peer),
            (&mut self.acknowledged, other.acknowledged),
            (&mut self.retained, other.retained),
            (&mut self.dropped, other.dropped),
            (&mut self.replayed, other.replayed),
            (&mut self.duplicates, other.duplicates),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(more);
        }
    }
}

impl From<mux::StreamStats> for StreamStats {
    fn from(stats: mux::StreamStats) -> Self {
        let [send_state, recv_state] = HalfState::both(&stats);
        Self {
            id: Some(stats.id),
            label: stats.label,
            name: stats.name,
            priority: stats.priority,
            codec_sent: stats.codec_sent,
            codec_received: stats.codec_received,
            bytes_sent: stats.bytes_written,
            bytes_received: stats.bytes_received,
            wire_sent: stats.wire_sent,
            wire_received: stats.wire_received,
            frames_sent: stats.frames_sent,
            frames_received: stats.frames_received,
            acked_by_peer: stats.acked_by_peer,
            acknowledged: stats.acknowledged,
            retained: stats.retained,
            window: stats.window,
            dropped: stats.dropped,
            replayed: stats.replayed,
            duplicates: stats.duplicates_discarded,
            digest_sent: stats.digest_sent,
            digest_verified: stats.digest_verified,
            send_state,
            recv_state,
        }
    }
}

impl HalfState {
    /// The sending and the receiving half of a stream.
    pub(crate) fn both(stats: &mux::StreamStats) -> [Self; 2] {
        [send_state(stats), recv_state(stats)]
    }
}

fn send_state(stats: &mux::StreamStats) -> HalfState {
    match stats.send_state {
        None => HalfState::Absent,
        Some(SendState::Open) => HalfState::Open,
        Some(SendState::Finished) => HalfState::Ending,
        Some(SendState::Over) if stats.send_reset.is_none() => HalfState::Finished,
        Some(_) => HalfState::Reset,
    }
}

fn recv_state(stats: &mux::StreamStats) -> HalfState {
    match stats.recv_state {
        None => HalfState::Absent,
        Some(RecvState::Open) => HalfState::Open,
        Some(RecvState::Ending) => HalfState::Ending,
        Some(RecvState::Over) if stats.digest_verified == Some(true) => HalfState::Finished,
        Some(_) => HalfState::Reset,
    }
}

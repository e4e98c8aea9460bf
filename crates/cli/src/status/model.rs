//! The form of a status: plain, documented data, the same for people's tools and for programs.
//!
//! The rules of its JSON: `schema` goes up when a field changes its meaning or goes away, never when
//! one is added, so readers pass over what they do not know. Sizes are bytes, times are seconds,
//! moments are RFC 3339 in UTC. `null` is "not known". Names and reasons come from peers: whoever
//! shows them escapes them. There is no secret and no session identity in it.

use serde::{Deserialize, Serialize};

/// The form described here.
pub(crate) const SCHEMA: u32 = 1;

/// One process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Status {
    /// [`SCHEMA`].
    pub(crate) schema: u32,
    /// The program's version.
    pub(crate) version: String,
    /// The process.
    pub(crate) pid: u32,
    /// When it began.
    pub(crate) started: String,
    /// Since then.
    pub(crate) uptime_seconds: f64,
    /// What it does: `send`, `recv`, or both, in this order.
    pub(crate) roles: Vec<String>,
    /// It was told to end and waits for what is under way.
    pub(crate) draining: bool,
    /// Whether there are no `problems`.
    pub(crate) healthy: bool,
    /// What needs a look, one sentence each; at most 20.
    pub(crate) problems: Vec<String>,
    /// Where it listens for senders.
    pub(crate) listeners: Vec<ListenerStatus>,
    /// Its sessions, the oldest first.
    pub(crate) sessions: Vec<SessionStatus>,
    /// Where a receiver puts what it receives.
    pub(crate) sinks: Vec<SinkStatus>,
}

/// A listener of a receiver.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct ListenerStatus {
    /// As a sender would write it.
    pub(crate) address: String,
    /// Sessions that live.
    pub(crate) sessions: u64,
    /// Of these, sessions without a link.
    pub(crate) sessions_down: u64,
    /// Sessions that have ended.
    pub(crate) sessions_ended: u64,
    /// Of these, sessions that were without a link for too long.
    pub(crate) sessions_expired: u64,
    /// Links that have not proven themselves yet.
    pub(crate) handshakes: u64,
    /// Links accepted since the start.
    pub(crate) links_accepted: u64,
    /// Of these, links turned away or lost before they proved themselves.
    pub(crate) links_refused: u64,
}

/// How a session is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, strum::Display, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[strum(serialize_all = "lowercase")]
pub(crate) enum SessionState {
    /// Its first link is being made.
    #[default]
    Connecting,
    /// It has a link.
    Up,
    /// It has lost its link and keeps everything for the next one.
    Down,
    /// It is over; what it brought is still being worked on.
    Closed,
}

/// A session, seen from this process.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SessionStatus {
    /// Its number in this process, from 1; never used again.
    pub(crate) number: u64,
    /// `send` or `recv`: which direction the figures below are about.
    pub(crate) side: String,
    /// Its name, chosen by the sender; several sessions may have the same.
    pub(crate) name: String,
    /// The other end: as the user wrote it on the sending side, else its address.
    pub(crate) peer: String,
    /// The peer's program and version.
    pub(crate) agent: String,
    /// How it is.
    pub(crate) state: SessionState,
    /// For how long it has been so; of `connecting`, since the session began.
    pub(crate) state_seconds: f64,
    /// Why there is no link.
    pub(crate) reason: Option<String>,
    /// The attempt to make a link that is under way or comes next, from 1.
    pub(crate) attempt: Option<u32>,
    /// When that attempt starts.
    pub(crate) retry_in_seconds: Option<f64>,
    /// When this process took it up.
    pub(crate) started: String,
    /// Since then.
    pub(crate) age_seconds: f64,
    /// The codec of this direction.
    pub(crate) codec: String,
    /// The last round trip.
    pub(crate) rtt_seconds: Option<f64>,
    /// The shortest round trip of this link.
    pub(crate) min_rtt_seconds: Option<f64>,
    /// Links after the first.
    pub(crate) reconnects: u64,
    /// Links that resumed it.
    pub(crate) resumes: u64,
    /// Time without a link since the first.
    pub(crate) outage_seconds: f64,
    /// Heartbeats that were not answered in time.
    pub(crate) heartbeats_missed: u64,
    /// Raw bytes moved in this direction, each counted once.
    pub(crate) raw_bytes: u64,
    /// Bytes that the links carried for them, handshakes and repeats included.
    pub(crate) wire_bytes: u64,
    /// Raw bytes a second, lately.
    pub(crate) bytes_per_second: Option<f64>,
    /// `raw_bytes / wire_bytes`.
    pub(crate) ratio: Option<f64>,
    /// Raw bytes that are not acknowledged, all streams together.
    pub(crate) unacked_bytes: u64,
    /// Raw bytes held for the peer.
    pub(crate) retained_bytes: u64,
    /// Their bound: when it is reached, sources are paused.
    pub(crate) retained_limit_bytes: u64,
    /// Raw bytes sent again after resumes.
    pub(crate) replayed_bytes: u64,
    /// Raw bytes received again and thrown away.
    pub(crate) duplicate_bytes: u64,
    /// Frames that did not decode; each cost its link.
    pub(crate) decode_errors: u64,
    /// Streams that live, listed below or not.
    pub(crate) streams_open: u64,
    /// Streams that have ended.
    pub(crate) streams_closed: u64,
    /// Streams that live: those that moved most, at most 1,000, and 10,000 in all sessions.
    pub(crate) streams: Vec<StreamStatus>,
    /// What feeds the streams of a sender: as many as streams at most.
    pub(crate) sources: Vec<SourceStatus>,
}

/// A stream, in the direction that its session is about.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StreamStatus {
    /// Its number on the wire, unique in its session.
    pub(crate) id: u64,
    /// The number that people see, as in `[Stream 1]`.
    pub(crate) label: u32,
    /// Its name.
    pub(crate) name: String,
    /// `realtime`, `high`, `normal`, `low` or `bulk`.
    pub(crate) priority: String,
    /// The codec of the last frame.
    pub(crate) codec: Option<String>,
    /// `open`, `ending`, `finished` or `reset`.
    pub(crate) state: String,
    /// Raw bytes, each counted once.
    pub(crate) raw_bytes: u64,
    /// On the wire, headers and repeats included.
    pub(crate) wire_bytes: u64,
    /// Raw bytes that the receiving program has taken responsibility for.
    pub(crate) acked_bytes: u64,
    /// The others.
    pub(crate) unacked_bytes: u64,
    /// Raw bytes a second, lately.
    pub(crate) bytes_per_second: Option<f64>,
    /// `raw_bytes / wire_bytes`.
    pub(crate) ratio: Option<f64>,
    /// How long the oldest unacknowledged byte has waited, as far as looks at this process tell.
    pub(crate) lag_seconds: Option<f64>,
    /// Dropped by its source, which was told to.
    pub(crate) dropped_bytes: u64,
    /// Sent again after resumes.
    pub(crate) replayed_bytes: u64,
    /// Received again and thrown away.
    pub(crate) duplicate_bytes: u64,
}

/// What feeds one stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SourceStatus {
    /// The stream's label.
    pub(crate) label: u32,
    /// The stream's name.
    pub(crate) name: String,
    /// Bytes handed to the stream.
    pub(crate) bytes: u64,
    /// Bytes that are there and not handed over yet, where that can be known.
    pub(crate) backlog_bytes: Option<u64>,
    /// Bytes dropped by a full buffer.
    pub(crate) dropped_bytes: u64,
    /// It waits for room in the stream.
    pub(crate) paused: bool,
    /// How often it had to.
    pub(crate) pauses: u64,
    /// For how long, all together.
    pub(crate) paused_seconds: f64,
    /// Files followed after the first one was renamed or cut.
    pub(crate) rotations: u64,
}

/// Where a receiver puts what it receives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct SinkStatus {
    /// `stdout` or `dir`.
    pub(crate) kind: String,
    /// The directory.
    pub(crate) place: Option<String>,
    /// What counts as delivered: `written` or `synced`.
    pub(crate) ack: String,
    /// Streams that are being written.
    pub(crate) streams_open: u64,
    /// Streams that ended well.
    pub(crate) streams_finished: u64,
    /// Streams that ended early.
    pub(crate) streams_failed: u64,
    /// Bytes written.
    pub(crate) bytes: u64,
    /// Writes.
    pub(crate) writes: u64,
    /// Requests for stable storage.
    pub(crate) syncs: u64,
    /// Writes, syncs and closes that failed.
    pub(crate) errors: u64,
}

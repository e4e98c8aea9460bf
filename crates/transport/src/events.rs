//! What happens to a session and a server, as it happens.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use p2_mux::StreamId;

use crate::{SessionError, SessionId, SessionSummary};

/// Whether there is a link, and what is done about it if not.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum LinkState {
    /// The first link is being made.
    Connecting {
        /// From 1.
        attempt: u32,
    },
    /// Frames flow.
    Up {
        /// Since then.
        since: Instant,
        /// The last round trip, once there was one.
        rtt: Option<Duration>,
        /// `false` for the session's first link.
        resumed: bool,
        /// The peer's address.
        address: String,
    },
    /// No link. Writers are held once their buffers are full; nothing is lost.
    Down {
        /// Why the link ended or the last attempt failed.
        reason: String,
        /// The attempt that is under way or comes next, from 1.
        attempt: u32,
        /// When the next attempt starts; `None` while one is under way, and always on a server.
        retry_in: Option<Duration>,
        /// Since then.
        since: Instant,
        /// Raw bytes held for the peer.
        held: u64,
    },
    /// The session is over.
    Closed,
}

/// What happened to a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum SessionEvent {
    /// A link carries the session.
    LinkUp {
        /// `false` for the first link.
        resumed: bool,
        /// The peer's address.
        address: String,
    },
    /// The link ended.
    LinkDown {
        /// Why.
        reason: String,
    },
    /// An attempt to make a link failed.
    AttemptFailed {
        /// From 1.
        attempt: u32,
        /// Why.
        reason: String,
        /// When the next one starts.
        retry_in: Duration,
    },
    /// The session goes on where it stopped.
    Resumed {
        /// How long there was no link.
        outage: Duration,
        /// Raw bytes that will be sent again.
        replayed: u64,
        /// Streams they belong to.
        streams: usize,
    },
    /// A heartbeat left.
    HeartbeatSent,
    /// The peer's heartbeat came and was answered.
    HeartbeatReceived,
    /// A heartbeat was still unanswered when the next one was due.
    HeartbeatMissed,
    /// The answer to a heartbeat came.
    HeartbeatAnswered {
        /// The round trip.
        rtt: Duration,
    },
    /// A stream began.
    StreamOpened {
        /// The stream.
        id: StreamId,
        /// Its label.
        label: u32,
        /// Its name.
        name: String,
        /// Opened by this side.
        ours: bool,
    },
    /// Both halves of a stream have ended.
    StreamClosed {
        /// The stream.
        id: StreamId,
    },
    /// The peer wants no new streams: it is about to end.
    GoingAway,
    /// No codec in common: the session runs uncompressed.
    Uncompressed,
    /// The session is over.
    Closed(Result<Arc<SessionSummary>, SessionError>),
}

/// What happened to a server.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ServerEvent {
    /// A link was accepted; it has yet to prove itself.
    LinkAccepted {
        /// Its address.
        address: String,
    },
    /// A link was turned away before it proved itself.
    LinkRefused {
        /// Its address.
        address: String,
        /// Why.
        reason: String,
    },
    /// A new session.
    SessionOpened {
        /// Its identity.
        id: SessionId,
        /// Its name.
        name: String,
        /// Its address.
        address: String,
    },
    /// A session came back on a new link.
    SessionResumed {
        /// Its identity.
        id: SessionId,
        /// Its name.
        name: String,
        /// Its address.
        address: String,
    },
    /// A session is over.
    SessionEnded {
        /// Its identity.
        id: SessionId,
        /// Its name.
        name: String,
        /// How.
        outcome: Result<Arc<SessionSummary>, SessionError>,
    },
}

//! What the session tells its driver.

use std::time::Duration;

use p2_frame::StreamId;

use crate::error::Ended;
use crate::stats::StreamStats;

/// Something happened. Drain with [`Session::poll_event`](crate::Session::poll_event) after every
/// call that could cause one; readiness events are queued once until they are taken.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The peer opened a stream: take it with [`Session::accept`](crate::Session::accept).
    Incoming,
    /// [`Session::read`](crate::Session::read) would now return something.
    Readable(StreamId),
    /// [`Session::write`](crate::Session::write) would now accept something, or fail.
    Writable(StreamId),
    /// The peer has acknowledged all that was written so far.
    Acknowledged(StreamId),
    /// The sending half is over: its end was acknowledged, or the peer stopped it.
    SendEnded(StreamId),
    /// The stream has left the session; these are its last figures.
    Forgotten(Box<StreamStats>),
    /// A stream can be opened again after [`OpenError::TooMany`](crate::OpenError::TooMany).
    CanOpen,
    /// A PING was sent.
    HeartbeatSent,
    /// A PING arrived and is being answered.
    HeartbeatReceived,
    /// A PONG arrived.
    HeartbeatAnswered {
        /// Time from PING to PONG.
        rtt: Duration,
    },
    /// A PING was still unanswered when the next one was due.
    HeartbeatMissed,
    /// A new link took the session over where the last one left it.
    Resumed {
        /// Bytes that must be sent again.
        replay: u64,
        /// Streams they belong to.
        streams: u64,
    },
    /// The peer takes no new streams.
    GoingAway,
    /// The session ended. Nothing follows.
    Ended(Ended),
}

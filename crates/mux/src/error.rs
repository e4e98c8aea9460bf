//! What can go wrong, sorted by who must act: the stream's user, the link, or the session.

use p2_frame::{ErrorCode, FrameKind, StreamId};
use std::time::Duration;

/// Why an operation on one stream failed. Cheap to clone, so every waiter can have it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer abandoned its sending half.
    #[error("the peer reset the stream: {0}")]
    Reset(ErrorCode),
    /// The peer no longer wants this stream's bytes.
    #[error("the peer stopped reading the stream: {0}")]
    Stopped(ErrorCode),
    /// This side reset or stopped the stream itself, or finished it before.
    #[error("the stream was already ended on this side")]
    Ended,
    /// The bytes that arrived are not those that were sent.
    #[error(
        "the stream's digest differs: {received} bytes arrived with digest {found:016x}, the sender announced {announced:016x}"
    )]
    Digest {
        /// Bytes received, the final offset.
        received: u64,
        /// XXH3-64 of what arrived.
        found: u64,
        /// XXH3-64 the sender named in FIN.
        announced: u64,
    },
    /// The stream cannot be used this way: it is unidirectional, and this is its other end.
    #[error("the stream is unidirectional and has no half in this direction")]
    Unidirectional,
    /// No such stream: it was released, or never opened.
    #[error("the stream is gone")]
    Unknown,
    /// A stream reached 2^62 bytes.
    #[error("the stream has reached its greatest length of 2^62 bytes")]
    TooLong,
    /// The whole session ended.
    #[error("the session ended: {0}")]
    SessionEnded(Ended),
}

/// Why a stream could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// As many streams are open as the peer allows; open again when one has ended.
    #[error("the peer allows {0} open streams at once and all are in use")]
    TooMany(u64),
    /// The peer announced that it takes no new streams.
    #[error("the peer accepts no new streams: {0}")]
    GoingAway(ErrorCode),
    /// The name is longer than 255 bytes, or the metadata than 1 KiB.
    #[error("{what} has {len} bytes; at most {limit} are allowed")]
    TooLong {
        /// The field.
        what: &'static str,
        /// Its length.
        len: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The session is closing or has ended.
    #[error("the session takes no new streams: {0}")]
    SessionEnded(Ended),
}

/// How a session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The code of the CLOSE, `NO_ERROR` for an orderly one.
    pub code: ErrorCode,
    /// Words for people.
    pub reason: String,
    /// Whether the peer ended it.
    pub by_peer: bool,
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let who = if self.by_peer { "by the peer" } else { "by this side" };
        write!(f, "{} {who}", self.code)?;
        if self.reason.is_empty() { Ok(()) } else { write!(f, " ({})", self.reason) }
    }
}

/// Why a link has to be dropped. The session survives and can resume over another one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkError {
    /// Nothing was heard for the heartbeat timeout.
    #[error("no answer for {} s", .0.as_secs())]
    Dead(Duration),
    /// The peer broke a rule of the protocol.
    #[error("the peer broke the protocol: {kind}{}: {what}", on(*stream))]
    Protocol {
        /// The frame that broke it.
        kind: FrameKind,
        /// The stream it named, if any.
        stream: Option<StreamId>,
        /// Which rule.
        what: &'static str,
    },
    /// The peer did something allowed far too often.
    #[error("the peer exceeded a limit: {what} (at most {limit})")]
    Abuse {
        /// What it did.
        what: &'static str,
        /// The bound.
        limit: u64,
    },
    /// Input for a link that is no longer the session's.
    #[error("this link was replaced by a newer one")]
    Fenced,
}

fn on(stream: Option<StreamId>) -> String {
    stream.map_or_else(String::new, |id| format!(" on stream {id}"))
}

/// Why a resume was refused on this side: the two ends do not remember the same session.
/// Fatal to the session, because guessing would lose or repeat bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResumeError {
    /// The peer says it received more of a stream than was ever sent.
    #[error("the peer claims {claimed} bytes of stream {stream}, but only {sent} were sent")]
    ClaimsMore {
        /// The stream.
        stream: StreamId,
        /// What the peer claims.
        claimed: u64,
        /// What this side sent.
        sent: u64,
    },
    /// The peer says it received less of a stream than it had acknowledged.
    #[error("the peer claims {claimed} bytes of stream {stream}, but had acknowledged {acked}")]
    ClaimsLess {
        /// The stream.
        stream: StreamId,
        /// What the peer claims.
        claimed: u64,
        /// What it had acknowledged.
        acked: u64,
    },
    /// The peer says it sent less of a stream than arrived here.
    #[error("the peer says it sent {sent} bytes of stream {stream}, but {received} arrived")]
    SentLess {
        /// The stream.
        stream: StreamId,
        /// What the peer says.
        sent: u64,
        /// What arrived.
        received: u64,
    },
    /// The peer has forgotten a stream that had not ended.
    #[error("the peer no longer knows stream {0}, which had not ended")]
    Forgotten(StreamId),
    /// The counts of opened streams contradict each other.
    #[error("the peer counts {claimed} opened streams where this side counts {known}")]
    Counts {
        /// What the peer counts.
        claimed: u64,
        /// What this side counts.
        known: u64,
    },
    /// A stream is listed twice, or with an id that cannot be.
    #[error("the peer's list of streams is malformed: {0}")]
    Malformed(&'static str),
    /// The session has ended.
    #[error("the session ended: {0}")]
    SessionEnded(Ended),
}

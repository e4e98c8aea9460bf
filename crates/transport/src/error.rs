//! What can go wrong, in the words of the person who has to fix it.

use std::{sync::Arc, time::Duration};

use p2_mux::{ErrorCode, StreamId};

use crate::dial::DialError;

/// Why an operation on one stream failed. The other streams go on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// The peer ended its sending half early: no more can be read.
    #[error("the peer reset the stream: {0}")]
    Reset(ErrorCode),
    /// The peer reads no more: writing is pointless.
    #[error("the peer stopped reading the stream: {0}")]
    Stopped(ErrorCode),
    /// The stream was finished or reset here before.
    #[error("this side has already ended the stream")]
    Ended,
    /// The peer opened the stream for itself alone, or this side did.
    #[error("the stream is one-way and this is the wrong end")]
    Direction,
    /// Lengths or digests of the two ends differ, or one place failed to decode three times.
    #[error("the bytes received are not the bytes sent")]
    Integrity,
    /// A limit on streams was reached: theirs or this side's.
    #[error("too many streams: {0}")]
    TooMany(String),
    /// Name, metadata, level or codec of the options cannot be used.
    #[error("the stream's options cannot be used: {0}")]
    Options(String),
    /// An acknowledgement or a gap outside what the stream has.
    #[error("offset {offset} is outside the stream")]
    Offset {
        /// The offset given.
        offset: u64,
    },
    /// The session as a whole is over.
    #[error("the session has ended: {0}")]
    Session(Arc<SessionError>),
}

impl From<StreamError> for std::io::Error {
    fn from(error: StreamError) -> Self {
        use std::io::ErrorKind;
        let kind = match &error {
            StreamError::Reset(_) => ErrorKind::ConnectionReset,
            StreamError::Stopped(_) | StreamError::Ended => ErrorKind::BrokenPipe,
            StreamError::Direction | StreamError::Options(_) | StreamError::Offset { .. } => {
                ErrorKind::InvalidInput
            }
            StreamError::Integrity => ErrorKind::InvalidData,
            StreamError::TooMany(_) => ErrorKind::QuotaExceeded,
            StreamError::Session(_) => ErrorKind::NotConnected,
        };
        Self::new(kind, error)
    }
}

/// A stream with bytes that the peer never acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unacknowledged {
    /// The stream.
    pub id: StreamId,
    /// Its label.
    pub label: u32,
    /// Its name.
    pub name: String,
    /// Everything below this offset is the peer's responsibility.
    pub acknowledged: u64,
    /// Bytes accepted here and not acknowledged.
    pub bytes: u64,
}

/// Why a session ended other than in order.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// Another process answers at the peer's address: it knows nothing of the session.
    #[error(
        "the peer restarted and lost the session; not acknowledged: {}",
        streams(unacknowledged)
    )]
    PeerRestarted {
        /// From where a new session would have to go on.
        unacknowledged: Vec<Unacknowledged>,
    },
    /// The same process answers, but it does not know the session, or the proof was wrong.
    #[error("the peer does not know this session any more")]
    Unknown {
        /// From where a new session would have to go on.
        unacknowledged: Vec<Unacknowledged>,
    },
    /// The peer kept the session without a link for as long as it was ready to.
    #[error("the session expired at the peer: it was without a link for too long")]
    Expired {
        /// From where a new session would have to go on.
        unacknowledged: Vec<Unacknowledged>,
    },
    /// The peer closed the session while streams were still open.
    #[error("the peer closed the session: {code}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    ClosedByPeer {
        /// The peer's code.
        code: ErrorCode,
        /// The peer's words.
        reason: String,
        /// Bytes that were not acknowledged by then.
        unacknowledged: Vec<Unacknowledged>,
    },
    /// The session was closed in order.
    #[error("the session was closed")]
    Closed,
    /// [`Connection::abort`](crate::Connection::abort) was called.
    #[error("this side aborted the session: {code}{}{reason}", if reason.is_empty() { "" } else { ": " })]
    Aborted {
        /// The code given.
        code: ErrorCode,
        /// The words given.
        reason: String,
    },
    /// Permanently refused when resuming.
    #[error("cannot resume: {0}")]
    Refused(Arc<ConnectError>),
    /// Gave up within the limits of the [`Backoff`](crate::Backoff).
    #[error("gave up after {} in {}: {last}", tries(*attempts), span(*outage))]
    RetriesExhausted {
        /// Attempts in this outage.
        attempts: u32,
        /// How long there was no link.
        outage: Duration,
        /// What the last attempt said.
        last: Arc<ConnectError>,
        /// Bytes that were not acknowledged by then.
        unacknowledged: Vec<Unacknowledged>,
    },
    /// One side broke the protocol; nothing is guessed, the session ends.
    #[error("protocol error: {why}")]
    Protocol {
        /// Which rule.
        why: String,
        /// Bytes that were not acknowledged by then.
        unacknowledged: Vec<Unacknowledged>,
    },
}

/// Why no session could be made or resumed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The target is not written as `host:port` or `unix:/path`.
    #[error("{target:?} is no address: {why}; write host:port or unix:/path")]
    Target {
        /// As given.
        target: String,
        /// What is wrong with it.
        why: String,
    },
    /// There was no link at all.
    #[error("{0}")]
    Dial(#[from] DialError),
    /// Something accepted the connection and closed it at once.
    #[error(
        "{target} opened and closed at once; behind `ssh -L` that means that nothing listens at \
         the far end: start the receiver there"
    )]
    ClosedAtOnce {
        /// Who was dialled.
        target: String,
    },
    /// The link ended in the middle of the handshake.
    #[error("{target} closed the link during the handshake: {why}")]
    Interrupted {
        /// Who was dialled.
        target: String,
        /// What the link said.
        why: String,
    },
    /// The peer answered too slowly.
    #[error("{target} did not complete the handshake within {}; is it a p2 receiver?", span(*limit))]
    HandshakeTimeout {
        /// Who was dialled.
        target: String,
        /// The limit.
        limit: Duration,
    },
    /// The other end does not speak P2.
    #[error("{target}: {why}{}", shown(said))]
    NotP2 {
        /// Who was dialled.
        target: String,
        /// Which protocol it speaks instead, or what happened to the bytes.
        why: String,
        /// What it said, escaped, if it said anything.
        said: String,
    },
    /// No protocol version in common.
    #[error("{target}: {why}")]
    Version {
        /// Who was dialled.
        target: String,
        /// Both ranges.
        why: String,
    },
    /// The tokens differ, or one side has none.
    #[error("{target} denied access: {why}; check --token-file on both sides")]
    Denied {
        /// Who was dialled.
        target: String,
        /// The peer's words.
        why: String,
    },
    /// A codec is required and there is none in common.
    #[error("no codec in common with {target}: this side has {ours}, the peer has {theirs}")]
    NoCodec {
        /// Who was dialled.
        target: String,
        /// This side's codecs.
        ours: String,
        /// The peer's codecs.
        theirs: String,
    },
    /// The peer has no room now.
    #[error("{target} is busy: {why}")]
    Busy {
        /// Who was dialled.
        target: String,
        /// The peer's words.
        why: String,
        /// How long it asks to wait.
        retry_after: Duration,
    },
    /// The peer refused for another reason.
    #[error("{target} refused: {why}")]
    Refused {
        /// Who was dialled.
        target: String,
        /// The peer's words.
        why: String,
        /// Trying again may help.
        transient: bool,
    },
    /// The peer broke the protocol during the handshake.
    #[error("{target} broke the protocol during the handshake: {why}")]
    Protocol {
        /// Who was dialled.
        target: String,
        /// What was wrong.
        why: String,
    },
    /// Gave up within the limits of the [`Backoff`](crate::Backoff).
    #[error("gave up after {} in {}: {last}", tries(*attempts), span(*elapsed))]
    RetriesExhausted {
        /// Attempts made.
        attempts: u32,
        /// From the first attempt to the last.
        elapsed: Duration,
        /// What the last attempt said.
        last: Box<ConnectError>,
    },
    /// The connection was closed from this side before it was made.
    #[error("closed before the session was made")]
    Cancelled,
}

impl ConnectError {
    /// Whether another attempt may succeed without anyone changing anything. Network errors are
    /// transient; a wrong token, version, address or codec list is not.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Dial(error) => error.is_transient(),
            Self::ClosedAtOnce { .. }
            | Self::Interrupted { .. }
            | Self::HandshakeTimeout { .. }
            | Self::Busy { .. } => true,
            Self::Refused { transient, .. } => *transient,
            Self::Target { .. }
            | Self::NotP2 { .. }
            | Self::Version { .. }
            | Self::Denied { .. }
            | Self::NoCodec { .. }
            | Self::Protocol { .. }
            | Self::RetriesExhausted { .. }
            | Self::Cancelled => false,
        }
    }

    /// How long the peer or the dialler asked to wait.
    pub(crate) fn retry_after(&self) -> Duration {
        let wait = match self {
            Self::Busy { retry_after, .. } => *retry_after,
            Self::Dial(error) => error.retry_after(),
            _ => Duration::ZERO,
        };
        wait.min(Duration::from_secs(60))
    }
}

/// Why a server cannot listen.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The address is not written as `host:port` or `unix:/path`.
    #[error("{address:?} is no address: {why}; write host:port or unix:/path")]
    Address {
        /// As given.
        address: String,
        /// What is wrong with it.
        why: String,
    },
    /// Reachable from other machines, and anyone could connect.
    #[error(
        "{address} is reachable from other machines and there is no token; listen on 127.0.0.1 \
         behind ssh, or give --token-file"
    )]
    Exposed {
        /// As given.
        address: String,
    },
    /// Another process listens there.
    #[error("{address} is in use by another process; choose another or stop that one")]
    InUse {
        /// As given.
        address: String,
    },
    /// Anything else.
    #[error("cannot listen on {address}: {source}")]
    Io {
        /// As given.
        address: String,
        /// What the system said.
        source: std::io::Error,
    },
}

fn streams(unacknowledged: &[Unacknowledged]) -> String {
    match unacknowledged.len() {
        1 => "1 stream".into(),
        count => format!("{count} streams"),
    }
}

fn tries(attempts: u32) -> String {
    if attempts == 1 { "1 attempt".into() } else { format!("{attempts} attempts") }
}

/// A time as people say it.
fn span(time: Duration) -> String {
    match time.as_secs() {
        0 => format!("{} ms", time.as_millis()),
        seconds @ 1..60 => format!("{seconds} s"),
        seconds => format!("{} min {} s", seconds / 60, seconds % 60),
    }
}

fn shown(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(". It said: {said}") }
}

//! Why links ended and why none could be made, as kinds that can be counted. The full words are in
//! the errors and events.

use crate::{ConnectError, DialError, dial::Retry, driver::End};

/// Why a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DisconnectReason {
    /// The peer or something in between closed it.
    Closed,
    /// Reading or writing failed: a reset, an unreachable network.
    Broken,
    /// No answer within the heartbeat timeout.
    Silent,
    /// No progress in the middle of a frame or of a write.
    Stalled,
    /// A frame or a payload was damaged.
    Damaged,
    /// The peer broke the protocol or exceeded a limit.
    Protocol,
    /// A newer link of the session took over.
    Replaced,
    /// The session was over.
    Finished,
    /// A failure of this program.
    Internal,
}

impl DisconnectReason {
    /// Every reason.
    pub const ALL: &'static [Self] = &[
        Self::Closed,
        Self::Broken,
        Self::Silent,
        Self::Stalled,
        Self::Damaged,
        Self::Protocol,
        Self::Replaced,
        Self::Finished,
        Self::Internal,
    ];

    /// One lower-case word, the same in every version.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Silent => "silent",
            Self::Stalled => "stalled",
            Self::Damaged => "damaged",
            Self::Protocol => "protocol",
            Self::Replaced => "replaced",
            Self::Finished => "finished",
            Self::Internal => "internal",
        }
    }

    pub(crate) const fn of(end: &End) -> Self {
        match end {
            End::Eof => Self::Closed,
            End::Io(_) => Self::Broken,
            End::Stalled(_) => Self::Stalled,
            End::Link(p2_mux::LinkError::Dead(_)) => Self::Silent,
            End::Link(p2_mux::LinkError::Fenced) | End::Fenced => Self::Replaced,
            End::Link(_) => Self::Protocol,
            End::Frame(_) | End::Payload(_) => Self::Damaged,
            End::Drained => Self::Finished,
            End::Encode(_) | End::Panicked => Self::Internal,
        }
    }
}

/// Why an attempt to make a link failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ConnectFailure {
    /// Nothing listens there, or it closed the link at once.
    Absent,
    /// The name does not resolve, the network is unreachable, no answer came.
    Network,
    /// The handshake broke off or took too long.
    Handshake,
    /// The peer has no room now.
    Busy,
    /// The peer refused: token, login, version, codecs, limits.
    Refused,
    /// The other end does not speak P2, or not as it should.
    Protocol,
    /// This side: no permission, no such program.
    Local,
}

impl ConnectFailure {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Absent,
        Self::Network,
        Self::Handshake,
        Self::Busy,
        Self::Refused,
        Self::Protocol,
        Self::Local,
    ];

    /// One lower-case word, the same in every version.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Absent => "absent",
            Self::Network => "network",
            Self::Handshake => "handshake",
            Self::Busy => "busy",
            Self::Refused => "refused",
            Self::Protocol => "protocol",
            Self::Local => "local",
        }
    }
}

impl ConnectError {
    /// What kind of failure it is.
    pub fn kind(&self) -> ConnectFailure {
        match self {
            Self::Dial(error) => error.kind(),
            Self::ClosedAtOnce { .. } => ConnectFailure::Absent,
            Self::Interrupted { .. } | Self::HandshakeTimeout { .. } => ConnectFailure::Handshake,
            Self::Busy { .. } => ConnectFailure::Busy,
            Self::Version { .. }
            | Self::Denied { .. }
            | Self::NoCodec { .. }
            | Self::Refused { .. } => ConnectFailure::Refused,
            Self::NotP2 { .. } | Self::Protocol { .. } => ConnectFailure::Protocol,
            Self::RetriesExhausted { last, .. } => last.kind(),
            Self::Target { .. } | Self::Cancelled => ConnectFailure::Local,
        }
    }
}

impl DialError {
    const fn kind(&self) -> ConnectFailure {
        match self {
            Self::Refused { .. } => ConnectFailure::Absent,
            Self::NotFound { .. } | Self::Timeout { .. } | Self::Failed { .. } => {
                ConnectFailure::Network
            }
            Self::Permission { .. } => ConnectFailure::Local,
            Self::Permanent { .. } => ConnectFailure::Refused,
            // A dialler of another kind: what it retries is a network's, the rest somebody's no.
            Self::Other { retry: Retry::Never, .. } => ConnectFailure::Refused,
            Self::Other { .. } => ConnectFailure::Network,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_kind_has_a_word_of_its_own() {
        let words: BTreeSet<_> = DisconnectReason::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), DisconnectReason::ALL.len());
        let words: BTreeSet<_> = ConnectFailure::ALL.iter().map(|kind| kind.word()).collect();
        assert_eq!(words.len(), ConnectFailure::ALL.len());
    }

    #[test]
    fn the_kind_of_a_given_up_attempt_is_that_of_the_last_one() {
        let last = ConnectError::from(DialError::Refused { target: "there".into() });
        let (attempts, elapsed) = (3, std::time::Duration::ZERO);
        let error = ConnectError::RetriesExhausted { attempts, elapsed, last: Box::new(last) };
        assert_eq!(error.kind(), ConnectFailure::Absent);
    }
}

//! Reasons on the wire: why a stream or session ended, why a handshake was refused.

use std::fmt;

/// Why a stream or a session ended: RESET, STOP, CLOSE and GOAWAY carry one.
///
/// Unknown numbers are legal and keep their value.
///
/// ```
/// use p2_frame::ErrorCode;
/// assert_eq!(ErrorCode::SINK_FAILED.to_string(), "SINK_FAILED");
/// assert_eq!(ErrorCode::new(900).to_string(), "code 900");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ErrorCode(u32);

#[derive(strum::FromRepr, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[repr(u32)]
enum KnownError {
    NoError = 0,
    Cancelled = 1,
    SourceFailed = 2,
    SinkFailed = 3,
    RefusedStream = 4,
    Limit = 5,
    Integrity = 6,
    Protocol = 7,
    Internal = 8,
    FlowControl = 9,
    Offset = 10,
    Codec = 11,
    Timeout = 12,
    ShuttingDown = 13,
}

impl ErrorCode {
    /// Nothing went wrong.
    pub const NO_ERROR: Self = Self(KnownError::NoError as u32);
    /// Whoever wanted it does not want it any more.
    pub const CANCELLED: Self = Self(KnownError::Cancelled as u32);
    /// What the bytes came from failed.
    pub const SOURCE_FAILED: Self = Self(KnownError::SourceFailed as u32);
    /// What the bytes went to failed.
    pub const SINK_FAILED: Self = Self(KnownError::SinkFailed as u32);
    /// The stream was not accepted.
    pub const REFUSED_STREAM: Self = Self(KnownError::RefusedStream as u32);
    /// A limit was exceeded.
    pub const LIMIT: Self = Self(KnownError::Limit as u32);
    /// Length, digest or checksum do not match.
    pub const INTEGRITY: Self = Self(KnownError::Integrity as u32);
    /// The peer broke the protocol.
    pub const PROTOCOL: Self = Self(KnownError::Protocol as u32);
    /// A bug on the side that says so.
    pub const INTERNAL: Self = Self(KnownError::Internal as u32);
    /// More was sent than was granted, or a grant is impossible.
    pub const FLOW_CONTROL: Self = Self(KnownError::FlowControl as u32);
    /// An offset is outside what is possible.
    pub const OFFSET: Self = Self(KnownError::Offset as u32);
    /// A payload does not decode.
    pub const CODEC: Self = Self(KnownError::Codec as u32);
    /// It took too long.
    pub const TIMEOUT: Self = Self(KnownError::Timeout as u32);
    /// The process is ending.
    pub const SHUTTING_DOWN: Self = Self(KnownError::ShuttingDown as u32);

    /// The code with this number.
    pub const fn new(code: u32) -> Self {
        Self(code)
    }

    /// The number on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The name in the specification, if this version knows the code.
    pub fn name(self) -> Option<&'static str> {
        KnownError::from_repr(self.0).map(Into::into)
    }

    /// Every code that this version names.
    pub fn all() -> impl Iterator<Item = Self> {
        <KnownError as strum::IntoEnumIterator>::iter().map(|code| Self(code as u32))
    }
}

/// Why a handshake was refused: REFUSE carries one.
///
/// ```
/// use p2_frame::RefuseCode;
/// assert_eq!(RefuseCode::STALE.name(), Some("STALE"));
/// assert_eq!(RefuseCode::new(99).name(), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefuseCode(u32);

#[derive(strum::FromRepr, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[repr(u32)]
enum KnownRefusal {
    Unknown = 1,
    Expired = 2,
    Closed = 3,
    Denied = 4,
    Stale = 5,
    Busy = 6,
    Version = 7,
    NoCodec = 8,
    Limit = 9,
    Protocol = 10,
    ShuttingDown = 11,
}

impl RefuseCode {
    /// No such session, or the proof for it is wrong: the answer does not tell which.
    pub const UNKNOWN: Self = Self(KnownRefusal::Unknown as u32);
    /// The session was given up after its time to live.
    pub const EXPIRED: Self = Self(KnownRefusal::Expired as u32);
    /// The session has ended in order.
    pub const CLOSED: Self = Self(KnownRefusal::Closed as u32);
    /// The token is wrong or missing.
    pub const DENIED: Self = Self(KnownRefusal::Denied as u32);
    /// The epoch is not greater than the current one, which REFUSE names.
    pub const STALE: Self = Self(KnownRefusal::Stale as u32);
    /// Try again after the time that REFUSE names.
    pub const BUSY: Self = Self(KnownRefusal::Busy as u32);
    /// No common protocol version.
    pub const VERSION: Self = Self(KnownRefusal::Version as u32);
    /// No common codec, and one was required.
    pub const NO_CODEC: Self = Self(KnownRefusal::NoCodec as u32);
    /// A limit on sessions or connections is reached, or a demanded limit cannot be met.
    pub const LIMIT: Self = Self(KnownRefusal::Limit as u32);
    /// The handshake broke the protocol.
    pub const PROTOCOL: Self = Self(KnownRefusal::Protocol as u32);
    /// The process is ending.
    pub const SHUTTING_DOWN: Self = Self(KnownRefusal::ShuttingDown as u32);

    /// The code with this number.
    pub const fn new(code: u32) -> Self {
        Self(code)
    }

    /// The number on the wire.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The name in the specification, if this version knows the code.
    pub fn name(self) -> Option<&'static str> {
        KnownRefusal::from_repr(self.0).map(Into::into)
    }

    /// Every code that this version names.
    pub fn all() -> impl Iterator<Item = Self> {
        <KnownRefusal as strum::IntoEnumIterator>::iter().map(|code| Self(code as u32))
    }
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.name(), self.0, f)
    }
}

impl fmt::Display for RefuseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        display(self.name(), self.0, f)
    }
}

fn display(name: Option<&str>, code: u32, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match name {
        Some(name) => f.pad(name),
        None => write!(f, "code {code}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_codes_have_the_names_of_the_specification() {
        let names: Vec<_> = ErrorCode::all().map(|code| code.to_string()).collect();
        assert_eq!(
            names.join(" "),
            "NO_ERROR CANCELLED SOURCE_FAILED SINK_FAILED REFUSED_STREAM LIMIT INTEGRITY PROTOCOL \
             INTERNAL FLOW_CONTROL OFFSET CODEC TIMEOUT SHUTTING_DOWN"
        );
        let names: Vec<_> = RefuseCode::all().map(|code| code.to_string()).collect();
        assert_eq!(
            names.join(" "),
            "UNKNOWN EXPIRED CLOSED DENIED STALE BUSY VERSION NO_CODEC LIMIT PROTOCOL SHUTTING_DOWN"
        );
    }

    #[test]
    fn unknown_codes_keep_their_number() {
        assert_eq!(ErrorCode::new(u32::MAX).get(), u32::MAX);
        assert_eq!(ErrorCode::new(14).to_string(), "code 14");
        assert_eq!(RefuseCode::new(0).to_string(), "code 0");
    }
}

//! Frame types: the numbers on the wire and their names.

use std::fmt;

/// A frame type as it stands in the first byte of a frame; unknown ones included.
///
/// ```
/// use p2_frame::FrameKind;
/// assert_eq!(FrameKind::GOAWAY.to_string(), "GOAWAY");
/// assert_eq!(FrameKind::new(0x70).to_string(), "type 0x70");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FrameKind(u8);

/// The types of version 1, for matching in full.
#[derive(Clone, Copy, PartialEq, Eq, strum::FromRepr, strum::IntoStaticStr, strum::EnumIter)]
#[strum(serialize_all = "UPPERCASE")]
#[repr(u8)]
pub(crate) enum Known {
    Hello = 1,
    Proof = 2,
    Resume = 3,
    Open = 4,
    Data = 5,
    Fin = 6,
    Reset = 7,
    Stop = 8,
    Credit = 9,
    Ping = 10,
    Pong = 11,
    GoAway = 12,
    Close = 13,
    Gap = 14,
    Blocked = 15,
    Receipt = 16,
    Refuse = 17,
}

impl FrameKind {
    /// Who a side is, what it decodes, and its limits.
    pub const HELLO: Self = Self(Known::Hello as u8);
    /// Knowledge of the secret, over the whole transcript.
    pub const PROOF: Self = Self(Known::Proof as u8);
    /// The state of the live streams, after a reconnect.
    pub const RESUME: Self = Self(Known::Resume as u8);
    /// A new stream.
    pub const OPEN: Self = Self(Known::Open as u8);
    /// Bytes of a stream.
    pub const DATA: Self = Self(Known::Data as u8);
    /// The orderly end of a sending half.
    pub const FIN: Self = Self(Known::Fin as u8);
    /// The abrupt end of a sending half.
    pub const RESET: Self = Self(Known::Reset as u8);
    /// A receiver that wants no more.
    pub const STOP: Self = Self(Known::Stop as u8);
    /// Acknowledgement and permission to send, both absolute.
    pub const CREDIT: Self = Self(Known::Credit as u8);
    /// A question that any live peer answers.
    pub const PING: Self = Self(Known::Ping as u8);
    /// The answer to PING.
    pub const PONG: Self = Self(Known::Pong as u8);
    /// No new streams, please.
    pub const GOAWAY: Self = Self(Known::GoAway as u8);
    /// The end of the session.
    pub const CLOSE: Self = Self(Known::Close as u8);
    /// Bytes that the source dropped on purpose.
    pub const GAP: Self = Self(Known::Gap as u8);
    /// A sender that has more than its credit.
    pub const BLOCKED: Self = Self(Known::Blocked as u8);
    /// Wire bytes received on this link.
    pub const RECEIPT: Self = Self(Known::Receipt as u8);
    /// The end of a handshake that failed.
    pub const REFUSE: Self = Self(Known::Refuse as u8);

    /// The type with this number.
    pub const fn new(kind: u8) -> Self {
        Self(kind)
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// The name in the specification, if this version knows the type.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(Into::into)
    }

    /// Every type of this version, by number.
    ///
    /// ```
    /// use p2_frame::FrameKind;
    /// assert_eq!(FrameKind::all().count(), 17);
    /// ```
    pub fn all() -> impl Iterator<Item = Self> {
        <Known as strum::IntoEnumIterator>::iter().map(|known| Self(known as u8))
    }

    pub(crate) fn known(self) -> Option<Known> {
        Known::from_repr(self.0)
    }
}

impl fmt::Display for FrameKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.pad(name),
            None => write!(f, "type {:#04x}", self.0),
        }
    }
}

impl Known {
    /// Whether the header's stream field names a stream; it is zero in all other types.
    pub(crate) fn is_of_stream(self) -> bool {
        match self {
            Self::Open
            | Self::Data
            | Self::Fin
            | Self::Reset
            | Self::Stop
            | Self::Credit
            | Self::Gap
            | Self::Blocked => true,
            Self::Hello
            | Self::Proof
            | Self::Resume
            | Self::Ping
            | Self::Pong
            | Self::GoAway
            | Self::Close
            | Self::Receipt
            | Self::Refuse => false,
        }
    }

    /// Whether the type may come before both sides are proven.
    pub(crate) fn is_of_handshake(self) -> bool {
        matches!(self, Self::Hello | Self::Proof | Self::Resume | Self::Refuse)
    }

    /// HELLO agrees on the CRC and REFUSE may come instead of that agreement: they never have one.
    pub(crate) fn may_carry_crc(self) -> bool {
        !matches!(self, Self::Hello | Self::Refuse)
    }
}

//! Who a session is and who is at its other end.

use std::fmt;

use crate::CodecId;

/// A session's identity: 128 random bits, public, the same on every link.
///
/// ```
/// let id = p2_transport::SessionId::from_bytes([0xab; 16]);
/// assert_eq!(id.to_string(), "ab".repeat(16));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// The identity with these bytes; all zero before the first link.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.0
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The peer, as it introduced itself on the last link.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The program and its version.
    pub agent: String,
    /// The address of the link.
    pub address: String,
    /// The codecs it decodes, best first.
    pub codecs: Vec<CodecId>,
    /// Random at the start of its process.
    pub boot_id: [u8; 16],
}

/// What both sides decode, and what they send with unless a stream says otherwise.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Negotiated {
    /// The codecs this side decodes, best first.
    pub ours: Vec<CodecId>,
    /// The codecs the peer decodes, best first.
    pub theirs: Vec<CodecId>,
    /// What this side sends with.
    pub to_peer: CodecId,
    /// What the peer sends with.
    pub from_peer: CodecId,
}

impl Default for Negotiated {
    fn default() -> Self {
        Self {
            ours: Vec::new(),
            theirs: Vec::new(),
            to_peer: CodecId::NONE,
            from_peer: CodecId::NONE,
        }
    }
}

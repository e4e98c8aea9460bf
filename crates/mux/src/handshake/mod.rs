//! Agreeing on a link, without I/O: bytes in, bytes out, and at the end an [`Established`] link.
//!
//! Each side sends its preface and HELLO; the client proves itself, then the server; on a resume
//! both list their streams. Nothing about a live session changes before the client's proof is
//! verified, and no stream byte is compressed before both are.

mod channel;
mod client;
mod proof;
mod server;

use bytes::Bytes;
use p2_codec::{Choice, Offer};
use p2_frame::{DecodeError, Mangled, PeerLimits, Refuse, VersionMismatch};

use crate::link::Attachment;

pub use client::{ClientHandshake, Purpose};
pub use proof::{Secret, Token};
pub use server::{Known, KnownState, Request, ServerHandshake, Step};

/// Bytes a peer may send before it has proven itself, junk before the preface aside.
pub const MAX_UNPROVEN: usize = 16 << 10;

/// What this side brings to a handshake. All randomness comes in here.
#[derive(Debug, Clone)]
pub struct Local {
    /// Program and version, for people; at most 64 bytes.
    pub agent: String,
    /// What this side decodes, best first; also what it prefers to encode with.
    pub codecs: Vec<Offer>,
    /// Refuse a peer without a common codec instead of sending raw bytes.
    pub require_codec: bool,
    /// What this side allows the peer.
    pub limits: PeerLimits,
    /// Random bytes that name this process.
    pub boot_id: [u8; 16],
    /// 32 fresh random bytes.
    pub nonce: [u8; 32],
    /// The link does not protect its bytes: ask for a CRC in each frame.
    pub crc: bool,
    /// What people call the session; from a client.
    pub session_name: String,
    /// Bytes of junk (login banners) tolerated before the peer's preface.
    pub junk_limit: usize,
    /// Streams a resuming peer may list.
    pub max_listed: usize,
}

/// The peer, as its HELLO describes it. Its text may hold any character.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Program and version.
    pub agent: String,
    /// What it decodes, best first.
    pub codecs: Vec<Offer>,
    /// What it allows.
    pub limits: PeerLimits,
    /// Names its process; another one after a resume means that it restarted.
    pub boot_id: [u8; 16],
    /// The session's name, from a client.
    pub session_name: String,
}

/// A handshake that succeeded on this side.
#[derive(Debug, Clone)]
pub struct Established {
    /// The session's public id.
    pub session: [u8; 16],
    /// The key to resuming it.
    pub secret: Secret,
    /// For [`Session::attach`](crate::Session::attach).
    pub attachment: Attachment,
    /// The peer.
    pub peer: Peer,
    /// What this side sends with.
    pub sending: Choice,
    /// What the peer sends with.
    pub receiving: Choice,
    /// Whether every frame from now on carries a CRC32C.
    pub crc: bool,
}

/// Why there is no link.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The peer does not speak this protocol, or the channel changes bytes.
    #[error("{what}")]
    NotP2 {
        /// What came instead.
        what: Mangled,
        /// The first bytes of it, at most 256.
        seen: Bytes,
    },
    /// No version in common.
    #[error(transparent)]
    Version(#[from] VersionMismatch),
    /// A malformed frame.
    #[error("malformed handshake: {0}")]
    Malformed(#[from] DecodeError),
    /// A frame out of order.
    #[error("the peer broke the handshake: {0}")]
    Protocol(&'static str),
    /// The peer sent more than a handshake needs.
    #[error("the peer sent over {0} bytes before its proof")]
    TooLong(usize),
    /// The peer refused, and said why.
    #[error("refused: {} {}", .0.code, .0.reason)]
    Refused(Box<Refuse>),
    /// The peer wants a shared token and this side has none, or the other way round.
    #[error("{0}")]
    TokenMismatch(&'static str),
    /// The peer does not know the secret. It is not who it claims to be.
    #[error("the peer could not prove that it knows the secret of this session")]
    BadProof,
    /// The two sides drew different conclusions from the same offers: somebody changed them.
    #[error("the two sides chose different codecs from the same offers")]
    ChoiceMismatch,
    /// Nothing in common, and a codec is required.
    #[error("no common codec: this side has {ours}, the peer has {theirs}")]
    NoCodec {
        /// This side's list.
        ours: String,
        /// The peer's list.
        theirs: String,
    },
}

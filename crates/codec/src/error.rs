//! What can go wrong in a codec, and whose fault it is.

use p2_frame::CodecId;

/// Why a payload could not be encoded or decoded.
///
/// [`is_peer_fault`](CodecError::is_peer_fault) tells what a peer sent from what this side did.
///
/// ```
/// use p2_codec::CodecError;
/// use p2_codec::CodecId;
///
/// let error = CodecError::UnknownCodec { codec: CodecId::new(0xC3) };
/// assert!(error.to_string().contains("is not in this build"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodecError {
    /// No codec of this id is registered.
    #[error(
        "codec {codec} is not in this build or was not offered: rebuild with its feature, or choose another"
    )]
    UnknownCodec {
        /// The id that was asked for.
        codec: CodecId,
    },
    /// The level is outside the codec's range.
    #[error("{codec} has no level {level}: choose one from {min} to {max}")]
    Level {
        /// The codec.
        codec: CodecId,
        /// The level that was asked for.
        level: i32,
        /// The lowest level.
        min: i32,
        /// The highest level.
        max: i32,
    },
    /// The window is outside the codec's range.
    #[error("{codec} cannot use a window of 2^{window_log} bytes: choose from 2^{min} to 2^{max}")]
    Window {
        /// The codec.
        codec: CodecId,
        /// The base-2 logarithm that was asked for.
        window_log: u8,
        /// The smallest.
        min: u8,
        /// The largest.
        max: u8,
    },
    /// The raw length is over the limit; nothing was allocated.
    #[error("a frame of {raw} raw bytes is over the limit of {limit}")]
    RawTooLong {
        /// Raw bytes that the frame has or claims.
        raw: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// A raw payload's length differs from the raw length that its frame names.
    #[error("a raw payload of {payload} bytes claims to hold {raw}")]
    RawLength {
        /// Bytes in the payload.
        payload: u64,
        /// Raw length in the frame's header.
        raw: u64,
    },
    /// The output slice is too small for what the encoder made.
    #[error("{codec} needs more than the {capacity} bytes of output it was given")]
    OutputFull {
        /// The codec.
        codec: CodecId,
        /// Bytes of output that there were.
        capacity: usize,
    },
    /// The payload ended before `expected` raw bytes were there.
    #[error("the {codec} payload holds {actual} raw bytes, its frame says {expected}")]
    TooShort {
        /// The codec.
        codec: CodecId,
        /// Raw length in the frame's header.
        expected: usize,
        /// Raw bytes that were found.
        actual: usize,
    },
    /// The payload holds more than `expected` raw bytes; the rest was not written anywhere.
    #[error("the {codec} payload holds more than the {expected} raw bytes its frame says")]
    TooLong {
        /// The codec.
        codec: CodecId,
        /// Raw length in the frame's header.
        expected: usize,
    },
    /// The payload is not what this codec makes.
    #[error("the {codec} payload is corrupt: {what}")]
    Corrupt {
        /// The codec.
        codec: CodecId,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A payload continues a context that does not exist on this link.
    #[error("the {codec} payload continues a context that was never started: RESTART is missing")]
    MissingRestart {
        /// The codec.
        codec: CodecId,
    },
    /// A raw frame carries the restart flag, which has no meaning there.
    #[error("a raw frame cannot restart a codec context")]
    RestartOnRaw,
    /// An earlier payload failed, so the context is lost until it is reset.
    #[error("the {codec} context is unusable since an earlier payload failed: it needs a reset")]
    Poisoned {
        /// The codec.
        codec: CodecId,
    },
    /// A context could not be kept because the budget is spent.
    #[error(
        "no room to keep a {codec} context: all {limit} bytes of the budget are in use; \
         raise the budget, lower the number of streams, or send stateless payloads"
    )]
    Budget {
        /// The codec.
        codec: CodecId,
        /// The budget in bytes.
        limit: usize,
    },
    /// The codec library failed for a reason of its own.
    #[error("{codec} failed: {what}")]
    Library {
        /// The codec.
        codec: CodecId,
        /// The library's words.
        what: &'static str,
    },
}

impl CodecError {
    /// True when only the bytes that a peer sent can have caused this error.
    pub fn is_peer_fault(&self) -> bool {
        match self {
            Self::RawTooLong { .. }
            | Self::RawLength { .. }
            | Self::TooShort { .. }
            | Self::TooLong { .. }
            | Self::Corrupt { .. }
            | Self::MissingRestart { .. }
            | Self::RestartOnRaw
            | Self::Poisoned { .. }
            | Self::UnknownCodec { .. } => true,
            Self::Level { .. }
            | Self::Window { .. }
            | Self::OutputFull { .. }
            | Self::Budget { .. }
            | Self::Library { .. } => false,
        }
    }
}

/// Why a codec was not taken into a [`Registry`](crate::Registry).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegisterError {
    /// The id belongs to P2 or to nobody.
    #[error("codec id {id} is reserved: a third-party codec takes one from 0xC0 to 0xFE")]
    ReservedId {
        /// The id as a number.
        id: u8,
    },
    /// The id is taken.
    #[error("codec id {id} already belongs to {name}: choose another")]
    DuplicateId {
        /// The id as a number.
        id: u8,
        /// The codec that has it.
        name: String,
    },
    /// The name is taken.
    #[error("the codec name {name:?} is taken: choose another")]
    DuplicateName {
        /// The name.
        name: String,
    },
    /// The name cannot be typed on a command line.
    #[error("{name:?} is no codec name: use 1 to 16 of a-z, 0-9, '-' and '_'")]
    BadName {
        /// The name.
        name: String,
    },
}

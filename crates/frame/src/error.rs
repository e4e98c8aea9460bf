//! What can be wrong with a frame, in words that name the frame, the field and the bound.

use thiserror::Error;

use crate::FrameKind;

/// A field whose value the wire format does not allow, found on the way in or on the way out.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FieldError {
    /// A number, a length or a count outside its range.
    #[error("{kind}: {field} is {value}, allowed is {min} to {max}")]
    OutOfRange {
        /// The frame.
        kind: FrameKind,
        /// The field, or what of it is counted.
        field: &'static str,
        /// The value found.
        value: u64,
        /// The least allowed.
        min: u64,
        /// The most allowed.
        max: u64,
    },
    /// An extension that must be understood and is not known.
    #[error("{kind}: extension {tag:#06x} must be understood, and this version does not know it")]
    UnknownExtension {
        /// The frame.
        kind: FrameKind,
        /// The tag, with its top bit set.
        tag: u16,
    },
}

/// Bytes that are no frame of this protocol. The link cannot go on after it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// A type that this version does not know, without the flag that allows to skip it.
    #[error("unknown frame type {:#04x}: the peer speaks another version or the bytes are damaged", .kind.get())]
    UnknownKind {
        /// The type.
        kind: FrameKind,
    },
    /// A type that has no place before both sides are proven.
    #[error("{kind} before the handshake is complete")]
    TooEarly {
        /// The frame.
        kind: FrameKind,
    },
    /// The reserved byte is not zero.
    #[error("{kind}: the reserved byte is {value:#04x}, must be 0")]
    Reserved {
        /// The frame.
        kind: FrameKind,
        /// The byte found.
        value: u8,
    },
    /// Flags that the type does not have.
    #[error("{kind}: flags {flags:#04x} contain unknown bits, known are {known:#04x}")]
    Flags {
        /// The frame.
        kind: FrameKind,
        /// The flags found.
        flags: u8,
        /// The bits that the type may have.
        known: u8,
    },
    /// A codec on a frame that is not DATA.
    #[error("{kind}: codec is {codec}, must be 0: only DATA is compressed")]
    Codec {
        /// The frame.
        kind: FrameKind,
        /// The codec byte found.
        codec: u8,
    },
    /// A stream on a frame that concerns the session, or a stream id of 2^63 or more.
    #[error("{kind}: stream is {stream}, the largest allowed is {max}")]
    Stream {
        /// The frame.
        kind: FrameKind,
        /// The id found.
        stream: u64,
        /// The largest id that the type may have.
        max: u64,
    },
    /// A fixed body of another length.
    #[error("{kind}: body of {len} bytes, must be {expected}")]
    Length {
        /// The frame.
        kind: FrameKind,
        /// The length found.
        len: u64,
        /// The only length allowed.
        expected: u64,
    },
    /// A payload over its limit; refused from the header alone.
    #[error("{kind}: payload of {len} bytes, the limit is {limit}")]
    TooLong {
        /// The frame.
        kind: FrameKind,
        /// The length that the header states.
        len: u32,
        /// The most allowed.
        limit: u32,
    },
    /// This link's frames carry a checksum, and this one does not.
    #[error("{kind}: no CRC, and this link requires it")]
    CrcMissing {
        /// The frame.
        kind: FrameKind,
    },
    /// A checksum where none was agreed on.
    #[error("{kind}: carries a CRC, and none was agreed on")]
    CrcUnexpected {
        /// The frame.
        kind: FrameKind,
    },
    /// The bytes changed on the way.
    #[error(
        "{kind}: damaged on the way: CRC32C is {computed:#010x}, the frame says {stated:#010x}"
    )]
    CrcMismatch {
        /// The frame.
        kind: FrameKind,
        /// The checksum in the trailer.
        stated: u32,
        /// The checksum of what arrived.
        computed: u32,
    },
    /// A control body that does not parse.
    #[error("{kind}: malformed body: {reason}")]
    Body {
        /// The frame.
        kind: FrameKind,
        /// What the parser said.
        reason: String,
    },
    /// A control body that says the same in other bytes than the only allowed ones.
    #[error("{kind}: body is not in its shortest form, or has bytes after its end")]
    NotCanonical {
        /// The frame.
        kind: FrameKind,
    },
    /// A field with a value that is not allowed.
    #[error(transparent)]
    Field(#[from] FieldError),
}

/// A frame that must not go out. Nothing was written.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// A field with a value that is not allowed.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// A control body over its limit.
    #[error("{kind}: body of {len} bytes, the limit is {limit}")]
    TooLong {
        /// The frame.
        kind: FrameKind,
        /// The length of the body.
        len: usize,
        /// The most allowed.
        limit: u32,
    },
    /// A control body that the serialiser refused.
    #[error("{kind}: cannot write the body: {reason}")]
    Body {
        /// The frame.
        kind: FrameKind,
        /// What the serialiser said.
        reason: String,
    },
    /// [`Frame::Skipped`](crate::Frame::Skipped) stands for a frame whose content is gone.
    #[error("{kind}: a skipped frame has no content to send")]
    Skipped {
        /// The frame.
        kind: FrameKind,
    },
}

/// Fails unless `min <= value <= max`.
pub(crate) fn in_range(
    kind: FrameKind,
    field: &'static str,
    value: u64,
    min: u64,
    max: u64,
) -> Result<(), FieldError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(FieldError::OutOfRange { kind, field, value, min, max })
}

/// Fails if `value` is over `max`.
pub(crate) fn at_most(
    kind: FrameKind,
    field: &'static str,
    value: u64,
    max: u64,
) -> Result<(), FieldError> {
    in_range(kind, field, value, 0, max)
}

/// Fails if a length or count is over `max`.
pub(crate) fn len_at_most(
    kind: FrameKind,
    field: &'static str,
    len: usize,
    max: usize,
) -> Result<(), FieldError> {
    in_range(kind, field, len as u64, 0, max as u64)
}

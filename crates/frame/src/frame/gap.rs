//! GAP: a source dropped bytes on purpose, and the output is to say so.

use bytes::BytesMut;

use crate::error::{DecodeError, EncodeError, FieldError, at_most};
use crate::header::{Fields, put_frame};
use crate::limits::MAX_OFFSET;
use crate::{FrameKind, StreamId};

/// Bytes that the source of a stream dropped before they got an offset. Sent before the DATA
/// that starts at `offset`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// The stream.
    pub stream: StreamId,
    /// Where in the stream the dropped bytes are missing, 0 to 2^62.
    pub offset: u64,
    /// All bytes that the source has dropped up to there since the stream began.
    pub dropped: u64,
}

impl Gap {
    pub(crate) const LEN: u32 = 16;

    pub(crate) fn parse(stream: StreamId, body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(FrameKind::GAP, body);
        let frame = Self { stream, offset: fields.u64()?, dropped: fields.u64()? };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let body = [self.offset.to_le_bytes(), self.dropped.to_le_bytes()];
        put_frame(out, FrameKind::GAP, false, Some(self.stream), body.as_flattened(), crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        at_most(FrameKind::GAP, "offset", self.offset, MAX_OFFSET)
    }
}

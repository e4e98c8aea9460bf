//! FIN: the sending half of a stream ends in order, and says what it sent.

use bytes::BytesMut;

use crate::error::{DecodeError, EncodeError, FieldError, at_most};
use crate::header::{Fields, put_frame};
use crate::limits::MAX_OFFSET;
use crate::{FrameKind, StreamId};

/// The orderly end of a sending half. The receiver checks length and digest, and acknowledges
/// with a [`Credit`](crate::Credit) whose `acked` is `final_offset + 1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fin {
    /// The stream.
    pub stream: StreamId,
    /// Raw bytes in the stream, 0 to 2^62.
    pub final_offset: u64,
    /// XXH3-64 with seed 0 of all raw bytes of the stream.
    pub digest: u64,
}

impl Fin {
    pub(crate) const LEN: u32 = 16;

    pub(crate) fn parse(stream: StreamId, body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(FrameKind::FIN, body);
        let frame = Self { stream, final_offset: fields.u64()?, digest: fields.u64()? };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let body = [self.final_offset.to_le_bytes(), self.digest.to_le_bytes()];
        put_frame(out, FrameKind::FIN, false, Some(self.stream), body.as_flattened(), crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        at_most(FrameKind::FIN, "final_offset", self.final_offset, MAX_OFFSET)
    }
}

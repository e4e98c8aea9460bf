//! RESET: the sending half of a stream ends at once.

use bytes::{BufMut, BytesMut};

use crate::error::{DecodeError, EncodeError, FieldError, at_most};
use crate::header::{Fields, put_frame};
use crate::limits::MAX_OFFSET;
use crate::{ErrorCode, FrameKind, StreamId};

/// The abrupt end of a sending half: no byte from `final_offset` on will come, and none below it
/// that has not come yet needs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reset {
    /// The stream.
    pub stream: StreamId,
    /// Why.
    pub code: ErrorCode,
    /// Raw bytes sent until then, 0 to 2^62.
    pub final_offset: u64,
}

impl Reset {
    pub(crate) const LEN: u32 = 12;

    pub(crate) fn parse(stream: StreamId, body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(FrameKind::RESET, body);
        let code = ErrorCode::new(fields.u32()?);
        let frame = Self { stream, code, final_offset: fields.u64()? };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let mut body = [0; Self::LEN as usize];
        let mut rest = &mut body[..];
        rest.put_u32_le(self.code.get());
        rest.put_u64_le(self.final_offset);
        put_frame(out, FrameKind::RESET, false, Some(self.stream), &body, crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        at_most(FrameKind::RESET, "final_offset", self.final_offset, MAX_OFFSET)
    }
}

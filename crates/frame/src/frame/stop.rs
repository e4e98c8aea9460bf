//! STOP: a receiver asks the sending half of a stream to end.

use bytes::BytesMut;

use crate::error::{DecodeError, EncodeError};
use crate::header::{Fields, put_frame};
use crate::{ErrorCode, FrameKind, StreamId};

/// A receiver that wants no more of a stream. Answered by a [`Reset`](crate::Reset), unless the
/// sending half has ended already.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// The stream.
    pub stream: StreamId,
    /// Why.
    pub code: ErrorCode,
}

impl Stop {
    pub(crate) const LEN: u32 = 4;

    pub(crate) fn parse(stream: StreamId, body: &[u8]) -> Result<Self, DecodeError> {
        let code = Fields::new(FrameKind::STOP, body).u32()?;
        Ok(Self { stream, code: ErrorCode::new(code) })
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        let body = self.code.get().to_le_bytes();
        put_frame(out, FrameKind::STOP, false, Some(self.stream), &body, crc);
        Ok(())
    }
}

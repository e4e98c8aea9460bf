//! BLOCKED: a sender says that its credit is what holds it up.

use bytes::BytesMut;

use crate::error::{DecodeError, EncodeError, FieldError, at_most};
use crate::header::{Fields, put_frame};
use crate::limits::MAX_OFFSET;
use crate::{FrameKind, StreamId};

/// A sender that has bytes and no credit for them: the receiver may want to grow the window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// The stream.
    pub stream: StreamId,
    /// The credit limit that the sender has reached, 0 to 2^62.
    pub offset: u64,
}

impl Blocked {
    pub(crate) const LEN: u32 = 8;

    pub(crate) fn parse(stream: StreamId, body: &[u8]) -> Result<Self, DecodeError> {
        let frame = Self { stream, offset: Fields::new(FrameKind::BLOCKED, body).u64()? };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let body = self.offset.to_le_bytes();
        put_frame(out, FrameKind::BLOCKED, false, Some(self.stream), &body, crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        at_most(FrameKind::BLOCKED, "offset", self.offset, MAX_OFFSET)
    }
}

//! CREDIT: the two clocks of a stream, acknowledgement and permission.

use bytes::BytesMut;

use crate::error::{DecodeError, EncodeError, FieldError, at_most};
use crate::header::{Fields, put_frame};
use crate::limits::MAX_OFFSET;
use crate::{FrameKind, StreamId};

/// What a receiver has taken responsibility for, and up to where it may be sent more. Both are
/// absolute and never go back, so losing or repeating one does no harm.
///
/// ```
/// use p2_frame::{Credit, Role, StreamId};
/// let stream = StreamId::new(Role::Client, 0).unwrap();
/// let credit = Credit { stream, acked: 4096, limit: 266_240 };
/// assert_eq!(credit.limit - credit.acked, 256 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credit {
    /// The stream.
    pub stream: StreamId,
    /// Raw bytes below this are the receiver's for good; `final_offset + 1` acknowledges the FIN
    /// or RESET too. 0 to 2^62 + 1.
    pub acked: u64,
    /// Raw bytes below this may be sent. 0 to 2^62.
    pub limit: u64,
}

impl Credit {
    pub(crate) const LEN: u32 = 16;

    pub(crate) fn parse(stream: StreamId, body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(FrameKind::CREDIT, body);
        let frame = Self { stream, acked: fields.u64()?, limit: fields.u64()? };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let body = [self.acked.to_le_bytes(), self.limit.to_le_bytes()];
        put_frame(out, FrameKind::CREDIT, false, Some(self.stream), body.as_flattened(), crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        at_most(FrameKind::CREDIT, "acked", self.acked, MAX_OFFSET.saturating_add(1))?;
        at_most(FrameKind::CREDIT, "limit", self.limit, MAX_OFFSET)
    }
}

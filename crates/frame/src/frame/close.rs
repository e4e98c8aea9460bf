//! CLOSE: the end of the session, and the acknowledgement of it.

use bytes::BytesMut;

use crate::body::{CloseBody, check_extensions, from_bytes, to_bytes};
use crate::error::{DecodeError, EncodeError, FieldError, len_at_most};
use crate::header::put_frame;
use crate::limits::{MAX_CONTROL, MAX_REASON};
use crate::{ErrorCode, Extensions, FrameKind};

/// The session is over, for both sides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Close {
    /// [`ErrorCode::NO_ERROR`] after all streams have ended, else why at once.
    pub code: ErrorCode,
    /// Why, for people; at most 255 bytes.
    pub reason: String,
    /// The answer to a CLOSE.
    pub ack: bool,
    /// For later versions.
    pub ext: Extensions,
}

impl Close {
    pub(crate) fn parse(bytes: &[u8], ack: bool) -> Result<Self, DecodeError> {
        let CloseBody { code, reason, ext } = from_bytes(FrameKind::CLOSE, bytes)?;
        let frame = Self { code: ErrorCode::new(code), reason, ack, ext };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let body =
            CloseBody { code: self.code.get(), reason: self.reason.clone(), ext: self.ext.clone() };
        let bytes = to_bytes(FrameKind::CLOSE, &body, MAX_CONTROL)?;
        put_frame(out, FrameKind::CLOSE, self.ack, None, &bytes, crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        len_at_most(FrameKind::CLOSE, "length of reason", self.reason.len(), MAX_REASON)?;
        check_extensions(FrameKind::CLOSE, &self.ext)
    }
}

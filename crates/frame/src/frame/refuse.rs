//! REFUSE: the handshake fails, and whether it is worth another try.

use bytes::BytesMut;

use crate::body::{RefuseBody, check_extensions, from_bytes, to_bytes};
use crate::error::{DecodeError, EncodeError, FieldError, len_at_most};
use crate::header::put_frame;
use crate::limits::{MAX_CONTROL, MAX_REASON};
use crate::{Extensions, FrameKind, RefuseCode};

/// The last frame on a link whose handshake failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refuse {
    /// Why.
    pub code: RefuseCode,
    /// With [`RefuseCode::BUSY`]: milliseconds until another try makes sense; else 0.
    pub retry_after_ms: u64,
    /// The refusing process: another one than before may have lost the session.
    pub boot_id: [u8; 16],
    /// With [`RefuseCode::STALE`]: the session's current epoch; else 0.
    pub epoch: u64,
    /// Why, for people; at most 255 bytes.
    pub reason: String,
    /// For later versions.
    pub ext: Extensions,
}

impl Refuse {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body: RefuseBody = from_bytes(FrameKind::REFUSE, bytes)?;
        let frame = Self {
            code: RefuseCode::new(body.code),
            retry_after_ms: body.retry_after_ms,
            boot_id: body.boot_id,
            epoch: body.epoch,
            reason: body.reason,
            ext: body.ext,
        };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        self.check()?;
        let body = RefuseBody {
            code: self.code.get(),
            retry_after_ms: self.retry_after_ms,
            boot_id: self.boot_id,
            epoch: self.epoch,
            reason: self.reason.clone(),
            ext: self.ext.clone(),
        };
        let bytes = to_bytes(FrameKind::REFUSE, &body, MAX_CONTROL)?;
        put_frame(out, FrameKind::REFUSE, false, None, &bytes, false);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        len_at_most(FrameKind::REFUSE, "length of reason", self.reason.len(), MAX_REASON)?;
        check_extensions(FrameKind::REFUSE, &self.ext)
    }
}

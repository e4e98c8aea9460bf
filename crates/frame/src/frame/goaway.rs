//! GOAWAY: no new streams, while the ones there are run to their end.

use bytes::BytesMut;

use crate::body::{GoAwayBody, check_extensions, from_bytes, to_bytes};
use crate::error::{DecodeError, EncodeError, FieldError, at_most, len_at_most};
use crate::header::put_frame;
use crate::limits::{MAX_CONTROL, MAX_REASON, MAX_STREAMS};
use crate::{ErrorCode, Extensions, FrameKind};

/// No new streams from the peer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GoAway {
    /// Why.
    pub code: ErrorCode,
    /// Streams of the peer with this index or a greater one are not served. 0 to 2^62.
    pub last_stream: u64,
    /// Milliseconds until the sender closes the session, from the arrival of the frame; 0 means
    /// that it sets none.
    pub deadline_ms: u64,
    /// Why, for people; at most 255 bytes.
    pub reason: String,
    /// For later versions.
    pub ext: Extensions,
}

impl GoAway {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body: GoAwayBody = from_bytes(FrameKind::GOAWAY, bytes)?;
        let frame = Self {
            code: ErrorCode::new(body.code),
            last_stream: body.last_stream,
            deadline_ms: body.deadline_ms,
            reason: body.reason,
            ext: body.ext,
        };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let body = GoAwayBody {
            code: self.code.get(),
            last_stream: self.last_stream,
            deadline_ms: self.deadline_ms,
            reason: self.reason.clone(),
            ext: self.ext.clone(),
        };
        let bytes = to_bytes(FrameKind::GOAWAY, &body, MAX_CONTROL)?;
        put_frame(out, FrameKind::GOAWAY, false, None, &bytes, crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        at_most(FrameKind::GOAWAY, "last_stream", self.last_stream, MAX_STREAMS)?;
        len_at_most(FrameKind::GOAWAY, "length of reason", self.reason.len(), MAX_REASON)?;
        check_extensions(FrameKind::GOAWAY, &self.ext)
    }
}

//! RECEIPT: how much of this link has arrived, so that the sender can keep the pipe short.

use bytes::BytesMut;

use crate::FrameKind;
use crate::error::{DecodeError, EncodeError};
use crate::header::{Fields, put_frame};

/// Wire bytes received on this link. It says nothing about delivery; [`Credit`](crate::Credit)
/// does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// Bytes read from this link since it began, preface and handshake included.
    pub received: u64,
}

impl Receipt {
    pub(crate) const LEN: u32 = 8;

    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        Ok(Self { received: Fields::new(FrameKind::RECEIPT, body).u64()? })
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        put_frame(out, FrameKind::RECEIPT, false, None, &self.received.to_le_bytes(), crc);
        Ok(())
    }
}

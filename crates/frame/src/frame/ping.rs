//! PING and PONG: is the peer there, and how far away.

use bytes::BytesMut;

use crate::FrameKind;
use crate::error::{DecodeError, EncodeError};
use crate::header::{Fields, put_frame};

/// A question that a live peer answers with a [`Pong`] of the same content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ping {
    /// Chosen by the asker.
    pub id: u64,
    /// The asker's clock, in a unit of its own; opaque to the peer.
    pub time: u64,
}

/// The answer to a [`Ping`]: the same `id` and `time`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pong {
    /// As in the question.
    pub id: u64,
    /// As in the question.
    pub time: u64,
}

impl From<Ping> for Pong {
    fn from(Ping { id, time }: Ping) -> Self {
        Self { id, time }
    }
}

impl Ping {
    pub(crate) const LEN: u32 = 16;

    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(FrameKind::PING, body);
        Ok(Self { id: fields.u64()?, time: fields.u64()? })
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        let body = [self.id.to_le_bytes(), self.time.to_le_bytes()];
        put_frame(out, FrameKind::PING, false, None, body.as_flattened(), crc);
        Ok(())
    }
}

impl Pong {
    pub(crate) const LEN: u32 = 16;

    pub(crate) fn parse(body: &[u8]) -> Result<Self, DecodeError> {
        let mut fields = Fields::new(FrameKind::PONG, body);
        Ok(Self { id: fields.u64()?, time: fields.u64()? })
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        let body = [self.id.to_le_bytes(), self.time.to_le_bytes()];
        put_frame(out, FrameKind::PONG, false, None, body.as_flattened(), crc);
        Ok(())
    }
}

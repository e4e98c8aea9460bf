//! The sixteen bytes that every frame starts with, and the fixed-length fields after them.

use bytes::{BufMut, BytesMut};

use crate::error::DecodeError;
use crate::kind::Known;
use crate::limits::{CRC_LEN, HEADER_LEN};
use crate::{FrameKind, StreamId};

/// Four bytes of CRC32C follow the payload.
pub(crate) const CRC: u8 = 0x80;
/// A peer that does not know the type may skip the frame.
pub(crate) const SKIPPABLE: u8 = 0x40;
/// The only flag that a type has of its own, where it has one: RESTART, ACK, LAST.
pub(crate) const OWN: u8 = 0x01;

/// The common header, unchecked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) kind: FrameKind,
    pub(crate) flags: u8,
    pub(crate) codec: u8,
    pub(crate) reserved: u8,
    pub(crate) len: u32,
    pub(crate) stream: u64,
}

impl Header {
    pub(crate) fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        let [kind, flags, codec, reserved, l0, l1, l2, l3, s0, s1, s2, s3, s4, s5, s6, s7] = *bytes;
        Self {
            kind: FrameKind::new(kind),
            flags,
            codec,
            reserved,
            len: u32::from_le_bytes([l0, l1, l2, l3]),
            stream: u64::from_le_bytes([s0, s1, s2, s3, s4, s5, s6, s7]),
        }
    }

    pub(crate) fn encode(&self) -> [u8; HEADER_LEN] {
        let [l0, l1, l2, l3] = self.len.to_le_bytes();
        let [s0, s1, s2, s3, s4, s5, s6, s7] = self.stream.to_le_bytes();
        let (kind, flags) = (self.kind.get(), self.flags);
        let (codec, reserved) = (self.codec, self.reserved);
        [kind, flags, codec, reserved, l0, l1, l2, l3, s0, s1, s2, s3, s4, s5, s6, s7]
    }

    /// The flag of its own that a type has.
    pub(crate) fn own_flag(kind: Known) -> u8 {
        match kind {
            Known::Data | Known::Close | Known::Resume => OWN,
            _ => 0,
        }
    }
}

/// Appends a frame that is not DATA; its body must be valid and within its limit.
pub(crate) fn put_frame(
    out: &mut BytesMut,
    kind: FrameKind,
    own_flag: bool,
    stream: Option<StreamId>,
    body: &[u8],
    crc: bool,
) {
    let start = out.len();
    let header = Header {
        kind,
        flags: if own_flag { OWN } else { 0 } | if crc { CRC } else { 0 },
        codec: 0,
        reserved: 0,
        // Every caller has checked the body against a limit far below.
        len: u32::try_from(body.len()).unwrap_or(u32::MAX),
        stream: stream.map_or(0, StreamId::to_wire),
    };
    out.reserve(HEADER_LEN.saturating_add(body.len()).saturating_add(CRC_LEN));
    out.put_slice(&header.encode());
    out.put_slice(body);
    if crc {
        let sum = crc32c::crc32c(out.get(start..).unwrap_or_default());
        out.put_u32_le(sum);
    }
}

/// Reads the fields of a fixed-length body in order.
pub(crate) struct Fields<'a> {
    kind: FrameKind,
    body: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    pub(crate) fn new(kind: FrameKind, body: &'a [u8]) -> Self {
        Self { kind, body, rest: body }
    }

    pub(crate) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.take().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.take().map(u64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let Some((field, rest)) = self.rest.split_first_chunk() else {
            return Err(DecodeError::Length {
                kind: self.kind,
                len: self.body.len() as u64,
                expected: (self.body.len() as u64).saturating_add(N as u64),
            });
        };
        self.rest = rest;
        Ok(*field)
    }
}

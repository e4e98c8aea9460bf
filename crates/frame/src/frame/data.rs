//! DATA: bytes of a stream, at their offset, perhaps compressed.

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{DecodeError, EncodeError, FieldError, at_most, in_range};
use crate::header::{CRC, Fields, Header, OWN};
use crate::limits::{CRC_LEN, DATA_HEADER_LEN, MAX_OFFSET, MAX_PAYLOAD, MAX_RAW};
use crate::{CodecId, FrameKind, StreamId};

/// Bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The stream.
    pub stream: StreamId,
    /// Where the first raw byte stands in the stream; `offset + raw_len` is at most 2^62.
    pub offset: u64,
    /// What the payload is compressed with.
    pub codec: CodecId,
    /// The codec's context is fresh from this frame on; never with [`CodecId::NONE`].
    pub restart: bool,
    /// Raw bytes that the payload decodes to, 1 to [`MAX_RAW`]. With [`CodecId::NONE`] it is the
    /// payload's length and may be 0.
    pub raw_len: u32,
    /// The bytes on the wire, at most [`MAX_PAYLOAD`].
    pub payload: Bytes,
}

/// A [`Data`] without its payload, so that the payload can go out by a vectored write.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use p2_frame::{CodecId, Data, DataHeader, Frame, Role, StreamId};
///
/// let (stream, payload) = (StreamId::new(Role::Client, 0).unwrap(), Bytes::from_static(b"hello"));
/// let header = DataHeader {
///     stream,
///     offset: 0,
///     codec: CodecId::NONE,
///     restart: false,
///     raw_len: 5,
///     payload_len: 5,
///     crc: true,
/// };
/// header.check()?;
/// let parts = [&header.encode()[..], &payload, &header.checksum([&payload[..]])].concat();
///
/// let data = Data { stream, offset: 0, codec: CodecId::NONE, restart: false, raw_len: 5, payload };
/// let mut whole = BytesMut::new();
/// Frame::Data(data).encode(&mut whole, true)?;
/// assert_eq!(parts, whole);
/// # Ok::<(), p2_frame::EncodeError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DataHeader {
    /// The stream.
    pub stream: StreamId,
    /// Where the first raw byte stands in the stream.
    pub offset: u64,
    /// What the payload is compressed with.
    pub codec: CodecId,
    /// The codec's context is fresh from this frame on.
    pub restart: bool,
    /// Raw bytes that the payload decodes to.
    pub raw_len: u32,
    /// Bytes of payload on the wire.
    pub payload_len: u32,
    /// A [`checksum`](Self::checksum) follows the payload.
    pub crc: bool,
}

impl DataHeader {
    /// The bytes before the payload. It checks nothing: see [`check`](Self::check).
    pub fn encode(&self) -> [u8; DATA_HEADER_LEN] {
        let header = Header {
            kind: FrameKind::DATA,
            flags: if self.restart { OWN } else { 0 } | if self.crc { CRC } else { 0 },
            codec: self.codec.get(),
            reserved: 0,
            len: self.payload_len,
            stream: self.stream.to_wire(),
        };
        let mut bytes = [0; DATA_HEADER_LEN];
        let mut rest = &mut bytes[..];
        rest.put_slice(&header.encode());
        rest.put_u64_le(self.offset);
        rest.put_u32_le(self.raw_len);
        bytes
    }

    /// The bytes after the payload if [`crc`](Self::crc) is set: CRC32C of header and payload.
    pub fn checksum<'a>(&self, payload: impl IntoIterator<Item = &'a [u8]>) -> [u8; CRC_LEN] {
        payload
            .into_iter()
            .fold(crc32c::crc32c(&self.encode()), crc32c::crc32c_append)
            .to_le_bytes()
    }

    /// Whether a peer would accept it.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Field`] with the field that is outside its range.
    pub fn check(&self) -> Result<(), EncodeError> {
        at_most(FrameKind::DATA, "payload_len", self.payload_len.into(), MAX_PAYLOAD.into())?;
        Ok(check(self.offset, self.codec, self.restart, self.raw_len, self.payload_len)?)
    }
}

impl Data {
    /// The checked offset and raw length of a DATA header.
    pub(crate) fn check_header(
        header: &Header,
        extension: &[u8],
    ) -> Result<(u64, u32), DecodeError> {
        let mut fields = Fields::new(FrameKind::DATA, extension);
        let (offset, raw_len) = (fields.u64()?, fields.u32()?);
        let restart = header.flags & OWN != 0;
        check(offset, CodecId::new(header.codec), restart, raw_len, header.len)?;
        Ok((offset, raw_len))
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        let header = DataHeader {
            stream: self.stream,
            offset: self.offset,
            codec: self.codec,
            restart: self.restart,
            raw_len: self.raw_len,
            payload_len: u32::try_from(self.payload.len()).unwrap_or(u32::MAX),
            crc,
        };
        header.check()?;
        out.reserve(DATA_HEADER_LEN.saturating_add(self.payload.len()).saturating_add(CRC_LEN));
        out.put_slice(&header.encode());
        out.put_slice(&self.payload);
        if crc {
            out.put_slice(&header.checksum([&self.payload[..]]));
        }
        Ok(())
    }
}

fn check(
    offset: u64,
    codec: CodecId,
    restart: bool,
    raw_len: u32,
    payload_len: u32,
) -> Result<(), FieldError> {
    const KIND: FrameKind = FrameKind::DATA;
    let (raw, payload) = (u64::from(raw_len), u64::from(payload_len));
    at_most(KIND, "raw_len", raw, MAX_RAW.into())?;
    at_most(KIND, "offset", offset, MAX_OFFSET.saturating_sub(raw))?;
    if codec == CodecId::NONE {
        in_range(KIND, "payload_len", payload, raw, raw)?;
        at_most(KIND, "RESTART with codec none", restart.into(), 0)
    } else {
        in_range(KIND, "raw_len with a codec", raw, 1, MAX_RAW.into())?;
        in_range(KIND, "payload_len with a codec", payload, 1, MAX_PAYLOAD.into())
    }
}

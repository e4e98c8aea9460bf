//! One frame off the front of a buffer: the header judged first, then the wait, then the body.

use bytes::{Buf, Bytes, BytesMut};

use crate::error::DecodeError;
use crate::frame::{
    Blocked, Close, Credit, Data, Fin, Frame, Gap, GoAway, Hello, Open, Ping, Pong, Proof, Receipt,
    Refuse, Reset, Resume, Stop,
};
use crate::header::{CRC, Header, OWN, SKIPPABLE};
use crate::kind::Known;
use crate::limits::{
    CRC_LEN, DATA_HEADER_LEN, HEADER_LEN, MAX_CONTROL, MAX_PAYLOAD, MAX_RESUME, MAX_STREAMS,
};
use crate::{CodecId, FrameKind, StreamId};

/// Whether frames carry a CRC32C. Decided by the two HELLOs; HELLO and REFUSE never carry one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrcPolicy {
    /// The link protects its bytes itself; a frame with a CRC is an error.
    #[default]
    Off,
    /// A frame without a CRC, or with a wrong one, is an error.
    Required,
}

/// What [`decode`] accepts. The default fits a link whose handshake is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Longest DATA payload on the wire, in bytes, 0 to [`MAX_PAYLOAD`].
    pub max_payload: u32,
    /// Whether frames carry a CRC32C.
    pub crc: CrcPolicy,
    /// Before both sides are proven: only HELLO, PROOF, RESUME and REFUSE may come.
    pub handshake: bool,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self { max_payload: MAX_PAYLOAD, crc: CrcPolicy::Off, handshake: false }
    }
}

/// Takes one frame off the front of `buf`, or returns `None` if more bytes are needed for it.
///
/// A DATA payload is a slice of the buffer, not a copy. An error leaves the buffer as it
/// is; the link cannot go on, for what follows a malformed frame has no meaning.
///
/// # Errors
///
/// [`DecodeError`] if the bytes are no frame that `limits` allow; as soon as the header is there
/// if the header says so.
///
/// ```
/// use bytes::BytesMut;
/// use p2_frame::{DecodeError, DecodeLimits, FrameKind, decode};
///
/// let mut header = [0; 16];
/// header[0] = FrameKind::PING.get();
/// header[4..8].copy_from_slice(&u32::MAX.to_le_bytes()); // no waiting for 4 GiB
/// let error = decode(&mut BytesMut::from(&header[..]), &DecodeLimits::default()).unwrap_err();
/// assert_eq!(error.to_string(), "PING: body of 4294967295 bytes, must be 16");
/// ```
pub fn decode(buf: &mut BytesMut, limits: &DecodeLimits) -> Result<Option<Frame>, DecodeError> {
    let Some(shape) = shape(buf, limits)? else {
        return Ok(None);
    };
    let Some(whole) = buf.get(..shape.total) else {
        return Ok(None);
    };
    if shape.crc {
        verify(shape.header.kind, whole)?;
    }
    let len = shape.header.len as usize;
    let end = shape.before_payload.saturating_add(len);
    let body = whole.get(shape.before_payload..end).unwrap_or_default();
    if let Some(frame) = shape.parse(body)? {
        // Parsed where it lay: no reference count was touched.
        buf.advance(shape.total);
        return Ok(Some(frame));
    }
    buf.advance(shape.before_payload);
    let payload = buf.split_to(len).freeze();
    buf.advance(shape.trailer);
    Ok(Some(shape.data(payload)))
}

/// How many bytes more than `buf` has must arrive before [`decode`] can return its first frame.
///
/// At least that many: while the header is incomplete, what follows it is not known. 0 means that
/// the frame is there. The answer is bounded by the limits, so that it is safe to reserve.
///
/// # Errors
///
/// As [`decode`], for the header alone.
///
/// ```
/// use p2_frame::{DecodeLimits, needed};
/// assert_eq!(needed(&[], &DecodeLimits::default()), Ok(16));
/// ```
pub fn needed(buf: &[u8], limits: &DecodeLimits) -> Result<usize, DecodeError> {
    let total = match shape(buf, limits)? {
        Some(shape) => shape.total,
        None if buf.len() < HEADER_LEN => HEADER_LEN,
        None => DATA_HEADER_LEN,
    };
    Ok(total.saturating_sub(buf.len()))
}

/// A checked header: what the frame is and where its parts lie.
struct Shape {
    header: Header,
    /// `None`: unknown and to be skipped.
    known: Option<Known>,
    stream: StreamId,
    crc: bool,
    /// Offset and raw length, of DATA alone.
    data: (u64, u32),
    before_payload: usize,
    trailer: usize,
    total: usize,
}

impl Shape {
    fn data(&self, payload: Bytes) -> Frame {
        let (offset, raw_len) = self.data;
        Frame::Data(Data {
            stream: self.stream,
            offset,
            codec: CodecId::new(self.header.codec),
            restart: self.header.flags & OWN != 0,
            raw_len,
            payload,
        })
    }

    /// The frame with this body; `None` for DATA, whose payload is cut out of the buffer instead.
    fn parse(&self, body: &[u8]) -> Result<Option<Frame>, DecodeError> {
        let Header { kind, flags, len, .. } = self.header;
        let (stream, own_flag) = (self.stream, flags & OWN != 0);
        Ok(Some(match self.known {
            None => Frame::Skipped { kind: kind.get(), len },
            Some(Known::Data) => return Ok(None),
            Some(Known::Hello) => Frame::Hello(Box::new(Hello::parse(body)?)),
            Some(Known::Proof) => Frame::Proof(Box::new(Proof::parse(body)?)),
            Some(Known::Resume) => Frame::Resume(Resume::parse(body, own_flag)?),
            Some(Known::Open) => Frame::Open(Open::parse(stream, body)?),
            Some(Known::Fin) => Frame::Fin(Fin::parse(stream, body)?),
            Some(Known::Reset) => Frame::Reset(Reset::parse(stream, body)?),
            Some(Known::Stop) => Frame::Stop(Stop::parse(stream, body)?),
            Some(Known::Credit) => Frame::Credit(Credit::parse(stream, body)?),
            Some(Known::Ping) => Frame::Ping(Ping::parse(body)?),
            Some(Known::Pong) => Frame::Pong(Pong::parse(body)?),
            Some(Known::GoAway) => Frame::GoAway(GoAway::parse(body)?),
            Some(Known::Close) => Frame::Close(Close::parse(body, own_flag)?),
            Some(Known::Gap) => Frame::Gap(Gap::parse(stream, body)?),
            Some(Known::Blocked) => Frame::Blocked(Blocked::parse(stream, body)?),
            Some(Known::Receipt) => Frame::Receipt(Receipt::parse(body)?),
            Some(Known::Refuse) => Frame::Refuse(Refuse::parse(body)?),
        }))
    }
}

/// Checks everything that the header states; `None` if it is not complete yet.
fn shape(buf: &[u8], limits: &DecodeLimits) -> Result<Option<Shape>, DecodeError> {
    let Some(bytes) = buf.first_chunk() else {
        return Ok(None);
    };
    let header = Header::parse(bytes);
    let Header { kind, flags, codec, reserved, len, stream } = header;
    let known = kind.known();
    if known.is_none() && flags & SKIPPABLE == 0 {
        return Err(DecodeError::UnknownKind { kind });
    }
    if limits.handshake && !known.is_some_and(Known::is_of_handshake) {
        return Err(DecodeError::TooEarly { kind });
    }
    if reserved != 0 {
        return Err(DecodeError::Reserved { kind, value: reserved });
    }
    let crc = flags & CRC != 0;
    let crc_expected = limits.crc == CrcPolicy::Required && known.is_none_or(Known::may_carry_crc);
    match (crc, crc_expected) {
        (true, false) => return Err(DecodeError::CrcUnexpected { kind }),
        (false, true) => return Err(DecodeError::CrcMissing { kind }),
        (true, true) | (false, false) => {}
    }
    let mut before_payload = HEADER_LEN;
    let mut data = (0, 0);
    let mut id = StreamId::ZERO;
    match known {
        // What the flags, codec and stream of an unknown type mean is unknown too.
        None => at_most(kind, len, MAX_CONTROL)?,
        Some(known) => {
            let allowed = CRC | Header::own_flag(known);
            if flags & !allowed != 0 {
                return Err(DecodeError::Flags { kind, flags, known: allowed });
            }
            if codec != 0 && known != Known::Data {
                return Err(DecodeError::Codec { kind, codec });
            }
            id = stream_id(kind, known, stream)?;
            check_len(kind, known, len, limits)?;
        }
    }
    if known == Some(Known::Data) {
        before_payload = DATA_HEADER_LEN;
        let Some(extension) = buf.get(HEADER_LEN..DATA_HEADER_LEN) else {
            return Ok(None);
        };
        data = Data::check_header(&header, extension)?;
    }
    let trailer = if crc { CRC_LEN } else { 0 };
    let total = before_payload.saturating_add(len as usize).saturating_add(trailer);
    Ok(Some(Shape { header, known, stream: id, crc, data, before_payload, trailer, total }))
}

fn stream_id(kind: FrameKind, known: Known, stream: u64) -> Result<StreamId, DecodeError> {
    let max =
        if known.is_of_stream() { MAX_STREAMS.saturating_mul(2).saturating_sub(1) } else { 0 };
    match StreamId::from_wire(stream) {
        Some(id) if stream <= max => Ok(id),
        _ => Err(DecodeError::Stream { kind, stream, max }),
    }
}

fn check_len(
    kind: FrameKind,
    known: Known,
    len: u32,
    limits: &DecodeLimits,
) -> Result<(), DecodeError> {
    match known {
        Known::Hello
        | Known::Proof
        | Known::Open
        | Known::GoAway
        | Known::Close
        | Known::Refuse => at_most(kind, len, MAX_CONTROL),
        Known::Resume => at_most(kind, len, MAX_RESUME),
        Known::Data => at_most(kind, len, limits.max_payload.min(MAX_PAYLOAD)),
        Known::Fin => exactly(kind, len, Fin::LEN),
        Known::Reset => exactly(kind, len, Reset::LEN),
        Known::Stop => exactly(kind, len, Stop::LEN),
        Known::Credit => exactly(kind, len, Credit::LEN),
        Known::Ping => exactly(kind, len, Ping::LEN),
        Known::Pong => exactly(kind, len, Pong::LEN),
        Known::Gap => exactly(kind, len, Gap::LEN),
        Known::Blocked => exactly(kind, len, Blocked::LEN),
        Known::Receipt => exactly(kind, len, Receipt::LEN),
    }
}

fn at_most(kind: FrameKind, len: u32, limit: u32) -> Result<(), DecodeError> {
    if len > limit { Err(DecodeError::TooLong { kind, len, limit }) } else { Ok(()) }
}

fn exactly(kind: FrameKind, len: u32, expected: u32) -> Result<(), DecodeError> {
    if len == expected {
        return Ok(());
    }
    Err(DecodeError::Length { kind, len: len.into(), expected: expected.into() })
}

/// Compares the trailer with what it covers.
fn verify(kind: FrameKind, whole: &[u8]) -> Result<(), DecodeError> {
    let Some((bytes, trailer)) = whole.split_last_chunk() else {
        return Err(DecodeError::CrcMissing { kind });
    };
    let (stated, computed) = (u32::from_le_bytes(*trailer), crc32c::crc32c(bytes));
    if stated != computed {
        return Err(DecodeError::CrcMismatch { kind, stated, computed });
    }
    Ok(())
}

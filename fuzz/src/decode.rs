//! What must hold for any bytes that a peer sends: checked by the fuzz target on nightly, and for
//! all seeds and regressions by `cargo test` on stable.

use bytes::{Bytes, BytesMut};
use p2_frame::{
    CrcPolicy, DataHeader, DecodeError, DecodeLimits, Frame, FrameKind, Preface, PrefaceScan,
    decode, needed,
};

use super::allocation;

/// The longest frame that may have to be waited for: header, payload, trailer.
const LONGEST: usize = 28 + 81_920 + 4;

/// Input: how to decode (1: the handshake, 2: CRC required, 4: at most 64 bytes of payload, 8: a preface
/// instead of frames, 16: the frames once more with a CRC), how many cuts, that many cuts of two bytes
/// each, and the bytes of the link.
pub(crate) fn check(input: &[u8]) {
    // The longest lists there are, decoded side by side, and what frames take beyond their bytes.
    let limit = (64 << 10) + 256 * input.len() as u64;
    allocation::at_most(limit, || run(input));
}

fn run(input: &[u8]) {
    let Some((&[how, cuts], rest)) = input.split_first_chunk() else {
        return;
    };
    let cuts = usize::from(cuts % 16) * 2;
    let Some((cuts, wire)) = rest.split_at_checked(cuts) else {
        return;
    };
    if how & 8 != 0 {
        return preface(wire);
    }
    let limits = DecodeLimits {
        handshake: how & 1 != 0,
        crc: if how & 2 != 0 { CrcPolicy::Required } else { CrcPolicy::Off },
        max_payload: if how & 4 != 0 { 64 } else { u32::MAX },
    };
    let cuts = cuts.chunks(2).map(|cut| usize::from(u16::from_le_bytes([cut[0], cut[1]])));
    frames(wire, cuts, &limits, how & 16 != 0);
}

/// Finding the preface does not depend on how the bytes are cut, and skips no more than allowed.
fn preface(wire: &[u8]) {
    const LIMIT: usize = 64;
    let whole = Preface::scan(wire, LIMIT);
    if let PrefaceScan::Found { preface, skipped, consumed } = whole {
        assert!(skipped <= LIMIT);
        assert_eq!(wire[skipped..consumed], preface.encode());
    }
    let (mut buf, mut dropped) = (Vec::new(), 0);
    for byte in wire.iter().take(LIMIT + 2 * Preface::LEN) {
        buf.push(*byte);
        match Preface::scan(&buf, LIMIT - dropped) {
            PrefaceScan::NeedMore { skippable } => {
                buf.drain(..skippable);
                dropped += skippable;
            }
            PrefaceScan::Found { preface, skipped, consumed } => {
                let (skipped, consumed) = (skipped + dropped, consumed + dropped);
                assert_eq!(whole, PrefaceScan::Found { preface, skipped, consumed });
                return;
            }
            PrefaceScan::Mangled(_) => {
                assert!(matches!(whole, PrefaceScan::Mangled(_)), "{whole:?}");
                return;
            }
        }
    }
    assert!(matches!(whole, PrefaceScan::NeedMore { .. }), "{whole:?}");
}

/// The same frames, and the same error, whole and cut; and each frame encodes to its bytes.
fn frames(wire: &[u8], cuts: impl Iterator<Item = usize>, limits: &DecodeLimits, crc: bool) {
    let whole = decode_all(BytesMut::from(wire), limits);
    assert_eq!(whole, decode_cut(wire, cuts, limits));
    let (mut rest, mut scratch) = (wire, BytesMut::new());
    for frame in &whole.frames {
        let before = rest;
        rest = again(frame, rest, limits, &mut scratch);
        if crc && !matches!(frame, Frame::Skipped { .. }) {
            with_crc(frame, &before[..before.len() - rest.len()]);
        }
    }
}

#[derive(Debug, PartialEq)]
struct Decoded {
    frames: Vec<Frame>,
    error: Option<DecodeError>,
}

fn decode_all(mut buf: BytesMut, limits: &DecodeLimits) -> Decoded {
    let mut frames = Vec::new();
    let error = drain(&mut buf, limits, &mut frames).err();
    Decoded { frames, error }
}

fn decode_cut(wire: &[u8], cuts: impl Iterator<Item = usize>, limits: &DecodeLimits) -> Decoded {
    let (mut buf, mut rest, mut frames) = (BytesMut::new(), wire, Vec::new());
    for cut in cuts.chain([wire.len()]) {
        let (piece, after) = rest.split_at(cut.min(rest.len()));
        rest = after;
        buf.extend_from_slice(piece);
        if let Err(error) = drain(&mut buf, limits, &mut frames) {
            return Decoded { frames, error: Some(error) };
        }
    }
    Decoded { frames, error: None }
}

fn drain(
    buf: &mut BytesMut,
    limits: &DecodeLimits,
    frames: &mut Vec<Frame>,
) -> Result<(), DecodeError> {
    loop {
        let before = buf.len();
        let wanted = needed(buf, limits)?;
        assert!(wanted <= LONGEST, "would reserve {wanted} bytes");
        match decode(buf, limits)? {
            Some(frame) => {
                assert_eq!(wanted, 0);
                assert!(before - buf.len() >= 16, "a frame consumes its header at least");
                frames.push(frame);
            }
            None => {
                assert!(wanted > 0);
                assert_eq!(buf.len(), before, "an incomplete frame stays");
                return Ok(());
            }
        }
    }
}

/// Encodes `frame`, which came from the front of `wire`; returns what follows it there.
fn again<'a>(
    frame: &Frame,
    wire: &'a [u8],
    limits: &DecodeLimits,
    bytes: &mut BytesMut,
) -> &'a [u8] {
    let crc = limits.crc == CrcPolicy::Required;
    bytes.clear();
    if let Frame::Skipped { kind, len } = frame {
        assert_eq!((FrameKind::new(*kind).name(), frame.encode(bytes, crc).is_err()), (None, true));
        return &wire[16 + *len as usize + if crc { 4 } else { 0 }..];
    }
    frame.encode(bytes, crc).expect("what was decoded can be encoded");
    let (used, rest) = wire.split_at(bytes.len());
    assert_eq!(used, bytes, "a frame has one encoding");
    if let Frame::Data(data) = frame {
        let header = DataHeader {
            stream: data.stream,
            offset: data.offset,
            codec: data.codec,
            restart: data.restart,
            raw_len: data.raw_len,
            payload_len: data.payload.len() as u32,
            crc,
        };
        assert_eq!(header.check(), Ok(()));
        assert!(used.starts_with(&header.encode()));
    }
    rest
}

/// The frame survives a link with the CRC, and no bit of it can change there.
fn with_crc(frame: &Frame, salt: &[u8]) {
    let limits = DecodeLimits { crc: CrcPolicy::Required, ..DecodeLimits::default() };
    let mut bytes = BytesMut::new();
    frame.encode(&mut bytes, true).expect("what was decoded can be encoded");
    let bytes = Bytes::from(bytes);
    let decoded = decode_all(BytesMut::from(&bytes[..]), &limits);
    assert_eq!(decoded, Decoded { frames: vec![frame.clone()], error: None });
    if matches!(frame.kind(), FrameKind::HELLO | FrameKind::REFUSE) {
        return;
    }
    let last = salt.last_chunk().map_or(0, |word| u32::from_le_bytes(*word) as usize);
    let at = last % (bytes.len() * 8);
    let mut damaged = BytesMut::from(&bytes[..]);
    damaged[at / 8] ^= 1 << (at % 8);
    assert_eq!(decode_all(damaged, &limits).frames, [], "bit {at} of {frame:?}");
}

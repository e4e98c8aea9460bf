//! LZ4: one frame of linked 64 KiB blocks per context, one or more whole blocks per payload.
//!
//! # Bytes
//!
//! The first payload of a context begins with these seven bytes of the LZ4 frame format, and no
//! others: `04 22 4D 18` (magic), `40` (version 1, linked blocks, no checksums, no content size,
//! no dictionary), `40` (blocks of at most 64 KiB raw), `C0` (header checksum). Then, and in every
//! further payload, come blocks: a little-endian u32 whose top bit says "stored" and whose other
//! bits are the length, and as many bytes: raw ones, or an LZ4 block whose matches may reach back
//! over the 64 KiB (65,535 bytes) before it, across blocks and payloads. A block holds 1 to 65,536
//! raw bytes. The end mark (a zero length) is an error: the frame never ends. So the payloads of a
//! context together are a file that `lz4 -dc` reads to its last byte, and then calls cut short.
//!
//! # Cost
//!
//! Encoder 350 KiB, decoder 128 KiB: the decoder writes straight into the caller's slice and keeps
//! the window itself, where the library's frame decoder would allocate by the header's word. One
//! byte becomes at most 255. In the worst case a payload grows by 11 bytes: 7 of the first header,
//! 4 for each 64 KiB.

use std::io::Write;

use lz4_flex::block::{DecompressError, decompress_into, decompress_into_with_dict};
use lz4_flex::frame::{BlockMode, BlockSize, FrameEncoder, FrameInfo};
use p2_frame::CodecId;

use crate::codec::{Capabilities, Codec, Decoder, DecoderLimits, Encoder, EncoderConfig};
use crate::error::CodecError;

/// LZ4 frames of linked blocks. It has no levels; its window is 64 KiB.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lz4;

const ID: CodecId = CodecId::LZ4;
const HEADER: [u8; 7] = [0x04, 0x22, 0x4D, 0x18, 0x40, 0x40, 0xC0];
const BLOCK: usize = 64 * 1024;
const WINDOW: usize = 64 * 1024;
const STORED: u32 = 1 << 31;
const ENCODER_MEMORY: usize = 350 * 1024;

impl Codec for Lz4 {
    fn id(&self) -> CodecId {
        ID
    }

    fn name(&self) -> &str {
        "lz4"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::stateful(0..=0, 0, 16)
            .with_expansion(255)
            .with_memory(ENCODER_MEMORY, 2 * WINDOW)
    }

    fn max_encoded_len(&self, raw: usize) -> usize {
        let blocks = raw.div_ceil(BLOCK).saturating_mul(4);
        raw.saturating_add(blocks).saturating_add(HEADER.len())
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
        self.capabilities().resolve(ID, config)?;
        let info = FrameInfo::new().block_size(BlockSize::Max64KB).block_mode(BlockMode::Linked);
        let made = Vec::with_capacity(self.max_encoded_len(BLOCK));
        Ok(Box::new(Lz4Encoder {
            frame: FrameEncoder::with_frame_info(info, made),
            started: false,
            stateless: config.stateless,
        }))
    }

    fn decoder(&self, _limits: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(Box::new(Lz4Decoder {
            history: Vec::with_capacity(2 * WINDOW),
            started: false,
            poisoned: false,
        }))
    }
}

struct Lz4Encoder {
    frame: FrameEncoder<Vec<u8>>,
    started: bool,
    stateless: bool,
}

impl Encoder for Lz4Encoder {
    fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
        if self.stateless {
            self.reset();
        }
        self.frame.get_mut().clear();
        self.started = true;
        // A flush ends the block, so that nothing waits inside for the next payload.
        let written = self.frame.write_all(raw).and_then(|()| self.frame.flush());
        written.map_err(|_| CodecError::Library { codec: ID, what: "lz4 refused its input" })?;
        let made = self.frame.get_ref();
        let full = CodecError::OutputFull { codec: ID, capacity: out.len() };
        out.get_mut(..made.len()).ok_or(full)?.copy_from_slice(made);
        Ok(made.len())
    }

    fn reset(&mut self) {
        if self.started {
            // Ending the frame makes the next write begin a new one with an empty table.
            let _ = self.frame.try_finish();
            self.started = false;
        }
    }

    fn memory(&self) -> usize {
        ENCODER_MEMORY
    }
}

struct Lz4Decoder {
    /// Up to twice the window, so that bytes are moved down only once per window.
    history: Vec<u8>,
    started: bool,
    poisoned: bool,
}

impl Decoder for Lz4Decoder {
    fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        if self.poisoned {
            return Err(CodecError::Poisoned { codec: ID });
        }
        self.poisoned = true;
        let mut rest = payload;
        if !self.started {
            rest = payload.strip_prefix(&HEADER).ok_or(CodecError::Corrupt {
                codec: ID,
                what: "it does not begin with P2's lz4 frame header",
            })?;
            self.started = true;
        }
        let expected = out.len();
        let mut filled = 0usize;
        while !rest.is_empty() {
            let (stored, block, after) = split_block(rest)?;
            rest = after;
            let end = filled.saturating_add(BLOCK).min(expected);
            let room = out.get_mut(filled..end).unwrap_or_default();
            let written = self.block(stored, block, room).map_err(|error| match error {
                BlockError::TooLong => CodecError::TooLong { codec: ID, expected },
                BlockError::Corrupt(what) => CodecError::Corrupt { codec: ID, what },
            })?;
            self.remember(room.get(..written).unwrap_or_default());
            filled = filled.saturating_add(written);
        }
        if filled != expected {
            return Err(CodecError::TooShort { codec: ID, expected, actual: filled });
        }
        self.poisoned = false;
        Ok(())
    }

    fn reset(&mut self) {
        self.history.clear();
        self.started = false;
        self.poisoned = false;
    }

    fn memory(&self) -> usize {
        2 * WINDOW
    }
}

enum BlockError {
    TooLong,
    Corrupt(&'static str),
}

impl Lz4Decoder {
    fn block(&self, stored: bool, block: &[u8], room: &mut [u8]) -> Result<usize, BlockError> {
        if stored {
            let room = room.get_mut(..block.len()).ok_or(BlockError::TooLong)?;
            room.copy_from_slice(block);
            return Ok(block.len());
        }
        let start = self.history.len().saturating_sub(WINDOW);
        let decoded = match self.history.get(start..) {
            Some(window) if !window.is_empty() => decompress_into_with_dict(block, room, window),
            _ => decompress_into(block, room),
        };
        match decoded {
            Ok(0) => Err(BlockError::Corrupt("a block holds nothing")),
            Ok(written) => Ok(written),
            Err(DecompressError::OutputTooSmall { .. }) => Err(BlockError::TooLong),
            Err(_) => Err(BlockError::Corrupt("no lz4 block is coded like this")),
        }
    }

    /// Keeps the last window's worth of what was decoded.
    fn remember(&mut self, raw: &[u8]) {
        let raw = raw.get(raw.len().saturating_sub(WINDOW)..).unwrap_or_default();
        let kept = self.history.len().saturating_add(raw.len());
        if kept > self.history.capacity().min(2 * WINDOW) {
            let keep = WINDOW.saturating_sub(raw.len());
            let cut = self.history.len().saturating_sub(keep);
            self.history.copy_within(cut.., 0);
            self.history.truncate(self.history.len().saturating_sub(cut));
        }
        self.history.extend_from_slice(raw);
    }
}

/// The first block of `payload`: whether it is stored, its bytes, and what follows it.
fn split_block(payload: &[u8]) -> Result<(bool, &[u8], &[u8]), CodecError> {
    let corrupt = |what| CodecError::Corrupt { codec: ID, what };
    let Some((size, rest)) = payload.split_first_chunk::<4>() else {
        return Err(corrupt("a block header is cut short"));
    };
    let size = u32::from_le_bytes(*size);
    let len = (size & !STORED) as usize;
    if len == 0 {
        return Err(corrupt("the lz4 frame ends before the stream does"));
    }
    let Some((block, after)) = rest.split_at_checked(len) else {
        return Err(corrupt("a block is longer than its payload"));
    };
    Ok((size & STORED != 0, block, after))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn encoder() -> Box<dyn Encoder> {
        Lz4.encoder(&EncoderConfig::default()).unwrap()
    }

    fn decode(payload: &[u8], raw_len: usize) -> Result<Vec<u8>, CodecError> {
        let mut out = vec![0; raw_len];
        Lz4.decoder(&DecoderLimits::default())?.decode(payload, &mut out).map(|()| out)
    }

    fn with_header(blocks: &[u8]) -> Vec<u8> {
        [&HEADER[..], blocks].concat()
    }

    #[test]
    fn the_payloads_are_a_frame_that_any_lz4_reads() {
        let mut encoder = encoder();
        let (mut file, mut all) = (Vec::new(), Vec::new());
        for n in 0..300 {
            let raw = format!("line {n} of a log, {} times\n", n * n).repeat(1 + n % 50);
            let mut out = vec![0; Lz4.max_encoded_len(raw.len())];
            let len = encoder.encode(raw.as_bytes(), &mut out).unwrap();
            file.extend_from_slice(&out[..len]);
            all.extend_from_slice(raw.as_bytes());
        }
        assert_eq!(file[..7], HEADER);
        file.extend_from_slice(&[0; 4]);
        let mut back = Vec::new();
        lz4_flex::frame::FrameDecoder::new(&file[..]).read_to_end(&mut back).unwrap();
        assert!(back == all);
    }

    #[test]
    fn a_match_may_reach_back_65535_bytes_over_payloads_and_no_further() {
        // A stored block, then one literal and a match at offset 65,535.
        for (len, reaches) in [(65_533u32, false), (65_534, true), (65_535, true)] {
            let mut decoder = Lz4.decoder(&DecoderLimits::default()).unwrap();
            let mut first = with_header(&(STORED | len).to_le_bytes());
            let raw: Vec<u8> = (0..len).map(|n| (n % 251) as u8).collect();
            first.extend_from_slice(&raw);
            decoder.decode(&first, &mut vec![0; raw.len()]).unwrap();
            // Token: 1 literal, match of 4; then a last sequence of 5 literals.
            let block = [0x10, b'x', 0xFF, 0xFF, 0x50, 1, 2, 3, 4, 5];
            let second = [&(block.len() as u32).to_le_bytes()[..], &block].concat();
            let mut out = [0; 10];
            let result = decoder.decode(&second, &mut out);
            assert_eq!(result.is_ok(), reaches, "{len}: {result:?}");
            if reaches {
                let from = raw.len() + 1 - 65_535;
                assert_eq!(out[1..5], raw[from..from + 4]);
            }
        }
    }

    #[test]
    fn frames_that_p2_does_not_make_are_refused() {
        let block = [&(STORED | 3).to_le_bytes()[..], b"abc"].concat();
        assert_eq!(decode(&with_header(&block), 3).unwrap(), b"abc");
        // 4 MiB blocks, independent blocks, another magic: the peer does not size our buffers.
        for (at, byte) in [(5, 0x70), (4, 0x60), (0, 0x05), (6, 0)] {
            let mut payload = with_header(&block);
            payload[at] = byte;
            assert!(matches!(decode(&payload, 3), Err(CodecError::Corrupt { .. })));
        }
        for bad in [
            &[0, 0, 0, 0][..],            // the end mark
            &[0, 0, 0, 0x80],             // a stored block of nothing
            &[1, 0, 0],                   // a cut header
            &[9, 0, 0, 0, 1],             // a cut block
            &[0xFF, 0xFF, 0xFF, 0xFF, 1], // 2 GiB
            &[1, 0, 0, 0, 0],             // a block that holds nothing
        ] {
            let error = decode(&with_header(bad), 3).unwrap_err();
            assert!(matches!(error, CodecError::Corrupt { .. }), "{bad:?}: {error}");
        }
        let error = decode(&with_header(&block), 2).unwrap_err();
        assert_eq!(error, CodecError::TooLong { codec: ID, expected: 2 });
        let error = decode(&with_header(&block), 4).unwrap_err();
        assert_eq!(error, CodecError::TooShort { codec: ID, expected: 4, actual: 3 });
    }

    #[test]
    fn a_block_holds_at_most_64_kib() {
        let stored = |len: u32| {
            let mut payload = with_header(&(STORED | len).to_le_bytes());
            payload.resize(payload.len() + len as usize, 7);
            payload
        };
        assert!(decode(&stored(65_536), 65_536).is_ok());
        assert!(decode(&stored(65_537), 65_537).is_err());
    }
}

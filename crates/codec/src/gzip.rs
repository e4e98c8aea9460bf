//! Gzip: one RFC 1952 member per context, sync-flushed, with the constant tail left out.
//!
//! # Bytes
//!
//! The first payload of a context begins with the 10-byte member header of RFC 1952, section 2.3:
//! `1F 8B 08 00`, then MTIME, XFL and OS, which a decoder ignores (P2 writes zero, zero and 255);
//! FLG is 0, so nothing follows. After it, and in every further payload, come deflate blocks
//! (RFC 1951) that end in a sync flush, which is an empty stored block. The last four bytes of
//! that flush are always `00 00 FF FF`; the encoder removes them and the decoder puts them back.
//! The member never ends: a final block is an error.
//!
//! So the payloads of a context, each followed by `00 00 FF FF`, are a file that `gunzip` reads to
//! its last byte, and then calls cut short; with `03 00`, the CRC-32 and the length appended it is
//! a complete one.
//!
//! # Cost
//!
//! Window 32 KiB. Encoder 371 KiB, decoder 46 KiB. One byte becomes at most 1,032. In the worst
//! case a payload grows by an eighth, plus the header: level 1 has no stored blocks.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use p2_frame::CodecId;

use crate::codec::{Capabilities, Codec, Decoder, DecoderLimits, Encoder, EncoderConfig};
use crate::error::CodecError;

/// Deflate in a gzip member, by zlib-rs: level 1 (of 1 to 9) by default, and in every build.
#[derive(Debug, Clone, Copy, Default)]
pub struct Gzip;

const ID: CodecId = CodecId::GZIP;
const HEADER: [u8; 10] = [0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
const TAIL: [u8; 4] = [0, 0, 0xFF, 0xFF];

impl Codec for Gzip {
    fn id(&self) -> CodecId {
        ID
    }

    fn name(&self) -> &str {
        "gzip"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::stateful(1..=9, 1, 15).with_expansion(1032).with_memory(371 * 1024, 46 * 1024)
    }

    fn max_encoded_len(&self, raw: usize) -> usize {
        // Static Huffman codes take 9 bits for half of the byte values, and each block its ends.
        raw.saturating_add(raw / 8).saturating_add(raw / 128).saturating_add(64)
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
        let (level, _) = self.capabilities().resolve(ID, config)?;
        let level = Compression::new(level.unsigned_abs());
        Ok(Box::new(GzipEncoder {
            deflate: Compress::new(level, false),
            started: false,
            stateless: config.stateless,
        }))
    }

    fn decoder(&self, _limits: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(Box::new(GzipDecoder {
            inflate: Decompress::new(false),
            started: false,
            poisoned: false,
        }))
    }
}

struct GzipEncoder {
    deflate: Compress,
    started: bool,
    stateless: bool,
}

impl Encoder for GzipEncoder {
    fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
        if self.stateless && self.started {
            self.reset();
        }
        let full = CodecError::OutputFull { codec: ID, capacity: out.len() };
        let header = if self.started { &[][..] } else { &HEADER[..] };
        let Some((head, body)) = out.split_at_mut_checked(header.len()) else {
            return Err(full);
        };
        head.copy_from_slice(header);
        self.started = true;

        let (read, written) = (self.deflate.total_in(), self.deflate.total_out());
        self.deflate
            .compress(raw, body, FlushCompress::Sync)
            .map_err(|_| CodecError::Library { codec: ID, what: "deflate refused its input" })?;
        let read = self.deflate.total_in().wrapping_sub(read);
        let written = (self.deflate.total_out().wrapping_sub(written)) as usize;
        // A full output means that part of the flush may still be inside.
        if read != raw.len() as u64 || written >= body.len() {
            return Err(full);
        }
        match body.get(..written).and_then(|made| made.strip_suffix(&TAIL)) {
            Some(made) => Ok(header.len().saturating_add(made.len())),
            None => Err(CodecError::Library { codec: ID, what: "deflate left out the sync flush" }),
        }
    }

    fn reset(&mut self) {
        self.deflate.reset();
        self.started = false;
    }

    fn memory(&self) -> usize {
        371 * 1024
    }
}

struct GzipDecoder {
    inflate: Decompress,
    started: bool,
    poisoned: bool,
}

impl Decoder for GzipDecoder {
    fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        if self.poisoned {
            return Err(CodecError::Poisoned { codec: ID });
        }
        self.poisoned = true;
        let body = if self.started { payload } else { strip_header(payload)? };
        self.started = true;
        let mut filled = 0;
        self.inflate(body, out, &mut filled)?;
        self.inflate(&TAIL, out, &mut filled)?;
        if filled != out.len() {
            return Err(CodecError::TooShort { codec: ID, expected: out.len(), actual: filled });
        }
        // A symbol may have been read whose bytes found no room: they must not surface later.
        if self.step(&[], &mut [0])?.1 != 0 {
            return Err(CodecError::TooLong { codec: ID, expected: out.len() });
        }
        self.poisoned = false;
        Ok(())
    }

    fn reset(&mut self) {
        self.inflate.reset(false);
        self.started = false;
        self.poisoned = false;
    }

    fn memory(&self) -> usize {
        46 * 1024
    }
}

impl GzipDecoder {
    /// Feeds all of `input`, writing to `out` from `filled` on.
    fn inflate(
        &mut self,
        mut input: &[u8],
        out: &mut [u8],
        filled: &mut usize,
    ) -> Result<(), CodecError> {
        let expected = out.len();
        while !input.is_empty() {
            // With a full output the rest may only be the end of blocks: one spare byte tells.
            let mut spare = [0];
            let room = match out.get_mut(*filled..) {
                Some(room) if !room.is_empty() => room,
                _ => &mut spare[..],
            };
            let (read, written) = self.step(input, room)?;
            *filled = filled.saturating_add(written);
            if *filled > expected {
                return Err(CodecError::TooLong { codec: ID, expected });
            }
            if read == 0 && written == 0 {
                return Err(CodecError::Corrupt { codec: ID, what: "inflate is stuck" });
            }
            input = input.get(read..).unwrap_or_default();
        }
        Ok(())
    }

    /// One call of the library: bytes read and written.
    fn step(&mut self, input: &[u8], room: &mut [u8]) -> Result<(usize, usize), CodecError> {
        let (read, written) = (self.inflate.total_in(), self.inflate.total_out());
        let corrupt = |what| CodecError::Corrupt { codec: ID, what };
        match self.inflate.decompress(input, room, FlushDecompress::Sync) {
            Ok(Status::Ok | Status::BufError) => Ok((
                self.inflate.total_in().wrapping_sub(read) as usize,
                self.inflate.total_out().wrapping_sub(written) as usize,
            )),
            Ok(Status::StreamEnd) => Err(corrupt("the gzip member ends before the stream does")),
            Err(_) => Err(corrupt("no deflate block is coded like this")),
        }
    }
}

/// Checks the member header (RFC 1952, section 2.3) and returns what follows it.
fn strip_header(payload: &[u8]) -> Result<&[u8], CodecError> {
    let corrupt = |what| CodecError::Corrupt { codec: ID, what };
    let Some((header, body)) = payload.split_at_checked(HEADER.len()) else {
        return Err(corrupt("shorter than a gzip header"));
    };
    match header {
        [0x1F, 0x8B, 8, 0, ..] => Ok(body),
        [0x1F, 0x8B, 8, ..] => Err(corrupt("gzip header flags must be 0")),
        _ => Err(corrupt("it does not begin with a gzip header")),
    }
}

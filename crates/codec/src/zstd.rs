//! Zstandard: one frame per context (RFC 8878), flushed after each payload and never ended.
//!
//! # Bytes
//!
//! The first payload of a context begins with a frame header without content size, dictionary id
//! or checksum (6 bytes: magic, descriptor, window). Every payload holds whole blocks, the last of
//! them not marked as last. The payloads of a context together are a file that `zstd -dc` reads to
//! its last byte, and then calls cut short. A frame that ends is an error.
//!
//! # Cost
//!
//! Window 2^17 by default, 2^15 for small streams; a decoder refuses a larger one before it
//! allocates. Encoder 954 KiB (306 KiB at 2^15), decoder 606 KiB (222 KiB); up to 3.2 MiB
//! for an encoder at level 19. One byte becomes at
//! most 32,768. In the worst case a payload grows by 1 in 256, plus some 80 bytes.

use p2_frame::CodecId;
use zstd::zstd_safe::zstd_sys::ZSTD_EndDirective::ZSTD_e_flush;
use zstd::zstd_safe::{
    CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective, compress_bound,
    get_error_name,
};

use crate::codec::{Capabilities, Codec, Decoder, DecoderLimits, Encoder, EncoderConfig};
use crate::error::CodecError;
use crate::limits::{MAX_WINDOW_LOG, SMALL_WINDOW_LOG};

/// Zstandard by its reference library: level 1 (of -7 to 19) by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Zstd;

const ID: CodecId = CodecId::ZSTD;
const HEADER_MAX: usize = 18;

impl Codec for Zstd {
    fn id(&self) -> CodecId {
        ID
    }

    fn name(&self) -> &str {
        "zstd"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::stateful(-7..=19, 1, MAX_WINDOW_LOG)
            .with_min_window_log(10)
            .with_expansion(32_768)
            .with_memory(encoder_memory(1, MAX_WINDOW_LOG), decoder_memory(MAX_WINDOW_LOG))
    }

    fn max_encoded_len(&self, raw: usize) -> usize {
        // A block takes 3 bytes and holds at least 1 KiB, the smallest window, unless it is last.
        compress_bound(raw).saturating_add(raw / 256).saturating_add(HEADER_MAX + 8)
    }

    fn encoder_memory(&self, config: &EncoderConfig) -> usize {
        match self.capabilities().resolve(ID, config) {
            Ok((level, window_log)) => encoder_memory(level, window_log),
            Err(_) => 0,
        }
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
        let (level, window_log) = self.capabilities().resolve(ID, config)?;
        let mut context = CCtx::try_create()
            .ok_or(CodecError::Library { codec: ID, what: "no memory for a context" })?;
        for parameter in [
            CParameter::CompressionLevel(level),
            CParameter::WindowLog(u32::from(window_log)),
            CParameter::ContentSizeFlag(false),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ] {
            context.set_parameter(parameter).map_err(library)?;
        }
        // Tables that index more than the window would only cost memory: 80 MiB at level 19.
        if hash_log(level) > window_log + 1 {
            let chain = CParameter::ChainLog(u32::from(window_log));
            let hash = CParameter::HashLog(u32::from(window_log) + 1);
            context.set_parameter(hash).and(context.set_parameter(chain)).map_err(library)?;
        }
        Ok(Box::new(ZstdEncoder { context, stateless: config.stateless }))
    }

    fn decoder(&self, limits: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
        let window_log = limits.window_log.clamp(10, MAX_WINDOW_LOG);
        let mut context = DCtx::try_create()
            .ok_or(CodecError::Library { codec: ID, what: "no memory for a context" })?;
        context.set_parameter(DParameter::WindowLogMax(u32::from(window_log))).map_err(library)?;
        Ok(Box::new(ZstdDecoder { context, poisoned: false }))
    }
}

struct ZstdEncoder {
    context: CCtx<'static>,
    stateless: bool,
}

impl Encoder for ZstdEncoder {
    fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
        if self.stateless {
            self.reset();
        }
        let capacity = out.len();
        let mut input = InBuffer::around(raw);
        let mut output = OutBuffer::around(out);
        let left = self
            .context
            .compress_stream2(&mut output, &mut input, ZSTD_e_flush)
            .map_err(library)?;
        if left != 0 || input.pos() != raw.len() {
            return Err(CodecError::OutputFull { codec: ID, capacity });
        }
        Ok(output.pos())
    }

    fn reset(&mut self) {
        // Resetting the session cannot fail; if it ever did, the context stays poisoned.
        let _ = self.context.reset(ResetDirective::SessionOnly);
    }

    fn memory(&self) -> usize {
        self.context.sizeof()
    }
}

struct ZstdDecoder {
    context: DCtx<'static>,
    poisoned: bool,
}

impl Decoder for ZstdDecoder {
    fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        if self.poisoned {
            return Err(CodecError::Poisoned { codec: ID });
        }
        self.poisoned = true;
        let expected = out.len();
        let mut input = InBuffer::around(payload);
        let mut output = OutBuffer::around(out);
        while output.pos() < expected {
            let before = (input.pos(), output.pos());
            self.step(&mut output, &mut input)?;
            if (input.pos(), output.pos()) == before {
                let actual = output.pos();
                return Err(CodecError::TooShort { codec: ID, expected, actual });
            }
        }
        // What is left may only be the ends of blocks. One spare byte shows output beyond the end,
        // also what waits inside the library with its input already read.
        loop {
            let before = input.pos();
            let mut spare = [0u8; 1];
            let mut beyond = OutBuffer::around(&mut spare[..]);
            self.step(&mut beyond, &mut input)?;
            if beyond.pos() != 0 {
                return Err(CodecError::TooLong { codec: ID, expected });
            }
            if input.pos() == payload.len() {
                break;
            }
            if input.pos() == before {
                return Err(CodecError::Corrupt { codec: ID, what: "bytes after the last block" });
            }
        }
        self.poisoned = false;
        Ok(())
    }

    fn reset(&mut self) {
        self.poisoned = self.context.reset(ResetDirective::SessionOnly).is_err();
    }

    fn memory(&self) -> usize {
        self.context.sizeof()
    }
}

impl ZstdDecoder {
    fn step(
        &mut self,
        output: &mut OutBuffer<'_, [u8]>,
        input: &mut InBuffer<'_>,
    ) -> Result<(), CodecError> {
        match self.context.decompress_stream(output, input) {
            Ok(0) => Err(CodecError::Corrupt {
                codec: ID,
                what: "the zstd frame ends before the stream does",
            }),
            Ok(_) => Ok(()),
            Err(code) => Err(CodecError::Corrupt { codec: ID, what: get_error_name(code) }),
        }
    }
}

fn library(code: usize) -> CodecError {
    CodecError::Library { codec: ID, what: get_error_name(code) }
}

/// The library's own choice for a stream of unknown length; 23 stands for "more than any window".
fn hash_log(level: i32) -> u8 {
    match level {
        0 | 3 => 17,
        ..=1 => 14,
        2 => 16,
        _ => 23,
    }
}

// Measured: the window, a block and their tables.
fn encoder_memory(level: i32, window_log: u8) -> usize {
    let [small, medium, large] = match level {
        1 | ..0 => [306, 522, 954],
        0..=15 => [626, 1226, 2426],
        _ => [929, 1686, 3201],
    };
    by_window(window_log, small, medium, large)
}

fn decoder_memory(window_log: u8) -> usize {
    by_window(window_log, 222, 350, 606)
}

fn by_window(window_log: u8, small: usize, medium: usize, large: usize) -> usize {
    1024 * match window_log {
        ..=SMALL_WINDOW_LOG => small,
        16 => medium,
        _ => large,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_hold_no_more_than_they_are_charged() {
        let raw = vec![7; 65_536];
        let (mut out, mut back) = (vec![0; 70_000], vec![0; 65_536]);
        for window_log in [10, 15, 16, 17] {
            let limits = DecoderLimits { window_log, ..DecoderLimits::default() };
            for level in [-7, 0, 1, 2, 3, 4, 13, 15, 16, 18, 19] {
                let config = EncoderConfig { level: Some(level), window_log, stateless: false };
                let mut encoder = Zstd.encoder(&config).unwrap();
                let mut decoder = Zstd.decoder(&limits).unwrap();
                for _ in 0..6 {
                    let len = encoder.encode(&raw, &mut out).unwrap();
                    decoder.decode(&out[..len], &mut back).unwrap();
                }
                let (held, charged) = (encoder.memory(), Zstd.encoder_memory(&config));
                assert!(held <= charged, "level {level}, 2^{window_log}: {held} > {charged}");
                assert!(decoder.memory() <= decoder_memory(window_log));
            }
        }
    }

    #[test]
    fn a_window_over_the_limit_is_refused_before_it_is_allocated() {
        let config = EncoderConfig { window_log: 17, ..EncoderConfig::default() };
        let mut out = vec![0; 70_000];
        let len = Zstd.encoder(&config).unwrap().encode(&[1; 65_536], &mut out).unwrap();
        let limits = DecoderLimits { window_log: 15, ..DecoderLimits::default() };
        let mut decoder = Zstd.decoder(&limits).unwrap();
        let error = decoder.decode(&out[..len], &mut vec![0; 65_536]).unwrap_err();
        assert!(matches!(error, CodecError::Corrupt { codec: ID, .. }), "{error}");
        assert!(decoder.memory() < 120 * 1024, "{}", decoder.memory());
    }

    #[test]
    fn the_frame_header_is_six_bytes_without_size_or_checksum() {
        let mut out = vec![0; 4096];
        let mut encoder = Zstd.encoder(&EncoderConfig::default()).unwrap();
        encoder.encode(&[9; 100], &mut out).unwrap();
        // Magic, descriptor 0, window 2^(10 + 7).
        assert_eq!(out[..6], [0x28, 0xB5, 0x2F, 0xFD, 0, 7 << 3]);
    }

    #[test]
    fn a_frame_that_ends_is_refused() {
        let ended = zstd::bulk::compress(&[5; 1000], 1).unwrap();
        let mut decoder = Zstd.decoder(&DecoderLimits::default()).unwrap();
        let error = decoder.decode(&ended, &mut [0; 1000]).unwrap_err();
        assert!(error.to_string().contains("ends before the stream does"), "{error}");
    }

    #[test]
    fn the_payloads_are_a_frame_that_any_zstd_reads_to_its_last_byte() {
        let mut encoder = Zstd.encoder(&EncoderConfig::default()).unwrap();
        let (mut file, mut all) = (Vec::new(), Vec::new());
        for n in 0..200 {
            let raw = format!("line {n} of a log, {} times\n", n * n).repeat(1 + n % 50);
            let mut out = vec![0; Zstd.max_encoded_len(raw.len())];
            let len = encoder.encode(raw.as_bytes(), &mut out).unwrap();
            file.extend_from_slice(&out[..len]);
            all.extend_from_slice(raw.as_bytes());
        }
        let mut back = Vec::new();
        let mut reader = zstd::stream::read::Decoder::with_buffer(&file[..]).unwrap();
        let error = std::io::Read::read_to_end(&mut reader, &mut back).unwrap_err();
        assert_eq!((error.kind(), back == all), (std::io::ErrorKind::UnexpectedEof, true));
    }
}

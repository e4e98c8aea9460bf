//! Snappy: one raw block per payload, each standing alone.
//!
//! # Bytes
//!
//! A payload is one block of the snappy format description: the raw length as a varint, then
//! literals and copies. There is no context, so there is nothing to restart.
//!
//! # Cost
//!
//! Encoder 34 KiB of tables, decoder nothing. One byte becomes at most 22. In the worst case a
//! payload grows by a sixth plus 32 bytes. Its ratio needs batches: lines one by one gain nothing.

use p2_frame::CodecId;
use snap::raw;

use crate::codec::{Capabilities, Codec, Decoder, DecoderLimits, Encoder, EncoderConfig};
use crate::error::CodecError;

/// Raw snappy blocks. It has no levels and no window.
#[derive(Debug, Clone, Copy, Default)]
pub struct Snappy;

const ID: CodecId = CodecId::SNAPPY;

impl Codec for Snappy {
    fn id(&self) -> CodecId {
        ID
    }

    fn name(&self) -> &str {
        "snappy"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::stateless(0..=0, 0).with_expansion(22).with_memory(34 * 1024, 0)
    }

    fn max_encoded_len(&self, raw: usize) -> usize {
        raw::max_compress_len(raw)
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
        self.capabilities().resolve(ID, config)?;
        Ok(Box::new(SnappyEncoder(raw::Encoder::new())))
    }

    fn decoder(&self, _limits: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(Box::new(SnappyDecoder(raw::Decoder::new())))
    }
}

struct SnappyEncoder(raw::Encoder);

impl Encoder for SnappyEncoder {
    fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
        let capacity = out.len();
        self.0.compress(raw, out).map_err(|_| CodecError::OutputFull { codec: ID, capacity })
    }

    fn reset(&mut self) {}

    fn memory(&self) -> usize {
        34 * 1024
    }
}

struct SnappyDecoder(raw::Decoder);

impl Decoder for SnappyDecoder {
    fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        let expected = out.len();
        let corrupt = |what| CodecError::Corrupt { codec: ID, what };
        match raw::decompress_len(payload) {
            Ok(len) if len == expected => {}
            Ok(len) if len > expected => return Err(CodecError::TooLong { codec: ID, expected }),
            Ok(actual) => return Err(CodecError::TooShort { codec: ID, expected, actual }),
            Err(_) => return Err(corrupt("it does not begin with a length")),
        }
        match self.0.decompress(payload, out) {
            Ok(len) if len == expected => Ok(()),
            Ok(actual) => Err(CodecError::TooShort { codec: ID, expected, actual }),
            Err(_) => Err(corrupt("no snappy block is coded like this")),
        }
    }

    fn reset(&mut self) {}

    fn memory(&self) -> usize {
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_claimed_length_is_checked_before_a_byte_is_written() {
        let raw = vec![3; 5000];
        let mut payload = vec![0; Snappy.max_encoded_len(raw.len())];
        let mut encoder = Snappy.encoder(&EncoderConfig::default()).unwrap();
        let len = encoder.encode(&raw, &mut payload).unwrap();
        let mut decoder = Snappy.decoder(&DecoderLimits::default()).unwrap();
        for (claimed, error) in [
            (4999, CodecError::TooLong { codec: ID, expected: 4999 }),
            (5001, CodecError::TooShort { codec: ID, expected: 5001, actual: 5000 }),
        ] {
            let mut out = vec![0; claimed];
            assert_eq!(decoder.decode(&payload[..len], &mut out), Err(error));
            assert!(out.iter().all(|&byte| byte == 0));
        }
        // Six bytes that claim 4 GiB.
        let huge = [0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 0];
        let error = decoder.decode(&huge, &mut [0; 10]).unwrap_err();
        assert_eq!(error, CodecError::TooLong { codec: ID, expected: 10 });
    }
}

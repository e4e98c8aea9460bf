//! How well and how fast a codec does on a sample, measured here and now.

use std::time::Instant;

use crate::codec::{Codec, DecoderLimits, EncoderConfig};
use crate::error::CodecError;
use crate::limits::MAX_RAW;

/// What [`probe`] measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Probe {
    /// Raw bytes per encoded byte: above 1 is a gain.
    pub ratio: f64,
    /// Raw bytes encoded in a second, on one core.
    pub encode_bytes_per_s: f64,
    /// Raw bytes decoded in a second, on one core.
    pub decode_bytes_per_s: f64,
}

/// Runs a codec at its default level over `sample`, in 64 KiB payloads of one context, again and
/// again until it has seen `budget` bytes (at least the sample once).
///
/// The ratio is that of the first pass and the same on every machine. The speeds are not.
///
/// # Errors
/// Those of the codec; [`CodecError::TooShort`] when the sample is empty.
///
/// ```
/// let sample = b"2026-02-03T20:15:00Z INFO worker 7 took job 1234 from queue default\n".repeat(99);
/// let probe = p2_codec::probe(&p2_codec::builtin::Gzip, &sample, 1 << 20)?;
/// assert!(probe.ratio > 5.0);
/// # Ok::<(), p2_codec::CodecError>(())
/// ```
pub fn probe(codec: &dyn Codec, sample: &[u8], budget: usize) -> Result<Probe, CodecError> {
    if sample.is_empty() {
        return Err(CodecError::TooShort { codec: codec.id(), expected: 1, actual: 0 });
    }
    let mut encoder = codec.encoder(&EncoderConfig::default())?;
    let mut decoder = codec.decoder(&DecoderLimits::default())?;
    let size = (MAX_RAW as usize).min(sample.len());
    let mut payload = vec![0; codec.max_encoded_len(size)];
    let mut raw = vec![0; size];
    let (mut encode_s, mut decode_s) = (0.0, 0.0);
    let (mut seen, mut first_pass) = (0usize, None);
    loop {
        let mut encoded = 0usize;
        for chunk in sample.chunks(size) {
            let start = Instant::now();
            let len = encoder.encode(chunk, &mut payload)?;
            let between = Instant::now();
            let made = payload.get(..len).unwrap_or_default();
            decoder.decode(made, raw.get_mut(..chunk.len()).unwrap_or_default())?;
            decode_s += between.elapsed().as_secs_f64();
            encode_s += between.duration_since(start).as_secs_f64();
            encoded = encoded.saturating_add(len);
        }
        seen = seen.saturating_add(sample.len());
        first_pass.get_or_insert(encoded);
        if seen >= budget {
            break;
        }
    }
    let rate = |seconds: f64| seen as f64 / seconds.max(1e-9);
    Ok(Probe {
        ratio: sample.len() as f64 / first_pass.unwrap_or(1).max(1) as f64,
        encode_bytes_per_s: rate(encode_s),
        decode_bytes_per_s: rate(decode_s),
    })
}

//! Codecs that count: each call of an encoder or decoder with its time and its bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use p2_codec::{Capabilities, Codec, CodecError, Decoder, DecoderLimits, Encoder, EncoderConfig};
use p2_transport::{CodecId, Registry};

use super::catalog;
use super::sheet::Sheet;

/// What every codec of this process has done.
#[derive(Debug, Default)]
pub(super) struct Codecs {
    counted: Vec<Arc<Counted>>,
}

/// A codec and its counts.
#[derive(Debug)]
struct Counted {
    inner: Arc<dyn Codec>,
    encoding: Count,
    decoding: Count,
}

#[derive(Debug, Default)]
struct Count {
    nanos: AtomicU64,
    raw: AtomicU64,
    encoded: AtomicU64,
}

impl Codecs {
    /// Every codec of this build, counted.
    pub(super) fn new() -> Self {
        let counted = |inner: &Arc<dyn Codec>| {
            let (encoding, decoding) = Default::default();
            Arc::new(Counted { inner: Arc::clone(inner), encoding, decoding })
        };
        Self { counted: Registry::builtin().iter().map(counted).collect() }
    }

    /// For whoever makes sessions: the codecs of the build under their own names, which count here.
    pub(super) fn registry(&self) -> Registry {
        let mut registry = Registry::empty();
        for counted in &self.counted {
            let codec = Arc::new(Shared(Arc::clone(counted)));
            if let Err(error) = registry.register(codec) {
                tracing::warn!(%error, "a codec is left out");
            }
        }
        registry
    }

    pub(super) fn put(&self, sheet: &mut Sheet) {
        for codec in &self.counted {
            for (operation, count) in [("encode", &codec.encoding), ("decode", &codec.decoding)] {
                let labels = [codec.inner.name(), operation];
                let seconds = count.nanos.load(Relaxed) as f64 / 1e9;
                sheet.put(&catalog::CODEC_SECONDS, &labels, seconds);
                sheet.put(&catalog::CODEC_RAW_BYTES, &labels, count.raw.load(Relaxed));
                sheet.put(&catalog::CODEC_ENCODED_BYTES, &labels, count.encoded.load(Relaxed));
            }
        }
    }
}

impl Count {
    fn add(&self, since: Instant, raw: usize, encoded: usize) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Relaxed);
        self.raw.fetch_add(raw as u64, Relaxed);
        self.encoded.fetch_add(encoded as u64, Relaxed);
    }
}

/// The codec that sessions see.
#[derive(Debug)]
struct Shared(Arc<Counted>);

impl Codec for Shared {
    fn id(&self) -> CodecId {
        self.0.inner.id()
    }

    fn name(&self) -> &str {
        self.0.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.inner.capabilities()
    }

    fn max_encoded_len(&self, raw: usize) -> usize {
        self.0.inner.max_encoded_len(raw)
    }

    fn encoder_memory(&self, config: &EncoderConfig) -> usize {
        self.0.inner.encoder_memory(config)
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
        let inner = self.0.inner.encoder(config)?;
        Ok(Box::new(Timed { inner, counted: Arc::clone(&self.0) }))
    }

    fn decoder(&self, limits: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
        let inner = self.0.inner.decoder(limits)?;
        Ok(Box::new(Timed { inner, counted: Arc::clone(&self.0) }))
    }
}

struct Timed<T: ?Sized> {
    counted: Arc<Counted>,
    inner: Box<T>,
}

impl Encoder for Timed<dyn Encoder> {
    fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
        let since = Instant::now();
        let made = self.inner.encode(raw, out);
        self.counted.encoding.add(since, raw.len(), *made.as_ref().unwrap_or(&0));
        made
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn memory(&self) -> usize {
        self.inner.memory()
    }
}

impl Decoder for Timed<dyn Decoder> {
    fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        let since = Instant::now();
        let done = self.inner.decode(payload, out);
        let raw = if done.is_ok() { out.len() } else { 0 };
        self.counted.decoding.add(since, raw, payload.len());
        done
    }

    fn reset(&mut self) {
        self.inner.reset();
    }

    fn memory(&self) -> usize {
        self.inner.memory()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counted_codec_is_still_a_codec_by_the_contract() {
        let codecs = Codecs::new();
        let registry = codecs.registry();
        let names = |registry: &Registry| -> Vec<String> {
            registry.iter().map(|codec| codec.name().to_owned()).collect()
        };
        assert_eq!(names(&registry), names(&Registry::builtin()));
        let gzip = registry.get(CodecId::GZIP).expect("in every build");
        p2_codec::conformance::check(gzip.as_ref()).expect("it holds");
    }

    #[test]
    fn bytes_are_counted_on_both_sides() {
        let codecs = Codecs::new();
        let registry = codecs.registry();
        let gzip = registry.get(CodecId::GZIP).expect("in every build");
        let raw = [b'a'; 1_000];
        let mut out = vec![0; gzip.max_encoded_len(raw.len())];
        let mut encoder = gzip.encoder(&EncoderConfig::default()).expect("an encoder");
        let length = encoder.encode(&raw, &mut out).expect("room");
        let mut decoder = gzip.decoder(&DecoderLimits::default()).expect("a decoder");
        let mut back = [0; 1_000];
        decoder.decode(&out[..length], &mut back).expect("decodable");
        let counted = codecs.counted.iter().find(|codec| codec.inner.name() == "gzip");
        let counted = counted.expect("there");
        for count in [&counted.encoding, &counted.decoding] {
            let (raw, encoded) = (count.raw.load(Relaxed), count.encoded.load(Relaxed));
            assert_eq!((raw, encoded), (1_000, length as u64));
            assert!(count.nanos.load(Relaxed) > 0);
        }
    }
}

//! A codec's own speed: P2's encoder and decoder of one stream, without a session or a socket.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use p2_codec::{
    CodecId, ContextBudget, DecoderLimits, Registry, StreamCodec, StreamDecoder, StreamEncoder,
};

const MESSAGE: usize = 64 << 10;
/// Times over the data.
const TURNS: usize = 8;

/// MB/s of the slower direction.
pub(crate) fn slower(codec: &str, data: &[u8]) -> f64 {
    let registry = Arc::new(Registry::builtin());
    let codec = registry.iter().find(|known| known.name() == codec).expect("a codec of this build");
    let budget = ContextBudget::new(usize::MAX);
    let mut encoder =
        StreamEncoder::new(registry.clone(), StreamCodec::new(codec.id()), budget.clone());
    let mut decoder =
        StreamDecoder::with_budget(registry.clone(), DecoderLimits::default(), budget);
    let (mut encoding, mut decoding) = (0.0, 0.0);
    let mut out = BytesMut::with_capacity(2 * MESSAGE);
    for _ in 0..TURNS {
        for message in data.chunks(MESSAGE) {
            out.clear();
            let start = Instant::now();
            let made = encoder.encode(message, &mut out).expect("it encodes");
            encoding += start.elapsed().as_secs_f64();
            let raw = made.codec == CodecId::NONE;
            let payload = Bytes::copy_from_slice(if raw { message } else { &out });
            let length = u32::try_from(message.len()).expect("a short message");
            let start = Instant::now();
            let decoded = decoder.decode(made.codec, made.restart, &payload, length);
            black_box(decoded).expect("what was encoded decodes");
            decoding += start.elapsed().as_secs_f64();
        }
    }
    (TURNS * data.len()) as f64 / f64::max(encoding, decoding) / 1e6
}

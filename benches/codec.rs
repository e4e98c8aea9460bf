//! Codecs compared: ratio and speed by message size, alone and in a stream, beside their libraries.
//!
//! `cargo bench --bench codec --features full` measures every codec, in under a minute, draws
//! criterion's plots of the log corpus in `target/criterion`, and ends with a table:
//!
//! - *stream*: one context for all messages; *alone*: each message stands alone, contexts reused;
//! - *MB/s* (10^6 bytes): through P2's own pipelines, one core, the best of five turns;
//! - *% of lib*: that speed in percent of the codec's library called directly in the same way,
//!   measured in turn with it, so that a noisy machine slows both.
//!
//! See `corpus` for what is compressed, and for how to name files of your own.
#![allow(clippy::print_stdout, reason = "the table is the result")]

mod baseline;
mod corpus;

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use criterion::{BenchmarkId, Criterion, Throughput};
use p2_codec::{
    Codec, CodecId, ContextBudget, DecoderLimits, Encoded, Registry, StreamCodec, StreamDecoder,
    StreamEncoder,
};

use baseline::Baseline;
use corpus::{Corpus, SIZES, Size};

fn main() {
    // Without `--bench` (as in `cargo test --benches`) every path runs, once and briefly.
    let quick = !std::env::args().any(|arg| arg == "--bench");
    let corpora = corpus::corpora();
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_millis(100))
        .measurement_time(Duration::from_millis(300))
        .nresamples(2000)
        .sample_size(10)
        .configure_from_args();
    if let Some(first) = corpora.first() {
        plots(&mut criterion, first);
    }
    criterion.final_summary();
    table(&corpora, quick);
}

/// Criterion's view of one corpus in a stream, by codec and size.
fn plots(criterion: &mut Criterion, corpus: &Corpus) {
    let bench = Bench::new(true);
    for direction in ["encode", "decode"] {
        let mut group = criterion.benchmark_group(format!("codec/{direction}/{}", corpus.name));
        for size in [Size::Line, Size::Bytes(64 * 1024)] {
            let messages = corpus.messages(size, 256 * 1024);
            let bytes: usize = messages.iter().map(|message| message.len()).sum();
            group.throughput(Throughput::Bytes(bytes as u64));
            for codec in bench.registry.iter() {
                let id = BenchmarkId::new(codec.name(), size);
                if direction == "encode" {
                    group.bench_function(id, |b| b.iter(|| bench.encode(codec, &messages)));
                } else {
                    let frames = bench.frames(codec, &messages);
                    group.bench_function(id, |b| b.iter(|| bench.decode(&frames)));
                }
            }
        }
        group.finish();
    }
}

/// Everything, in a form to read.
fn table(corpora: &[Corpus], quick: bool) {
    let turns = if quick { 1 } else { 5 };
    println!(
        "\ncorpus       message  codec   context   ratio   encode MB/s  decode MB/s   % of lib: encode  decode"
    );
    for corpus in corpora {
        for size in SIZES {
            let total = match (quick, size) {
                (true, _) => 64 * 1024,
                (false, Size::Line) => 512 * 1024,
                (false, Size::Bytes(_)) => 2 << 20,
            };
            let messages = corpus.messages(size, total);
            for streaming in [true, false] {
                let bench = Bench::new(streaming);
                for codec in bench.registry.iter() {
                    if streaming && !codec.capabilities().stateful {
                        continue;
                    }
                    let row = bench.measure(codec, &messages, turns);
                    println!(
                        "{:<12.12} {:<8} {:<7} {:<7} {:>7.2}   {:>11.0}  {:>11}   {:>16}  {:>6}",
                        corpus.name,
                        size,
                        codec.name(),
                        if streaming { "stream" } else { "alone" },
                        row.ratio,
                        row.encode,
                        if row.raw { "raw".to_owned() } else { format!("{:.0}", row.decode) },
                        percent(row.encode, row.library_encode, row.raw),
                        percent(row.decode, row.library_decode, row.raw),
                    );
                }
            }
        }
    }
    println!(
        "\n(raw: most messages went as they are; encoding was the decision, decoding passes them on)"
    );
}

fn percent(ours: f64, library: Option<f64>, raw: bool) -> String {
    match library {
        Some(library) if !raw => format!("{:.0}", 100.0 * ours / library),
        _ => "-".into(),
    }
}

struct Row {
    ratio: f64,
    encode: f64,
    decode: f64,
    library_encode: Option<f64>,
    library_decode: Option<f64>,
    raw: bool,
}

/// A frame as the wire carries it: what its header says, its payload, its raw length.
type Frame = (Encoded, Bytes, u32);

struct Bench {
    registry: Arc<Registry>,
    budget: Arc<ContextBudget>,
}

impl Bench {
    /// With `streaming` off there is no room for a context, so that every payload stands alone.
    fn new(streaming: bool) -> Self {
        let limit = if streaming { usize::MAX } else { 0 };
        Self { registry: Arc::new(Registry::builtin()), budget: ContextBudget::new(limit) }
    }

    fn measure(&self, codec: &Arc<dyn Codec>, messages: &[&[u8]], turns: usize) -> Row {
        let frames = self.frames(codec, messages);
        let streaming = self.budget.limit() > 0;
        let mut library = Baseline::of(codec.id(), streaming);
        let payloads = library.as_mut().map(|library| library.payloads(messages));
        let raw: usize = messages.iter().map(|message| message.len()).sum();
        let encoded: usize = frames.iter().map(|(made, ..)| made.len).sum();
        let unencoded = frames.iter().filter(|f| f.0.codec != codec.id()).count();
        let mut best = [f64::INFINITY; 4];
        let mut note = |at: usize, start: Instant| {
            best[at] = f64::min(best[at], start.elapsed().as_secs_f64());
        };
        for _ in 0..turns {
            let start = Instant::now();
            self.encode(codec, messages);
            note(0, start);
            let start = Instant::now();
            self.decode(&frames);
            note(1, start);
            if let (Some(library), Some(payloads)) = (&mut library, &payloads) {
                let start = Instant::now();
                library.encode(messages);
                note(2, start);
                let start = Instant::now();
                library.decode(payloads);
                note(3, start);
            }
        }
        let speed = |seconds: f64| raw as f64 / seconds / 1e6;
        let known = library.is_some();
        Row {
            ratio: raw as f64 / encoded.max(1) as f64,
            encode: speed(best[0]),
            decode: speed(best[1]),
            library_encode: known.then(|| speed(best[2])),
            library_decode: known.then(|| speed(best[3])),
            raw: unencoded * 2 > frames.len(),
        }
    }

    fn encoder(&self, codec: &Arc<dyn Codec>) -> StreamEncoder {
        let codec = StreamCodec::new(codec.id());
        StreamEncoder::new(self.registry.clone(), codec, self.budget.clone())
    }

    fn frames(&self, codec: &Arc<dyn Codec>, messages: &[&[u8]]) -> Vec<Frame> {
        let mut encoder = self.encoder(codec);
        let frame = |message: &&[u8]| {
            let mut out = BytesMut::new();
            let made = encoder.encode(message, &mut out).expect("a codec of this build");
            let raw = made.codec == CodecId::NONE;
            let payload = if raw { Bytes::copy_from_slice(message) } else { out.freeze() };
            (made, payload, message.len() as u32)
        };
        messages.iter().map(frame).collect()
    }

    fn encode(&self, codec: &Arc<dyn Codec>, messages: &[&[u8]]) {
        let mut encoder = self.encoder(codec);
        let mut out = BytesMut::with_capacity(128 * 1024);
        for message in messages {
            out.clear();
            black_box(encoder.encode(message, &mut out)).expect("a codec of this build");
        }
    }

    fn decode(&self, frames: &[Frame]) {
        let limits = DecoderLimits::default();
        let mut decoder =
            StreamDecoder::with_budget(self.registry.clone(), limits, self.budget.clone());
        for (made, payload, raw_len) in frames {
            let raw = decoder.decode(made.codec, made.restart, payload, *raw_len);
            black_box(raw).expect("what an encoder made decodes");
        }
    }
}

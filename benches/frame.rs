//! Encoding and decoding frames: what a frame costs beside its payload, with and without CRC.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use p2_frame::{
    CodecId, CrcPolicy, Credit, Data, DataHeader, DecodeLimits, Frame, Role, StreamId, decode,
};

const SIZES: [usize; 3] = [128, 16 * 1024, 64 * 1024];
/// Small frames are measured in batches, as they are read from a socket.
const BATCH: usize = 64;

criterion_group!(benches, encode_data, encode_header, decode_data, credit);
criterion_main!(benches);

fn encode_data(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame/encode-data");
    for (size, crc) in cases() {
        let frame = data(size);
        let mut out = BytesMut::with_capacity(size + 64);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(id(size, crc), |bencher| {
            bencher.iter(|| {
                out.clear();
                black_box(&frame).encode(&mut out, crc).expect("a valid frame");
                black_box(out.len())
            });
        });
    }
}

/// The vectored path: only the header and the checksum are made, the payload is not touched twice.
fn encode_header(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame/encode-data-header");
    for (size, crc) in cases() {
        let payload = vec![b'x'; size];
        let header = DataHeader {
            stream: stream(),
            offset: 1 << 40,
            codec: CodecId::NONE,
            restart: false,
            raw_len: size as u32,
            payload_len: size as u32,
            crc,
        };
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_function(id(size, crc), |bencher| {
            bencher.iter(|| {
                let header = black_box(&header);
                let trailer = crc.then(|| header.checksum([&payload[..]]));
                (header.encode(), trailer)
            });
        });
    }
}

fn decode_data(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame/decode-data");
    for (size, crc) in cases() {
        let count = if size < 1024 { BATCH } else { 4 };
        let wire = wire(&data(size), count, crc);
        group.throughput(Throughput::Bytes((size * count) as u64));
        group.bench_function(id(size, crc), |bencher| decode_all(bencher, &wire, count, crc));
    }
}

fn credit(criterion: &mut Criterion) {
    let frame =
        Frame::Credit(Credit { stream: stream(), acked: 1 << 40, limit: (1 << 40) + 262_144 });
    let mut group = criterion.benchmark_group("frame/credit");
    group.throughput(Throughput::Elements(BATCH as u64));
    for crc in [false, true] {
        let name = if crc { "crc" } else { "plain" };
        let mut out = BytesMut::with_capacity(64 * BATCH);
        group.bench_function(BenchmarkId::new("encode", name), |bencher| {
            bencher.iter(|| {
                out.clear();
                for _ in 0..BATCH {
                    black_box(&frame).encode(&mut out, crc).expect("a valid frame");
                }
                black_box(out.len())
            });
        });
        let wire = wire(&frame, BATCH, crc);
        group.bench_function(BenchmarkId::new("decode", name), |bencher| {
            decode_all(bencher, &wire, BATCH, crc);
        });
    }
}

/// Decodes `count` frames from a fresh buffer; filling the buffer is not measured.
fn decode_all(bencher: &mut criterion::Bencher<'_>, wire: &[u8], count: usize, crc: bool) {
    let policy = if crc { CrcPolicy::Required } else { CrcPolicy::Off };
    let limits = DecodeLimits { crc: policy, ..DecodeLimits::default() };
    bencher.iter_batched_ref(
        || BytesMut::from(wire),
        |buf| {
            for _ in 0..count {
                black_box(decode(buf, &limits).expect("valid").expect("whole"));
            }
        },
        BatchSize::SmallInput,
    );
}

fn cases() -> impl Iterator<Item = (usize, bool)> {
    SIZES.into_iter().flat_map(|size| [(size, false), (size, true)])
}

fn id(size: usize, crc: bool) -> BenchmarkId {
    BenchmarkId::new(if crc { "crc" } else { "plain" }, size)
}

fn stream() -> StreamId {
    StreamId::new(Role::Client, 7).expect("a small index")
}

fn data(size: usize) -> Frame {
    let (offset, codec, restart) = (1 << 40, CodecId::NONE, false);
    let payload = Bytes::from(vec![b'x'; size]);
    Frame::Data(Data { stream: stream(), offset, codec, restart, raw_len: size as u32, payload })
}

fn wire(frame: &Frame, count: usize, crc: bool) -> Vec<u8> {
    let mut out = BytesMut::new();
    for _ in 0..count {
        frame.encode(&mut out, crc).expect("a valid frame");
    }
    out.to_vec()
}

//! Once warm, neither pipeline allocates for a frame.
//!
//! Counted by the global allocator of the `allocation-counter` crate, per thread. The C library
//! behind zstd has an allocator of its own, which this does not see; the conformance kit checks
//! that its contexts stay the same size.

use std::sync::Arc;

use bytes::BytesMut;
use p2_codec::{ContextBudget, DecoderLimits, Registry, StreamCodec, StreamDecoder, StreamEncoder};
use p2_frame::CodecId;

fn lines(len: usize) -> Vec<u8> {
    let mut lines = Vec::new();
    for i in 0.. {
        if lines.len() >= len {
            break;
        }
        lines.extend_from_slice(
            format!("{i} 2026-02-03 INFO took {} ms\n", i * 7919 % 1000).as_bytes(),
        );
    }
    lines.truncate(len);
    lines
}

/// Sends `rounds` frames of each size through both pipelines, dropping each result.
fn exchange(
    tx: &mut StreamEncoder,
    rx: &mut StreamDecoder,
    out: &mut BytesMut,
    raw: &[u8],
    rounds: usize,
) {
    for round in 0..rounds {
        let size = [150, 1024, 16_384, 65_536][round % 4];
        out.reserve(80 * 1024);
        let made = tx.encode(&raw[..size], out).unwrap();
        if made.codec == CodecId::NONE {
            continue;
        }
        let payload = out.split().freeze();
        let back = rx.decode(made.codec, made.restart, &payload, size as u32).unwrap();
        assert!(back == raw[..size]);
    }
}

fn warm_allocations(codec: CodecId, budget: usize) -> u64 {
    let registry = Arc::new(Registry::builtin());
    let budget = ContextBudget::new(budget);
    let mut tx = StreamEncoder::new(registry.clone(), StreamCodec::new(codec), budget.clone());
    let limits = DecoderLimits::default();
    let mut rx = StreamDecoder::with_budget(registry, limits, budget);
    let (raw, mut out) = (lines(65_536), BytesMut::new());
    exchange(&mut tx, &mut rx, &mut out, &raw, 16);
    allocation_counter::measure(|| exchange(&mut tx, &mut rx, &mut out, &raw, 200)).count_total
}

#[test]
fn two_hundred_frames_of_every_size_allocate_nothing_in_a_kept_context() {
    for codec in Registry::builtin().iter() {
        assert_eq!(warm_allocations(codec.id(), usize::MAX), 0, "{}", codec.name());
    }
}

#[test]
fn nor_do_frames_that_stand_alone() {
    for codec in Registry::builtin().iter() {
        assert_eq!(warm_allocations(codec.id(), 0), 0, "{}", codec.name());
    }
}

#[test]
fn a_frame_over_the_limit_is_refused_before_anything_is_allocated() {
    let registry = Arc::new(Registry::builtin());
    let mut rx = StreamDecoder::new(registry, DecoderLimits::default());
    let payload = bytes::Bytes::from_static(&[0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0, 1]);
    let counted = allocation_counter::measure(|| {
        for raw_len in [65_537, u32::MAX] {
            assert!(rx.decode(CodecId::GZIP, true, &payload, raw_len).is_err());
            assert!(rx.decode(CodecId::GZIP, false, &payload, 100).is_err());
            assert!(rx.decode(CodecId::new(0xDD), true, &payload, 100).is_err());
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_claimed_length_costs_no_more_than_the_frame_limit() {
    for codec in Registry::builtin().iter() {
        let registry = Arc::new(Registry::builtin());
        let mut rx = StreamDecoder::new(registry, DecoderLimits::default());
        let counted = allocation_counter::measure(|| {
            let lies = bytes::Bytes::from_static(&[0xFF; 40]);
            assert!(rx.decode(codec.id(), true, &lies, 65_536).is_err());
        });
        let most = codec.capabilities().decoder_memory as u64 + 65_536 + 4096;
        assert!(counted.bytes_max <= most, "{}: {}", codec.name(), counted.bytes_max);
    }
}

//! Streams through both pipelines: what goes raw, what restarts, what is refused.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use p2_codec::{
    CodecError, ContextBudget, DecoderLimits, Encoded, Registry, StreamCodec, StreamDecoder,
    StreamEncoder,
};
use p2_frame::CodecId;
use proptest::prelude::*;

const LINE: &[u8] =
    b"2026-02-03T20:15:00.123Z INFO worker 7 took job 1234 from queue default in 5 ms\n";

fn registry() -> Arc<Registry> {
    Arc::new(Registry::builtin())
}

fn encoder(codec: CodecId, budget: &Arc<ContextBudget>) -> StreamEncoder {
    StreamEncoder::new(registry(), StreamCodec::new(codec), budget.clone())
}

fn decoder() -> StreamDecoder {
    StreamDecoder::new(registry(), DecoderLimits::default())
}

/// One frame: what its header says, and its payload.
fn frame(encoder: &mut StreamEncoder, raw: &[u8]) -> (Encoded, Bytes) {
    let mut out = BytesMut::from(&b"before"[..]);
    let made = encoder.encode(raw, &mut out).unwrap();
    assert_eq!(&out[..6], b"before");
    let payload = out.split_off(6).freeze();
    if made.codec == CodecId::NONE {
        assert!(payload.is_empty() && !made.restart);
        return (made, Bytes::copy_from_slice(raw));
    }
    assert_eq!(made.len, payload.len());
    (made, payload)
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u8
    })
    .take(len)
    .collect()
}

fn coded() -> Vec<CodecId> {
    Registry::builtin().iter().map(|codec| codec.id()).collect()
}

#[test]
fn the_first_payload_restarts_and_later_ones_continue_the_context() {
    for codec in registry().iter() {
        let budget = ContextBudget::unlimited();
        let (mut tx, mut rx) = (encoder(codec.id(), &budget), decoder());
        for n in 0..20 {
            let (made, payload) = frame(&mut tx, &LINE.repeat(2));
            assert_eq!(made.codec, codec.id());
            assert_eq!(made.restart, n == 0 || !codec.capabilities().stateful);
            let raw = rx.decode(made.codec, made.restart, &payload, 2 * LINE.len() as u32).unwrap();
            assert_eq!(raw, LINE.repeat(2));
            if n > 0 && codec.capabilities().stateful {
                assert!(payload.len() < LINE.len() / 3, "{}: {}", codec.name(), payload.len());
            }
        }
    }
}

#[test]
fn little_payloads_and_random_ones_go_raw_and_leave_the_context_alone() {
    let budget = ContextBudget::unlimited();
    let (mut tx, mut rx) = (encoder(CodecId::GZIP, &budget), decoder());
    let sent: [(&[u8], CodecId, bool); 6] = [
        (&[], CodecId::NONE, false),
        (&LINE[..31], CodecId::NONE, false),
        (&LINE[..32], CodecId::GZIP, true),
        (LINE, CodecId::GZIP, false),
        (b"tiny", CodecId::NONE, false),
        (LINE, CodecId::GZIP, false),
    ];
    for (raw, codec, restart) in sent {
        let (made, payload) = frame(&mut tx, raw);
        assert_eq!((made.codec, made.restart), (codec, restart));
        let back = rx.decode(made.codec, made.restart, &payload, raw.len() as u32).unwrap();
        assert_eq!(back, raw);
    }
    let (made, payload) = frame(&mut tx, &noise(16_384, 1));
    assert_eq!((made.codec, made.len), (CodecId::NONE, 16_384));
    let passed = rx.decode(made.codec, false, &payload, 16_384).unwrap();
    assert_eq!(passed.as_ptr(), payload.as_ptr(), "raw bytes pass without a copy");
    // The back-off covers 64 KiB; the context is still the one from before.
    for _ in 0..4 {
        assert_eq!(frame(&mut tx, &LINE.repeat(205)[..16_384]).0.codec, CodecId::NONE);
    }
    let (made, payload) = frame(&mut tx, LINE);
    assert_eq!((made.codec, made.restart), (CodecId::GZIP, false));
    assert_eq!(rx.decode(made.codec, false, &payload, LINE.len() as u32).unwrap(), LINE);
}

#[test]
fn what_a_context_has_seen_is_sent_even_when_it_grew() {
    let budget = ContextBudget::unlimited();
    let (mut tx, mut rx) = (encoder(CodecId::GZIP, &budget), decoder());
    for raw in [LINE, &noise(2000, 3), LINE] {
        let (made, payload) = frame(&mut tx, raw);
        assert_eq!(made.codec, CodecId::GZIP);
        assert_eq!(rx.decode(made.codec, made.restart, &payload, raw.len() as u32).unwrap(), raw);
    }
    // A first payload that grew is taken back: nothing refers to it.
    let mut tx = encoder(CodecId::GZIP, &budget);
    assert_eq!(frame(&mut tx, &noise(2000, 4)).0.codec, CodecId::NONE);
    assert!(frame(&mut tx, LINE).0.restart);
}

#[test]
fn over_budget_payloads_stand_alone_and_return_to_the_context_when_there_is_room() {
    let memory = registry().get(CodecId::GZIP).unwrap().capabilities().encoder_memory;
    let budget = ContextBudget::new(memory);
    let mut first = encoder(CodecId::GZIP, &budget);
    let mut second = encoder(CodecId::GZIP, &budget);
    let raw = LINE.repeat(20);
    assert!(frame(&mut first, &raw).0.restart);
    for _ in 0..3 {
        let (made, payload) = frame(&mut second, &raw);
        assert_eq!((made.codec, made.restart), (CodecId::GZIP, true));
        let back = decoder().decode(made.codec, true, &payload, raw.len() as u32).unwrap();
        assert_eq!(back, raw);
        assert_eq!((second.memory(), budget.used()), (0, memory));
    }
    first.release();
    assert!(frame(&mut second, &raw).0.restart);
    assert!(!frame(&mut second, &raw).0.restart, "it keeps its context now");
    assert_eq!(budget.used(), memory);
}

#[test]
fn a_decoder_over_budget_takes_restarts_and_names_the_budget_otherwise() {
    let unlimited = ContextBudget::unlimited();
    let mut tx = encoder(CodecId::GZIP, &unlimited);
    let (limits, none) = (DecoderLimits::default(), ContextBudget::new(0));
    let mut rx = StreamDecoder::with_budget(registry(), limits, none);
    let (_, first) = frame(&mut tx, LINE);
    let (_, second) = frame(&mut tx, LINE);
    let len = LINE.len() as u32;
    for _ in 0..3 {
        assert_eq!(rx.decode(CodecId::GZIP, true, &first, len).unwrap(), LINE);
    }
    let error = rx.decode(CodecId::GZIP, false, &second, len).unwrap_err();
    assert_eq!(error, CodecError::Budget { codec: CodecId::GZIP, limit: 0 });
    assert!(!error.is_peer_fault());
}

#[test]
fn another_level_or_codec_restarts_the_context() {
    let budget = ContextBudget::unlimited();
    let (mut tx, mut rx) = (encoder(CodecId::GZIP, &budget), decoder());
    let settings = coded().into_iter().map(StreamCodec::new);
    let level6 = StreamCodec { level: Some(6), ..StreamCodec::new(CodecId::GZIP) };
    for setting in settings.chain([level6, StreamCodec::new(CodecId::GZIP)]) {
        tx.set_codec(setting);
        let before = tx.codec();
        for n in 0..3 {
            tx.set_codec(before);
            let raw = LINE.repeat(3);
            let (made, payload) = frame(&mut tx, &raw);
            let stands_alone = !registry().get(made.codec).unwrap().capabilities().stateful;
            assert!(made.codec == setting.codec && made.restart == (n == 0 || stands_alone));
            let back = rx.decode(made.codec, made.restart, &payload, raw.len() as u32).unwrap();
            assert_eq!(back, raw);
        }
    }
}

#[test]
fn a_setting_that_this_build_lacks_is_an_error_that_says_so() {
    let budget = ContextBudget::unlimited();
    let mut out = BytesMut::new();
    let strange = CodecId::new(0xC9);
    let error = encoder(strange, &budget).encode(LINE, &mut out).unwrap_err();
    assert_eq!(error, CodecError::UnknownCodec { codec: strange });
    let setting = StreamCodec { level: Some(12), ..StreamCodec::new(CodecId::GZIP) };
    let error = StreamEncoder::new(registry(), setting, budget.clone()).encode(LINE, &mut out);
    assert_eq!(error, Err(CodecError::Level { codec: CodecId::GZIP, level: 12, min: 1, max: 9 }));
    let huge = vec![0; 1024 * 1024 + 1];
    let error = encoder(CodecId::GZIP, &budget).encode(&huge, &mut out).unwrap_err();
    assert_eq!(error, CodecError::RawTooLong { raw: 1_048_577, limit: 1_048_576 });
    assert!(out.is_empty());
}

#[test]
fn a_frame_that_breaks_the_rules_is_refused_by_name() {
    let budget = ContextBudget::unlimited();
    let (_, first) = frame(&mut encoder(CodecId::GZIP, &budget), LINE);
    let len = LINE.len() as u32;
    let (none, gzip) = (CodecId::NONE, CodecId::GZIP);
    let fresh = |codec, restart, payload: &Bytes, raw_len| {
        decoder().decode(codec, restart, payload, raw_len).unwrap_err()
    };
    let raw = Bytes::from_static(LINE);
    assert_eq!(fresh(none, true, &raw, len), CodecError::RestartOnRaw);
    let wrong = CodecError::RawLength { payload: u64::from(len), raw: u64::from(len) + 1 };
    assert_eq!(fresh(none, false, &raw, len + 1), wrong);
    assert_eq!(fresh(gzip, false, &first, len), CodecError::MissingRestart { codec: gzip });
    let strange = CodecId::new(0xEE);
    assert_eq!(fresh(strange, true, &first, len), CodecError::UnknownCodec { codec: strange });
    for codec in [none, gzip] {
        let error = CodecError::RawTooLong { raw: 65_537, limit: 65_536 };
        assert_eq!(fresh(codec, codec == gzip, &first, 65_537), error);
        let error = CodecError::RawTooLong { raw: u64::from(u32::MAX), limit: 65_536 };
        assert_eq!(fresh(codec, codec == gzip, &first, u32::MAX), error);
    }
    assert!(matches!(fresh(gzip, true, &first, 0), CodecError::Corrupt { .. }));
    assert!(matches!(fresh(gzip, true, &Bytes::new(), len), CodecError::Corrupt { .. }));
}

#[test]
fn an_error_poisons_the_stream_until_a_restart() {
    let budget = ContextBudget::unlimited();
    let (mut tx, mut rx) = (encoder(CodecId::GZIP, &budget), decoder());
    let (len, gzip) = (LINE.len() as u32, CodecId::GZIP);
    let (_, first) = frame(&mut tx, LINE);
    let (_, second) = frame(&mut tx, LINE);
    rx.decode(gzip, true, &first, len).unwrap();
    let error = rx.decode(gzip, false, &second, len - 1).unwrap_err();
    assert_eq!(error, CodecError::TooLong { codec: gzip, expected: LINE.len() - 1 });
    assert_eq!(rx.decode(gzip, false, &second, len), Err(CodecError::Poisoned { codec: gzip }));
    assert_eq!(rx.decode(gzip, true, &first, len).unwrap(), LINE);
    assert_eq!(rx.decode(gzip, false, &second, len).unwrap(), LINE);
}

#[test]
fn a_bomb_writes_no_more_than_its_frame_claims() {
    for codec in coded() {
        let budget = ContextBudget::unlimited();
        let zeros = vec![0; 1024 * 1024];
        let (made, payload) = frame(&mut encoder(codec, &budget), &zeros);
        let mut rx = decoder();
        for claimed in [1, 100, 65_535, 65_536] {
            let error = rx.decode(made.codec, true, &payload, claimed).unwrap_err();
            let expected = claimed as usize;
            assert_eq!(error, CodecError::TooLong { codec, expected }, "{codec}");
        }
        let mut wide = StreamDecoder::new(
            registry(),
            DecoderLimits { max_raw: u32::MAX, ..DecoderLimits::default() },
        );
        assert_eq!(wide.decode(made.codec, true, &payload, 1 << 20).unwrap(), zeros);
        let error = wide.decode(made.codec, true, &payload, (1 << 20) + 1).unwrap_err();
        assert!(matches!(error, CodecError::RawTooLong { limit: 1_048_576, .. }));
    }
}

fn chunkings() -> impl Strategy<Value = (Vec<u8>, Vec<usize>, u64)> {
    let size = prop_oneof![0usize..200, 200usize..5000, 5000usize..=65_536];
    let data = (any::<u64>(), 0u8..4, size).prop_map(|(seed, kind, len)| match kind {
        0 => noise(len, seed),
        1 => vec![seed as u8; len],
        2 => LINE.iter().copied().cycle().take(len).collect(),
        _ => {
            noise(len, seed).iter().map(|byte| b"etaoin shrdlu\n"[usize::from(byte % 14)]).collect()
        }
    });
    let cut = prop_oneof![1usize..64, 64usize..2000, 2000usize..=65_536];
    (data, prop::collection::vec(cut, 1..8), any::<u64>())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn any_bytes_in_any_chunks_come_back((data, cuts, _) in chunkings()) {
        for codec in coded() {
            for limit in [0, usize::MAX] {
                let budget = ContextBudget::new(limit);
                let (mut tx, mut rx) = (encoder(codec, &budget), decoder());
                let (mut rest, mut back) = (&data[..], Vec::new());
                for cut in cuts.iter().cycle() {
                    if rest.is_empty() { break }
                    let (raw, after) = rest.split_at(rest.len().min(*cut));
                    let (made, payload) = frame(&mut tx, raw);
                    back.extend_from_slice(
                        &rx.decode(made.codec, made.restart, &payload, raw.len() as u32).unwrap(),
                    );
                    rest = after;
                }
                prop_assert!(back == data, "{codec}");
                prop_assert!(tx.failure().is_none());
            }
        }
    }

    #[test]
    fn flipped_bits_never_panic_and_never_give_another_length((data, cuts, seed) in chunkings()) {
        for codec in coded() {
            let budget = ContextBudget::unlimited();
            let (mut tx, mut rx) = (encoder(codec, &budget), decoder());
            let mut flips = noise(4096, seed).into_iter().cycle();
            let mut rest = &data[..];
            for cut in cuts.iter().cycle().take(40) {
                if rest.is_empty() { break }
                let (raw, after) = rest.split_at(rest.len().min(*cut));
                let (made, payload) = frame(&mut tx, raw);
                let mut bad = payload.to_vec();
                let mut pick = || usize::from(flips.next().unwrap()) << 8 | usize::from(flips.next().unwrap());
                let at = pick() % bad.len();
                bad[at] ^= 1 << (pick() % 8);
                let restart = made.restart;
                if let Ok(out) = rx.decode(made.codec, restart, &Bytes::from(bad), raw.len() as u32) {
                    prop_assert_eq!(out.len(), raw.len());
                }
                rest = after;
            }
        }
    }

    #[test]
    fn arbitrary_bytes_never_panic_the_decoder(
        payloads in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), any::<bool>(), 0u32..70_000), 1..6)
    ) {
        for codec in coded() {
            let mut rx = decoder();
            for (payload, restart, raw_len) in &payloads {
                let payload = Bytes::copy_from_slice(payload);
                if let Ok(out) = rx.decode(codec, *restart, &payload, *raw_len) {
                    prop_assert_eq!(out.len() as u32, *raw_len);
                }
            }
        }
    }
}

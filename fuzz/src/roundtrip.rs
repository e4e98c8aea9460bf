//! What a stream's encoder makes its decoder turns back, however the bytes are cut, and whatever
//! codec, level, window, budget or link comes next.

use std::cell::LazyCell;
use std::sync::Arc;

use bytes::BytesMut;
use p2_codec::{
    CodecError, CodecId, ContextBudget, DecoderLimits, Registry, StreamCodec, StreamDecoder,
    StreamEncoder,
};

use super::input::Input;

/// Raw bytes of one input.
const MOST: usize = 192 << 10;
/// Raw bytes of one payload.
const MAX_RAW: usize = 64 << 10;

/// Input: the encoders' budget, then steps of one byte with what each needs.
pub(crate) fn check(input: &[u8]) {
    run(input);
}

/// As [`check`]; how many payloads were compressed.
pub(crate) fn run(input: &[u8]) -> usize {
    let mut input = Input::new(input);
    let mut pipe = Pipe::new(input.byte());
    let mut raw = Vec::new();
    let (mut total, mut compressed) = (0, 0);
    while !input.is_empty() && total < MOST {
        let step = input.byte();
        match step & 7 {
            0..=4 => {
                fill(&mut raw, step, &mut input);
                total += raw.len() + 64;
                compressed += usize::from(pipe.carry(&raw));
            }
            5 => pipe.change(&mut input),
            6 => pipe.encoder.release(),
            _ => pipe = Pipe { wanted: pipe.wanted, ..Pipe::new(step >> 3) }.with_codec(),
        }
    }
    compressed
}

/// Words of the input, repeated, or noise, or the last payload again and something new.
fn fill(raw: &mut Vec<u8>, step: u8, input: &mut Input<'_>) {
    let times = 1 + (usize::from(step >> 3) << (step & 7));
    let len = usize::from(input.byte());
    match step & 7 {
        4 => {
            let mut word = input.number() | 1;
            raw.clear();
            raw.resize((len * times).min(MAX_RAW), 0);
            for byte in raw.iter_mut() {
                word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                *byte = (word >> 56) as u8;
            }
        }
        3 => {
            raw.extend_from_slice(input.take(len));
            raw.truncate(MAX_RAW);
        }
        _ => {
            let words = input.take(len);
            raw.clear();
            while raw.len() + words.len() <= MAX_RAW && raw.len() < words.len() * times {
                raw.extend_from_slice(words);
            }
        }
    }
}

struct Pipe {
    wanted: StreamCodec,
    encoder: StreamEncoder,
    decoder: StreamDecoder,
}

impl Pipe {
    fn new(budget: u8) -> Self {
        thread_local! {
            static SHARED: LazyCell<(Arc<Registry>, [Arc<ContextBudget>; 4])> =
                LazyCell::new(|| {
                    let budgets = [usize::MAX, 0, 400 << 10, 1 << 20].map(ContextBudget::new);
                    (Arc::new(Registry::builtin()), budgets)
                });
        }
        SHARED.with(|shared| {
            let (registry, budgets) = &**shared;
            let wanted = StreamCodec::new(CodecId::GZIP);
            let encoding = budgets[usize::from(budget & 3)].clone();
            // A decoder's peer has no more room than the decoder itself.
            let decoding = budgets[0].clone();
            let limits = DecoderLimits::default();
            Self {
                wanted,
                encoder: StreamEncoder::new(registry.clone(), wanted, encoding),
                decoder: StreamDecoder::with_budget(registry.clone(), limits, decoding),
            }
        })
    }

    fn with_codec(mut self) -> Self {
        self.encoder.set_codec(self.wanted);
        self
    }

    fn change(&mut self, input: &mut Input<'_>) {
        let byte = input.byte();
        let codec = CodecId::new(byte & 7);
        let level = match byte >> 3 & 7 {
            0..=3 => None,
            4 => Some(1),
            5 => Some(-7),
            6 => Some(6),
            _ => Some(99),
        };
        let window_log = match byte >> 6 {
            0 | 1 => 0,
            2 => 15,
            _ => 40,
        };
        self.wanted = StreamCodec { codec, level, window_log };
        self.encoder.set_codec(self.wanted);
    }

    /// Whether the payload went compressed.
    fn carry(&mut self, raw: &[u8]) -> bool {
        const BEFORE: &[u8] = b"header";
        let mut payload = BytesMut::from(BEFORE);
        let made = match self.encoder.encode(raw, &mut payload) {
            Ok(made) => made,
            Err(error) => {
                let asked = matches!(
                    error,
                    CodecError::UnknownCodec { .. }
                        | CodecError::Level { .. }
                        | CodecError::Window { .. }
                );
                assert!(asked, "{error}");
                assert_eq!(payload, BEFORE, "an error changes nothing");
                return false;
            }
        };
        assert!(payload.starts_with(BEFORE));
        assert_eq!(self.encoder.failure(), None);
        let mut payload = payload.split_off(BEFORE.len());
        if made.codec == CodecId::NONE {
            assert!(payload.is_empty() && !made.restart);
            payload.extend_from_slice(raw);
        }
        assert_eq!(payload.len(), made.len);
        let back =
            self.decoder.decode(made.codec, made.restart, &payload.freeze(), raw.len() as u32);
        assert!(back.as_deref() == Ok(raw), "{made:?} comes back as {:?}", back.map(|b| b.len()));
        made.codec != CodecId::NONE
    }
}

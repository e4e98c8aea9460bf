//! Payloads that no encoder made, for each decoder: it fills what was claimed exactly or fails, takes
//! no memory at the payload's word, and works again after a reset.

use std::cell::RefCell;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use p2_codec::{
    Codec, CodecError, CodecId, ContextBudget, Decoder, DecoderLimits, Registry, StreamCodec,
    StreamDecoder, StreamEncoder,
};

use super::allocation;
use super::input::Input;

/// Payloads of one input.
const PAYLOADS: usize = 16;
/// Bytes behind the output that must stay as they are.
const GUARD: usize = 16;
const MAX_RAW: usize = 1 << 16;
/// What every decoder has to be able to read after anything else.
const GOOD: &[u8] = b"good words, good words, and some other words that are good enough, words";

/// Input: how (1: beside a fresh decoder, 2: through a stream's pipeline as well, 4: no other length is
/// accepted), then payloads: flags
/// (1: restart, 2: two bytes of raw length, 4: two bytes of length), raw length less one, length,
/// bytes.
pub(crate) fn check(codec: CodecId, input: &[u8]) {
    run(codec, input);
}

/// As [`check`]; how many payloads were decoded.
pub(crate) fn run(codec: CodecId, input: &[u8]) -> usize {
    thread_local! {
        static RIGS: RefCell<Vec<Rig>> = const { RefCell::new(Vec::new()) };
    }
    RIGS.with_borrow_mut(|rigs| {
        let at = rigs.iter().position(|rig| rig.codec.id() == codec).unwrap_or_else(|| {
            rigs.push(Rig::new(codec));
            rigs.len() - 1
        });
        rigs[at].run(Input::new(input))
    })
}

/// What is made once: making a decoder costs more than most payloads.
struct Rig {
    codec: Arc<dyn Codec>,
    registry: Arc<Registry>,
    budget: Arc<ContextBudget>,
    decoder: Box<dyn Decoder>,
    other: Box<dyn Decoder>,
    out: Vec<u8>,
    again: Vec<u8>,
    good: Vec<u8>,
    stateful: bool,
    memory: usize,
}

impl Rig {
    fn new(id: CodecId) -> Self {
        let registry = Arc::new(Registry::builtin());
        let codec = registry.get(id).expect("the fuzzer is built with every codec").clone();
        let mut good = BytesMut::new();
        let budget = ContextBudget::unlimited();
        let made = StreamEncoder::new(registry.clone(), StreamCodec::new(id), budget.clone())
            .encode(GOOD, &mut good);
        assert_eq!(made.map(|made| made.codec), Ok(id));
        let capabilities = codec.capabilities();
        Self {
            other: codec.decoder(&DecoderLimits::default()).expect("memory for a decoder"),
            decoder: codec.decoder(&DecoderLimits::default()).expect("memory for a decoder"),
            registry,
            budget,
            out: vec![0; MAX_RAW + GUARD],
            again: vec![0; MAX_RAW],
            good: good.to_vec(),
            stateful: capabilities.stateful,
            memory: capabilities.decoder_memory,
            codec,
        }
    }

    fn run(&mut self, mut input: Input<'_>) -> usize {
        let how = input.byte();
        let mut fresh = (how & 1 != 0)
            .then(|| self.codec.decoder(&DecoderLimits::default()).expect("memory for a decoder"));
        let mut pipeline = (how & 2 != 0).then(|| {
            let (registry, budget) = (self.registry.clone(), self.budget.clone());
            StreamDecoder::with_budget(registry, DecoderLimits::default(), budget)
        });
        let (mut first, mut poisoned, mut decoded) = (true, false, 0);
        for _ in 0..PAYLOADS {
            if input.is_empty() {
                break;
            }
            let flags = input.byte();
            let raw_len = 1 + usize::from(wide(&mut input, flags & 2 != 0));
            let len = wide(&mut input, flags & 4 != 0);
            let payload = input.take(len.into());
            let restart = flags & 1 != 0 || std::mem::take(&mut first);
            if restart {
                self.decoder.reset();
                poisoned = false;
            }
            let result = self.decode(payload, raw_len);
            if poisoned && self.stateful {
                assert_eq!(result, Err(CodecError::Poisoned { codec: self.codec.id() }));
            }
            match &result {
                Ok(()) => decoded += 1,
                Err(error) => {
                    assert!(error.is_peer_fault(), "{error}");
                    poisoned = true;
                }
            }
            if how & 4 != 0 && restart && result.is_ok() {
                self.has_one_length(payload, raw_len);
            }
            if let Some(fresh) = &mut fresh {
                if restart {
                    fresh.reset();
                }
                // Another filling shows what was not written.
                let again = &mut self.again[..raw_len];
                again.fill(0x5a);
                // A library's words for the same damage may depend on its buffers.
                let right = fresh.decode(payload, again).is_ok();
                assert_eq!(right, result.is_ok(), "a fresh decoder differs");
                assert!(!right || *again == self.out[..raw_len], "not all was written");
            }
            if let Some(pipeline) = &mut pipeline {
                let payload = Bytes::copy_from_slice(payload);
                let made = pipeline.decode(self.codec.id(), restart, &payload, raw_len as u32);
                let expected = result.is_ok().then_some(&self.out[..raw_len]);
                assert_eq!(made.as_deref().ok(), expected, "the pipeline differs");
            }
        }
        self.decoder.reset();
        let good = std::mem::take(&mut self.good);
        assert_eq!(self.decode(&good, GOOD.len()), Ok(()), "useless after a reset");
        assert!(self.out.starts_with(GOOD));
        self.good = good;
        decoded
    }

    /// A payload that could be one byte more or less would let bytes surface where nobody looks.
    fn has_one_length(&mut self, payload: &[u8], raw_len: usize) {
        for other in [raw_len - 1, raw_len + 1] {
            if (1..=MAX_RAW).contains(&other) {
                self.other.reset();
                let result = self.other.decode(payload, &mut self.again[..other]);
                assert!(result.is_err(), "{raw_len} raw bytes, and {other} as well");
            }
        }
    }

    fn decode(&mut self, payload: &[u8], raw_len: usize) -> Result<(), CodecError> {
        self.out[..raw_len + GUARD].fill(0xa5);
        let mut result = Ok(());
        allocation::at_most(self.memory as u64, || {
            result = self.decoder.decode(payload, &mut self.out[..raw_len]);
        });
        assert!(self.decoder.memory() <= self.memory, "holds {}", self.decoder.memory());
        assert!(self.out[raw_len..][..GUARD].iter().all(|byte| *byte == 0xa5), "wrote beyond");
        result
    }
}

fn wide(input: &mut Input<'_>, wide: bool) -> u16 {
    if wide { input.u16() } else { input.byte().into() }
}

//! The test that any codec must pass before it is registered: the contract of the traits, tried.
//!
//! ```
//! let report = p2_codec::conformance::check(&p2_codec::builtin::Gzip).unwrap();
//! assert_eq!(report.codec, "gzip");
//! assert!(report.payloads > 100 && report.encoded_bytes < report.raw_bytes);
//! ```
//!
//! [`check`] is deterministic and takes a second or two. It tries:
//!
//! 1. a usable name and id, and levels and windows outside the ranges refused;
//! 2. round trips of text, records, zeros and random bytes, from 1 byte to 64 KiB, in one context
//!    cut into payloads of many sizes, each decodable at once;
//! 3. no payload over [`Codec::max_encoded_len`], and none under the stated expansion;
//! 4. exact length: a payload asked for one byte less or more than it holds is an error;
//! 5. corruption: flipped bits, truncation and noise never panic; where they go unnoticed, every
//!    byte of the output comes from the payload, none from what the slice held before;
//! 6. an error poisons a stateful decoder until its reset, which heals it;
//! 7. a reset encoder makes the same bytes as a new one, and a stateless one does so every time;
//! 8. steady memory: as many bytes after a thousand payloads as after ten.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::codec::{Codec, Decoder, DecoderLimits, Encoder, EncoderConfig};
use crate::error::CodecError;

/// What [`check`] saw of a codec that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// The codec's name.
    pub codec: String,
    /// Payloads that went there and back.
    pub payloads: u64,
    /// Raw bytes in them.
    pub raw_bytes: u64,
    /// Encoded bytes in them.
    pub encoded_bytes: u64,
    /// Corrupted payloads that were refused.
    pub corruptions_refused: u64,
    /// Corrupted payloads that decoded to the right length: a checksum's business, not a fault.
    pub corruptions_unnoticed: u64,
    /// Bytes that an encoder held.
    pub encoder_memory: usize,
    /// Bytes that a decoder held.
    pub decoder_memory: usize,
}

/// The promise that a codec broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("codec {codec} does not conform: {rule}: {detail}")]
pub struct Failure {
    /// The codec's name.
    pub codec: String,
    /// The rule, in a few words.
    pub rule: &'static str,
    /// What happened.
    pub detail: String,
}

/// Puts a codec through its contract. See the [module](self) for what is tried.
///
/// # Errors
/// The first [`Failure`].
pub fn check(codec: &dyn Codec) -> Result<Report, Failure> {
    let mut kit = Kit {
        codec,
        report: Report {
            codec: codec.name().to_owned(),
            payloads: 0,
            raw_bytes: 0,
            encoded_bytes: 0,
            corruptions_refused: 0,
            corruptions_unnoticed: 0,
            encoder_memory: 0,
            decoder_memory: 0,
        },
    };
    let corpora =
        [text(200_000), records(200_000), vec![0; 200_000], noise(200_000, 1), high(9000)];
    kit.identity()?;
    for corpus in &corpora {
        kit.round_trips(corpus)?;
        kit.exact_length(corpus)?;
        kit.reset_equals_new(corpus)?;
    }
    kit.corruption(&corpora)?;
    kit.poison(&corpora)?;
    kit.steady_memory(&corpora)?;
    Ok(kit.report)
}

struct Kit<'a> {
    codec: &'a dyn Codec,
    report: Report,
}

type Check = Result<(), Failure>;

impl Kit<'_> {
    fn identity(&mut self) -> Check {
        let (id, name) = (self.codec.id().get(), self.codec.name());
        let rule = "a usable identity";
        self.hold(id != 0 && id != 0xFF, rule, || format!("id {id} cannot be a codec's"))?;
        let typed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        let usable = (1..=16).contains(&name.len()) && name.bytes().all(typed);
        self.hold(usable, rule, || format!("{name:?} cannot be typed as a name"))?;

        let rule = "settings out of range are refused";
        let caps = self.codec.capabilities();
        let above = caps.levels.end().saturating_add(1);
        let config = EncoderConfig { level: Some(above), ..EncoderConfig::default() };
        // A codec that knows no levels may ignore them.
        let ignores = caps.levels.start() == caps.levels.end();
        let taken = self.codec.encoder(&config).is_ok();
        self.hold(ignores || !taken, rule, || format!("level {above} was taken"))?;
        let window_log = caps.window_log.saturating_add(1);
        let config = EncoderConfig { window_log, ..EncoderConfig::default() };
        let taken = caps.stateful && self.codec.encoder(&config).is_ok();
        self.hold(!taken, rule, || format!("a window of 2^{window_log} was taken"))
    }

    fn round_trips(&mut self, corpus: &[u8]) -> Check {
        let caps = self.codec.capabilities();
        let levels = [*caps.levels.start(), caps.default_level, *caps.levels.end()];
        let windows = [0, caps.min_window_log];
        for (&level, window_log) in levels.iter().zip(windows.into_iter().cycle()) {
            let config = EncoderConfig { level: Some(level), window_log, stateless: false };
            let (mut encoder, mut decoder) = (self.encoder(&config)?, self.decoder()?);
            let mut rest = corpus;
            for size in SIZES.iter().cycle() {
                let (raw, after) = rest.split_at(rest.len().min(*size));
                if raw.is_empty() {
                    break;
                }
                let payload = self.encode(&mut *encoder, raw)?;
                let mut out = vec![0xA5; raw.len()];
                self.decode(&mut *decoder, &payload, &mut out)?.map_err(|error| {
                    self.failure("round trip", format!("{} raw bytes: {error}", raw.len()))
                })?;
                self.hold(out == raw, "round trip", || format!("{} bytes differ", raw.len()))?;
                let most = payload.len().saturating_mul(caps.expansion as usize);
                self.hold(raw.len() <= most, "the stated expansion", || {
                    format!("{} bytes became {}", raw.len(), payload.len())
                })?;
                self.report.payloads += 1;
                self.report.raw_bytes += raw.len() as u64;
                self.report.encoded_bytes += payload.len() as u64;
                rest = after;
            }
        }
        Ok(())
    }

    fn exact_length(&mut self, corpus: &[u8]) -> Check {
        for size in [1, 2, 100, 4096, 65_536] {
            let raw = corpus.get(..size).unwrap_or(corpus);
            let payload = self.encode(&mut *self.encoder(&EncoderConfig::default())?, raw)?;
            for wrong in [0, raw.len() - 1, raw.len() + 1, raw.len() * 2 + 300] {
                let mut out = vec![0; wrong];
                let result = self.decode(&mut *self.decoder()?, &payload, &mut out)?;
                self.hold(result.is_err(), "exact length", || {
                    format!("a payload of {} raw bytes decoded to {wrong}", raw.len())
                })?;
            }
        }
        Ok(())
    }

    fn reset_equals_new(&mut self, corpus: &[u8]) -> Check {
        let rule = "a reset is a fresh start";
        let (first, second) = corpus.split_at(corpus.len() / 3);
        let second = second.get(..5000).unwrap_or(second);
        let expected = self.encode(&mut *self.encoder(&EncoderConfig::default())?, second)?;
        let mut encoder = self.encoder(&EncoderConfig::default())?;
        self.encode(&mut *encoder, first.get(..70_000).unwrap_or(first))?;
        for _ in 0..2 {
            encoder.reset();
            let again = self.encode(&mut *encoder, second)?;
            self.hold(again == expected, rule, || "an old encoder differs from a new".into())?;
        }
        let config = EncoderConfig { stateless: true, ..EncoderConfig::default() };
        let mut stateless = self.encoder(&config)?;
        for _ in 0..2 {
            let payload = self.encode(&mut *stateless, second)?;
            let mut out = vec![0; second.len()];
            let result = self.decode(&mut *self.decoder()?, &payload, &mut out)?;
            let fine = result.is_ok() && out == second;
            self.hold(fine, "stateless payloads stand alone", || format!("{result:?}"))?;
        }
        Ok(())
    }

    fn corruption(&mut self, corpora: &[Vec<u8>]) -> Check {
        let mut random = Random(0x5EED);
        for corpus in corpora {
            for size in [40, 700, 6000] {
                let raw = corpus.get(..size).unwrap_or(corpus);
                let mut encoder = self.encoder(&EncoderConfig::default())?;
                let first = self.encode(&mut *encoder, raw)?;
                let second = self.encode(&mut *encoder, raw)?;
                for round in 0..40 {
                    let mut bad = if round % 2 == 0 { first.clone() } else { second.clone() };
                    corrupt(&mut bad, round, &mut random);
                    let warm = (round % 2 == 1).then_some((&first[..], raw));
                    self.damaged(&bad, raw.len(), warm)?;
                }
            }
        }
        for len in 0..200 {
            self.damaged(&noise(len, 99 + len as u64), 1 + len * 7, None)?;
        }
        Ok(())
    }

    /// Decodes a damaged payload twice, over different slices, after a good one if `warm`.
    fn damaged(&mut self, bad: &[u8], raw_len: usize, warm: Option<(&[u8], &[u8])>) -> Check {
        let mut outs = [vec![0x00; raw_len], vec![0xFF; raw_len]];
        let mut results = Vec::with_capacity(2);
        for out in &mut outs {
            let mut decoder = self.decoder()?;
            if let Some((payload, raw)) = warm {
                let mut out = vec![0; raw.len()];
                let result = self.decode(&mut *decoder, payload, &mut out)?;
                self.hold(result.is_ok(), "round trip", || format!("{result:?}"))?;
            }
            results.push(self.decode(&mut *decoder, bad, out)?.is_ok());
        }
        let [zeros, ones] = outs;
        let agreed = matches!(results[..], [a, b] if a == b);
        self.hold(agreed, "corruption", || "the same payload gave two results".into())?;
        if results.contains(&true) {
            let rule = "no byte of the output comes from before";
            self.hold(zeros == ones, rule, || format!("in a payload of {} bytes", bad.len()))?;
            self.report.corruptions_unnoticed += 1;
        } else {
            self.report.corruptions_refused += 1;
        }
        Ok(())
    }

    fn poison(&mut self, corpora: &[Vec<u8>]) -> Check {
        let raw = corpora.first().and_then(|corpus| corpus.get(..3000)).unwrap_or_default();
        let mut encoder = self.encoder(&EncoderConfig::default())?;
        let (first, second) = (self.encode(&mut *encoder, raw)?, self.encode(&mut *encoder, raw)?);
        let mut decoder = self.decoder()?;
        let mut out = vec![0; raw.len()];
        let mut decode = |kit: &Self, payload: &[u8], len: usize| {
            kit.decode(&mut *decoder, payload, out.get_mut(..len).unwrap_or_default())
        };
        let rule = "an error poisons the context";
        let good = decode(self, &first, raw.len())?;
        self.hold(good.is_ok(), rule, || format!("{good:?}"))?;
        let short = decode(self, &second, raw.len() - 1)?;
        self.hold(short.is_err(), rule, || "the wrong length was accepted".into())?;
        if self.codec.capabilities().stateful {
            let after = decode(self, &second, raw.len())?;
            self.hold(after.is_err(), rule, || "the next payload was decoded".into())?;
        }
        decoder.reset();
        let healed = self.decode(&mut *decoder, &first, &mut out)?;
        let fine = healed.is_ok() && out == raw;
        self.hold(fine, "a reset heals a poisoned context", || format!("{healed:?}"))
    }

    fn steady_memory(&mut self, corpora: &[Vec<u8>]) -> Check {
        let (mut encoder, mut decoder) =
            (self.encoder(&EncoderConfig::default())?, self.decoder()?);
        let mut early = (0, 0);
        for round in 0..1000 {
            let corpus = corpora.get(round % corpora.len()).map(Vec::as_slice).unwrap_or_default();
            let size = if round < 2 { 65_536 } else { 1 + (round * 37) % 3000 };
            let raw = corpus.get(..size).unwrap_or(corpus);
            let payload = self.encode(&mut *encoder, raw)?;
            let mut out = vec![0; raw.len()];
            let result = self.decode(&mut *decoder, &payload, &mut out)?;
            self.hold(result.is_ok(), "round trip", || format!("{result:?}"))?;
            if round == 10 {
                early = (encoder.memory(), decoder.memory());
            }
        }
        let late = (encoder.memory(), decoder.memory());
        self.hold(early == late, "steady memory", || format!("{early:?} grew to {late:?}"))?;
        (self.report.encoder_memory, self.report.decoder_memory) = late;
        Ok(())
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, Failure> {
        let made = self.codec.encoder(config);
        made.map_err(|error| self.failure("makes an encoder", format!("{config:?}: {error}")))
    }

    fn decoder(&self) -> Result<Box<dyn Decoder>, Failure> {
        let made = self.codec.decoder(&DecoderLimits::default());
        made.map_err(|error| self.failure("makes a decoder", error.to_string()))
    }

    /// Encodes within the stated worst case, watching the bytes behind it.
    fn encode(&self, encoder: &mut dyn Encoder, raw: &[u8]) -> Result<Vec<u8>, Failure> {
        let rule = "encodes within the stated worst case";
        let most = self.codec.max_encoded_len(raw.len());
        let mut out = vec![0; most];
        let call = AssertUnwindSafe(|| encoder.encode(raw, &mut out));
        let len = match catch_unwind(call) {
            Ok(Ok(len)) => len,
            Ok(Err(e)) => return Err(self.failure(rule, format!("{} bytes: {e}", raw.len()))),
            Err(_) => return Err(self.failure(rule, "it panicked".into())),
        };
        self.hold(len <= most, rule, || format!("{len} bytes, {most} promised"))?;
        out.truncate(len);
        Ok(out)
    }

    fn decode(
        &self,
        decoder: &mut dyn Decoder,
        payload: &[u8],
        out: &mut [u8],
    ) -> Result<Result<(), CodecError>, Failure> {
        catch_unwind(AssertUnwindSafe(|| decoder.decode(payload, out)))
            .map_err(|_| self.failure("a decoder never panics", format!("on {payload:02X?}")))
    }

    fn hold(&self, holds: bool, rule: &'static str, detail: impl FnOnce() -> String) -> Check {
        if holds { Ok(()) } else { Err(self.failure(rule, detail())) }
    }

    fn failure(&self, rule: &'static str, detail: String) -> Failure {
        Failure { codec: self.report.codec.clone(), rule, detail }
    }
}

const SIZES: [usize; 12] = [1, 150, 2, 65_536, 31, 1024, 148, 7, 16_384, 333, 65_535, 4097];

fn corrupt(payload: &mut Vec<u8>, round: usize, random: &mut Random) {
    let at = random.below(payload.len().max(1));
    match round % 5 {
        0 => payload.truncate(at),
        1 => payload.extend_from_slice(&[0xAA, 0x00, 0xFF]),
        _ => {
            if let Some(byte) = payload.get_mut(at) {
                *byte ^= 1 << random.below(8);
            }
        }
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 >> 16
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }
}

fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    std::iter::repeat_with(|| random.next() as u8).take(len).collect()
}

/// Random bytes of which static Huffman codes take nine bits each: the worst case of some codecs.
fn high(len: usize) -> Vec<u8> {
    noise(len, 2).into_iter().map(|byte| 144 + byte % 112).collect()
}

fn text(len: usize) -> Vec<u8> {
    let mut random = Random(0xC0FFEE);
    let words = ["GET", "POST", "/api/items/", "user=", "200", "status", "timeout", "worker", "ok"];
    let mut text = Vec::with_capacity(len + 64);
    while text.len() < len {
        let word = words.get(random.below(words.len())).copied().unwrap_or_default();
        let number = random.below(10_000).to_string();
        let end = if random.below(9) == 0 { "\n" } else { " " };
        [word, &number, end].iter().for_each(|part| text.extend_from_slice(part.as_bytes()));
    }
    text.truncate(len);
    text
}

fn records(len: usize) -> Vec<u8> {
    let mut random = Random(0xBEEF);
    let mut records = Vec::with_capacity(len + 16);
    let mut counter = 0u32;
    while records.len() < len {
        counter = counter.wrapping_add(1 + random.below(3) as u32);
        records.extend_from_slice(&counter.to_le_bytes());
        records.extend_from_slice(&[0, 1, random.next() as u8, 0]);
    }
    records.truncate(len);
    records
}

//! Whether compressing is worth a try: a look at a few bytes, and patience after failures.

use crate::limits::{BACKOFF_MAX, BACKOFF_MIN};

const SAMPLE: usize = 1024;
const SAMPLES: usize = 4;
/// Raw bytes after which the encoder's results are judged.
const JUDGE: u64 = 4096;

/// Whether `data` looks random or compressed already: true only with confidence.
///
/// Counts the byte values of four 1 KiB samples, in about three microseconds, and compares their
/// concentration with that of random bytes. Logs, source, JSON, base64 and machine code are far from it.
/// Less than 4 KiB is never called incompressible: too little to tell.
///
/// ```
/// assert!(!p2_codec::incompressible(&b"one line after another\n".repeat(1000)));
/// ```
pub fn incompressible(data: &[u8]) -> bool {
    if data.len() < SAMPLE * SAMPLES {
        return false;
    }
    let mut counts = [0u32; 256];
    for sample in data.chunks(data.len() / SAMPLES).take(SAMPLES) {
        for &byte in sample.iter().take(SAMPLE) {
            if let Some(count) = counts.get_mut(usize::from(byte)) {
                *count += 1;
            }
        }
    }
    // Random bytes give n + n(n-1)/256 = 69,616 +- 720. A fifth above it, 7.7 bits of collision
    // entropy a byte, Huffman codes save 4% at most, and matches are rare.
    let squares: u64 = counts.iter().map(|&count| u64::from(count) * u64::from(count)).sum();
    squares < 83_500
}

/// Decides per payload whether to try compression, and learns from the results.
///
/// Data that looks random, or that an encoder has made larger over 4 KiB, is sent without a
/// further look for 64 KiB, then twice that after each further failure, up to 1 MiB.
///
/// ```
/// use p2_codec::Sampler;
///
/// let mut sampler = Sampler::default();
/// assert!(sampler.admit(b"text"));
/// sampler.record(8192, 8300);
/// assert!(!sampler.admit(b"text"), "it grew, so the next 64 KiB go raw");
/// ```
#[derive(Debug, Clone, Default)]
pub struct Sampler {
    skip: u64,
    backoff: u64,
    raw: u64,
    encoded: u64,
}

impl Sampler {
    /// Whether to compress `raw`.
    pub fn admit(&mut self, raw: &[u8]) -> bool {
        let len = raw.len() as u64;
        if self.skip > 0 {
            self.skip = self.skip.saturating_sub(len);
            return false;
        }
        if incompressible(raw) {
            self.back_off();
            return false;
        }
        true
    }

    /// Records what an admitted payload of `raw` bytes became.
    pub fn record(&mut self, raw: usize, encoded: usize) {
        self.raw = self.raw.saturating_add(raw as u64);
        self.encoded = self.encoded.saturating_add(encoded as u64);
        if self.raw < JUDGE {
            return;
        }
        // Less than a fiftieth gained is not worth the peer's work either.
        if self.encoded.saturating_add(self.raw / 50) >= self.raw {
            self.back_off();
        } else {
            self.backoff = 0;
        }
        (self.raw, self.encoded) = (0, 0);
    }

    fn back_off(&mut self) {
        self.backoff = self.backoff.saturating_mul(2).clamp(BACKOFF_MIN, BACKOFF_MAX);
        self.skip = self.backoff;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(len: usize, mut seed: u64) -> Vec<u8> {
        std::iter::repeat_with(|| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            (seed >> 32) as u8
        })
        .take(len)
        .collect()
    }

    #[test]
    fn random_bytes_are_seen_for_what_they_are_at_every_size() {
        for seed in 1..200 {
            assert!(incompressible(&random(4096 + seed as usize * 300, seed)), "seed {seed}");
        }
    }

    #[test]
    fn text_base64_and_machine_code_are_compressible() {
        let base64: Vec<u8> = random(65_536, 7).iter().map(|b| b'0' + (b & 63)).collect();
        assert!(!incompressible(&base64));
        assert!(!incompressible(&b"GET /index.html 200 1532 \"Mozilla/5.0\"\n".repeat(900)));
        let program = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let called = program.chunks(65_536).filter(|chunk| incompressible(chunk)).count();
        assert_eq!(called, 0, "of {} chunks", program.len() / 65_536);
    }

    #[test]
    fn little_data_is_never_judged() {
        assert!(!incompressible(&random(4095, 3)));
        assert!(!incompressible(&[]));
    }

    #[test]
    fn probing_backs_off_exponentially_up_to_its_bound_and_recovers_at_once() {
        let mut sampler = Sampler::default();
        let noise = random(16_384, 5);
        let mut gaps = Vec::new();
        for _ in 0..6 {
            assert!(!sampler.admit(&noise));
            gaps.push(sampler.skip);
            while sampler.skip > 0 {
                assert!(!sampler.admit(&noise));
            }
        }
        assert_eq!(gaps, [64, 128, 256, 512, 1024, 1024].map(|kib| kib * 1024));
        assert!(sampler.admit(&b"text and more text\n".repeat(500)));
        sampler.record(9500, 700);
        assert!(!sampler.admit(&noise));
        assert_eq!(sampler.skip, 64 * 1024);
    }

    #[test]
    fn small_payloads_are_judged_by_their_sum() {
        let mut sampler = Sampler::default();
        for _ in 0..40 {
            assert!(sampler.admit(&[0; 100]));
            sampler.record(100, 105);
        }
        sampler.record(100, 105);
        assert!(!sampler.admit(&[0; 100]));
    }
}

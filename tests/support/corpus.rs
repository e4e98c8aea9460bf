//! Bytes to send: text like a log's, noise that no codec can shrink, and their digests.

use std::fmt::Write;
use std::path::Path;

use sha2::{Digest, Sha256};

/// Lines of a log, different for each seed.
pub fn log(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::with_capacity(bytes + 128);
    while text.len() < bytes {
        let (id, took, code) = (random.u32(..), random.u16(..500), random.u16(200..505));
        let _ = writeln!(
            text,
            "2026-02-03T20:15:00Z INFO web request id={id:08x} path=/api/v1/orders status={code} \
             took={took}ms"
        );
    }
    text.truncate(bytes);
    text.into_bytes()
}

/// Noise, different for each seed.
pub fn random(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut noise = vec![0; bytes];
    random.fill(&mut noise);
    noise
}

/// SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Fails, with lengths and the first difference, unless the file holds exactly `expected`.
#[track_caller]
pub fn assert_file(path: &Path, expected: &[u8]) {
    let found = std::fs::read(path)
        .unwrap_or_else(|error| panic!("{} was not delivered: {error}", path.display()));
    assert_same(&path.display().to_string(), &found, expected);
}

/// Fails, with lengths and the first difference, unless both are the same.
#[track_caller]
pub fn assert_same(what: &str, found: &[u8], expected: &[u8]) {
    if found == expected {
        return;
    }
    let same = found.iter().zip(expected).take_while(|(a, b)| a == b).count();
    panic!(
        "{what}: {} bytes with SHA-256 {}, expected {} with {}; they differ from offset {same}",
        found.len(),
        sha256(found),
        expected.len(),
        sha256(expected),
    );
}

//! Any bytes through a stream's encoder and decoder. Run: `fuzz/run roundtrip`.
#![no_main]

#[path = "../src/input.rs"]
mod input;
#[path = "../src/roundtrip.rs"]
mod roundtrip;

libfuzzer_sys::fuzz_target!(|input: &[u8]| roundtrip::check(input));

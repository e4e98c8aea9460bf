//! Payloads from a hostile peer, fed to the gzip decoder. Run: `fuzz/run gzip`.
#![no_main]

#[path = "../src/allocation.rs"]
mod allocation;
#[path = "../src/codec.rs"]
mod codec;
#[path = "../src/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|input: &[u8]| codec::check(p2_codec::CodecId::GZIP, input));

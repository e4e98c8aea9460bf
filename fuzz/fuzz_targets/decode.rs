//! Bytes from a hostile peer, fed to the frame decoder. Run: `fuzz/run decode`.
#![no_main]

#[path = "../src/allocation.rs"]
mod allocation;
#[path = "../src/decode.rs"]
mod decode;

libfuzzer_sys::fuzz_target!(|input: &[u8]| decode::check(input));

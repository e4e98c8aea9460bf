//! Bytes from a hostile peer, fed to the frame decoder. Run: `cargo +nightly fuzz run decode`
//! with `fuzz/seeds/decode` as a second corpus and `-dict=fuzz/decode.dict`.
#![no_main]

#[path = "../src/decode.rs"]
mod decode;

libfuzzer_sys::fuzz_target!(|input: &[u8]| decode::check(input));

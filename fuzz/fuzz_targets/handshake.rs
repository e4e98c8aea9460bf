//! A handshake whose peer is hostile. Run: `fuzz/run handshake`.
#![no_main]

#[path = "../src/allocation.rs"]
mod allocation;
#[path = "../src/handshake.rs"]
mod handshake;
#[path = "../src/input.rs"]
mod input;

libfuzzer_sys::fuzz_target!(|input: &[u8]| handshake::check(input));

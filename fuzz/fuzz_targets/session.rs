//! One session, its application and a lying peer, step by step. Run: `fuzz/run session`.
#![no_main]

#[path = "../src/allocation.rs"]
mod allocation;
#[path = "../src/input.rs"]
mod input;
#[path = "../src/session/mod.rs"]
mod session;

libfuzzer_sys::fuzz_target!(|input: &[u8]| session::check(input));

//! Stream names and payload lines of a hostile peer, on their way to a disk and a terminal. Run: `fuzz/run names`.
#![no_main]

#[path = "../src/names.rs"]
mod names;

libfuzzer_sys::fuzz_target!(|input: &[u8]| names::check(input));

//! Whatever a user may type. Run: `fuzz/run arguments`.
#![no_main]

#[path = "../src/arguments.rs"]
mod arguments;

libfuzzer_sys::fuzz_target!(|input: &[u8]| arguments::check(input));

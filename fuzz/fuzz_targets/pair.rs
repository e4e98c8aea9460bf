//! Two sessions in the simulator, played by the fuzzer. Run: `fuzz/run pair`.
#![no_main]

#[path = "../src/pair.rs"]
mod pair;

libfuzzer_sys::fuzz_target!(|input: &[u8]| pair::check(input));

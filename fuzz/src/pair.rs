//! Two whole sessions whose settings, links and faults are the fuzzer's choice: nothing is lost and
//! nothing comes twice.

use p2_sim::{Scenario, World};

/// Input: what the simulator would draw from its seed, for as long as it lasts.
pub(crate) fn check(input: &[u8]) {
    run(input);
}

/// As [`check`]; how many raw bytes came through.
pub(crate) fn run(input: &[u8]) -> u64 {
    match World::new(Scenario::from_bytes(input), false).run() {
        Ok(report) => report.bytes,
        Err(why) => panic!("{why}"),
    }
}

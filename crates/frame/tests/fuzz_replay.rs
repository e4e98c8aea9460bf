//! Every seed and every regression of the fuzz target `decode`, on stable.

#[path = "../../../fuzz/src/allocation.rs"]
mod allocation;
#[path = "../../../fuzz/src/decode.rs"]
mod decode;
#[path = "../../../fuzz/src/replay.rs"]
mod replay;

use std::fs;

#[test]
fn seeds_and_regressions_of_decode_hold() {
    replay::replay("decode", |input| {
        decode::check(input);
        // The same frames, each with a CRC as well.
        let mut input = input.to_vec();
        input[0] |= 16;
        decode::check(&input);
    });
}

#[test]
fn every_kind_of_frame_is_among_the_seeds() {
    let seeds = replay::inputs("seeds", "decode");
    assert!(seeds.len() >= 20, "only {} seeds", seeds.len());
    let seeds: Vec<_> = seeds.iter().map(|path| fs::read(path).unwrap()).collect();
    for kind in p2_frame::FrameKind::all() {
        // Seeds of one frame: no cuts, then the header.
        let found = seeds.iter().any(|seed| seed.get(2) == Some(&kind.get()));
        assert!(found, "no seed begins with {kind}");
    }
}

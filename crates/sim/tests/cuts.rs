//! A session cut at its bytes, with each codec of the build: short with a stride, all of them with
//! `P2_LONG=1`.

use std::time::Instant;

use p2_codec::Registry;
use p2_mux::CodecId;
use p2_sim::cuts::{Recording, SPACING, Tally};

fn codecs() -> Vec<CodecId> {
    let registry = Registry::builtin();
    std::iter::once(CodecId::NONE).chain(registry.iter().map(|codec| codec.id())).collect()
}

fn long() -> bool {
    std::env::var_os("P2_LONG").is_some()
}

#[test]
fn a_session_cut_at_any_byte_loses_and_repeats_nothing() {
    // A prime, so that the offsets differ from codec to codec and from direction to direction.
    let stride = if long() { 1 } else { 31 };
    let started = Instant::now();
    let mut total = Tally::default();
    for (index, codec) in codecs().into_iter().enumerate() {
        let recording = Recording::new(codec).expect("an uncut session");
        assert!(recording.wire.iter().sum::<u64>() >= 128 << 10);
        let (since, mut tally) = (Instant::now(), Tally::default());
        for direction in [0, 1] {
            let first = (index * 2 + direction) as u64 % stride;
            for phase in (first..SPACING).step_by(stride as usize) {
                match recording.cut(direction, phase) {
                    Ok(one) => tally.add(one),
                    Err(why) => panic!("{why}"),
                }
            }
        }
        let rate = tally.cuts as f64 / since.elapsed().as_secs_f64();
        println!(
            "{codec}: {} bytes of wire, {} cuts, {} bytes lost, {} repeated ({rate:.0} cuts/s)",
            recording.wire.iter().sum::<u64>(),
            tally.cuts,
            tally.lost,
            tally.repeated
        );
        total.add(tally);
    }
    println!(
        "{} cuts, {} bytes lost, {} repeated; {} sessions, {} bytes in {:.1} s",
        total.cuts,
        total.lost,
        total.repeated,
        total.runs,
        total.bytes,
        started.elapsed().as_secs_f64()
    );
    assert_eq!((total.lost, total.repeated), (0, 0));
}

#[test]
fn a_handshake_cut_at_any_byte_leaves_the_session_as_it_was() {
    let recording = Recording::new(CodecId::NONE).expect("an uncut session");
    for resume in [false, true] {
        let tally = recording.cut_handshakes(resume).unwrap_or_else(|why| panic!("{why}"));
        assert!(tally.cuts > 200, "{}", tally.cuts);
        println!("{} cuts of a handshake, resume {resume}: nothing lost", tally.cuts);
    }
}

//! A session cut at its bytes, with each codec of the build: short with a stride, all of them with
//! `P2_LONG=1`; `P2_SIM_SESSIONS=14` does so with as many different sessions.

use std::sync::atomic::{AtomicUsize, Ordering};
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

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// One run: a session, a direction, and the byte of the first of its cuts.
struct Share {
    recording: Recording,
    direction: usize,
    phase: u64,
}

#[test]
fn a_session_cut_at_any_byte_loses_and_repeats_nothing() {
    // A prime, so that the offsets differ from codec to codec and from direction to direction.
    let stride = if long() { 1 } else { 31 };
    let first_session = number("P2_SIM_SESSION", 0);
    let mut shares = Vec::new();
    for seed in first_session..first_session + number("P2_SIM_SESSIONS", 1) {
        for (index, codec) in codecs().into_iter().enumerate() {
            let recording = Recording::new(seed, codec).expect("an uncut session");
            let wire: u64 = recording.wire.iter().sum();
            assert!(wire >= 128 << 10);
            println!("session {seed}, {codec}: {wire} bytes of wire");
            for direction in [0, 1] {
                let first = (index * 2 + direction) as u64 % stride;
                for phase in (first..SPACING).step_by(stride as usize) {
                    shares.push(Share { recording: recording.clone(), direction, phase });
                }
            }
        }
    }
    let started = Instant::now();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let total = std::thread::scope(|scope| {
        let work = || {
            let mut tally = Tally::default();
            while let Some(share) = shares.get(next.fetch_add(1, Ordering::Relaxed)) {
                tally.add(share.recording.cut(share.direction, share.phase)?);
            }
            Ok::<Tally, String>(tally)
        };
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().fold(Tally::default(), |mut total, worker| {
            total.add(worker.join().expect("no panic").unwrap_or_else(|why| panic!("{why}")));
            total
        })
    });
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "{} cuts, {} bytes lost, {} repeated; {} sessions, {} bytes in {seconds:.1} s \
         on {threads} cores: {:.0} cuts/s",
        total.cuts,
        total.lost,
        total.repeated,
        total.runs,
        total.bytes,
        total.cuts as f64 / seconds,
    );
    assert_eq!((total.lost, total.repeated), (0, 0));
}

#[test]
fn a_handshake_cut_at_any_byte_leaves_the_session_as_it_was() {
    let recording = Recording::new(0, CodecId::NONE).expect("an uncut session");
    for resume in [false, true] {
        let tally = recording.cut_handshakes(resume).unwrap_or_else(|why| panic!("{why}"));
        assert!(tally.cuts > 200, "{}", tally.cuts);
        println!("{} cuts of a handshake, resume {resume}: nothing lost", tally.cuts);
    }
}

//! Random runs: whatever a seed does to the links, every stream comes out as its model says.

use std::panic::catch_unwind;

/// Runs a seed; a panic of the session is a failure of the seed.
fn run(seed: u64, echo: bool) -> Result<p2_sim::Report, String> {
    match catch_unwind(|| p2_sim::simulate(seed, echo)) {
        Ok(result) => result,
        Err(panic) => {
            let words = panic.downcast_ref::<String>().cloned();
            let words = words.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()));
            Err(format!("panicked: {}", words.unwrap_or_default()))
        }
    }
}

fn number(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    let parsed = value
        .strip_prefix("0x")
        .map_or_else(|| value.parse().ok(), |hex| u64::from_str_radix(hex, 16).ok());
    Some(parsed.unwrap_or_else(|| panic!("{name}={value} is no number")))
}

#[test]
fn whatever_happens_to_the_links_nothing_is_lost_and_nothing_comes_twice() {
    let long = std::env::var_os("P2_LONG").is_some();
    let first = number("P2_SIM_FIRST").unwrap_or(0);
    let count = number("P2_SIM_SEEDS").unwrap_or(if long { 50_000 } else { 1_500 });
    let most = number("P2_SIM_FAILURES").unwrap_or(1) as usize;
    let started = std::time::Instant::now();
    let mut failures = Vec::new();
    let (mut resumes, mut bytes, mut streams, mut steps) = (0, 0, 0, 0);
    for seed in first..first + count {
        match run(seed, false) {
            Ok(report) => {
                resumes += report.resumes;
                bytes += report.bytes;
                streams += report.streams;
                steps += report.steps;
            }
            Err(why) => {
                failures.push(format!("seed {seed}: {why}\n  {}", p2_sim::replay_line(seed)));
                if failures.len() >= most {
                    break;
                }
            }
        }
    }
    println!(
        "{count} seeds: {streams} streams, {bytes} bytes, {resumes} resumes, {steps} steps in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for seed in 0..40 {
        let (first, second) = (run(seed, false), run(seed, false));
        assert_eq!(first, second, "seed {seed}");
    }
}

#[test]
fn replay() {
    let Some(seed) = number("P2_SIM_SEED") else { return };
    match run(seed, true) {
        Ok(report) => println!("{report:#?}"),
        Err(why) => panic!("seed {seed}: {why}"),
    }
}

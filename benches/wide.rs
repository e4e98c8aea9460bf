//! A wide and long link: one stream over 1 Gbit/s with 100 ms of round trip, beside raw TCP.
//!
//! ```text
//! cargo bench --bench wide -- [--rounds N] [--seconds S] [--mbit N] [--rtt MS] [--bulk N] [--json FILE] [--trace]
//! ```
//!
//! Both ends are processes of their own, joined by a relay in this one, which delays every byte by
//! half of the round trip and lets pass as many a second as the rate says. What is on its way waits
//! in the relay, so the kernel's socket buffers, which may be too small for such a link, bound
//! neither raw TCP nor P2. P2 runs with its defaults, without compression.
//!
//! - *fills*: when the first tenth of a second was at 95 % of the rate, from the first byte on.
//! - *rate*: after the first two seconds, as a share of the link's.
//! - *echo*: 64 bytes there and back on a realtime stream beside the bulk stream, every 10 ms,
//!   after the first two seconds; what it takes longer than on the empty link.
//! - *window*, *retained*, *in flight*: the largest values seen; memory is each end's peak.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is the result")]

#[path = "ends/mod.rs"]
mod ends;
#[path = "wide/p2.rs"]
mod p2_ends;
#[allow(dead_code, unreachable_pub, reason = "the tests use the rest of the relay")]
#[path = "../tests/support/relay.rs"]
mod relay;
#[path = "wide/tcp.rs"]
mod tcp_ends;

use std::time::Duration;

use ends::End;
use relay::{Relay, Rules};
use serde_json::{Value, json};

/// Bytes that arrived are summed up over this long.
const BIN: Duration = Duration::from_millis(100);
/// The link has to be full by then.
const GRACE: Duration = Duration::from_secs(2);

struct Settings {
    rounds: usize,
    seconds: u64,
    mbit: u64,
    rtt: u64,
    bulk: usize,
    trace: bool,
    json: Option<String>,
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq(ends::END).is_some() {
        let role = arguments.next().unwrap_or_default();
        let rest: Vec<String> = arguments.collect();
        return match role.as_str() {
            "p2-receiver" => p2_ends::receiver(),
            "p2-sender" => p2_ends::sender(&rest),
            "tcp-receiver" => tcp_ends::receiver(),
            _ => tcp_ends::sender(&rest),
        };
    }
    let settings = settings(arguments);
    let (mut p2, mut tcp) = (Vec::new(), Vec::new());
    for round in 0..settings.rounds {
        for turn in 0..2 {
            match (round + turn) % 2 {
                0 => p2.push(run("p2", &settings)),
                _ => tcp.push(run("tcp", &settings)),
            }
        }
        eprintln!("round {} of {}", round + 1, settings.rounds);
    }
    let answer = json!({
        "rate_bytes_per_s": settings.mbit * 125_000, "round_trip_ms": settings.rtt,
        "seconds": settings.seconds, "bulk_streams": settings.bulk, "bin_ms": BIN.as_millis() as u64,
        "p2": summary(&p2), "tcp": summary(&tcp),
    });
    print(&answer);
    if let Some(path) = &settings.json {
        std::fs::write(path, format!("{answer:#}\n")).expect("a file that can be written");
    }
}

/// One transfer through a relay of its own.
fn run(peer: &str, settings: &Settings) -> Value {
    let mut receiver = End::start(&format!("{peer}-receiver"), &[]);
    let target = receiver.answer();
    let relay = Relay::to(target["address"].as_str().expect("an address"), 1);
    relay.rules(Rules {
        rate: Some(settings.mbit * 125_000),
        delay: Duration::from_millis(settings.rtt) / 2,
        ..Rules::default()
    });
    let numbers = [settings.seconds.to_string(), settings.bulk.to_string()];
    let mut sender =
        End::start(&format!("{peer}-sender"), &[&[relay.address()], &numbers[..]].concat());
    let sent = sender.answer();
    let received = receiver.ask("report");
    let bins: Vec<f64> =
        received["bins"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    if settings.trace {
        eprintln!("{peer}: {bins:?}\n{sent}\n{received}");
    }
    let full = (settings.mbit * 125_000) as f64;
    let per_bin = full * BIN.as_secs_f64();
    let fills = bins.iter().position(|bytes| *bytes >= 0.95 * per_bin);
    let skipped = (GRACE.as_millis() / BIN.as_millis()) as usize;
    // The last one was cut short.
    let steady = bins.get(skipped..bins.len().saturating_sub(1)).unwrap_or_default();
    let share = steady.iter().sum::<f64>() / (per_bin * steady.len().max(1) as f64);
    json!({
        "bins": bins, "fills_s": fills.map(|bin| (bin + 1) as f64 * BIN.as_secs_f64()),
        "share": share, "sender": sent, "receiver": received,
    })
}

/// Medians over the rounds, and the first round's course.
fn summary(rounds: &[Value]) -> Value {
    let median = |pointer: &str| {
        let mut values: Vec<f64> =
            rounds.iter().filter_map(|round| round.pointer(pointer)?.as_f64()).collect();
        values.sort_unstable_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let all = |pointer: &str| -> Vec<Value> {
        rounds.iter().filter_map(|round| round.pointer(pointer).cloned()).collect()
    };
    json!({
        "share": median("/share"), "shares": all("/share"),
        "fills_s": median("/fills_s"), "fills_s_all": all("/fills_s"),
        "echo_alone_ms": { "p50": median("/sender/alone/p50"), "p99": median("/sender/alone/p99") },
        "echo_beside_ms": { "p50": median("/sender/beside/p50"), "p99": median("/sender/beside/p99") },
        "echo_beside_p99_all": all("/sender/beside/p99"),
        "window": median("/receiver/window"), "retained": median("/sender/retained"),
        "in_flight": median("/sender/in_flight"),
        "sender_before": median("/sender/before"), "sender_peak": median("/sender/peak"),
        "receiver_before": median("/receiver/before"), "receiver_peak": median("/receiver/peak"),
        "course": rounds.first().map(|round| round["bins"].clone()),
    })
}

fn print(answer: &Value) {
    let number = |peer: &str, pointer: &str, scale: f64, digits: usize| {
        let value = answer[peer].pointer(pointer).and_then(Value::as_f64);
        value.map_or("-".to_owned(), |value| format!("{:.digits$}", value * scale))
    };
    let mib = 1.0 / f64::from(1 << 20);
    println!(
        "\n{} Mbit/s, {} ms of round trip, {} bulk stream(s), medians",
        answer["rate_bytes_per_s"].as_u64().unwrap_or(0) / 125_000,
        answer["round_trip_ms"],
        answer["bulk_streams"]
    );
    println!("{:<26} {:>9} {:>9}", "", "raw tcp", "p2");
    for (name, pointer, scale, digits) in [
        ("rate after 2 s, %", "/share", 100.0, 1),
        ("fills after, s", "/fills_s", 1.0, 1),
        ("echo alone p50, ms", "/echo_alone_ms/p50", 1.0, 1),
        ("echo beside p50, ms", "/echo_beside_ms/p50", 1.0, 1),
        ("echo beside p99, ms", "/echo_beside_ms/p99", 1.0, 1),
        ("window, MiB", "/window", mib, 1),
        ("in flight, MiB", "/in_flight", mib, 1),
        ("retained, MiB", "/retained", mib, 1),
        ("sender before, MiB", "/sender_before", mib, 1),
        ("sender peak, MiB", "/sender_peak", mib, 1),
        ("receiver before, MiB", "/receiver_before", mib, 1),
        ("receiver peak, MiB", "/receiver_peak", mib, 1),
    ] {
        let cell = |peer| number(peer, pointer, scale, digits);
        println!("{name:<26} {:>9} {:>9}", cell("tcp"), cell("p2"));
    }
}

fn settings(mut arguments: impl Iterator<Item = String>) -> Settings {
    let mut settings =
        Settings { rounds: 3, seconds: 5, mbit: 1000, rtt: 100, bulk: 1, trace: false, json: None };
    let (mut bench, mut test) = (false, false);
    while let Some(argument) = arguments.next() {
        let mut number = || -> u64 {
            arguments.next().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
                eprintln!("wide: {argument} needs a number");
                std::process::exit(2)
            })
        };
        match argument.as_str() {
            "--bench" => bench = true,
            "--test" => test = true,
            "--trace" => settings.trace = true,
            "--rounds" => settings.rounds = number().max(1) as usize,
            "--seconds" => settings.seconds = number().max(1),
            "--mbit" => settings.mbit = number().max(1),
            "--rtt" => settings.rtt = number(),
            "--bulk" => settings.bulk = number().max(1) as usize,
            "--json" => settings.json = arguments.next(),
            flag => eprintln!("wide: {flag} is not known here"),
        }
    }
    if test || !bench {
        // Every path once: a test of the bench, not a measurement.
        (settings.rounds, settings.seconds, settings.mbit, settings.rtt) = (1, 1, 100, 10);
    }
    settings
}

//! Many streams and many sessions: what each costs, and whether it stays the same for more of them.
//!
//! ```text
//! cargo bench --bench scale -- [active] [idle] [sessions] [--rounds N] [--seconds S] [--long] [--json FILE]
//! ```
//!
//! Both ends are processes of their own, joined by loopback TCP, on two worker threads each, with
//! P2's defaults and without compression; only the limits of streams and sessions are raised.
//!
//! - *active*: every stream of one session sends all it can. The figure to look at is the ratio to
//!   one stream of the same round.
//! - *idle*: memory of streams that are open and carried a byte each way, for each, both ends.
//! - *sessions*: one receiver, a stream on each session, all of them active; memory for each
//!   session before anything moves, and processor time for each GiB while it does.
//!
//! `--long` is five rounds of a second; the default is three of 0.3 s. The clock starts when all have
//! been active for a second.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is the result")]

#[path = "scale/ends.rs"]
mod both;
#[path = "ends/mod.rs"]
mod ends;

use std::time::{Duration, Instant};

use both::Pair;
use serde_json::{Value, json};

struct Settings {
    only: Vec<String>,
    rounds: usize,
    span: Duration,
    json: Option<String>,
    active: Vec<u64>,
    idle: Vec<u64>,
    sessions: Vec<u64>,
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq(ends::END).is_some() {
        let role = arguments.next().unwrap_or_default();
        let rest: Vec<String> = arguments.collect();
        return match role.as_str() {
            "receiver" => both::receiver(&rest),
            _ => both::sender(&rest),
        };
    }
    let settings = settings(arguments);
    let runs =
        |name: &str| settings.only.is_empty() || settings.only.iter().any(|only| only == name);
    let mut answer = json!({ "rounds": settings.rounds, "seconds": settings.span.as_secs_f64() });
    if runs("active") {
        answer["active"] = active(&settings);
    }
    if runs("idle") {
        answer["idle"] = idle(&settings);
    }
    if runs("sessions") {
        answer["sessions"] = sessions(&settings);
    }
    print(&answer);
    if let Some(path) = &settings.json {
        std::fs::write(path, format!("{answer:#}\n")).expect("a file that can be written");
    }
}

/// Throughput of 1, 100, … streams, as a share of one stream's.
fn active(settings: &Settings) -> Value {
    let mut rates = vec![Vec::new(); settings.active.len()];
    for _ in 0..settings.rounds {
        for (streams, rates) in settings.active.iter().zip(&mut rates) {
            let mut pair = Pair::start(*streams, 1);
            pair.sender.ask("sessions 1");
            pair.sender.ask(&format!("streams {streams}"));
            rates.push(pair.fill(settings.span));
        }
    }
    let alone = rates.first().cloned().unwrap_or_default();
    let row = |(streams, rates): (&u64, &Vec<both::Filled>)| {
        let ratio = |(own, one): (&both::Filled, &both::Filled)| own.bytes_per_s / one.bytes_per_s;
        json!({
            "streams": streams,
            "bytes_per_s": median(rates.iter().map(|filled| filled.bytes_per_s)),
            "processor_s_per_gib": median(rates.iter().map(|filled| filled.processor_s_per_gib)),
            "to_one_stream": median(rates.iter().zip(&alone).map(ratio)),
        })
    };
    settings.active.iter().zip(&rates).map(row).collect()
}

/// Bytes for each idle stream.
fn idle(settings: &Settings) -> Value {
    let row = |streams: &u64| {
        const WARM: u64 = 256;
        let mut pair = Pair::start(WARM + streams, 1);
        pair.sender.ask("sessions 1");
        pair.sender.ask(&format!("streams {WARM}"));
        let before = pair.resident();
        let start = Instant::now();
        pair.sender.ask(&format!("streams {}", WARM + streams));
        let opened = start.elapsed().as_secs_f64();
        let after = pair.resident();
        let each = |end: usize| after[end].saturating_sub(before[end]) as f64 / *streams as f64;
        json!({
            "streams": streams, "sender_bytes": each(0), "receiver_bytes": each(1),
            "opened_per_s": *streams as f64 / opened,
        })
    };
    settings.idle.iter().map(row).collect()
}

/// One round of one number of sessions.
#[derive(Clone)]
struct Sessions {
    opened_per_s: f64,
    /// Of each, at the sender and at the receiver.
    bytes: [f64; 2],
    filled: both::Filled,
    /// The receiver's memory after all were active.
    busy: f64,
}

/// What a session costs while there are 1, 10, … of them on one receiver.
fn sessions(settings: &Settings) -> Value {
    let mut rounds = vec![Vec::new(); settings.sessions.len()];
    for _ in 0..settings.rounds {
        for (sessions, rows) in settings.sessions.iter().zip(&mut rounds) {
            let mut pair = Pair::start(16, *sessions + 8);
            // The first ones make both processes warm, and are not counted.
            pair.sender.ask("sessions 8");
            pair.sender.ask("streams 8");
            let before = pair.resident();
            let start = Instant::now();
            pair.sender.ask(&format!("sessions {}", sessions + 8));
            pair.sender.ask(&format!("streams {}", sessions + 8));
            let opened = start.elapsed().as_secs_f64();
            let after = pair.resident();
            let each =
                |end: usize| after[end].saturating_sub(before[end]) as f64 / *sessions as f64;
            let filled = pair.fill_last(*sessions, settings.span);
            let busy = pair.resident();
            let opened_per_s = *sessions as f64 / opened;
            let bytes = [each(0), each(1)];
            rows.push(Sessions { opened_per_s, bytes, filled, busy: busy[1] as f64 });
        }
    }
    let row = |(sessions, rows): (&u64, &Vec<Sessions>)| {
        let of = |figure: fn(&Sessions) -> f64| median(rows.iter().map(figure));
        json!({
            "sessions": sessions,
            "opened_per_s": of(|row| row.opened_per_s),
            "sender_bytes": of(|row| row.bytes[0]),
            "receiver_bytes": of(|row| row.bytes[1]),
            "bytes_per_s": of(|row| row.filled.bytes_per_s),
            "processor_s_per_gib": of(|row| row.filled.processor_s_per_gib),
            "slowest_to_mean": of(|row| row.filled.slowest_to_mean),
            "receiver_resident": of(|row| row.busy),
        })
    };
    settings.sessions.iter().zip(&rounds).map(row).collect()
}

fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn print(answer: &Value) {
    let number = |row: &Value, key: &str| row[key].as_f64().unwrap_or(f64::NAN);
    let rows = |key: &str| answer[key].as_array().cloned().unwrap_or_default();
    let gib = f64::from(1 << 30);
    if answer["active"].is_array() {
        println!("\n{:>9} {:>9} {:>15} {:>12}", "streams", "GiB/s", "to one stream", "CPU s / GiB");
    }
    for row in rows("active") {
        let (rate, ratio) = (number(&row, "bytes_per_s") / gib, number(&row, "to_one_stream"));
        let cost = number(&row, "processor_s_per_gib");
        println!("{:>9} {rate:>9.2} {ratio:>15.2} {cost:>12.2}", number(&row, "streams"));
    }
    if answer["idle"].is_array() {
        println!(
            "\n{:>9} {:>9} {:>9} {:>9} {:>11}",
            "idle", "sender B", "receiver", "both", "opened/s"
        );
    }
    for row in rows("idle") {
        let (near, far) = (number(&row, "sender_bytes"), number(&row, "receiver_bytes"));
        let (both, opened) = (near + far, number(&row, "opened_per_s"));
        println!(
            "{:>9} {near:>9.0} {far:>9.0} {both:>9.0} {opened:>11.0}",
            number(&row, "streams")
        );
    }
    if answer["sessions"].is_array() {
        println!(
            "\n{:>9} {:>11} {:>9} {:>9} {:>9} {:>12} {:>13}",
            "sessions",
            "receiver B",
            "sender B",
            "opened/s",
            "GiB/s",
            "CPU s / GiB",
            "slowest/mean"
        );
    }
    for row in rows("sessions") {
        let sessions = number(&row, "sessions");
        let (near, far) = (number(&row, "sender_bytes"), number(&row, "receiver_bytes"));
        let (opened, rate) = (number(&row, "opened_per_s"), number(&row, "bytes_per_s") / gib);
        let (cost, fair) = (number(&row, "processor_s_per_gib"), number(&row, "slowest_to_mean"));
        println!(
            "{sessions:>9} {far:>11.0} {near:>9.0} {opened:>9.0} {rate:>9.2} {cost:>12.2} {fair:>13.2}"
        );
    }
}

fn settings(mut arguments: impl Iterator<Item = String>) -> Settings {
    let mut settings = Settings {
        only: Vec::new(),
        rounds: 3,
        span: Duration::from_millis(300),
        json: None,
        active: vec![1, 100, 1_000, 10_000],
        idle: vec![10_000, 100_000],
        sessions: vec![1, 10, 100, 1_000],
    };
    let (mut bench, mut test) = (false, false);
    while let Some(argument) = arguments.next() {
        let mut number = || -> f64 {
            arguments.next().and_then(|text| text.parse().ok()).unwrap_or_else(|| {
                eprintln!("scale: {argument} needs a number");
                std::process::exit(2)
            })
        };
        match argument.as_str() {
            "--bench" => bench = true,
            "--test" => test = true,
            "--long" => (settings.rounds, settings.span) = (5, Duration::from_secs(1)),
            "--rounds" => settings.rounds = number().max(1.0) as usize,
            "--seconds" => settings.span = Duration::from_secs_f64(number().max(0.01)),
            "--json" => settings.json = arguments.next(),
            flag if flag.starts_with('-') => eprintln!("scale: {flag} is not known here"),
            _ => settings.only.push(argument),
        }
    }
    if test || !bench {
        // Every path once: a test of the bench, not a measurement.
        (settings.rounds, settings.span) = (1, Duration::from_millis(20));
        (settings.active, settings.idle, settings.sessions) = (vec![1, 50], vec![100], vec![1, 5]);
    }
    settings
}

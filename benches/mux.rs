//! Raw TCP, yamux, h2 and P2 through the same scenarios, in turn, in one run.
//!
//! ```text
//! cargo bench --bench mux -- [SCENARIO...] [--rounds N] [--seconds S] [--peers A,B] [--json FILE] [--all]
//! ```
//!
//! Scenarios are `bulk`, `small`, `echo`, `churn` and `idle`, or one of `bulk-1`, `bulk-8`, `bulk-100`,
//! `bulk-10000`, `echo-alone`, `echo-beside`, `idle-10000`, `idle-100000`; `--all` adds yamux with
//! 100,000 idle streams, which it takes minutes to open. Peers are `tcp`, `yamux`, `h2`, `p2` and `p2-classes`. Both ends are in this process, on two worker threads,
//! joined by loopback TCP without Nagle's delay. In each round every peer runs each scenario once,
//! so that a busy machine slows all of them; look at the ratios, and on a very busy one
//! at those per second of processor time. Raw TCP takes a connection for
//! each stream. P2 runs with its defaults, digests included, without compression.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is the result")]

#[path = "mux/peer/mod.rs"]
mod peer;
#[path = "mux/report.rs"]
mod report;
#[path = "mux/scenario/mod.rs"]
mod scenario;
#[path = "mux/settings.rs"]
mod settings;

use std::time::Duration;

use peer::Peer;
use peer::h2::H2;
use peer::p2::{P2, P2Classes};
use peer::tcp::Tcp;
use peer::yamux::Yamux;
use report::Report;
use scenario::{Rate, bulk, churn, echo, idle, run, small};
use settings::{SCENARIOS, Settings};

const PEERS: [&str; 5] = ["tcp", "yamux", "h2", "p2", "p2-classes"];

/// Calls a generic function for the peer of a name.
macro_rules! with_peer {
    ($name:expr, $function:ident($($argument:expr),*)) => {
        match $name {
            "tcp" => $function::<Tcp>($($argument),*),
            "yamux" => $function::<Yamux>($($argument),*),
            "h2" => $function::<H2>($($argument),*),
            "p2" => $function::<P2>($($argument),*),
            _ => $function::<P2Classes>($($argument),*),
        }
    };
}

fn main() {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if_eq(idle::CHILD).is_some() {
        let (peer, streams) = (arguments.next(), arguments.next());
        let peer = peer.expect("a peer");
        let streams = streams.and_then(|text| text.parse().ok()).expect("a count of streams");
        println!("{}", with_peer!(peer.as_str(), idle_child(streams)));
        return;
    }
    let settings = match Settings::parse(arguments) {
        Ok(settings) => settings,
        Err(error) => {
            eprintln!("mux: {error}");
            std::process::exit(2);
        }
    };
    if !SCENARIOS.iter().any(|scenario| settings.runs(scenario)) {
        eprintln!("mux: nothing to run; scenarios are {}", SCENARIOS.join(", "));
        return;
    }
    let mut report = Report::default();
    for round in 0..settings.rounds {
        for scenario in SCENARIOS.into_iter().filter(|scenario| settings.runs(scenario)) {
            // Nobody is always the first.
            for turn in 0..PEERS.len() {
                let peer = PEERS[(round + turn) % PEERS.len()];
                if settings.has(peer) {
                    measure(scenario, peer, round, &settings, &mut report);
                }
            }
        }
        eprintln!("round {} of {}", round + 1, settings.rounds);
    }
    let shown: Vec<_> = PEERS.into_iter().filter(|peer| settings.has(peer)).collect();
    report.print(&shown);
    if let Some(path) = &settings.json {
        let text = format!("{:#}\n", report.json(&shown));
        if let Err(error) = std::fs::write(path, text) {
            eprintln!("mux: {}: {error}", path.display());
            std::process::exit(1);
        }
    }
}

fn measure(
    scenario: &str,
    peer: &'static str,
    round: usize,
    settings: &Settings,
    report: &mut Report,
) {
    let span = settings.span;
    let scale = if settings.smoke { 100 } else { 1 };
    let classes = peer == "p2-classes";
    match scenario {
        "echo-beside" => with_peer!(peer, run_beside(peer, span, report)),
        _ if classes => {}
        "bulk-1" => report.rate("bulk 1", peer, with_peer!(peer, run_bulk(1, span))),
        "bulk-8" => report.rate("bulk 8", peer, with_peer!(peer, run_bulk(8, span))),
        "bulk-100" => report.rate("bulk 100", peer, with_peer!(peer, run_bulk(100, span))),
        "bulk-10000" => {
            let streams = affordable(peer, 10_000 / scale);
            report.rate("bulk 10000", peer, with_peer!(peer, run_bulk(streams, span)));
        }
        "small" => report.rate("small 100", peer, with_peer!(peer, run_small(span))),
        "echo-alone" => with_peer!(peer, run_alone(peer, span, report)),
        "churn" => report.rate("churn", peer, with_peer!(peer, run_churn(span))),
        // It does not vary, and raw TCP's memory is the kernel's.
        "idle-10000" | "idle-100000" if peer != "tcp" && round == 0 => {
            let (metric, streams) = match scenario {
                "idle-10000" => ("idle 10000", 10_000),
                // Each of its opens looks at every open stream: minutes.
                _ if peer == "yamux" && !settings.all => return,
                _ => ("idle 100000", 100_000),
            };
            if let Some(bytes) = idle::idle(peer, streams / scale) {
                report.add(metric, peer, bytes);
            }
        }
        _ => {}
    }
}

/// Raw TCP needs two descriptors for each stream.
fn affordable(peer: &str, streams: usize) -> usize {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let limit = usize::try_from(limit.unwrap_or(u64::MAX)).unwrap_or(usize::MAX);
    match limit.saturating_sub(100) / 2 {
        most if peer == "tcp" && most < streams => {
            eprintln!("tcp: {most} connections instead of {streams}: see `ulimit -n`");
            most
        }
        _ => streams,
    }
}

fn run_bulk<P: Peer>(streams: usize, span: Duration) -> Rate {
    run(bulk::bulk::<P>(streams, span))
}

fn run_small<P: Peer>(span: Duration) -> Rate {
    run(small::small::<P>(100, span))
}

fn run_churn<P: Peer>(span: Duration) -> Rate {
    run(churn::churn::<P>(span))
}

fn run_alone<P: Peer>(peer: &'static str, span: Duration, report: &mut Report) {
    let times = run(echo::alone::<P>(span));
    report.add("echo alone p50", peer, times.p50);
    report.add("echo alone p99", peer, times.p99);
}

fn run_beside<P: Peer>(peer: &'static str, span: Duration, report: &mut Report) {
    let beside = run(echo::beside::<P>(span));
    report.add("echo beside p50", peer, beside.times.p50);
    report.add("echo beside p99", peer, beside.times.p99);
    report.add("bulk with echo", peer, beside.with);
    report.add("bulk kept", peer, 100.0 * beside.with / beside.without);
}

fn idle_child<P: Peer>(streams: usize) -> f64 {
    run(idle::child::<P>(streams))
}

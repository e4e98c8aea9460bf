//! The plots, each from one file of figures.

use serde_json::Value;

use crate::figures::{Figures, list, number};
use crate::svg::{Title, bars, lines};

pub(crate) const NAMES: [&str; 6] =
    ["throughput.svg", "small.svg", "echo.svg", "memory.svg", "wide.svg", "scale.svg"];
const PEERS: [(&str, &str); 4] =
    [("tcp", "raw TCP"), ("yamux", "yamux"), ("h2", "h2"), ("p2", "P2")];
/// Raw TCP's memory is the kernel's.
const MULTIPLEXERS: [(&str, &str); 3] = [("yamux", "yamux"), ("h2", "h2"), ("p2", "P2")];

/// Those whose figures are there.
pub(crate) fn all(figures: &Figures) -> Vec<(&'static str, String)> {
    let Figures { mux, wide, scale, .. } = figures;
    let mut plots = Vec::new();
    if !mux.is_null() {
        let bulk = ["bulk 1", "bulk 8", "bulk 100", "bulk 10000"];
        let title = Title { text: "Bulk throughput by number of streams", unit: "GiB/s" };
        let groups = ["1 stream", "8", "100", "10,000"];
        plots.push(("throughput.svg", of_mux(mux, &title, &bulk, &groups, &PEERS, false)));
        let title = Title { text: "Writes of 128 bytes on 100 streams", unit: "millions a second" };
        plots.push(("small.svg", of_mux(mux, &title, &["small 100"], &[""], &PEERS, false)));
        let echo = ["echo alone p50", "echo alone p99", "echo beside p50", "echo beside p99"];
        let groups = ["alone, p50", "alone, p99", "beside bulk, p50", "beside bulk, p99"];
        let title = Title { text: "Echo of 64 bytes: less is better", unit: "microseconds" };
        plots.push(("echo.svg", of_mux(mux, &title, &echo, &groups, &PEERS, true)));
        let title = Title { text: "An idle stream, both ends: less is better", unit: "bytes" };
        let idle = ["idle 10000", "idle 100000"];
        let groups = ["10,000 streams", "100,000 streams"];
        plots.push(("memory.svg", of_mux(mux, &title, &idle, &groups, &MULTIPLEXERS, false)));
    }
    if !wide.is_null() {
        plots.push(("wide.svg", course(wide)));
    }
    if !scale.is_null() {
        plots.push(("scale.svg", ratios(scale)));
    }
    plots
}

fn of_mux(
    mux: &Value,
    title: &Title<'_>,
    metrics: &[&str],
    groups: &[&str],
    peers: &[(&str, &'static str)],
    log: bool,
) -> String {
    let of =
        |peer: &str| metrics.iter().map(|m| mux[*m]["peers"][peer]["median"].as_f64()).collect();
    let series: Vec<_> = peers.iter().map(|(peer, name)| (*name, of(peer))).collect();
    let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
    bars(title, &groups, &series, log)
}

/// What arrived in each tenth of a second.
fn course(wide: &Value) -> String {
    let seconds = number(wide, "bin_ms") / 1e3;
    let of = |peer: &str| -> Vec<(f64, f64)> {
        let bins = list(&wide[peer]["course"]);
        // The last one was cut short.
        let whole = bins.len().saturating_sub(1);
        let point = |(at, bytes): (usize, &Value)| {
            (at as f64 * seconds, bytes.as_f64().unwrap_or(0.0) * 8e-6 / seconds)
        };
        bins.iter().take(whole).enumerate().map(point).collect()
    };
    let title = Title { text: "One stream over a wide and long link", unit: "Mbit/s" };
    let series = [("raw TCP", of("tcp")), ("P2", of("p2"))];
    lines(&title, "seconds after the first byte", &series, false)
}

fn ratios(scale: &Value) -> String {
    let of = |list_of: &str, count: &str, key: &str| -> Vec<(f64, f64)> {
        list(&scale[list_of]).iter().map(|row| (number(row, count), number(row, key))).collect()
    };
    let relative = |points: Vec<(f64, f64)>| -> Vec<(f64, f64)> {
        let one = points.first().map_or(1.0, |(_, first)| *first);
        points.into_iter().map(|(x, y)| (x, y / one)).collect()
    };
    let title = Title { text: "All of them active: throughput", unit: "1 is that of a single one" };
    let series = [
        ("sessions of one stream", relative(of("sessions", "sessions", "bytes_per_s"))),
        ("streams of one session", of("active", "streams", "to_one_stream")),
    ];
    lines(&title, "how many", &series, true)
}

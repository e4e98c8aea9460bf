//! The tables, each from one file of figures.

use serde_json::Value;

use crate::figures::{Figures, cell, list, number, short, thousands};

pub(crate) const NAMES: [&str; 9] =
    ["machine", "peers", "slower", "pipes", "codecs", "transfers", "wide", "streams", "sessions"];
/// The order of the metrics beside peers.
const METRICS: [&str; 14] = [
    "bulk 1",
    "bulk 8",
    "bulk 100",
    "bulk 10000",
    "small 100",
    "echo alone p50",
    "echo alone p99",
    "echo beside p50",
    "echo beside p99",
    "bulk with echo",
    "bulk kept",
    "churn",
    "idle 10000",
    "idle 100000",
];
/// Metrics of which less is better.
const LESS: [&str; 6] = [
    "echo alone p50",
    "echo alone p99",
    "echo beside p50",
    "echo beside p99",
    "idle 10000",
    "idle 100000",
];
const PEERS: [(&str, &str); 3] = [("tcp", "raw TCP"), ("yamux", "yamux"), ("h2", "h2")];
const MIB: f64 = 1.0 / 1_048_576.0;
const GIB: f64 = MIB / 1024.0;

/// Those whose figures are there.
pub(crate) fn all(figures: &Figures) -> Vec<(&'static str, String)> {
    let Figures { machine, mux, pipes, bench, wide, scale } = figures;
    let tables = [
        (machine, machine_words(machine)),
        (mux, peers(mux)),
        (mux, slower(mux)),
        (pipes, programs(pipes)),
        (bench, codecs(bench)),
        (bench, transfers(bench)),
        (wide, wide_link(wide)),
        (scale, streams(scale)),
        (scale, sessions(scale)),
    ];
    let named = NAMES.into_iter().zip(tables);
    named
        .filter(|(_, (source, _))| !source.is_null())
        .map(|(name, (_, text))| (name, text))
        .collect()
}

fn table(head: &[&str], rows: Vec<Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let mut text = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    text.push_str(&format!("|---|{}\n", "---:|".repeat(head.len().saturating_sub(1))));
    rows.into_iter().for_each(|row| text.push_str(&line(row)));
    text
}

fn machine_words(machine: &Value) -> String {
    let word = |key: &str| machine[key].as_str().unwrap_or("?").to_owned();
    format!(
        "Measured on {} in {} rounds: {} cores, {} GiB of memory, {}, {}; commit {}. {}\n",
        word("date"),
        machine["rounds"],
        machine["cores"],
        machine["memory_gib"],
        word("kernel"),
        word("compiler"),
        word("commit"),
        word("quiet")
    )
}

fn metrics(mux: &Value) -> impl Iterator<Item = (&'static str, &Value)> {
    METRICS.into_iter().filter_map(|name| Some((name, mux.get(name)?)))
}

/// How P2 stands to a peer in a metric; above 1 is better, whatever is measured.
fn lead(name: &str, metric: &Value, peer: &str) -> Option<f64> {
    let ratio = metric["p2_to"][peer].as_f64()?;
    Some(if LESS.contains(&name) { 1.0 / ratio } else { ratio })
}

fn peers(mux: &Value) -> String {
    let rows = metrics(mux).map(|(name, metric)| {
        let mut row = vec![format!("{name}, {}", metric["unit"].as_str().unwrap_or_default())];
        for peer in ["tcp", "yamux", "h2", "p2", "p2-classes"] {
            row.push(cell(metric, &format!("/peers/{peer}/median"), 1.0));
        }
        for (peer, _) in PEERS {
            row.push(cell(metric, &format!("/p2_to/{peer}"), 1.0));
        }
        let goal = metric["goal"].as_str().unwrap_or_default();
        row.push(match metric["met"].as_bool() {
            _ if goal.is_empty() => String::new(),
            Some(true) => format!("{goal}: met"),
            Some(false) => format!("{goal}: **missed**"),
            None => goal.to_owned(),
        });
        row
    });
    let head = [
        "median",
        "raw TCP",
        "yamux",
        "h2",
        "P2",
        "P2, classes",
        "P2/TCP",
        "P2/yamux",
        "P2/h2",
        "goal",
    ];
    table(&head, rows.collect())
}

/// Said plainly.
fn slower(mux: &Value) -> String {
    let mut lines = Vec::new();
    for (name, metric) in metrics(mux) {
        for (peer, title) in PEERS {
            if let Some(lead) = lead(name, metric, peer).filter(|lead| *lead < 0.995) {
                let unit = metric["unit"].as_str().unwrap_or_default();
                let of = |who: &str| cell(metric, &format!("/peers/{who}/median"), 1.0);
                let (own, theirs) = (of("p2"), of(peer));
                let percent = lead * 100.0;
                lines.push(format!(
                    "- {name}: P2 {own} {unit}, {title} {theirs}: {percent:.0} % as good."
                ));
            }
        }
    }
    if lines.is_empty() { "In nothing that was measured.\n".to_owned() } else { lines.join("\n") }
}

fn programs(pipes: &Value) -> String {
    let rows = list(&pipes["rows"]).iter().map(|row| {
        let percent = |key: &str| {
            let share = 100.0 * number(row, key) / number(row, "codec_mb_per_s");
            if share.is_finite() { format!("{share:.0} %") } else { "-".to_owned() }
        };
        let ratio = number(row, "pipe_mb_per_s") / number(row, "tool_mb_per_s");
        vec![
            format!(
                "{}, {}",
                row["file"].as_str().unwrap_or("?"),
                row["codec"].as_str().unwrap_or("?")
            ),
            cell(row, "/pipe_mb_per_s", 1.0),
            cell(row, "/codec_mb_per_s", 1.0),
            percent("pipe_mb_per_s"),
            percent("without_start_mb_per_s"),
            cell(row, "/tool_mb_per_s", 1.0),
            short(ratio),
        ]
    });
    let head = [
        "file, codec",
        "P2, MB/s",
        "codec alone",
        "of codec",
        "without start",
        "tool's pipe",
        "x tool",
    ];
    table(&head, rows.collect())
}

fn codecs(bench: &Value) -> String {
    let rows = list(&bench["codecs"]).iter().map(|row| {
        vec![
            format!(
                "{}, {}",
                row["codec"].as_str().unwrap_or("?"),
                row["data"].as_str().unwrap_or("?")
            ),
            cell(row, "/ratio", 1.0),
            cell(row, "/encode_bytes_per_s", 1e-6),
            cell(row, "/decode_bytes_per_s", 1e-6),
        ]
    });
    table(&["codec, data", "ratio", "encode, MB/s", "decode, MB/s"], rows.collect())
}

fn transfers(bench: &Value) -> String {
    let all = list(&bench["transfers"]);
    let mut columns: Vec<u64> = all.iter().filter_map(|row| row["streams"].as_u64()).collect();
    columns.sort_unstable();
    columns.dedup();
    let mut names: Vec<&str> = all.iter().filter_map(|row| row["codec"].as_str()).collect();
    names.dedup();
    let rows = names.iter().map(|codec| {
        let mut row = vec![(*codec).to_owned()];
        for streams in &columns {
            let found = all.iter().find(|r| r["codec"] == **codec && r["streams"] == *streams);
            row.push(found.map_or("-".to_owned(), |found| cell(found, "/bytes_per_s", 1e-6)));
        }
        row
    });
    let titles: Vec<String> =
        columns.iter().map(|n| format!("{} streams, MB/s", thousands(*n))).collect();
    let mut head = vec!["codec"];
    head.extend(titles.iter().map(String::as_str));
    table(&head, rows.collect())
}

fn wide_link(wide: &Value) -> String {
    let rows = [
        ("rate after two seconds, % of the link", "/share", 100.0),
        ("full after, s", "/fills_s", 1.0),
        ("echo on the empty link, p50, ms", "/echo_alone_ms/p50", 1.0),
        ("echo beside the bulk stream, p50, ms", "/echo_beside_ms/p50", 1.0),
        ("echo beside the bulk stream, p99, ms", "/echo_beside_ms/p99", 1.0),
        ("largest window, MiB", "/window", MIB),
        ("most in flight, MiB", "/in_flight", MIB),
        ("most retained, MiB", "/retained", MIB),
        ("sender's memory: before, MiB", "/sender_before", MIB),
        ("sender's memory: peak, MiB", "/sender_peak", MIB),
        ("receiver's memory: before, MiB", "/receiver_before", MIB),
        ("receiver's memory: peak, MiB", "/receiver_peak", MIB),
    ];
    let rows = rows.map(|(title, pointer, scale)| {
        vec![
            title.to_owned(),
            cell(&wide["tcp"], pointer, scale),
            cell(&wide["p2"], pointer, scale),
        ]
    });
    table(&["median", "raw TCP", "P2"], rows.into())
}

fn streams(scale: &Value) -> String {
    let active = list(&scale["active"]).iter().map(|row| {
        vec![
            format!("{} active", thousands(row["streams"].as_u64().unwrap_or(0))),
            cell(row, "/bytes_per_s", GIB),
            cell(row, "/to_one_stream", 1.0),
            cell(row, "/processor_s_per_gib", 1.0),
            "-".to_owned(),
        ]
    });
    let idle = list(&scale["idle"]).iter().map(|row| {
        let both = number(row, "sender_bytes") + number(row, "receiver_bytes");
        let none = || "-".to_owned();
        let title = format!("{} idle", thousands(row["streams"].as_u64().unwrap_or(0)));
        vec![title, none(), none(), none(), short(both)]
    });
    let head = ["streams", "GiB/s", "to one stream", "processor s/GiB", "bytes each, both ends"];
    table(&head, active.chain(idle).collect())
}

fn sessions(scale: &Value) -> String {
    let rows = list(&scale["sessions"]).iter().map(|row| {
        vec![
            thousands(row["sessions"].as_u64().unwrap_or(0)),
            cell(row, "/receiver_bytes", 1.0 / 1024.0),
            cell(row, "/sender_bytes", 1.0 / 1024.0),
            cell(row, "/opened_per_s", 1.0),
            cell(row, "/bytes_per_s", GIB),
            cell(row, "/processor_s_per_gib", 1.0),
            cell(row, "/slowest_to_mean", 1.0),
        ]
    });
    let head = [
        "sessions",
        "receiver, KiB each",
        "sender, KiB each",
        "opened/s",
        "GiB/s, all active",
        "processor s/GiB",
        "slowest/mean",
    ];
    table(&head, rows.collect())
}

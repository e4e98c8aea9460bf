//! A file through two real `p2` processes, beside the codec's own speed and beside `gzip -1`,
//! `zstd -1` and `lz4 -1` in a pipe over the same kind of socket.
//!
//! ```text
//! cargo bench --bench pipes --features full -- [CODEC...] [--rounds N] [--scale F] [--json FILE]
//! ```
//!
//! - *pipe*: MB/s (10^6 raw bytes) from the start of the sender to the end of the receiver, which
//!   writes to `/dev/null`; one stream, loopback TCP.
//! - *start*: what the same takes for a file of 1 KiB; it is part of every figure of *pipe*.
//! - *% of codec*: against the slower of encoding and decoding in messages of 64 KiB in one thread,
//!   measured in the same round; the second figure leaves *start* out.
//! - *x tool*: against the tool's pipe, whose ends are joined by a relay as `nc` would be.
//!
//! Figures are medians. The log is the one of `benches/corpus`, repeated at a distance that no
//! codec's window reaches; `--scale 4` makes files four times as large.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the table is the result")]

#[path = "pipes/alone.rs"]
mod alone;
#[allow(dead_code, reason = "the codec bench uses the rest")]
mod corpus;
#[path = "pipes/program.rs"]
mod program;
#[path = "pipes/tool.rs"]
mod tool;

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use p2_codec::Registry;

/// Codec, the tool that does the same, and MiB to send, so that each takes about as long.
const CODECS: [(&str, Option<&str>, f64); 5] = [
    ("none", None, 384.0),
    ("gzip", Some("gzip"), 96.0),
    ("zstd", Some("zstd"), 192.0),
    ("lz4", Some("lz4"), 384.0),
    ("snappy", None, 384.0),
];

struct Settings {
    only: Vec<String>,
    rounds: usize,
    scale: f64,
    json: Option<PathBuf>,
}

/// Medians of MB/s, and of seconds where said.
struct Row {
    file: &'static str,
    codec: &'static str,
    pipe: f64,
    without_start: f64,
    alone: Option<f64>,
    tool: Option<f64>,
}

impl Row {
    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "file": self.file, "codec": self.codec, "pipe_mb_per_s": self.pipe,
            "without_start_mb_per_s": self.without_start, "codec_mb_per_s": self.alone,
            "tool_mb_per_s": self.tool,
        })
    }
}

fn main() {
    let settings = settings();
    let folder = tempfile::tempdir().expect("a folder for the files");
    let tiny = folder.path().join("tiny");
    std::fs::write(&tiny, [b'x'; 1024]).expect("written");
    for (_, tool, _) in CODECS {
        if let Some(tool) = tool.filter(|tool| !tool::exists(tool)) {
            println!("skipped: no {tool} on this machine; Debian's package is {tool}");
        }
    }
    let corpora = corpus::corpora();
    let mut rows = Vec::new();
    for name in ["log", "random"] {
        let Some(corpus) = corpora.iter().find(|corpus| corpus.name == name) else { continue };
        for (codec, tool, mib) in CODECS {
            let wanted = settings.only.is_empty() || settings.only.iter().any(|only| only == codec);
            if !wanted || !built(codec) {
                continue;
            }
            let bytes = (mib * settings.scale * f64::from(1 << 20)) as usize;
            let path = file(folder.path(), name, &corpus.data, bytes);
            let tool = tool.filter(|tool| tool::exists(tool));
            let source = Source { name, data: &corpus.data, path: &path, bytes, tiny: &tiny };
            rows.push(source.measure(codec, tool, settings.rounds));
            std::fs::remove_file(&path).expect("removed");
        }
    }
    table(&rows);
    if let Some(path) = &settings.json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        let answer = serde_json::json!({ "rounds": settings.rounds, "rows": rows });
        std::fs::write(path, format!("{answer:#}\n")).expect("a file that can be written");
    }
}

struct Source<'a> {
    name: &'static str,
    data: &'a [u8],
    path: &'a Path,
    bytes: usize,
    tiny: &'a Path,
}

impl Source<'_> {
    /// Everything in turn, round by round.
    fn measure(&self, codec: &'static str, tool: Option<&str>, rounds: usize) -> Row {
        let speed = |seconds: f64| self.bytes as f64 / seconds / 1e6;
        let (mut pipes, mut rest, mut alone, mut tools) = (vec![], vec![], vec![], vec![]);
        for _ in 0..rounds {
            let start = program::seconds(codec, self.tiny, 1024);
            let took = program::seconds(codec, self.path, self.bytes as u64);
            pipes.push(speed(took));
            rest.push(speed((took - start).max(1e-6)));
            // Bytes that do not compress go round the codec.
            if codec != "none" && self.name != "random" {
                alone.push(alone::slower(codec, self.data));
            }
            if let Some(tool) = tool {
                tools.push(speed(tool::seconds(tool, self.path, self.bytes as u64)));
            }
        }
        Row {
            file: self.name,
            codec,
            pipe: median(pipes).unwrap_or(0.0),
            without_start: median(rest).unwrap_or(0.0),
            alone: median(alone),
            tool: median(tools),
        }
    }
}

fn table(rows: &[Row]) {
    println!(
        "\n{:<8} {:<8} {:>9} {:>10} {:>12} {:>10} {:>8} {:>8}",
        "file", "codec", "pipe MB/s", "codec MB/s", "% of codec", "less start", "tool", "x tool"
    );
    for row in rows {
        let percent =
            |speed: f64| row.alone.map_or("-".into(), |a| format!("{:.0}", 100.0 * speed / a));
        let number = |value: Option<f64>| value.map_or("-".into(), |value| format!("{value:.0}"));
        println!(
            "{:<8} {:<8} {:>9.0} {:>10} {:>12} {:>10} {:>8} {:>8}",
            row.file,
            row.codec,
            row.pipe,
            number(row.alone),
            percent(row.pipe),
            percent(row.without_start),
            number(row.tool),
            row.tool.map_or("-".into(), |tool| format!("{:.1}", row.pipe / tool)),
        );
    }
}

/// `data` as often as it takes to make a file of `bytes`.
fn file(folder: &Path, name: &str, data: &[u8], bytes: usize) -> PathBuf {
    let path = folder.join(name);
    let mut file = File::create(&path).expect("a file");
    let mut missing = bytes;
    while missing > 0 {
        let part = missing.min(data.len());
        file.write_all(&data[..part]).expect("written");
        missing -= part;
    }
    path
}

fn built(codec: &str) -> bool {
    codec == "none" || Registry::builtin().iter().any(|known| known.name() == codec)
}

fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

fn settings() -> Settings {
    let mut settings = Settings { only: Vec::new(), rounds: 3, scale: 1.0, json: None };
    let (mut bench, mut test) = (false, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => bench = true,
            "--test" => test = true,
            "--rounds" => settings.rounds = number(&argument, arguments.next()),
            "--json" => settings.json = arguments.next().map(PathBuf::from),
            "--scale" => settings.scale = number(&argument, arguments.next()),
            flag if flag.starts_with('-') => eprintln!("pipes: {flag} is not known here"),
            _ => settings.only.push(argument),
        }
    }
    if test || !bench {
        (settings.rounds, settings.scale) = (1, 0.01);
    }
    settings.rounds = settings.rounds.max(1);
    settings
}

fn number<T: std::str::FromStr>(flag: &str, text: Option<String>) -> T {
    text.and_then(|text| text.parse().ok()).unwrap_or_else(|| {
        eprintln!("pipes: {flag} needs a number");
        std::process::exit(2)
    })
}

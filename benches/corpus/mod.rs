//! What the codecs are measured on: deterministic look-alikes of real traffic, or files of yours.
//!
//! `P2_BENCH_CORPUS` names a directory or a list of files (separated as in `PATH`); each file
//! becomes a corpus of its own, cut to 8 MiB.

use std::fmt::Write;
use std::path::{Path, PathBuf};

/// Bytes of one kind, and where its messages may be cut.
pub(crate) struct Corpus {
    pub(crate) name: String,
    pub(crate) data: Vec<u8>,
    /// Whether a message of the smallest size is a line; else it is 150 bytes.
    lines: bool,
}

/// A message's size.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    Line,
    Bytes(usize),
}

pub(crate) const SIZES: [Size; 4] =
    [Size::Line, Size::Bytes(1024), Size::Bytes(16 * 1024), Size::Bytes(64 * 1024)];

const LEN: usize = 2 << 20;
const FILE_MAX: usize = 8 << 20;

/// The corpora of this run.
pub(crate) fn corpora() -> Vec<Corpus> {
    match std::env::var_os("P2_BENCH_CORPUS") {
        Some(list) => std::env::split_paths(&list).flat_map(|path| files(&path)).collect(),
        None => vec![
            Corpus { name: "log".into(), data: log(LEN), lines: true },
            Corpus { name: "json".into(), data: json(LEN), lines: true },
            Corpus { name: "records".into(), data: records(LEN), lines: false },
            Corpus { name: "random".into(), data: random(LEN), lines: false },
        ],
    }
}

impl Corpus {
    /// The corpus cut into messages, at most `total` bytes of them.
    pub(crate) fn messages(&self, size: Size, total: usize) -> Vec<&[u8]> {
        let data = &self.data[..self.data.len().min(total)];
        match size {
            Size::Line if self.lines => data.split_inclusive(|&byte| byte == b'\n').collect(),
            Size::Line => data.chunks(150).collect(),
            Size::Bytes(len) => data.chunks(len).collect(),
        }
    }
}

impl std::fmt::Display for Size {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Line => f.pad("line"),
            Self::Bytes(len) => f.pad(&format!("{} KiB", len / 1024)),
        }
    }
}

fn files(path: &Path) -> Vec<Corpus> {
    let mut paths: Vec<PathBuf> = match std::fs::read_dir(path) {
        Ok(entries) => {
            entries.flatten().map(|entry| entry.path()).filter(|p| p.is_file()).collect()
        }
        Err(_) => vec![path.to_owned()],
    };
    paths.sort();
    let read = |path: &PathBuf| {
        let mut data = std::fs::read(path).unwrap_or_else(|error| {
            panic!("P2_BENCH_CORPUS: cannot read {}: {error}", path.display())
        });
        data.truncate(FILE_MAX);
        let name = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned();
        let newlines = data.iter().filter(|&&byte| byte == b'\n').count();
        let lines = newlines > data.len() / 1000;
        Corpus { name, data, lines }
    };
    paths.iter().map(read).filter(|corpus| !corpus.data.is_empty()).collect()
}

/// SplitMix64: the same bytes on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// Small numbers more often than large ones, as names and codes occur in real traffic.
    fn skewed(&mut self, end: u64) -> u64 {
        let (a, b, c) = (self.below(end), self.below(end), self.below(end));
        a.min(b).min(c)
    }

    fn pick<'a>(&mut self, of: &[&'a str]) -> &'a str {
        of[self.skewed(of.len() as u64) as usize]
    }
}

const PATHS: [&str; 10] = [
    "/api/v1/orders",
    "/api/v1/orders/items",
    "/healthz",
    "/static/app.js",
    "/login",
    "/api/v1/users/profile",
    "/search",
    "/api/v2/payments/confirm",
    "/metrics",
    "/favicon.ico",
];
const MODULES: [&str; 8] = [
    "http::server",
    "db::pool",
    "auth::session",
    "queue::worker",
    "cache::lru",
    "http::client",
    "billing::invoice",
    "scheduler::cron",
];
const LEVELS: [&str; 4] = ["INFO", "DEBUG", "WARN", "ERROR"];

/// Lines of a service's log, 148 bytes on average.
fn log(len: usize) -> Vec<u8> {
    let (mut random, mut text, mut micros) = (Random(1), String::new(), 1_770_149_700_000_000u64);
    while text.len() < len {
        micros += random.below(40_000);
        let (second, fraction) = (micros / 1_000_000 % 86_400, micros % 1_000_000);
        let (level, module) = (random.pick(&LEVELS), random.pick(&MODULES));
        let _ = write!(
            text,
            "2026-02-03T{:02}:{:02}:{:02}.{fraction:06}Z {level:>5} {module} host=web{:02} ",
            second / 3600,
            second / 60 % 60,
            second % 60,
            random.skewed(12),
        );
        let _ = match random.skewed(5) {
            0 => writeln!(
                text,
                "request_id={:08x} method={} path={} status={} bytes={} duration_ms={}",
                random.next() as u32,
                random.pick(&["GET", "POST", "PUT"]),
                random.pick(&PATHS),
                random.pick(&["200", "304", "404", "201", "500"]),
                random.skewed(60_000),
                random.skewed(900),
            ),
            1 => writeln!(
                text,
                "connection acquired from pool=primary idle={} in_use={} waited_us={} client=10.0.{}.{}",
                random.below(32),
                random.below(32),
                random.skewed(5000),
                random.skewed(8),
                random.below(256),
            ),
            2 => writeln!(
                text,
                "session refreshed for user_id={} ttl=3600s remote_addr=192.168.{}.{} agent=\"Mozilla/5.0 (X11; Linux x86_64)\"",
                10_000 + random.skewed(5000),
                random.skewed(4),
                random.below(256),
            ),
            3 => writeln!(
                text,
                "job done queue=default attempt={} took={}ms job_id={:016x}",
                1 + random.skewed(3),
                random.skewed(20_000),
                random.next(),
            ),
            _ => writeln!(
                text,
                "upstream timed out after {} ms, retrying: connect to 10.1.{}.{}:8443 failed (os error 110)",
                1000 * (1 + random.below(5)),
                random.skewed(4),
                random.below(256),
            ),
        };
    }
    text.truncate(len);
    text.into_bytes()
}

/// One JSON object a line.
fn json(len: usize) -> Vec<u8> {
    let (mut random, mut text, mut id) = (Random(2), String::new(), 1_000_000u64);
    while text.len() < len {
        id += 1 + random.below(3);
        let _ = writeln!(
            text,
            r#"{{"id":{id},"type":"{}","user":{{"id":{},"name":"user{}","active":{}}},"amount":{}.{:02},"currency":"{}","tags":["{}","{}"],"trace":"{:016x}"}}"#,
            random.pick(&["order.created", "order.paid", "order.shipped", "order.cancelled"]),
            random.skewed(90_000),
            random.skewed(9000),
            random.below(5) > 0,
            random.skewed(900),
            random.below(100),
            random.pick(&["EUR", "USD", "GBP"]),
            random.pick(&["web", "mobile", "partner"]),
            random.pick(&["new", "returning", "vip"]),
            random.next(),
        );
    }
    text.truncate(len);
    text.into_bytes()
}

/// Fixed 32-byte records of sensor readings: a time, an id, slowly moving values, flags.
fn records(len: usize) -> Vec<u8> {
    let (mut random, mut bytes, mut time) =
        (Random(3), Vec::with_capacity(len), 1_770_149_700_000u64);
    let mut values = [20_000i32; 64];
    while bytes.len() < len {
        time += random.below(20);
        let sensor = random.skewed(64) as usize;
        values[sensor] += random.below(21) as i32 - 10;
        bytes.extend_from_slice(&time.to_le_bytes());
        bytes.extend_from_slice(&(sensor as u32).to_le_bytes());
        bytes.extend_from_slice(&values[sensor].to_le_bytes());
        bytes.extend_from_slice(&(f64::from(values[sensor]) / 1000.0).to_le_bytes());
        bytes.extend_from_slice(&[1, 0, random.skewed(4) as u8, 0, 0, 0, 0, 0]);
    }
    bytes.truncate(len);
    bytes
}

fn random(len: usize) -> Vec<u8> {
    let mut random = Random(4);
    std::iter::repeat_with(|| random.next().to_le_bytes()).flatten().take(len).collect()
}

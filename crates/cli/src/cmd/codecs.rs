//! `p2 codecs [TARGET]`: what this build has, what a peer has, and which one would be chosen.

use std::fs::File;
use std::io::{self, Read, Write};

use anyhow::Context;
use p2_codec::{Probe, Registry, probe};
use serde::Serialize;

use crate::error::UserError;
use crate::exit::Exit;
use crate::settings::codec::OPTIONAL;
use crate::settings::{Address, CodecId, CodecsSettings};
use crate::sink::escape_text;
use crate::units::format_size;

/// Bytes of the made-up sample.
const SAMPLE: usize = 1 << 20;
/// Most bytes read of a sample file.
const MAX_SAMPLE: u64 = 4 << 20;
/// Bytes that each codec is measured with.
const BUDGET: usize = 8 << 20;

/// Answers on stdout.
///
/// # Errors
/// A sample that cannot be read, a peer that cannot be reached, a codec that fails on the sample.
pub(crate) async fn run(settings: CodecsSettings) -> anyhow::Result<Exit> {
    // The peer first: it may not be there, and measuring takes a moment.
    let peer = match &settings.target {
        Some(target) => Some(ask(&settings, target).await?),
        None => None,
    };
    let sample = settings.sample.clone();
    let measured = tokio::task::spawn_blocking(move || {
        let (name, bytes) = match sample {
            Some(path) => (path.display().to_string(), read_sample(&path)?),
            None => ("made-up log lines".to_owned(), made_up_log()),
        };
        let codecs = measure(&bytes)?;
        anyhow::Ok((Sample { name, bytes: bytes.len() }, codecs))
    });
    let (sample, codecs) = measured.await??;
    let missing = OPTIONAL
        .iter()
        .filter(|(_, id)| codecs.iter().all(|codec| codec.id != id.get()))
        .map(|(name, _)| Missing { name, feature: name })
        .collect();
    let answer = Answer { codecs, missing, sample, peer };
    let text = if settings.json { serde_json::to_string(&answer)? + "\n" } else { answer.text() };
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `p2 codecs | head -1` has its answer.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(Exit::Success),
    }
}

#[derive(Debug, Serialize)]
struct Answer {
    codecs: Vec<Measured>,
    missing: Vec<Missing>,
    sample: Sample,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<Peer>,
}

#[derive(Debug, Serialize)]
struct Measured {
    id: u8,
    name: String,
    /// The cargo feature that brings it; none for what is in every build.
    feature: Option<&'static str>,
    levels: [i32; 2],
    default_level: i32,
    stateful: bool,
    ratio: f64,
    encode_bytes_per_s: Option<f64>,
    decode_bytes_per_s: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Missing {
    name: &'static str,
    feature: &'static str,
}

#[derive(Debug, Serialize)]
struct Sample {
    name: String,
    bytes: usize,
}

#[derive(Debug, Serialize)]
struct Peer {
    address: String,
    agent: String,
    codecs: Vec<String>,
    to_peer: String,
    from_peer: String,
}

/// Makes a session without streams, looks at what was agreed, and closes it.
async fn ask(settings: &CodecsSettings, target: &Address) -> Result<Peer, UserError> {
    let client = settings.connection.client(&settings.retry).session_name("codecs");
    let connection = client.connect(&target.to_string()).await?;
    let (peer, agreed) = (connection.peer(), connection.codecs());
    let closed = tokio::time::timeout(settings.connection.drain_timeout, connection.close());
    if !matches!(closed.await, Ok(Ok(_))) {
        tracing::info!(%target, "the session that asked did not end in order");
    }
    Ok(Peer {
        address: target.to_string(),
        agent: peer.agent,
        codecs: agreed.theirs.iter().map(ToString::to_string).collect(),
        to_peer: agreed.to_peer.to_string(),
        from_peer: agreed.from_peer.to_string(),
    })
}

fn measure(sample: &[u8]) -> anyhow::Result<Vec<Measured>> {
    let registry = Registry::builtin();
    let mut all = Vec::new();
    for codec in registry.iter().filter(|codec| codec.id() != CodecId::NONE) {
        let capabilities = codec.capabilities();
        let probe: Probe = probe(codec.as_ref(), sample, BUDGET)
            .with_context(|| format!("{} failed on the sample", codec.name()))?;
        all.push(Measured {
            id: codec.id().get(),
            name: codec.name().to_owned(),
            feature: OPTIONAL.iter().find(|(_, id)| *id == codec.id()).map(|(name, _)| *name),
            levels: [*capabilities.levels.start(), *capabilities.levels.end()],
            default_level: capabilities.default_level,
            stateful: capabilities.stateful,
            ratio: probe.ratio,
            encode_bytes_per_s: Some(probe.encode_bytes_per_s),
            decode_bytes_per_s: Some(probe.decode_bytes_per_s),
        });
    }
    all.push(Measured {
        id: CodecId::NONE.get(),
        name: "none".to_owned(),
        feature: None,
        levels: [0, 0],
        default_level: 0,
        stateful: false,
        ratio: 1.0,
        encode_bytes_per_s: None,
        decode_bytes_per_s: None,
    });
    Ok(all)
}

fn read_sample(path: &std::path::Path) -> Result<Vec<u8>, UserError> {
    let failed = |error: io::Error| {
        UserError::usage(format!("cannot read the sample {}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_SAMPLE).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        return Err(UserError::usage(format!("the sample {} is empty", path.display())));
    }
    Ok(bytes)
}

/// Lines like a web server's, the same on every run and machine.
fn made_up_log() -> Vec<u8> {
    const PATHS: [&str; 6] =
        ["/", "/api/v1/orders", "/api/v1/users/me", "/static/app.js", "/login", "/health"];
    const CODES: [u16; 5] = [200, 200, 304, 404, 500];
    let mut random = fastrand::Rng::with_seed(1);
    let mut log = String::with_capacity(SAMPLE + 256);
    let mut millis = 0_u32;
    while log.len() < SAMPLE {
        millis = (millis + random.u32(1..90)) % 3_600_000;
        let path = PATHS.get(random.usize(..PATHS.len())).unwrap_or(&"/");
        let code = CODES.get(random.usize(..CODES.len())).unwrap_or(&200);
        log.push_str(&format!(
            "2026-02-03T20:{:02}:{:02}.{:03}Z INFO web request id={:08x} client=10.0.{}.{} \
             method=GET path={path} status={code} bytes={} took={}ms\n",
            millis / 60_000,
            millis / 1_000 % 60,
            millis % 1_000,
            random.u32(..),
            random.u8(..4),
            random.u8(..),
            random.u32(200..40_000),
            random.u32(1..900),
        ));
    }
    log.into_bytes()
}

impl Answer {
    fn text(&self) -> String {
        let rows: Vec<[String; 8]> = self.codecs.iter().map(Measured::row).collect();
        let head = ["codec", "id", "feature", "levels", "context", "ratio", "encode", "decode"];
        let mut text = table(head, &rows);
        let size = format_size(u64::try_from(self.sample.bytes).unwrap_or(u64::MAX));
        text.push_str(&format!("\nmeasured with {size} of {}, one core\n", self.sample.name));
        for missing in &self.missing {
            let Missing { name, feature } = missing;
            text.push_str(&format!(
                "not in this build: {name} (rebuild with `--features {feature}`)\n"
            ));
        }
        if let Some(peer) = &self.peer {
            text.push_str(&format!(
                "\npeer     {} ({})\nhas      {}\nchosen   {} to the peer, {} from it\n",
                peer.address,
                escape_text(&peer.agent),
                peer.codecs.join(", "),
                peer.to_peer,
                peer.from_peer,
            ));
        }
        text
    }
}

impl Measured {
    fn row(&self) -> [String; 8] {
        let [low, high] = self.levels;
        let levels = if low == high {
            "-".to_owned()
        } else {
            format!("{low}..{high} ({})", self.default_level)
        };
        [
            self.name.clone(),
            self.id.to_string(),
            self.feature.unwrap_or("-").to_owned(),
            levels,
            if self.stateful { "stream" } else { "-" }.to_owned(),
            format!("{:.2}", self.ratio),
            speed(self.encode_bytes_per_s),
            speed(self.decode_bytes_per_s),
        ]
    }
}

fn speed(bytes_per_s: Option<f64>) -> String {
    bytes_per_s.map_or_else(|| "-".to_owned(), |speed| format!("{:.0} MB/s", speed / 1e6))
}

/// Columns as wide as their widest cell, two spaces apart; numbers (the last three) to the right.
fn table<const N: usize>(head: [&str; N], rows: &[[String; N]]) -> String {
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let mut widths = [0; N];
    for row in all() {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in all() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let gap = if column == 0 { "" } else { "  " };
            let cell = if column + 3 >= N {
                format!("{gap}{cell:>width$}")
            } else {
                format!("{gap}{cell:<width$}")
            };
            line.push_str(&cell);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(peer: Option<Peer>) -> Answer {
        let sample = made_up_log();
        Answer {
            codecs: measure(&sample[..64 << 10]).expect("the built-in codecs work"),
            missing: vec![Missing { name: "zstd", feature: "zstd" }],
            sample: Sample { name: "made-up log lines".into(), bytes: sample.len() },
            peer,
        }
    }

    #[test]
    fn the_table_is_aligned_and_names_what_is_missing() {
        let rows = [["a", "1.00", "7", "-"], ["longer", "10.00", "1234", "9"]]
            .map(|row| row.map(str::to_owned));
        assert_eq!(
            table(["name", "ratio", "n", "m"], &rows),
            "name    ratio     n  m\na        1.00     7  -\nlonger  10.00  1234  9\n"
        );
        let text = answer(None).text();
        assert!(text.starts_with("codec "), "{text}");
        assert!(text.contains("\ngzip "), "{text}");
        assert!(text.contains("\nnone "), "{text}");
        assert!(
            text.contains("not in this build: zstd (rebuild with `--features zstd`)"),
            "{text}"
        );
    }

    #[test]
    fn a_peer_is_shown_with_the_choice_and_without_its_control_characters() {
        let peer = Peer {
            address: "h:9000".into(),
            agent: "p2\u{1b}[2J".into(),
            codecs: vec!["zstd".into(), "gzip".into()],
            to_peer: "zstd".into(),
            from_peer: "gzip".into(),
        };
        let text = answer(Some(peer)).text();
        assert!(text.contains("has      zstd, gzip\nchosen   zstd to the peer, gzip from it\n"));
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn the_json_answer_has_the_same_content() {
        let json = serde_json::to_value(answer(None)).expect("plain data");
        let gzip = json["codecs"].as_array().expect("a list").iter().find(|c| c["name"] == "gzip");
        let gzip = gzip.expect("gzip is in every build");
        assert_eq!(gzip["id"], 1);
        assert!(gzip["ratio"].as_f64().expect("a number") > 2.0);
        assert_eq!(json["missing"][0]["feature"], "zstd");
        assert!(json.get("peer").is_none());
    }

    #[test]
    fn the_made_up_sample_is_the_same_every_time() {
        assert_eq!(made_up_log(), made_up_log());
        assert!(made_up_log().len() >= SAMPLE);
    }

    #[test]
    fn a_sample_that_cannot_be_used_is_a_usage_error() {
        let missing = std::path::Path::new("/nonexistent/sample");
        assert_eq!(read_sample(missing).expect_err("missing").exit(), Exit::Usage);
        let empty = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(read_sample(empty.path()).expect_err("empty").exit(), Exit::Usage);
    }
}

//! `p2 codecs [TARGET]`: what this build has, what a peer has, and which one would be chosen.

use anyhow::Context;
use p2_codec::{Probe, Registry, probe};
use serde::Serialize;

use super::answer;
use super::columns::columns;
use super::sample;
use crate::error::UserError;
use crate::exit::Exit;
use crate::settings::codec::OPTIONAL;
use crate::settings::{Address, CodecId, CodecsSettings};
use crate::sink::escape_text;
use crate::units::format_size;

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
    let file = settings.sample.clone();
    let measured = tokio::task::spawn_blocking(move || {
        let (name, bytes) = match file {
            Some(path) => (path.display().to_string(), sample::read(&path)?),
            None => ("made-up log lines".to_owned(), sample::log()),
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
    let found = Answer { codecs, missing, sample, peer };
    let text = if settings.json { serde_json::to_string(&found)? + "\n" } else { found.text() };
    answer(&text)
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

impl Answer {
    fn text(&self) -> String {
        let rows: Vec<[String; 8]> = self.codecs.iter().map(Measured::row).collect();
        let head = ["codec", "id", "feature", "levels", "context", "ratio", "encode", "decode"];
        let mut text = columns(head, &rows, 3);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn found(peer: Option<Peer>) -> Answer {
        let sample = sample::log();
        Answer {
            codecs: measure(&sample[..64 << 10]).expect("the built-in codecs work"),
            missing: vec![Missing { name: "zstd", feature: "zstd" }],
            sample: Sample { name: "made-up log lines".into(), bytes: sample.len() },
            peer,
        }
    }

    #[test]
    fn the_table_has_every_codec_and_names_what_is_missing() {
        let text = found(None).text();
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
        let text = found(Some(peer)).text();
        assert!(text.contains("has      zstd, gzip\nchosen   zstd to the peer, gzip from it\n"));
        assert!(!text.contains('\u{1b}'), "{text:?}");
    }

    #[test]
    fn the_json_answer_has_the_same_content() {
        let json = serde_json::to_value(found(None)).expect("plain data");
        let gzip = json["codecs"].as_array().expect("a list").iter().find(|c| c["name"] == "gzip");
        let gzip = gzip.expect("gzip is in every build");
        assert_eq!(gzip["id"], 1);
        assert!(gzip["ratio"].as_f64().expect("a number") > 2.0);
        assert_eq!(json["missing"][0]["feature"], "zstd");
        assert!(json.get("peer").is_none());
    }
}

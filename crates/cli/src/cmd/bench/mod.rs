//! `p2 bench`: what this machine and this build can do, measured over loopback.

mod answer;
mod echo;
mod flow;
mod pair;

use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;
use p2_codec::{Registry, probe};

use self::answer::{Answer, CodecSpeed, Echo, Small, Transfer};
use super::sample;
use crate::exit::Exit;
use crate::settings::bench::DataKind;
use crate::settings::{BenchSettings, CodecId};
use crate::style;

/// Bytes that each codec is measured with.
const CODEC_BUDGET: usize = 16 << 20;
/// Bulk streams beside which the echo is measured a second time.
const BESIDE: u32 = 4;
/// Streams that send small messages.
const SMALL_STREAMS: u32 = 100;

/// Measures, and answers on stdout.
///
/// # Errors
/// A file that cannot be read, no free port, a session that was lost.
pub(crate) async fn run(settings: BenchSettings, quiet: bool) -> anyhow::Result<Exit> {
    let debug = cfg!(debug_assertions);
    if debug && !quiet {
        style::warn("this is a debug build: it is many times slower than `cargo build --release`");
    }
    let data = settings.data.clone();
    let samples = tokio::task::spawn_blocking(move || samples(&data)).await??;
    let Some((name, data)) = samples.first().cloned() else {
        anyhow::bail!("there is nothing to send");
    };
    if !quiet {
        let transfers = settings.codecs.len() * settings.streams.len() + 3;
        let transfers = u32::try_from(transfers).unwrap_or(u32::MAX);
        let about = (settings.span + flow::WARM_UP) * transfers + Duration::from_secs(1);
        style::say(&format!("measuring for about {} s", about.as_secs().max(1)));
    }

    let mut found = Answer::new(debug, settings.span, name);
    let (codecs, alone) = (settings.codecs.clone(), samples);
    found.codecs = tokio::task::spawn_blocking(move || codec_speeds(&codecs, &alone)).await??;
    for codec in &settings.codecs {
        for streams in &settings.streams {
            let moved = flow::transfer(*codec, *streams, &data, settings.span).await?;
            found.transfers.push(Transfer {
                codec: codec.to_string(),
                streams: *streams,
                bytes_per_s: moved.bytes_per_s,
                ratio: moved.ratio,
            });
        }
    }
    found.small = Small {
        message_bytes: flow::SMALL,
        streams: SMALL_STREAMS,
        messages_per_s: flow::small(SMALL_STREAMS, settings.span).await?,
    };
    for bulk in [0, BESIDE] {
        let times = echo::measure(bulk, settings.span).await?;
        found.echo.push(Echo {
            message_bytes: echo::LENGTH,
            bulk_streams: bulk,
            p50_s: times.p50,
            p99_s: times.p99,
            count: times.count,
        });
    }
    let text = if settings.json { serde_json::to_string(&found)? + "\n" } else { found.text() };
    super::answer(&text)
}

/// What codecs are measured with; the first is sent over sessions as well.
fn samples(data: &DataKind) -> anyhow::Result<Vec<(String, Bytes)>> {
    let log = || ("log".to_owned(), Bytes::from(sample::log()));
    let random = || ("random".to_owned(), Bytes::from(sample::noise()));
    Ok(match data {
        DataKind::Log => vec![log(), random()],
        DataKind::Random => vec![random(), log()],
        DataKind::File(path) => {
            vec![(path.display().to_string(), Bytes::from(sample::read(path)?))]
        }
    })
}

fn codec_speeds(
    codecs: &[CodecId],
    samples: &[(String, Bytes)],
) -> anyhow::Result<Vec<CodecSpeed>> {
    let registry = Registry::builtin();
    let mut speeds = Vec::new();
    for codec in codecs.iter().filter_map(|id| registry.get(*id)) {
        for (name, bytes) in samples {
            let probe = probe(codec.as_ref(), bytes, CODEC_BUDGET)
                .with_context(|| format!("{} failed on {name}", codec.name()))?;
            speeds.push(CodecSpeed {
                codec: codec.name().to_owned(),
                data: name.clone(),
                ratio: probe.ratio,
                encode_bytes_per_s: probe.encode_bytes_per_s,
                decode_bytes_per_s: probe.decode_bytes_per_s,
            });
        }
    }
    Ok(speeds)
}

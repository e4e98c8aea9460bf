//! How long a short message takes there and back, alone and beside streams that fill the link.

use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use p2_transport::{Chunk, Priority, Stream, StreamOptions};
use tokio::time::sleep;

use super::flow::{self, Flow};
use super::pair::Pair;
use crate::settings::CodecId;

/// Bytes of one message.
pub(super) const LENGTH: u32 = 64;
static MESSAGE: [u8; LENGTH as usize] = [b'x'; LENGTH as usize];
/// Between two messages beside bulk streams, so that they take little from these.
const PAUSE: Duration = Duration::from_millis(1);

/// Seconds there and back.
pub(super) struct Times {
    pub(super) p50: f64,
    pub(super) p99: f64,
    pub(super) count: usize,
}

/// On a realtime stream, beside `bulk` streams of the class bulk, without compression.
///
/// # Errors
/// No free port, or a session that was lost.
pub(super) async fn measure(bulk: u32, span: Duration) -> anyhow::Result<Times> {
    let pair = Pair::with(CodecId::NONE, bulk + 1).await?;
    let mut flow = Flow::start(&pair);
    let options = StreamOptions::named("echo").priority(Priority::Realtime);
    let stream = pair.near.open_stream(options).await.context("no stream to measure with")?;
    let block = Bytes::from(vec![b'x'; 1 << 20]);
    for index in 0..bulk {
        let stream = flow::open(&pair.near, Priority::Bulk).await?;
        flow.tasks.spawn(flow::fill(stream, block.clone(), index));
    }
    flow.wait(flow::WARM_UP).await?;
    let pause = if bulk == 0 { Duration::ZERO } else { PAUSE };
    let mut seconds = round_trips(stream, span, pause).await?;
    seconds.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| seconds.get(seconds.len().saturating_sub(1) * percent / 100);
    let at = |percent| at(percent).copied().unwrap_or_default();
    Ok(Times { p50: at(50), p99: at(99), count: seconds.len() })
}

async fn round_trips(
    mut stream: Stream,
    span: Duration,
    pause: Duration,
) -> anyhow::Result<Vec<f64>> {
    let (begin, mut seconds) = (Instant::now(), Vec::new());
    while begin.elapsed() < span || seconds.is_empty() {
        let start = Instant::now();
        stream.write_chunk(Bytes::from_static(&MESSAGE)).await?;
        let mut missing = MESSAGE.len();
        while missing > 0 {
            let chunk = stream.read_chunk().await?.context("the echo ended")?;
            if let Chunk::Data { data, .. } = chunk {
                missing = missing.saturating_sub(data.len());
            }
        }
        seconds.push(start.elapsed().as_secs_f64());
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    Ok(seconds)
}

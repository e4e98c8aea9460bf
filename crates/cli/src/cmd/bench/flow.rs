//! Bytes and small messages on many streams of one session: how many arrive in a second.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;
use p2_transport::{Chunk, Connection, Priority, SendStream, Stream, StreamOptions};
use tokio::io::AsyncWriteExt;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::pair::Pair;
use crate::settings::CodecId;

/// Before the clock starts: windows grow, contexts and allocators get warm.
pub(super) const WARM_UP: Duration = Duration::from_millis(150);
/// Bytes of one small message.
pub(super) const SMALL: u32 = 128;
/// Bytes of one large write.
const BLOCK: usize = 64 << 10;
/// Something arrives by then, however busy the machine is.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a transfer achieved.
pub(super) struct Moved {
    /// Raw bytes.
    pub(super) bytes_per_s: f64,
    /// Raw bytes for each byte on the wire.
    pub(super) ratio: f64,
}

/// Sends `data` over and over on every stream.
///
/// # Errors
/// No free port, or a session that was lost.
pub(super) async fn transfer(
    codec: CodecId,
    streams: u32,
    data: &Bytes,
    span: Duration,
) -> anyhow::Result<Moved> {
    let pair = Pair::with(codec, streams).await?;
    let mut flow = Flow::start(&pair);
    for index in 0..streams {
        let stream = open(&pair.near, Priority::Normal).await?;
        flow.tasks.spawn(fill(stream, data.clone(), index));
    }
    let bytes_per_s = flow.rate(span).await?;
    let stats = pair.near.stats();
    let sent = stats.raw_sent.saturating_sub(stats.retained);
    Ok(Moved { bytes_per_s, ratio: sent as f64 / stats.wire_sent.max(1) as f64 })
}

/// Messages a second: each is written by a call of its own.
///
/// # Errors
/// No free port, or a session that was lost.
pub(super) async fn small(streams: u32, span: Duration) -> anyhow::Result<f64> {
    let pair = Pair::with(CodecId::NONE, streams).await?;
    let mut flow = Flow::start(&pair);
    for _ in 0..streams {
        let mut stream = open(&pair.near, Priority::Normal).await?;
        flow.tasks.spawn(async move {
            let message = [b'x'; SMALL as usize];
            loop {
                stream.write_all(&message).await?;
            }
        });
    }
    Ok(flow.rate(span).await? / f64::from(SMALL))
}

/// Streams at work, and how many bytes have arrived. Dropping it stops them.
pub(super) struct Flow {
    pub(super) tasks: JoinSet<anyhow::Result<()>>,
    arrived: Arc<AtomicU64>,
}

impl Flow {
    /// Counts what arrives on one-way streams, and sends back what arrives on others.
    pub(super) fn start(pair: &Pair) -> Self {
        let arrived: Arc<AtomicU64> = Arc::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(serve(pair.far.clone(), arrived.clone()));
        Self { tasks, arrived }
    }

    async fn rate(&mut self, span: Duration) -> anyhow::Result<f64> {
        self.wait(WARM_UP).await?;
        let (start, before) = (Instant::now(), self.arrived.load(Ordering::Relaxed));
        self.wait(span).await?;
        while self.arrived.load(Ordering::Relaxed) == before {
            anyhow::ensure!(start.elapsed() < PATIENCE, "nothing arrived within {PATIENCE:?}");
            self.wait(WARM_UP).await?;
        }
        let bytes = self.arrived.load(Ordering::Relaxed).saturating_sub(before);
        Ok(bytes as f64 / start.elapsed().as_secs_f64())
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// A stream ended meanwhile; none ends by itself.
    pub(super) async fn wait(&mut self, time: Duration) -> anyhow::Result<()> {
        tokio::select! {
            () = sleep(time) => Ok(()),
            Some(ended) = self.tasks.join_next() => {
                ended?.and_then(|()| anyhow::bail!("the session ended while it was measured"))
            }
        }
    }
}

/// A one-way stream.
pub(super) async fn open(near: &Connection, priority: Priority) -> anyhow::Result<SendStream> {
    let options = StreamOptions::named("bench").priority(priority).unidirectional(true);
    let stream = near.open_stream(options).await.context("no stream to measure with")?;
    Ok(stream.split().0)
}

/// Sends blocks of `data` without end. Each stream begins elsewhere, so that no two are alike.
pub(super) async fn fill(mut stream: SendStream, data: Bytes, index: u32) -> anyhow::Result<()> {
    let blocks = data.len().div_ceil(BLOCK).max(1);
    let mut next = index as usize % blocks;
    loop {
        let start = next * BLOCK;
        stream.write_chunk(data.slice(start..data.len().min(start + BLOCK))).await?;
        next = (next + 1) % blocks;
    }
}

async fn serve(far: Connection, arrived: Arc<AtomicU64>) -> anyhow::Result<()> {
    let mut readers = JoinSet::new();
    while let Some(stream) = far.accept_stream().await {
        readers.spawn(read(stream, arrived.clone()));
    }
    Ok(())
}

async fn read(stream: Stream, arrived: Arc<AtomicU64>) {
    let answers = !stream.is_unidirectional();
    let (mut send, mut receive) = stream.split();
    while let Ok(Some(chunk)) = receive.read_chunk().await {
        let Chunk::Data { data, .. } = chunk else { continue };
        if !answers {
            arrived.fetch_add(data.len() as u64, Ordering::Relaxed);
        } else if send.write_chunk(data).await.is_err() {
            return;
        }
    }
}

//! Moves one stream into its sink, and acknowledges exactly what the sink has.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use p2_transport::{Chunk, ErrorCode, RecvStream, StreamError};

use super::{Ack, Sink, SinkError, StreamInfo};

/// Bytes given to the sink at once, if they are ready.
const BATCH: usize = 1 << 20;

/// Chunks given to the sink at once.
const BATCH_CHUNKS: usize = 1024;

/// Written bytes after which stable storage is asked for, without waiting for a pause.
const SYNC_EVERY: u64 = 1 << 20;

/// A pause after which stable storage is asked for. Short: credit comes back only after it.
const SYNC_PAUSE: Duration = Duration::from_millis(5);

/// The longest that written bytes wait for it while the stream neither pauses nor fills up.
const SYNC_WITHIN: Duration = Duration::from_millis(50);

/// How the delivery of one stream ended.
#[derive(Debug, Clone)]
pub(crate) struct Outcome {
    /// The stream.
    pub(crate) stream: StreamInfo,
    /// Bytes the sink has.
    pub(crate) bytes: u64,
    /// Bytes that the source dropped by its own policy.
    pub(crate) dropped: u64,
    /// Length and digest agreed with the sender's.
    pub(crate) verified: bool,
    /// Why it ended early.
    pub(crate) failure: Option<Failure>,
}

/// Why a stream was not delivered whole.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum Failure {
    /// There is no sink for it.
    #[error("refused: {0}")]
    Refused(String),
    /// Its sink failed.
    #[error("{0}")]
    Sink(#[from] SinkError),
    /// The stream or the whole session ended early.
    #[error("{0}")]
    Stream(StreamError),
}

/// Delivers `stream` to `sink` until its end, its failure or the sink's.
///
/// A byte is acknowledged once the sink has written it, with [`Ack::Synced`] once it is on stable
/// storage, which is asked for each mebibyte and in pauses. The stream's end is acknowledged like
/// its last byte. A failed sink stops its own stream with `SINK_FAILED` and no other.
pub(crate) async fn drain(
    mut stream: RecvStream,
    mut sink: impl Sink,
    ack: Ack,
    info: StreamInfo,
) -> Outcome {
    stream.set_manual_ack(true);
    deliver(&mut stream, &mut sink, ack, info).await
}

/// Turns a stream away that has no sink.
pub(crate) fn refuse(mut stream: RecvStream, failure: Failure, info: StreamInfo) -> Outcome {
    stream.stop(match failure {
        Failure::Sink(_) => ErrorCode::SINK_FAILED,
        Failure::Refused(_) | Failure::Stream(_) => ErrorCode::REFUSED_STREAM,
    });
    Outcome { stream: info, bytes: 0, dropped: 0, verified: false, failure: Some(failure) }
}

/// What delivery needs of a stream.
trait Incoming: Send {
    /// The next chunk, `None` at the verified end. Cancel safe.
    fn read(&mut self) -> impl Future<Output = Result<Option<Chunk>, StreamError>> + Send;
    fn acknowledge(&mut self, offset: u64);
    fn stop(&mut self, code: ErrorCode);
}

impl Incoming for RecvStream {
    fn read(&mut self) -> impl Future<Output = Result<Option<Chunk>, StreamError>> + Send {
        self.read_chunk()
    }

    fn acknowledge(&mut self, offset: u64) {
        RecvStream::acknowledge(self, offset);
    }

    fn stop(&mut self, code: ErrorCode) {
        RecvStream::stop(self, code);
    }
}

async fn deliver(
    stream: &mut impl Incoming,
    sink: &mut impl Sink,
    ack: Ack,
    info: StreamInfo,
) -> Outcome {
    let mut dropped = 0;
    let failure = match pump(stream, sink, ack, &mut dropped).await {
        Ok(()) => None,
        Err(failure) => {
            if matches!(failure, Failure::Sink(_)) {
                stream.stop(ErrorCode::SINK_FAILED);
            }
            sink.fail(&failure.to_string()).await;
            Some(failure)
        }
    };
    Outcome { stream: info, bytes: sink.offset(), dropped, verified: failure.is_none(), failure }
}

async fn pump(
    stream: &mut impl Incoming,
    sink: &mut impl Sink,
    ack: Ack,
    dropped: &mut u64,
) -> Result<(), Failure> {
    let mut batch: Vec<Bytes> = Vec::new();
    let mut acknowledged = sink.offset();
    let mut ahead = None;
    let mut waiting: Option<Instant> = None;
    loop {
        let next = match ahead.take() {
            Some(next) => next,
            None if acknowledged < sink.offset() => {
                match tokio::time::timeout(SYNC_PAUSE, stream.read()).await {
                    Ok(next) => next,
                    Err(_) => {
                        acknowledged = synced(stream, sink).await?;
                        waiting = None;
                        continue;
                    }
                }
            }
            None => stream.read().await,
        };
        match next.map_err(Failure::Stream)? {
            Some(Chunk::Data { offset, data }) => {
                let mut size = data.len();
                batch.push(data);
                while size < BATCH && batch.len() < BATCH_CHUNKS {
                    match ready(stream.read()).await {
                        Some(Ok(Some(Chunk::Data { data, .. }))) => {
                            size = size.saturating_add(data.len());
                            batch.push(data);
                        }
                        other => {
                            ahead = other;
                            break;
                        }
                    }
                }
                sink.write(offset, &mut batch).await?;
                batch.clear();
            }
            Some(Chunk::Gap { offset, dropped: total }) => {
                sink.gap(offset, total).await?;
                *dropped = total;
            }
            None => {
                // Stable storage before the file is closed: its last error is told only here.
                if ack == Ack::Synced {
                    sink.sync().await?;
                }
                let written = sink.offset();
                sink.finish().await?;
                if ack == Ack::Synced && sink.offset() > written {
                    sink.sync().await?;
                }
                stream.acknowledge(sink.offset());
                return Ok(());
            }
        }
        if ack == Ack::Written {
            acknowledged = sink.offset();
            stream.acknowledge(acknowledged);
            continue;
        }
        let since = *waiting.get_or_insert_with(Instant::now);
        let behind = sink.offset().saturating_sub(acknowledged);
        if behind >= SYNC_EVERY || since.elapsed() >= SYNC_WITHIN {
            acknowledged = synced(stream, sink).await?;
            waiting = None;
        }
    }
}

async fn synced(stream: &mut impl Incoming, sink: &mut impl Sink) -> Result<u64, Failure> {
    sink.sync().await?;
    stream.acknowledge(sink.offset());
    Ok(sink.offset())
}

/// The output of `future` if it has one now; otherwise it is dropped.
async fn ready<T>(future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;
    use crate::sink::error::Problem;

    #[derive(Default)]
    struct Script {
        chunks: VecDeque<Option<Result<Option<Chunk>, StreamError>>>, // None: not ready once
        acknowledged: Vec<u64>,
        stopped: Option<ErrorCode>,
    }

    impl Incoming for Script {
        async fn read(&mut self) -> Result<Option<Chunk>, StreamError> {
            loop {
                match self.chunks.pop_front() {
                    Some(Some(next)) => return next,
                    // Long enough that a pause is noticed.
                    Some(None) => tokio::time::sleep(SYNC_PAUSE * 20).await,
                    None => std::future::pending().await,
                }
            }
        }

        fn acknowledge(&mut self, offset: u64) {
            self.acknowledged.push(offset);
        }

        fn stop(&mut self, code: ErrorCode) {
            self.stopped = Some(code);
        }
    }

    #[derive(Default)]
    struct Memory {
        bytes: Vec<u8>,
        writes: usize,
        syncs: Vec<u64>,
        room: Option<usize>,
        failed: Option<String>,
    }

    impl Sink for Memory {
        async fn write(&mut self, offset: u64, data: &mut Vec<Bytes>) -> Result<(), SinkError> {
            assert_eq!(offset, self.bytes.len() as u64);
            let size: usize = data.iter().map(Bytes::len).sum();
            if self.room.is_some_and(|room| self.bytes.len() + size > room) {
                return Err(SinkError { what: "f".into(), problem: Problem::DiskFull });
            }
            self.writes += 1;
            self.bytes.extend(data.drain(..).flatten());
            Ok(())
        }

        async fn gap(&mut self, _offset: u64, _dropped: u64) -> Result<(), SinkError> {
            Ok(())
        }

        async fn sync(&mut self) -> Result<(), SinkError> {
            self.syncs.push(self.offset());
            Ok(())
        }

        async fn finish(&mut self) -> Result<(), SinkError> {
            Ok(())
        }

        async fn fail(&mut self, reason: &str) {
            self.failed = Some(reason.to_owned());
        }

        fn offset(&self) -> u64 {
            self.bytes.len() as u64
        }
    }

    /// A script of chunks; an empty one stands for a pause.
    fn script(chunks: &[&'static [u8]]) -> Script {
        let mut script = Script::default();
        let mut offset = 0;
        for chunk in chunks {
            script.chunks.push_back(
                (!chunk.is_empty())
                    .then(|| Ok(Some(Chunk::Data { offset, data: Bytes::from_static(chunk) }))),
            );
            offset += chunk.len() as u64;
        }
        script
    }

    async fn run(script: &mut Script, sink: &mut Memory, ack: Ack) -> Outcome {
        deliver(script, sink, ack, StreamInfo::default()).await
    }

    #[tokio::test]
    async fn ready_chunks_are_one_write_and_each_write_is_acknowledged() {
        let mut stream = script(&[b"ab", b"cd", b"", b"ef"]);
        stream.chunks.push_back(Some(Ok(None)));
        let mut sink = Memory::default();
        let outcome = run(&mut stream, &mut sink, Ack::Written).await;
        assert_eq!((outcome.bytes, outcome.verified), (6, true));
        assert_eq!((sink.bytes.as_slice(), sink.writes), (&b"abcdef"[..], 2));
        assert_eq!(stream.acknowledged, [4, 6, 6]);
        assert!(sink.syncs.is_empty());
    }

    #[tokio::test]
    async fn synced_acknowledges_only_after_stable_storage() {
        // The first pause ends the batch, the second one lasts.
        let mut stream = script(&[b"ab", b"cd", b"", b"", b"ef"]);
        stream.chunks.push_back(Some(Ok(None)));
        let mut sink = Memory::default();
        let outcome = run(&mut stream, &mut sink, Ack::Synced).await;
        assert!(outcome.verified);
        assert_eq!(sink.syncs, [4, 6]);
        assert_eq!(stream.acknowledged, [4, 6]);
    }

    #[tokio::test]
    async fn synced_does_not_wait_for_a_pause_under_load() {
        static MANY: &[u8] = &[7; 64 << 10];
        let mut stream = script(&[MANY; 40]);
        stream.chunks.push_back(Some(Ok(None)));
        let mut sink = Memory::default();
        run(&mut stream, &mut sink, Ack::Synced).await;
        assert_eq!(sink.syncs, [1 << 20, 2 << 20, 40 << 16]);
    }

    #[tokio::test]
    async fn a_full_disk_stops_the_stream_and_acknowledges_nothing_more() {
        let mut stream = script(&[b"ab", b"", b"cdef", b"", b"gh"]);
        let mut sink = Memory { room: Some(3), ..Memory::default() };
        let outcome = run(&mut stream, &mut sink, Ack::Written).await;
        assert_eq!(stream.stopped, Some(ErrorCode::SINK_FAILED));
        assert_eq!(stream.acknowledged, [2]);
        assert_eq!((outcome.bytes, outcome.verified), (2, false));
        let reason = outcome.failure.expect("failed").to_string();
        assert!(reason.starts_with("f: disk full"), "{reason}");
        assert_eq!(sink.failed, Some(reason));
    }

    #[tokio::test]
    async fn a_reset_stream_keeps_what_was_written_and_is_not_verified() {
        let mut stream = script(&[b"ab"]);
        stream.chunks.push_back(Some(Err(StreamError::Reset(ErrorCode::SOURCE_FAILED))));
        let mut sink = Memory::default();
        let outcome = run(&mut stream, &mut sink, Ack::Written).await;
        assert_eq!((outcome.bytes, outcome.verified, stream.stopped), (2, false, None));
        assert!(matches!(outcome.failure, Some(Failure::Stream(StreamError::Reset(_)))));
    }

    #[tokio::test]
    async fn gaps_are_told_to_the_sink_and_counted() {
        let mut stream = script(&[b"ab"]);
        stream.chunks.push_back(Some(Ok(Some(Chunk::Gap { offset: 2, dropped: 9 }))));
        stream.chunks.push_back(Some(Ok(None)));
        let mut sink = Memory::default();
        let outcome = run(&mut stream, &mut sink, Ack::Written).await;
        assert_eq!((outcome.bytes, outcome.dropped, outcome.verified), (2, 9, true));
    }
}

//! Moves a source's bytes into a stream, with backpressure, a rate limit or a dropping buffer.

use super::destination::Writer;
use super::limit::TokenBucket;
use super::live::Live;
use super::outcome::Failure;
use super::ring::{DEFAULT_CAPACITY, Ring};
use crate::settings::source::{StreamAttributes, WhenFull};
use crate::status::SourceCounters;
use bytes::Bytes;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{Notify, watch};
use tokio::time::Instant;

/// Something that yields bytes until it ends.
pub(super) trait Produce: Send {
    /// The next chunk, `None` at the end. Not polled while the stream has no room, which pauses the
    /// source.
    fn next(&mut self) -> impl Future<Output = io::Result<Option<Bytes>>> + Send;

    /// Told once before the first chunk: whoever knows more than its bytes counts it there.
    fn counted_by(&mut self, _counters: Arc<SourceCounters>) {}

    /// Asked once after the end: whether the source ended well. All of its bytes are delivered
    /// either way.
    fn verdict(&mut self) -> impl Future<Output = Result<(), String>> + Send {
        std::future::ready(Ok(()))
    }
}

/// Sends all of `source` and ends the stream: finished, or reset when the source broke off.
pub(super) async fn deliver<P: Produce, W: Writer>(
    source: &mut P,
    writer: &mut W,
    live: &Live,
    tally: &SourceCounters,
) -> Result<(), Failure> {
    let attributes = live.follow();
    let when_full = attributes.borrow().when_full;
    let mut outlet = Outlet::new(writer, attributes, tally);
    let pumped = match when_full {
        WhenFull::Block => blocking(source, &mut outlet).await,
        WhenFull::DropOldest => dropping(source, &mut outlet, DEFAULT_CAPACITY).await,
    };
    if let Err(failure) = pumped {
        if matches!(failure, Failure::Source(_)) {
            writer.reset();
        }
        return Err(failure);
    }
    // Finished before the verdict: a command's exit status must not hold back its last bytes.
    writer.finish().await?;
    source.verdict().await.map_err(Failure::Source)
}

async fn blocking<P: Produce, W: Writer>(
    source: &mut P,
    outlet: &mut Outlet<'_, W>,
) -> Result<(), Failure> {
    while let Some(chunk) = next(source).await? {
        outlet.send(chunk).await?;
    }
    Ok(())
}

async fn dropping<P: Produce, W: Writer>(
    source: &mut P,
    outlet: &mut Outlet<'_, W>,
    capacity: usize,
) -> Result<(), Failure> {
    let shared = Mutex::new((Ring::new(capacity), false));
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let ready = Notify::new();
    let tally = outlet.tally;

    let reading = async {
        let result = loop {
            match next(source).await {
                Ok(Some(chunk)) => {
                    let mut state = lock();
                    tally.dropped(state.0.push(&chunk));
                    tally.buffered(state.0.len());
                }
                Ok(None) => break Ok(()),
                Err(failure) => break Err(failure),
            }
            ready.notify_one();
            // A source that is always ready must not keep the writing half from running.
            tokio::task::yield_now().await;
        };
        lock().1 = true;
        ready.notify_one();
        // What was read before a failure is sent before the failure is told.
        Ok(result)
    };
    let writing = async {
        loop {
            let (popped, ended) = {
                let mut state = lock();
                let popped = state.0.pop();
                tally.buffered(state.0.len());
                (popped, state.1)
            };
            match popped {
                Some(piece) => {
                    outlet.gap(piece.gap)?;
                    outlet.send(piece.data).await?;
                }
                None if ended => {
                    let gap = lock().0.take_gap();
                    return outlet.gap(gap);
                }
                None => ready.notified().await,
            }
        }
    };
    let (read, ()) = tokio::try_join!(reading, writing)?;
    read
}

async fn next<P: Produce>(source: &mut P) -> Result<Option<Bytes>, Failure> {
    source.next().await.map_err(|error| Failure::Source(error.to_string()))
}

/// The stream behind its rate limit.
struct Outlet<'a, W> {
    writer: &'a mut W,
    attributes: watch::Receiver<StreamAttributes>,
    limit: Option<u64>,
    bucket: Option<TokenBucket>,
    tally: &'a SourceCounters,
}

impl<'a, W: Writer> Outlet<'a, W> {
    fn new(
        writer: &'a mut W,
        mut attributes: watch::Receiver<StreamAttributes>,
        tally: &'a SourceCounters,
    ) -> Self {
        let limit = attributes.borrow_and_update().limit;
        let bucket = limit.map(|rate| TokenBucket::new(rate, Instant::now()));
        Self { writer, attributes, limit, bucket, tally }
    }

    /// Takes over a limit that has changed.
    fn look(&mut self) {
        if !self.attributes.has_changed().unwrap_or(false) {
            return;
        }
        let limit = self.attributes.borrow_and_update().limit;
        if limit != self.limit {
            self.limit = limit;
            self.bucket = limit.map(|rate| TokenBucket::new(rate, Instant::now()));
        }
    }

    async fn send(&mut self, mut chunk: Bytes) -> Result<(), Failure> {
        while !chunk.is_empty() {
            self.look();
            let piece = match &mut self.bucket {
                None => std::mem::take(&mut chunk),
                Some(bucket) => {
                    let wait = bucket.wait(Instant::now());
                    if !wait.is_zero() {
                        // A sender that is gone changes nothing any more.
                        let changed = async {
                            if self.attributes.changed().await.is_err() {
                                std::future::pending::<()>().await;
                            }
                            self.attributes.mark_changed();
                        };
                        tokio::select! {
                            () = tokio::time::sleep(wait) => {}
                            () = changed => {}
                        }
                        continue;
                    }
                    let piece = chunk.split_to(chunk.len().min(bucket.piece()));
                    bucket.take(piece.len());
                    piece
                }
            };
            let length = piece.len();
            let mut write = pin!(self.writer.write(piece));
            tokio::select! {
                biased;
                written = &mut write => written?,
                () = std::future::ready(()) => {
                    let _pause = self.tally.pause();
                    write.await?;
                }
            }
            self.tally.sent(length);
        }
        Ok(())
    }

    fn gap(&mut self, dropped: u64) -> Result<(), Failure> {
        if dropped == 0 { Ok(()) } else { self.writer.record_gap(dropped) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Memory, attributes};
    use super::*;
    use crate::settings::attributes::AttributeTable;
    use crate::source::destination::Destination;
    use crate::source::live::Register;
    use crate::source::testing::plan;

    /// Yields fixed chunks, then ends or fails.
    struct Chunks(std::vec::IntoIter<&'static str>, Option<&'static str>, Result<(), String>);

    impl Produce for Chunks {
        async fn next(&mut self) -> io::Result<Option<Bytes>> {
            match (self.0.next(), self.1) {
                (Some(chunk), _) => Ok(Some(Bytes::from_static(chunk.as_bytes()))),
                (None, Some(error)) => Err(io::Error::other(error)),
                (None, None) => Ok(None),
            }
        }
        async fn verdict(&mut self) -> Result<(), String> {
            self.2.clone()
        }
    }

    async fn run(
        mut source: Chunks,
        attributes: StreamAttributes,
    ) -> (Memory, Result<(), Failure>, SourceCounters) {
        let memory = Memory::default();
        let tally = SourceCounters::default();
        let (mut writer, _reader) = memory.open(plan("x", 1)).await.expect("open");
        let live = Live::new("x", "x", attributes);
        let result = deliver(&mut source, &mut writer, &live, &tally).await;
        (memory, result, tally)
    }

    #[tokio::test]
    async fn bytes_arrive_in_order_and_the_stream_is_finished() {
        let source = Chunks(vec!["a", "b", "c"].into_iter(), None, Ok(()));
        let (memory, result, tally) = run(source, attributes()).await;
        assert_eq!(result, Ok(()));
        assert_eq!(memory.text("x"), "abc");
        assert!(memory.finished("x"));
        assert_eq!(tally.totals(), (3, 0));
    }

    #[tokio::test]
    async fn a_source_that_breaks_off_resets_its_stream() {
        let source = Chunks(vec!["a"].into_iter(), Some("disk on fire"), Ok(()));
        let (memory, result, _) = run(source, attributes()).await;
        assert_eq!(result, Err(Failure::Source("disk on fire".into())));
        assert!(memory.was_reset("x") && !memory.finished("x"));
    }

    #[tokio::test]
    async fn a_bad_verdict_comes_after_all_bytes() {
        let source = Chunks(vec!["a"].into_iter(), None, Err("status 3".into()));
        let (memory, result, _) = run(source, attributes()).await;
        assert_eq!(result, Err(Failure::Source("status 3".into())));
        assert!(memory.finished("x"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limited_stream_is_exact() {
        let source = Chunks(vec!["0123456789"; 300].into_iter(), None, Ok(()));
        let (memory, result, _) =
            run(source, StreamAttributes { limit: Some(1_000), ..attributes() }).await;
        assert_eq!(result, Ok(()));
        assert_eq!(memory.text("x"), "0123456789".repeat(300));
    }

    #[tokio::test(start_paused = true)]
    async fn a_limit_that_changes_holds_at_once() {
        let memory = Memory::default();
        let tally = SourceCounters::default();
        let slow = StreamAttributes { limit: Some(1), ..attributes() };
        let live = Arc::new(Live::new("x", "x", slow));
        let mut register = Register::default();
        register.add(&live);
        let (mut writer, _reader) = memory.open(plan("x", 1)).await.expect("open");
        let mut source = Chunks(vec!["0123456789"; 300].into_iter(), None, Ok(()));
        let began = Instant::now();
        let pumping = deliver(&mut source, &mut writer, &live, &tally);
        let changing = async {
            tokio::time::sleep(std::time::Duration::from_secs(20)).await;
            register.change(&AttributeTable::default());
            Ok(())
        };
        tokio::try_join!(pumping, changing).expect("pumped");
        assert_eq!(memory.text("x"), "0123456789".repeat(300));
        assert!(began.elapsed() < std::time::Duration::from_secs(21), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn a_full_ring_drops_lines_and_records_the_gap() {
        let memory = Memory::default();
        let tally = SourceCounters::default();
        memory.hold();
        let (mut writer, _reader) = memory.open(plan("x", 1)).await.expect("open");
        let mut source =
            Chunks(vec!["first\n", "second\n", "third\n", "fourth\n"].into_iter(), None, Ok(()));
        let live = Live::new("x", "x", attributes());
        let mut outlet = Outlet::new(&mut writer, live.follow(), &tally);
        let pumping = dropping(&mut source, &mut outlet, 14);
        let releasing = async {
            // The first line is taken from the ring and waits for room; the rest has to fit.
            for _ in 0..100 {
                tokio::task::yield_now().await;
            }
            memory.release();
            Ok(())
        };
        tokio::try_join!(pumping, releasing).expect("pumped");
        let dropped = tally.totals().1;
        assert_eq!(dropped, 7);
        assert_eq!(memory.text("x"), "first\n[gap 7]third\nfourth\n");
    }
}

//! Counts what a sink is asked for, beside the sink.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

use super::{Sink, SinkError};
use crate::status::SinkCounters;

/// A sink whose operations are counted.
#[derive(Debug)]
pub(crate) struct Counted<S> {
    sink: S,
    counters: Arc<SinkCounters>,
    over: bool,
}

impl<S: Sink> Counted<S> {
    pub(super) fn new(sink: S, counters: Arc<SinkCounters>) -> Self {
        counters.open.fetch_add(1, Relaxed);
        Self { sink, counters, over: false }
    }

    fn note(&self, result: Result<(), SinkError>, count: &AtomicU64) -> Result<(), SinkError> {
        match &result {
            Ok(()) => count.fetch_add(1, Relaxed),
            Err(error) => {
                self.counters.failed_by(error.problem.word());
                0
            }
        };
        result
    }

    fn end(&mut self, count: &AtomicU64) {
        if !std::mem::replace(&mut self.over, true) {
            self.counters.open.fetch_sub(1, Relaxed);
            count.fetch_add(1, Relaxed);
        }
    }
}

impl<S: Sink> Sink for Counted<S> {
    async fn write(&mut self, offset: u64, data: &mut Vec<Bytes>) -> Result<(), SinkError> {
        let size: usize = data.iter().map(Bytes::len).sum();
        let result = self.sink.write(offset, data).await;
        if result.is_ok() {
            self.counters.bytes.fetch_add(size as u64, Relaxed);
        }
        self.note(result, &self.counters.writes)
    }

    async fn gap(&mut self, offset: u64, dropped: u64) -> Result<(), SinkError> {
        let result = self.sink.gap(offset, dropped).await;
        self.note(result, &self.counters.writes)
    }

    async fn sync(&mut self) -> Result<(), SinkError> {
        let result = self.sink.sync().await;
        self.note(result, &self.counters.syncs)
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        let result = self.sink.finish().await;
        let counters = Arc::clone(&self.counters);
        match &result {
            Ok(()) => self.end(&counters.finished),
            Err(error) => counters.failed_by(error.problem.word()),
        }
        result
    }

    async fn fail(&mut self, reason: &str) {
        let counters = Arc::clone(&self.counters);
        self.end(&counters.failed);
        self.sink.fail(reason).await;
    }

    fn offset(&self) -> u64 {
        self.sink.offset()
    }
}

impl<S> Drop for Counted<S> {
    fn drop(&mut self) {
        // Its delivery was cut off.
        if !self.over {
            self.counters.open.fetch_sub(1, Relaxed);
            self.counters.failed.fetch_add(1, Relaxed);
        }
    }
}

//! From payloads of one link to raw bytes: each stream through its own decoder, several streams at
//! once when that pays.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use p2_codec::{CodecError, ContextBudget, DecoderLimits, Registry, StreamDecoder};
use p2_frame::{CodecId, StreamId};
use p2_mux::{DecodeJob, StreamMap};

use super::pool;

/// Raw payloads below this are copied out of the link's buffer: kept as slices, a few bytes that
/// nobody reads would hold all of it.
const COPIED: usize = 16 * 1024;
/// The same for a stream whose reader is behind: all but the largest.
const WHOLE: usize = 64 * 1024;
/// Raw payloads of one stream that come together share allocations of at most this size.
const ARENA: usize = 4 * 1024;

/// Places for payloads that a lane keeps: thousands of short ones may come at once.
const KEPT_JOBS: usize = 64;
/// Lanes kept for streams that have none at the moment.
const SPARES: usize = 16;

/// The decoders of one link. They die with it.
#[derive(Debug)]
pub(crate) struct Decoders {
    registry: Arc<Registry>,
    budget: Arc<ContextBudget>,
    limits: DecoderLimits,
    lanes: StreamMap<Lane>,
    /// Lanes without a context, to be used again.
    spares: Vec<Lane>,
    /// Streams with something in their lane.
    touched: Vec<StreamId>,
    /// Raw bytes that what is queued decodes to, beyond the payloads themselves.
    queued: usize,
}

/// What went wrong in a round.
#[derive(Debug, Default)]
pub(crate) struct Trouble {
    /// The first payload that did not decode, if any.
    pub(crate) failure: Option<Failure>,
    /// Streams whose context found no room; the link is fine without them.
    pub(crate) starved: Vec<(StreamId, CodecError)>,
}

/// A payload that did not decode; the link has to go.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) stream: StreamId,
    pub(crate) offset: u64,
    pub(crate) error: CodecError,
}

impl Decoders {
    pub(crate) fn new(
        registry: Arc<Registry>,
        budget: Arc<ContextBudget>,
        limits: DecoderLimits,
    ) -> Self {
        Self {
            registry,
            budget,
            limits,
            lanes: StreamMap::default(),
            spares: Vec::new(),
            touched: Vec::new(),
            queued: 0,
        }
    }

    /// Queues a payload behind the others of its stream.
    pub(crate) fn push(&mut self, job: DecodeJob) {
        let (registry, budget, limits) = (&self.registry, &self.budget, self.limits);
        let spares = &mut self.spares;
        let lane = self.lanes.entry(job.stream).or_insert_with(|| {
            spares.pop().unwrap_or_else(|| {
                Lane::new(StreamDecoder::with_budget(registry.clone(), limits, budget.clone()))
            })
        });
        if lane.starved {
            return;
        }
        if lane.jobs.is_empty() {
            self.touched.push(job.stream);
        }
        if job.codec != CodecId::NONE {
            lane.cost = lane.cost.saturating_add(job.raw_len as usize);
            self.queued = self.queued.saturating_add(job.raw_len as usize);
        }
        lane.jobs.push(job);
    }

    /// Raw bytes that are still to be decoded.
    pub(crate) const fn queued(&self) -> usize {
        self.queued
    }

    /// Whether anything is queued.
    pub(crate) fn is_idle(&self) -> bool {
        self.touched.is_empty()
    }

    /// Decodes everything queued. What came before a failure in its stream, and all other streams,
    /// can be taken.
    pub(crate) async fn run(&mut self) {
        let heavy =
            |id: &&StreamId| self.lanes.get(id).is_some_and(|lane| lane.cost >= pool::WORTH);
        if self.touched.iter().filter(heavy).count() < 2 {
            for id in &self.touched {
                if let Some(lane) = self.lanes.get_mut(id) {
                    pool::Lane::run(lane);
                }
            }
            return;
        }
        let out = |id: &StreamId| self.lanes.remove(id);
        let lanes: Vec<Lane> = self.touched.iter().filter_map(out).collect();
        for lane in pool::run(lanes).await {
            if let Some(id) = lane.stream {
                self.lanes.insert(id, lane);
            }
        }
    }

    /// Hands out what was decoded, in order per stream, and says what was not.
    pub(crate) fn take(&mut self, mut give: impl FnMut(StreamId, u64, Bytes)) -> Trouble {
        let Trouble { mut failure, mut starved } = Trouble::default();
        self.queued = 0;
        for id in self.touched.drain(..) {
            let Some(lane) = self.lanes.get_mut(&id) else {
                // Its thread panicked: nothing can follow.
                let error = CodecError::Poisoned { codec: CodecId::NONE };
                failure = failure.or(Some(Failure { stream: id, offset: 0, error }));
                continue;
            };
            for (offset, bytes) in lane.done.drain(..) {
                give(id, offset, bytes);
            }
            lane.cost = 0;
            if lane.jobs.capacity() > KEPT_JOBS {
                (lane.jobs, lane.done) = (Vec::new(), Vec::new());
            }
            match lane.failure.take() {
                Some((_, error @ CodecError::Budget { .. })) => {
                    lane.starved = true;
                    starved.push((id, error));
                }
                Some((offset, error)) => {
                    failure = failure.or(Some(Failure { stream: id, offset, error }));
                }
                None if lane.decoder.is_unused() => {
                    // An idle stream without a context holds nothing here.
                    if let Some(lane) =
                        self.lanes.remove(&id).filter(|_| self.spares.len() < SPARES)
                    {
                        self.spares.push(lane);
                    }
                }
                None => {}
            }
        }
        Trouble { failure, starved }
    }

    /// The stream has ended: its context is free for another.
    pub(crate) fn forget(&mut self, stream: StreamId) {
        self.lanes.remove(&stream);
    }
}

/// Below which length a raw payload is copied.
fn copied(job: &DecodeJob) -> usize {
    if job.behind { WHOLE } else { COPIED }
}

/// `bytes` in memory of their own, which what is copied next shares if any of `later` bytes is.
fn copy(bytes: &[u8], later: usize, arena: &mut BytesMut) -> Bytes {
    if arena.capacity() < bytes.len() {
        if later == 0 {
            return Bytes::copy_from_slice(bytes);
        }
        let all = bytes.len().saturating_add(later);
        arena.reserve(bytes.len().max(all.min(ARENA)));
    }
    arena.extend_from_slice(bytes);
    arena.split().freeze()
}

#[derive(Debug)]
struct Lane {
    stream: Option<StreamId>,
    decoder: StreamDecoder,
    cost: usize,
    jobs: Vec<DecodeJob>,
    done: Vec<(u64, Bytes)>,
    failure: Option<(u64, CodecError)>,
    /// Given up for want of memory: what follows on this link is dropped.
    starved: bool,
}

impl Lane {
    fn new(decoder: StreamDecoder) -> Self {
        Self {
            stream: None,
            decoder,
            cost: 0,
            jobs: Vec::new(),
            done: Vec::new(),
            failure: None,
            starved: false,
        }
    }
}

impl pool::Lane for Lane {
    fn cost(&self) -> usize {
        self.cost
    }

    fn run(&mut self) {
        let mut jobs = std::mem::take(&mut self.jobs);
        // It goes with what is in it: an idle stream holds nothing.
        let mut arena = BytesMut::new();
        let mut later =
            jobs.iter().map(|job| job.payload.len()).fold(0usize, usize::saturating_add);
        for job in jobs.drain(..) {
            self.stream = Some(job.stream);
            later = later.saturating_sub(job.payload.len());
            match self.decoder.decode(job.codec, job.restart, &job.payload, job.raw_len) {
                Ok(bytes) if job.codec == CodecId::NONE && bytes.len() < copied(&job) => {
                    self.done.push((job.offset, copy(&bytes, later, &mut arena)));
                }
                Ok(bytes) => self.done.push((job.offset, bytes)),
                Err(error) => {
                    self.failure = Some((job.offset, error));
                    break;
                }
            }
        }
        self.jobs = jobs;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_payloads_that_come_together_share_their_memory_and_a_single_one_has_no_more_than_it_needs()
     {
        let mut arena = BytesMut::new();
        let copies = [20, 10, 0].map(|later| copy(b"0123456789", later, &mut arena));
        let places = copies.each_ref().map(|copy| copy.as_ptr() as usize);
        assert_eq!([places[1] - places[0], places[2] - places[1]], [10, 10]);
        let single = copy(b"0123456789", 0, &mut BytesMut::new());
        assert_eq!(single, copies[0]);
        assert_eq!(single.try_into_mut().expect("one owner").capacity(), 10);
    }
}

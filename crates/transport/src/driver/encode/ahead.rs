//! Payloads that several threads encode before their turn, when that pays.

use bytes::{Bytes, BytesMut};
use p2_codec::{Encoded, StreamCodec};
use p2_frame::{CodecId, StreamId};
use p2_mux::{DataJob, StreamMap, Transmit};

use super::{EncodeError, Encoder, Encoders, contiguous};
use crate::driver::pool;

/// Payloads that were encoded before their turn, by their place in the batch.
#[derive(Default)]
pub(super) struct Ahead(Vec<Option<(Encoded, Bytes)>>);

impl Ahead {
    /// The payload at `place`, if it was encoded ahead.
    pub(super) fn take(&mut self, place: usize) -> Option<(Encoded, Bytes)> {
        self.0.get_mut(place)?.take()
    }
}

impl Encoders {
    /// When there is enough to do for two threads, encodes the whole batch's payloads before it is
    /// framed: each stream in a lane of its own, and one whose codec keeps no context in several.
    pub(super) async fn encode_ahead(&mut self, batch: &[Transmit]) -> Result<Ahead, EncodeError> {
        let mut costs: StreamMap<(usize, CodecId)> = StreamMap::default();
        for job in batch.iter().filter_map(encodable) {
            let (cost, _) = costs.entry(job.stream).or_insert((0, job.codec));
            *cost = cost.saturating_add(job.raw_len as usize);
        }
        let mut ways: StreamMap<usize> = StreamMap::default();
        for (stream, (cost, codec)) in costs {
            let most = if self.is_stateful(codec) { 1 } else { pool::threads() };
            ways.insert(stream, (cost / pool::WORTH).min(most));
        }
        if ways.values().sum::<usize>() < 2 {
            return Ok(Ahead::default());
        }
        let mut lanes: StreamMap<Vec<Lane>> = StreamMap::default();
        for (place, item) in batch.iter().enumerate() {
            let Some(job) = encodable(item) else { continue };
            let ways = ways.get(&job.stream).copied().unwrap_or(1);
            let lanes = lanes.entry(job.stream).or_default();
            if lanes.len() < ways {
                lanes.push(Lane::new(job.stream, self.lend(job)));
            }
            if let Some(lane) = lanes.iter_mut().min_by_key(|lane| lane.cost) {
                lane.cost = lane.cost.saturating_add(job.raw_len as usize);
                lane.jobs.push((place, job.chunks.clone()));
            }
        }
        let lanes: Vec<Lane> = lanes.into_values().flatten().collect();
        let given = lanes.len();
        let done = pool::run(lanes).await;
        if done.len() < given {
            return Err(EncodeError::Panicked);
        }
        let mut ahead = Ahead(Vec::new());
        ahead.0.resize_with(batch.len(), || None);
        for lane in done {
            self.streams.insert(lane.stream, lane.encoder);
            for (place, encoded) in lane.done {
                if let Some(slot) = ahead.0.get_mut(place) {
                    *slot = Some(encoded);
                }
            }
        }
        Ok(ahead)
    }

    /// The stream's encoder, for a while out of the table; a further one where it was lent before.
    fn lend(&mut self, job: &DataJob) -> Encoder {
        self.encoder(job);
        let made = |codec| Encoder::new(&self.registry, &self.budget, codec);
        self.streams.remove(&job.stream).unwrap_or_else(|| made(StreamCodec::new(job.codec)))
    }

    fn is_stateful(&self, codec: CodecId) -> bool {
        self.registry.get(codec).is_none_or(|codec| codec.capabilities().stateful)
    }
}

/// Payloads of one stream in a batch, in order.
struct Lane {
    stream: StreamId,
    encoder: Encoder,
    cost: usize,
    jobs: Vec<(usize, Vec<Bytes>)>,
    done: Vec<(usize, (Encoded, Bytes))>,
}

impl Lane {
    fn new(stream: StreamId, encoder: Encoder) -> Self {
        Self { stream, encoder, cost: 0, jobs: Vec::new(), done: Vec::new() }
    }
}

impl pool::Lane for Lane {
    fn cost(&self) -> usize {
        self.cost
    }

    fn run(&mut self) {
        let mut scratch = Vec::new();
        let mut buffer = BytesMut::new();
        for (place, chunks) in std::mem::take(&mut self.jobs) {
            let encoded = self.encoder.encode(contiguous(&chunks, &mut scratch), &mut buffer);
            self.done.push((place, (encoded, buffer.split().freeze())));
        }
    }
}

/// Bytes that go through a codec.
pub(in crate::driver) fn encodable(item: &Transmit) -> Option<&DataJob> {
    match item {
        Transmit::Data(job) if job.codec != CodecId::NONE => Some(job),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashSet,
        sync::{Arc, Mutex},
        thread::ThreadId,
    };

    use p2_codec::{
        Capabilities, Codec, CodecError, ContextBudget, Decoder, DecoderLimits,
        Encoder as CodecEncoder, EncoderConfig, Registry,
    };
    use p2_mux::Role;

    use super::*;
    use crate::driver::{
        encode::{Account, HEADER},
        output::Output,
    };

    const ID: CodecId = CodecId::new(0xC0);

    /// Marks each payload with its first byte, and says on which thread it was made.
    #[derive(Debug)]
    struct Standalone(Arc<Mutex<HashSet<ThreadId>>>);

    impl Codec for Standalone {
        fn id(&self) -> CodecId {
            ID
        }
        fn name(&self) -> &str {
            "standalone"
        }
        fn capabilities(&self) -> Capabilities {
            Capabilities::stateless(0..=0, 0)
        }
        fn max_encoded_len(&self, raw: usize) -> usize {
            raw
        }
        fn encoder(&self, _: &EncoderConfig) -> Result<Box<dyn CodecEncoder>, CodecError> {
            Ok(Box::new(Marker(self.0.clone())))
        }
        fn decoder(&self, _: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
            Err(CodecError::UnknownCodec { codec: ID })
        }
    }

    struct Marker(Arc<Mutex<HashSet<ThreadId>>>);

    impl CodecEncoder for Marker {
        fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
            self.0.lock().expect("no panic").insert(std::thread::current().id());
            std::thread::sleep(std::time::Duration::from_millis(5));
            out[..100].fill(raw[0]);
            Ok(100)
        }
        fn reset(&mut self) {}
        fn memory(&self) -> usize {
            0
        }
    }

    #[tokio::test]
    async fn one_stream_whose_codec_keeps_no_context_uses_several_threads_and_stays_in_order() {
        let threads = Arc::default();
        let mut registry = Registry::empty();
        registry.register(Arc::new(Standalone(Arc::clone(&threads)))).expect("a free id");
        let mut encoders = Encoders::new(Arc::new(registry), ContextBudget::unlimited(), false);
        let frame = 64 * 1024;
        let mut batch: Vec<Transmit> = (0..8_u8)
            .map(|n| {
                let mut bytes = vec![b' '; frame];
                bytes.fill(b'a' + n);
                Transmit::Data(DataJob {
                    stream: StreamId::new(Role::Client, 0).expect("in range"),
                    offset: u64::from(n) * frame as u64,
                    raw_len: frame as u32,
                    chunks: vec![Bytes::from(bytes)],
                    codec: ID,
                    level: None,
                    window_log: 0,
                })
            })
            .collect();
        let (mut out, mut account) = (Output::default(), Account::default());
        encoders.encode(&mut batch, &mut out, &mut account).await.expect("encoded");
        let mut wire = Vec::new();
        while !out.is_empty() {
            out.write_some(&mut wire).await.expect("written");
        }
        let marks: Vec<u8> = wire.chunks(HEADER + 100).map(|frame| frame[HEADER]).collect();
        assert_eq!(marks, (b'a'..=b'h').collect::<Vec<u8>>());
        let expected = pool::threads().min(8);
        assert_eq!(threads.lock().expect("no panic").len(), expected);
    }
}

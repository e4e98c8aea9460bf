//! One link's driver on one side: frames to bytes and back, with the codec contexts that die
//! with it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use p2_codec::{ContextBudget, DecoderLimits, Registry, StreamCodec, StreamDecoder, StreamEncoder};
use p2_frame::limits::MAX_PAYLOAD;
use p2_frame::{CrcPolicy, DataHeader, DecodeLimits, decode};
use p2_mux::{CodecId, DataJob, DecodeJob, Received, SentFrame, Session, Time, Transmit};

use crate::Failure;
use crate::flaw::{Flaw, flaw};
use crate::rng::Rng;

/// What all links of one side share.
#[derive(Debug, Clone)]
pub(crate) struct Codecs {
    pub(crate) registry: Arc<Registry>,
    pub(crate) encoders: Arc<ContextBudget>,
    pub(crate) decoders: Arc<ContextBudget>,
}

impl Codecs {
    pub(crate) fn new(registry: Arc<Registry>, encoder_budget: usize) -> Self {
        let encoders = ContextBudget::new(encoder_budget);
        Self { registry, encoders, decoders: ContextBudget::unlimited() }
    }
}

/// Raw bytes on their way from the decoder to the session.
#[derive(Debug)]
pub(crate) struct Late {
    pub(crate) due: u64,
    pub(crate) epoch: u64,
    pub(crate) stream: p2_mux::StreamId,
    pub(crate) offset: u64,
    pub(crate) data: Bytes,
}

#[derive(Debug)]
struct Lane {
    decoder: StreamDecoder,
    jobs: VecDeque<(u64, DecodeJob)>,
}

#[derive(Debug)]
pub(crate) struct Carrier {
    pub(crate) epoch: u64,
    crc: bool,
    codecs: Codecs,
    encoders: BTreeMap<u64, StreamEncoder>,
    lanes: BTreeMap<u64, Lane>,
    pub(crate) input: BytesMut,
    pub(crate) output: BytesMut,
    batch: Vec<Transmit>,
    sent: Vec<SentFrame>,
    scratch: Vec<u8>,
    /// How long decoding may take, in nanoseconds.
    lateness: u64,
}

impl Carrier {
    pub(crate) fn new(epoch: u64, crc: bool, codecs: Codecs, lateness: u64) -> Self {
        Self {
            epoch,
            crc,
            codecs,
            encoders: BTreeMap::new(),
            lanes: BTreeMap::new(),
            input: BytesMut::new(),
            output: BytesMut::new(),
            batch: Vec::new(),
            sent: Vec::new(),
            scratch: Vec::new(),
            lateness,
        }
    }

    /// Encodes what the session has for the link behind `output`; whether there was anything.
    pub(crate) fn fill(&mut self, session: &mut Session, now: Time) -> Result<bool, Failure> {
        if !session.wants_transmit() {
            return Ok(false);
        }
        self.batch.clear();
        self.sent.clear();
        session.poll_transmit(now, &mut self.batch);
        let (before, frames) = (self.output.len(), self.batch.len() as u64);
        let mut batch = std::mem::take(&mut self.batch);
        for item in batch.drain(..) {
            match item {
                Transmit::Control(frame) => {
                    frame.encode(&mut self.output, self.crc).map_err(|error| {
                        format!("a frame of the session cannot be encoded: {error}")
                    })?
                }
                Transmit::Data(job) => self.encode(&job)?,
            }
        }
        self.batch = batch;
        session.sent(now, (self.output.len() - before) as u64, frames, &self.sent);
        Ok(frames > 0)
    }

    fn encode(&mut self, job: &DataJob) -> Result<(), Failure> {
        let before = self.output.len();
        let raw: &[u8] = match job.chunks.as_slice() {
            [one] => one,
            many => {
                self.scratch.clear();
                many.iter().for_each(|chunk| self.scratch.extend_from_slice(chunk));
                &self.scratch
            }
        };
        if raw.len() != job.raw_len as usize {
            return Err(format!("a job of {} bytes says {}", raw.len(), job.raw_len));
        }
        let mut header = DataHeader {
            stream: job.stream,
            offset: job.offset,
            codec: CodecId::NONE,
            restart: false,
            raw_len: job.raw_len,
            payload_len: job.raw_len,
            crc: self.crc,
        };
        self.output.extend_from_slice(&[0; 28]);
        let start = self.output.len();
        if job.codec != CodecId::NONE {
            let (codecs, key) = (&self.codecs, job.stream.to_wire());
            let encoder = self.encoders.entry(key).or_insert_with(|| {
                let DataJob { codec, level, window_log, .. } = *job;
                let wanted = StreamCodec { codec, level, window_log };
                StreamEncoder::new(codecs.registry.clone(), wanted, codecs.encoders.clone())
            });
            let made = encoder
                .encode(raw, &mut self.output)
                .map_err(|error| format!("the encoder failed: {error}"))?;
            header.codec = made.codec;
            header.restart = made.restart;
            header.payload_len = made.len as u32;
        }
        if header.codec == CodecId::NONE {
            self.output.extend_from_slice(raw);
        }
        self.output[before..start].copy_from_slice(&header.encode());
        if self.crc {
            let trailer = header.checksum([&self.output[start..]]);
            self.output.extend_from_slice(&trailer);
        }
        let wire = (self.output.len() - before) as u64;
        let (stream, raw_len, codec) = (job.stream, job.raw_len, header.codec);
        self.sent.push(SentFrame { stream, raw_len, wire, codec });
        Ok(())
    }

    /// Takes every whole frame off `input` to the session. An honest peer breaks no rule, so every
    /// error is a failure.
    pub(crate) fn feed(
        &mut self,
        session: &mut Session,
        true_now: u64,
        now: Time,
        rng: &mut Rng,
    ) -> Result<(), Failure> {
        let crc = if self.crc { CrcPolicy::Required } else { CrcPolicy::Off };
        let limits = DecodeLimits { max_payload: MAX_PAYLOAD, crc, handshake: false };
        loop {
            let before = self.input.len();
            let frame = match decode(&mut self.input, &limits) {
                Ok(Some(frame)) => frame,
                Ok(None) => return Ok(()),
                Err(error) => return Err(format!("damaged frame on an honest link: {error}")),
            };
            let wire = (before - self.input.len()) as u64;
            let kind = frame.kind();
            match session.receive(now, frame, wire) {
                Ok(Received::Done) => {}
                Ok(Received::Decode(job)) => self.queue(session, job, true_now, now, rng)?,
                Err(error) => return Err(format!("an honest {kind:?} was refused: {error}")),
            }
        }
    }

    fn queue(
        &mut self,
        session: &mut Session,
        job: DecodeJob,
        true_now: u64,
        now: Time,
        rng: &mut Rng,
    ) -> Result<(), Failure> {
        let codecs = &self.codecs;
        let lane = self.lanes.entry(job.stream.to_wire()).or_insert_with(|| Lane {
            decoder: StreamDecoder::with_budget(
                codecs.registry.clone(),
                DecoderLimits::default(),
                codecs.decoders.clone(),
            ),
            jobs: VecDeque::new(),
        });
        if self.lateness == 0 {
            let data = lane.decode(&job)?;
            session.deliver(now, job.epoch, job.stream, job.offset, data);
            return Ok(());
        }
        let earliest = lane.jobs.back().map_or(true_now, |(due, _)| *due);
        lane.jobs.push_back((earliest.max(true_now + rng.below(self.lateness)), job));
        if flaw() == Some(Flaw::Swap) && lane.jobs.len() > 1 {
            lane.jobs.make_contiguous().reverse();
        }
        Ok(())
    }

    /// Delivers what is decoded by now.
    pub(crate) fn deliver(
        &mut self,
        session: &mut Session,
        true_now: u64,
        now: Time,
    ) -> Result<bool, Failure> {
        let mut any = false;
        for lane in self.lanes.values_mut() {
            while lane.jobs.front().is_some_and(|(due, _)| *due <= true_now) {
                let Some((_, job)) = lane.jobs.pop_front() else { break };
                let data = lane.decode(&job)?;
                session.deliver(now, job.epoch, job.stream, job.offset, data);
                any = true;
            }
        }
        Ok(any)
    }

    pub(crate) fn next_delivery(&self) -> u64 {
        let dues = self.lanes.values().filter_map(|lane| lane.jobs.front());
        dues.map(|(due, _)| *due).min().unwrap_or(crate::pipe::NEVER)
    }

    /// The stream has left the session; its contexts go back.
    pub(crate) fn forget(&mut self, stream: u64) {
        self.encoders.remove(&stream);
        if self.lanes.get(&stream).is_some_and(|lane| lane.jobs.is_empty()) {
            self.lanes.remove(&stream);
        }
    }

    /// The link is gone. What was still being decoded comes later, and must change nothing.
    pub(crate) fn wreck(mut self, rng: &mut Rng) -> (Vec<Late>, Remains) {
        let mut late = Vec::new();
        for lane in self.lanes.values_mut() {
            while let Some((due, job)) = lane.jobs.pop_front() {
                if let Ok(data) = lane.decode(&job) {
                    let due = due + rng.below(2_000_000_000);
                    let DecodeJob { epoch, stream, offset, .. } = job;
                    late.push(Late { due, epoch, stream, offset, data });
                }
            }
        }
        (late, Remains(self))
    }

    /// Commits the mistakes that [`flaw`] asks for.
    pub(crate) fn inherit(&mut self, remains: Option<Remains>) {
        let Some(Remains(old)) = remains else { return };
        match flaw() {
            Some(Flaw::KeepParser) => self.input = old.input,
            Some(Flaw::KeepOutput) => self.output.unsplit(old.output),
            Some(Flaw::KeepEncoders) => self.encoders = old.encoders,
            Some(Flaw::KeepContexts) => (self.encoders, self.lanes) = (old.encoders, old.lanes),
            _ => {}
        }
    }
}

/// What was left of a link.
#[derive(Debug)]
pub(crate) struct Remains(Carrier);

impl Lane {
    fn decode(&mut self, job: &DecodeJob) -> Result<Bytes, Failure> {
        self.decoder
            .decode(job.codec, job.restart, &job.payload, job.raw_len)
            .map_err(|error| format!("a payload of stream {} is damaged: {error}", job.stream))
    }
}

//! From a batch of the session to bytes of one link: frames in order, each stream through its own
//! encoder, several streams at once when that pays.

mod ahead;

use std::sync::Arc;

use bytes::{BufMut, Bytes, BytesMut};
use p2_codec::{ContextBudget, Encoded, Registry, StreamCodec, StreamEncoder};
use p2_frame::{CodecId, DataHeader, Frame};
use p2_mux::{DataJob, SentFrame, StreamMap, Transmit};

pub(super) use self::ahead::encodable;
use super::output::Output;

/// Bytes of a DATA frame before its payload.
const HEADER: usize = p2_frame::limits::DATA_HEADER_LEN;

/// The encoders of one link. They die with it.
#[derive(Debug)]
pub(crate) struct Encoders {
    registry: Arc<Registry>,
    budget: Arc<ContextBudget>,
    crc: bool,
    streams: StreamMap<Encoder>,
    /// Where the chunks of a payload come together.
    scratch: Vec<u8>,
}

/// What a batch came to, for [`Session::sent`](p2_mux::Session::sent).
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) wire: u64,
    pub(crate) frames: u64,
    /// Raw bytes that were to go through a codec.
    pub(crate) encodable: usize,
    pub(crate) data: Vec<SentFrame>,
}

/// Why a batch could not be encoded; the link has to go.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EncodeError {
    #[error("cannot frame: {0}")]
    Frame(#[from] p2_frame::EncodeError),
    #[error("an encoder panicked")]
    Panicked,
}

#[derive(Debug)]
struct Encoder {
    inner: StreamEncoder,
    codec: StreamCodec,
}

impl Encoder {
    fn new(registry: &Arc<Registry>, budget: &Arc<ContextBudget>, codec: StreamCodec) -> Self {
        Self { inner: StreamEncoder::new(registry.clone(), codec, budget.clone()), codec }
    }

    /// Encodes, and where the stream asks for what the codec does not have, does without.
    fn encode(&mut self, raw: &[u8], out: &mut BytesMut) -> Encoded {
        let codec = self.codec.codec;
        // The peer's window is no wish: only the level can be given up.
        let plain = StreamCodec { level: None, ..self.codec };
        for fallback in [None, Some(plain), Some(StreamCodec::new(CodecId::NONE))] {
            if let Some(codec) = fallback {
                self.inner.set_codec(codec);
            }
            match self.inner.encode(raw, out) {
                Ok(encoded) => return encoded,
                Err(error) => tracing::warn!(%error, %codec, "the stream's settings are ignored"),
            }
        }
        Encoded { codec: CodecId::NONE, restart: false, len: raw.len() }
    }
}

impl Encoders {
    pub(crate) fn new(registry: Arc<Registry>, budget: Arc<ContextBudget>, crc: bool) -> Self {
        Self { registry, budget, crc, streams: StreamMap::default(), scratch: Vec::new() }
    }

    /// Encodes `batch` to the end of `out`, in order, and accounts for it.
    pub(crate) async fn encode(
        &mut self,
        batch: &mut Vec<Transmit>,
        out: &mut Output,
        account: &mut Account,
    ) -> Result<(), EncodeError> {
        let mut ahead = self.encode_ahead(batch).await?;
        for (place, item) in batch.drain(..).enumerate() {
            match item {
                Transmit::Control(frame) => self.control(&frame, out, account)?,
                Transmit::Data(job) => match ahead.take(place) {
                    Some((encoded, payload)) => {
                        self.framed(&job, encoded, payload, out, account)?
                    }
                    None => self.data(&job, out, account)?,
                },
            }
        }
        Ok(())
    }

    fn control(
        &mut self,
        frame: &Frame,
        out: &mut Output,
        account: &mut Account,
    ) -> Result<(), EncodeError> {
        let buffer = out.buffer();
        let before = buffer.len();
        frame.encode(buffer, self.crc)?;
        account.frame(buffer.len().saturating_sub(before));
        // Nothing follows the end of a stream: its context is free for another.
        if let Frame::Fin(p2_frame::Fin { stream, .. })
        | Frame::Reset(p2_frame::Reset { stream, .. }) = frame
        {
            self.streams.remove(stream);
        }
        Ok(())
    }

    /// Encodes straight behind a reserved header; a payload that stays raw is not copied.
    fn data(
        &mut self,
        job: &DataJob,
        out: &mut Output,
        account: &mut Account,
    ) -> Result<(), EncodeError> {
        if job.codec == CodecId::NONE {
            return self.raw(job, out, account);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        let encoder = self.encoder(job);
        let buffer = out.buffer();
        let start = buffer.len();
        buffer.put_bytes(0, HEADER);
        let encoded = encoder.encode(contiguous(&job.chunks, &mut scratch), buffer);
        self.scratch = scratch;
        if encoded.codec == CodecId::NONE {
            buffer.truncate(start);
            return self.raw(job, out, account);
        }
        let header = self.header(job, encoded);
        if let Some(place) = buffer.get_mut(start..start.saturating_add(HEADER)) {
            place.copy_from_slice(&header.encode());
        }
        if self.crc {
            let payload = buffer.get(start.saturating_add(HEADER)..).unwrap_or_default();
            let trailer = header.checksum([payload]);
            buffer.extend_from_slice(&trailer);
        }
        account.data(job, encoded.codec, buffer.len().saturating_sub(start));
        Ok(())
    }

    fn raw(
        &mut self,
        job: &DataJob,
        out: &mut Output,
        account: &mut Account,
    ) -> Result<(), EncodeError> {
        let len = job.raw_len as usize;
        let header = self.header(job, Encoded { codec: CodecId::NONE, restart: false, len });
        header.check()?;
        out.buffer().extend_from_slice(&header.encode());
        for chunk in &job.chunks {
            out.payload(chunk.clone());
        }
        let mut wire = HEADER.saturating_add(len);
        if self.crc {
            let trailer = header.checksum(job.chunks.iter().map(|chunk| &chunk[..]));
            out.buffer().extend_from_slice(&trailer);
            wire = wire.saturating_add(trailer.len());
        }
        account.data(job, CodecId::NONE, wire);
        Ok(())
    }

    /// Frames a payload that was encoded ahead.
    fn framed(
        &mut self,
        job: &DataJob,
        encoded: Encoded,
        payload: Bytes,
        out: &mut Output,
        account: &mut Account,
    ) -> Result<(), EncodeError> {
        if encoded.codec == CodecId::NONE {
            return self.raw(job, out, account);
        }
        let header = self.header(job, encoded);
        let mut wire = HEADER.saturating_add(payload.len());
        let trailer = self.crc.then(|| header.checksum([&payload[..]]));
        out.buffer().extend_from_slice(&header.encode());
        out.payload(payload);
        if let Some(trailer) = trailer {
            out.buffer().extend_from_slice(&trailer);
            wire = wire.saturating_add(trailer.len());
        }
        account.data(job, encoded.codec, wire);
        Ok(())
    }

    fn header(&self, job: &DataJob, encoded: Encoded) -> DataHeader {
        DataHeader {
            stream: job.stream,
            offset: job.offset,
            codec: encoded.codec,
            restart: encoded.restart,
            raw_len: job.raw_len,
            payload_len: u32::try_from(encoded.len).unwrap_or(u32::MAX),
            crc: self.crc,
        }
    }

    /// The codec's own window (0), or the peer's where that is smaller.
    fn window_for(&self, job: &DataJob) -> u8 {
        let own = self.registry.get(job.codec).map_or(0, |codec| codec.capabilities().window_log);
        if job.window_log < own { job.window_log } else { 0 }
    }

    fn encoder(&mut self, job: &DataJob) -> &mut Encoder {
        let codec = StreamCodec {
            level: job.level,
            window_log: self.window_for(job),
            ..StreamCodec::new(job.codec)
        };
        let (registry, budget) = (&self.registry, &self.budget);
        let made = || Encoder::new(registry, budget, codec);
        let encoder = self.streams.entry(job.stream).or_insert_with(made);
        if encoder.codec != codec {
            encoder.codec = codec;
            encoder.inner.set_codec(codec);
        }
        encoder
    }
}

/// The bytes of `chunks` in one piece, copied only if they are not.
fn contiguous<'a>(chunks: &'a [Bytes], scratch: &'a mut Vec<u8>) -> &'a [u8] {
    match chunks {
        [one] => one,
        many => {
            scratch.clear();
            many.iter().for_each(|chunk| scratch.extend_from_slice(chunk));
            scratch
        }
    }
}

impl Account {
    pub(crate) fn clear(&mut self) {
        (self.wire, self.frames, self.encodable) = (0, 0, 0);
        self.data.clear();
    }

    fn frame(&mut self, wire: usize) {
        self.wire = self.wire.saturating_add(wire as u64);
        self.frames = self.frames.saturating_add(1);
    }

    fn data(&mut self, job: &DataJob, codec: CodecId, wire: usize) {
        self.frame(wire);
        if job.codec != CodecId::NONE {
            self.encodable = self.encodable.saturating_add(job.raw_len as usize);
        }
        let (stream, raw_len) = (job.stream, job.raw_len);
        self.data.push(SentFrame { stream, raw_len, wire: wire as u64, codec });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use p2_codec::{
        Capabilities, Codec, CodecError, Decoder, DecoderLimits, Encoder as CodecEncoder,
        EncoderConfig,
    };
    use p2_frame::StreamId;
    use p2_mux::Role;

    use super::*;

    const ID: CodecId = CodecId::new(0xC0);

    /// Windows from 2^10 to 2^17, and a record of those that it was asked for.
    #[derive(Debug, Default)]
    struct Windowed(Mutex<Vec<u8>>);

    impl Codec for Windowed {
        fn id(&self) -> CodecId {
            ID
        }
        fn name(&self) -> &str {
            "windowed"
        }
        fn capabilities(&self) -> Capabilities {
            Capabilities::stateful(0..=0, 0, 17).with_min_window_log(10)
        }
        fn max_encoded_len(&self, raw: usize) -> usize {
            raw
        }
        fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn CodecEncoder>, CodecError> {
            self.capabilities().resolve(ID, config)?;
            self.0.lock().expect("no panic").push(config.window_log);
            Ok(Box::new(Halver))
        }
        fn decoder(&self, _: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
            Err(CodecError::UnknownCodec { codec: ID })
        }
    }

    struct Halver;

    impl CodecEncoder for Halver {
        fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
            out.fill(0);
            Ok(raw.len() / 2)
        }
        fn reset(&mut self) {}
        fn memory(&self) -> usize {
            0
        }
    }

    /// The window that the codec was asked for and the codec that was used, for a peer that
    /// decodes windows up to `2^theirs`.
    async fn sent(theirs: u8) -> (Option<u8>, CodecId) {
        let codec = Arc::new(Windowed::default());
        let mut registry = Registry::empty();
        registry.register(codec.clone()).expect("a free id");
        let budget = ContextBudget::unlimited();
        let mut encoders = Encoders::new(Arc::new(registry), budget, false);
        let text = Bytes::from_static(&[b'a'; 4096]);
        let mut batch = vec![Transmit::Data(DataJob {
            stream: StreamId::new(Role::Client, 0).expect("in range"),
            offset: 0,
            raw_len: 4096,
            chunks: vec![text],
            codec: ID,
            level: None,
            window_log: theirs,
        })];
        let mut account = Account::default();
        encoders.encode(&mut batch, &mut Output::default(), &mut account).await.expect("encoded");
        let asked = codec.0.lock().expect("no panic").first().copied();
        (asked, account.data[0].codec)
    }

    #[tokio::test]
    async fn the_window_is_no_larger_than_the_peer_decodes() {
        assert_eq!(sent(12).await, (Some(12), ID), "the peer's is smaller");
        assert_eq!(sent(25).await, (Some(0), ID), "the codec's own is smaller");
        assert_eq!(sent(0).await, (Some(0), ID), "the peer did not say");
        assert_eq!(sent(9).await, (None, CodecId::NONE), "too small for the codec");
    }
}

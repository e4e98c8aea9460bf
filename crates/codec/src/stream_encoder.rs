//! One stream's sending pipeline on one link: what to compress, with which context, or not at all.

use std::cell::Cell;
use std::sync::Arc;

use bytes::BytesMut;
use p2_frame::CodecId;

use crate::budget::{ContextBudget, EncoderLease};
use crate::codec::EncoderConfig;
use crate::error::CodecError;
use crate::limits::{MAX_RAW_CEILING, MIN_RAW};
use crate::registry::Registry;
use crate::sampler::Sampler;

/// The codec that a stream asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamCodec {
    /// The codec; `none` sends everything as it is.
    pub codec: CodecId,
    /// Its level; `None` is its default.
    pub level: Option<i32>,
    /// Its window as a base-2 logarithm of bytes, no larger than the peer offered; 0 is its default.
    pub window_log: u8,
}

impl StreamCodec {
    /// A codec at its default level and window.
    pub const fn new(codec: CodecId) -> Self {
        Self { codec, level: None, window_log: 0 }
    }
}

/// What became of a payload: the fields for its frame's header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Encoded {
    /// The codec; `none`: nothing was appended, the frame carries the raw bytes themselves.
    pub codec: CodecId,
    /// The decoder must start a fresh context with this payload. Never set with `none`.
    pub restart: bool,
    /// Bytes of payload: those appended, or the raw length with `none`.
    pub len: usize,
}

/// Encodes the payloads of one stream, in order, on one link. Make a new one for each link.
///
/// It decides before it encodes. Payloads under 32 bytes go raw, and so does what the [`Sampler`]
/// calls incompressible. What a kept context has encoded is always sent, even if it grew, for
/// later payloads refer to it; what a borrowed context made larger goes raw. An error of the codec
/// costs the context, never the stream: from then on its payloads go raw, and
/// [`failure`](StreamEncoder::failure) says why.
///
/// The context comes from the budget at the first payload that needs one, and goes back on drop.
pub struct StreamEncoder {
    registry: Arc<Registry>,
    budget: Arc<ContextBudget>,
    wanted: StreamCodec,
    context: Option<Context>,
    sampler: Sampler,
    failure: Option<CodecError>,
}

struct Context {
    lease: EncoderLease,
    fresh: bool,
}

/// A first payload at least this long may still be taken back if it grew.
const RECONSIDER: usize = 1024;

impl StreamEncoder {
    /// A pipeline without a context yet.
    pub fn new(registry: Arc<Registry>, codec: StreamCodec, budget: Arc<ContextBudget>) -> Self {
        Self {
            registry,
            budget,
            wanted: codec,
            context: None,
            sampler: Sampler::default(),
            failure: None,
        }
    }

    /// Encodes `raw` and appends the payload to `out`, or decides that it goes raw.
    ///
    /// `raw` may be up to 1 MiB; what the peer takes in one frame is the caller's to observe. On an
    /// error `out` is as it was, and so is the context.
    ///
    /// # Errors
    /// [`CodecError::RawTooLong`]; [`CodecError::UnknownCodec`], [`CodecError::Level`] or
    /// [`CodecError::Window`] when the [`StreamCodec`] asks for what this build does not have.
    pub fn encode(&mut self, raw: &[u8], out: &mut BytesMut) -> Result<Encoded, CodecError> {
        if raw.len() > MAX_RAW_CEILING as usize {
            let (raw, limit) = (raw.len() as u64, u64::from(MAX_RAW_CEILING));
            return Err(CodecError::RawTooLong { raw, limit });
        }
        let as_it_is = Encoded { codec: CodecId::NONE, restart: false, len: raw.len() };
        if self.wanted.codec == CodecId::NONE
            || raw.len() < MIN_RAW
            || self.failure.is_some()
            || !self.sampler.admit(raw)
        {
            return Ok(as_it_is);
        }
        let Context { mut lease, fresh } = match self.context.take() {
            Some(context) => context,
            None => self.obtain()?,
        };
        let start = out.len();
        let result = append(&mut lease, raw, out);
        let kept = lease.is_kept();
        match result {
            Ok(len) => {
                self.sampler.record(raw.len(), len);
                let may_take_back = !kept || (fresh && raw.len() >= RECONSIDER);
                let sent = !(may_take_back && len >= raw.len());
                let encoded = Encoded { codec: lease.codec.id(), restart: fresh || !kept, len };
                if !sent && kept {
                    lease.encoder.reset();
                }
                if kept {
                    self.context = Some(Context { lease, fresh: !sent });
                } else {
                    self.budget.return_encoder(lease);
                }
                if sent {
                    return Ok(encoded);
                }
            }
            Err(error) => {
                self.budget.discharge(lease.charge);
                self.failure = Some(error);
            }
        }
        out.truncate(start);
        Ok(as_it_is)
    }

    /// Changes codec, level or window from the next payload on, which restarts the context.
    ///
    /// The same setting again changes nothing, except that a [`failure`](Self::failure) is forgiven.
    pub fn set_codec(&mut self, codec: StreamCodec) {
        if self.wanted != codec {
            self.release();
            self.wanted = codec;
            self.sampler = Sampler::default();
        }
        self.failure = None;
    }

    /// The codec that is asked for.
    pub fn codec(&self) -> StreamCodec {
        self.wanted
    }

    /// Gives the context back, for a stream that is idle: the next payload restarts it.
    pub fn release(&mut self) {
        if let Some(context) = self.context.take() {
            self.budget.return_encoder(context.lease);
        }
    }

    /// Bytes of memory that this stream's own context holds now.
    pub fn memory(&self) -> usize {
        self.context.as_ref().map_or(0, |context| context.lease.encoder.memory())
    }

    /// Why the codec failed, if it did: everything goes raw since.
    pub fn failure(&self) -> Option<&CodecError> {
        self.failure.as_ref()
    }

    fn obtain(&self) -> Result<Context, CodecError> {
        let StreamCodec { codec, level, window_log } = self.wanted;
        let codec = self.registry.get(codec).ok_or(CodecError::UnknownCodec { codec })?;
        let config = EncoderConfig { level, window_log, stateless: false };
        let keep = codec.capabilities().stateful;
        Ok(Context { lease: self.budget.encoder(codec, config, keep)?, fresh: true })
    }
}

impl Drop for StreamEncoder {
    fn drop(&mut self) {
        self.release();
    }
}

impl std::fmt::Debug for StreamEncoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamEncoder")
            .field("wanted", &self.wanted)
            .field("has_context", &self.context.is_some())
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}

thread_local! {
    /// Room for one payload at its worst, cleared once and not for each: most become much shorter.
    static ROOM: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a thread keeps of that.
const KEPT_ROOM: usize = 128 * 1024;

/// Encodes into the end of `out`, which on success grew by the returned length.
fn append(lease: &mut EncoderLease, raw: &[u8], out: &mut BytesMut) -> Result<usize, CodecError> {
    let most = lease.codec.max_encoded_len(raw.len());
    let mut room = ROOM.take();
    if room.len() < most {
        room.resize(most, 0);
    }
    let made = lease.encoder.encode(raw, room.get_mut(..most).unwrap_or_default());
    if let Ok(len) = made {
        out.extend_from_slice(room.get(..len).unwrap_or_default());
    }
    if room.len() <= KEPT_ROOM {
        ROOM.set(room);
    }
    made
}

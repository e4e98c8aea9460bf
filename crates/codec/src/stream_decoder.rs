//! One stream's receiving pipeline on one link: every check first, then exactly `raw_len` bytes.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use p2_frame::CodecId;

use crate::budget::{ContextBudget, DecoderLease};
use crate::codec::{Codec, DecoderLimits};
use crate::error::CodecError;
use crate::limits::MAX_RAW_CEILING;
use crate::registry::Registry;

/// Decodes the payloads of one stream, in order, on one link. Make a new one for each link.
///
/// A stream has one context at a time: a payload of another codec must restart it, raw payloads
/// leave it alone. After an error of the codec the context is lost until a restart; the caller
/// will rather reset the stream.
pub struct StreamDecoder {
    registry: Arc<Registry>,
    budget: Arc<ContextBudget>,
    limits: DecoderLimits,
    context: Held,
    buffer: BytesMut,
}

enum Held {
    /// No payload of any codec yet.
    Nothing,
    /// The context of the payloads so far.
    Context(DecoderLease),
    /// There was no room to keep it: only a restart can follow.
    Unkept(CodecId),
    /// A payload failed.
    Poisoned(CodecId),
}

/// The smallest and the largest buffer that decoded payloads are cut from.
const BUFFER: std::ops::RangeInclusive<usize> = 4 * 1024..=64 * 1024;

impl StreamDecoder {
    /// A pipeline without a context yet, whose contexts count against no budget.
    pub fn new(registry: Arc<Registry>, limits: DecoderLimits) -> Self {
        Self::with_budget(registry, limits, ContextBudget::unlimited())
    }

    /// A pipeline whose contexts come from `budget`.
    ///
    /// Over budget, payloads that stand alone still decode; one that continues a context that could
    /// not be kept fails with [`CodecError::Budget`]. An honest peer whose own budget is no larger
    /// does not get there: every codec's encoder holds more than its decoder.
    pub fn with_budget(
        registry: Arc<Registry>,
        limits: DecoderLimits,
        budget: Arc<ContextBudget>,
    ) -> Self {
        Self { registry, budget, limits, context: Held::Nothing, buffer: BytesMut::new() }
    }

    /// Decodes one payload, with the fields of its frame's header, to exactly `raw_len` bytes.
    ///
    /// Lengths are checked before anything is allocated. A raw payload is returned as it is,
    /// without a copy. Once warm, and while its results are dropped, it allocates nothing.
    ///
    /// # Errors
    /// Any [`CodecError`] for which [`is_peer_fault`](CodecError::is_peer_fault) holds, and
    /// [`CodecError::Budget`].
    pub fn decode(
        &mut self,
        codec: CodecId,
        restart: bool,
        payload: &Bytes,
        raw_len: u32,
    ) -> Result<Bytes, CodecError> {
        let limit = self.limits.max_raw.min(MAX_RAW_CEILING);
        if raw_len > limit {
            let (raw, limit) = (u64::from(raw_len), u64::from(limit));
            return Err(CodecError::RawTooLong { raw, limit });
        }
        if codec == CodecId::NONE {
            return raw(restart, payload, raw_len);
        }
        if raw_len == 0 {
            return Err(CodecError::Corrupt { codec, what: "an encoded frame holds no bytes" });
        }
        let mut lease = self.obtain(codec, restart)?;
        let mut out = room(&mut self.buffer, raw_len as usize);
        match lease.decoder.decode(payload, &mut out) {
            Ok(()) => {
                if lease.kept {
                    self.context = Held::Context(lease);
                } else {
                    self.budget.return_decoder(lease);
                    self.context = Held::Unkept(codec);
                }
                Ok(out.freeze())
            }
            Err(error) => {
                self.budget.return_decoder(lease);
                self.context = Held::Poisoned(codec);
                Err(error)
            }
        }
    }

    /// Gives the context back, for a stream that has ended: only a restart can follow.
    pub fn release(&mut self) {
        let held = std::mem::replace(&mut self.context, Held::Nothing);
        if let Held::Context(lease) = held {
            self.budget.return_decoder(lease);
        }
        self.buffer = BytesMut::new();
    }

    /// Whether no payload so far has needed a context: a new pipeline would do as well.
    pub const fn is_unused(&self) -> bool {
        matches!(self.context, Held::Nothing)
    }

    /// Bytes of memory that this stream's own context holds now.
    pub fn memory(&self) -> usize {
        match &self.context {
            Held::Context(lease) => lease.decoder.memory(),
            _ => 0,
        }
    }

    /// The context for a payload, ready for it. It is out of `self` until the payload is decoded.
    fn obtain(&mut self, codec: CodecId, restart: bool) -> Result<DecoderLease, CodecError> {
        let known = self.registry.get(codec).ok_or(CodecError::UnknownCodec { codec })?;
        let stateful = known.capabilities().stateful;
        if !restart && stateful {
            match &self.context {
                Held::Context(lease) if is(lease, known) => {}
                Held::Unkept(id) if *id == codec => {
                    return Err(CodecError::Budget { codec, limit: self.budget.limit() });
                }
                Held::Poisoned(id) if *id == codec => return Err(CodecError::Poisoned { codec }),
                _ => return Err(CodecError::MissingRestart { codec }),
            }
        }
        match std::mem::replace(&mut self.context, Held::Nothing) {
            Held::Context(mut lease) if is(&lease, known) => {
                if restart {
                    lease.decoder.reset();
                }
                return Ok(lease);
            }
            Held::Context(lease) => self.budget.return_decoder(lease),
            _ => {}
        }
        self.budget.decoder(known, self.limits, stateful)
    }
}

impl Drop for StreamDecoder {
    fn drop(&mut self) {
        self.release();
    }
}

impl std::fmt::Debug for StreamDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StreamDecoder")
            .field("limits", &self.limits)
            .field("has_context", &matches!(self.context, Held::Context(_)))
            .finish_non_exhaustive()
    }
}

fn raw(restart: bool, payload: &Bytes, raw_len: u32) -> Result<Bytes, CodecError> {
    if restart {
        return Err(CodecError::RestartOnRaw);
    }
    if payload.len() as u64 != u64::from(raw_len) {
        let (payload, raw) = (payload.len() as u64, u64::from(raw_len));
        return Err(CodecError::RawLength { payload, raw });
    }
    Ok(payload.clone())
}

fn is(lease: &DecoderLease, codec: &Arc<dyn Codec>) -> bool {
    Arc::ptr_eq(&lease.codec, codec)
}

/// `len` bytes from the buffer: from its rest, else from the start once all results were dropped,
/// else from a new one. Small payloads share a buffer, so that each costs a part of an allocation.
fn room(buffer: &mut BytesMut, len: usize) -> BytesMut {
    if buffer.capacity() < len && !buffer.try_reclaim(len) {
        let batch = len.saturating_mul(4).clamp(*BUFFER.start(), *BUFFER.end());
        *buffer = BytesMut::with_capacity(batch.max(len));
    }
    buffer.resize(len, 0);
    buffer.split()
}

//! What both roles share: reading the preface and frames within bounds, writing frames, offers.

use bytes::{Buf, Bytes, BytesMut};
use p2_codec::{Choice, Offer, negotiate};
use p2_frame::{
    CodecChoice, CodecId, CodecOffer, CrcPolicy, DecodeLimits, Frame, Hello, Preface, PrefaceScan,
    Resume, Role, decode, limits::MAX_PAYLOAD, needed,
};

use super::{HandshakeError, Local, MAX_UNPROVEN, Peer};

const SEEN: usize = 256;

/// One handshake's bytes, both ways.
#[derive(Debug, Default)]
pub(super) struct Channel {
    pub(super) output: BytesMut,
    pub(super) crc: bool,
    seen: BytesMut,
    skipped: usize,
    consumed: usize,
    pub(super) proven: bool,
}

impl Channel {
    /// Takes the peer's preface off `input` once it is complete; returns its bytes.
    pub(super) fn preface(
        &mut self,
        input: &mut BytesMut,
        local: &Local,
    ) -> Result<Option<[u8; Preface::LEN]>, HandshakeError> {
        let limit = local.junk_limit.saturating_sub(self.skipped);
        match Preface::scan(input, limit) {
            PrefaceScan::Found { preface, consumed, .. } => {
                Preface::default().agree(&preface)?;
                input.advance(consumed.min(input.len()));
                Ok(Some(preface.encode()))
            }
            PrefaceScan::NeedMore { skippable } => {
                let skippable = skippable.min(input.len());
                self.remember(&input.split_to(skippable));
                self.skipped = self.skipped.saturating_add(skippable);
                Ok(None)
            }
            PrefaceScan::Mangled(what) => {
                self.remember(input);
                Err(HandshakeError::NotP2 { what, seen: self.seen.split().freeze() })
            }
        }
    }

    /// The next frame and its bytes.
    pub(super) fn frame(
        &mut self,
        input: &mut BytesMut,
    ) -> Result<Option<(Frame, Bytes)>, HandshakeError> {
        let crc = if self.crc { CrcPolicy::Required } else { CrcPolicy::Off };
        let limits = DecodeLimits { max_payload: MAX_PAYLOAD, crc, handshake: true };
        let missing = needed(input, &limits)?;
        let waiting = if missing > 0 { input.len() } else { 0 };
        if !self.proven && self.consumed.saturating_add(waiting) > MAX_UNPROVEN {
            return Err(HandshakeError::TooLong(MAX_UNPROVEN));
        }
        if missing > 0 {
            return Ok(None);
        }
        // The transcript needs the bytes; what follows the proof does not belong to it.
        let before = if self.proven { BytesMut::new() } else { input.clone() };
        let length = input.len();
        let frame = decode(input, &limits)?;
        let used = length.saturating_sub(input.len());
        self.consumed = self.consumed.saturating_add(used);
        match frame {
            Some(Frame::Refuse(refuse)) => Err(HandshakeError::Refused(Box::new(refuse))),
            Some(frame) => {
                let bytes = before.freeze();
                let used = used.min(bytes.len());
                Ok(Some((frame, bytes.slice(..used))))
            }
            None => Ok(None),
        }
    }

    /// Queues a frame and returns its bytes.
    pub(super) fn send(&mut self, frame: &Frame) -> Result<Bytes, HandshakeError> {
        let mut bytes = BytesMut::new();
        frame
            .encode(&mut bytes, self.crc)
            .map_err(|_| HandshakeError::Protocol("this side's own frame exceeds its limits"))?;
        self.output.extend_from_slice(&bytes);
        Ok(bytes.freeze())
    }

    fn remember(&mut self, junk: &[u8]) {
        let room = SEEN.saturating_sub(self.seen.len());
        self.seen.extend_from_slice(junk.get(..room.min(junk.len())).unwrap_or_default());
    }
}

/// Collects RESUME parts up to a bound.
#[derive(Debug, Default)]
pub(super) struct Parts {
    parts: Vec<Resume>,
    listed: usize,
}

impl Parts {
    /// Adds one; true when it was the last.
    pub(super) fn add(&mut self, mut part: Resume, max: usize) -> Result<bool, HandshakeError> {
        // None is defined, so none is kept: there may be as many parts as streams.
        part.ext = Vec::new();
        self.listed = self.listed.saturating_add(part.streams.len());
        if self.listed > max || (part.streams.is_empty() && !part.last) {
            return Err(HandshakeError::Protocol("RESUME lists more streams than can be live"));
        }
        let last = part.last;
        self.parts.push(part);
        Ok(last)
    }

    pub(super) fn take(&mut self) -> Vec<Resume> {
        std::mem::take(&mut self.parts)
    }
}

/// What each direction will use, from both offers.
#[derive(Debug)]
pub(super) struct Codecs {
    pub(super) sending: Choice,
    pub(super) receiving: Choice,
}

impl Codecs {
    pub(super) fn agree(local: &Local, peer: &Peer) -> Result<Self, HandshakeError> {
        let ids = |offers: &[Offer]| offers.iter().map(|offer| offer.id).collect::<Vec<_>>();
        let sending = negotiate(&ids(&local.codecs), &peer.codecs);
        let receiving = negotiate(&ids(&peer.codecs), &local.codecs);
        if local.require_codec && sending.is_fallback() {
            let list = |offers: &[Offer]| {
                let names: Vec<String> = ids(offers).iter().map(CodecId::to_string).collect();
                if names.is_empty() { "none".to_owned() } else { names.join(", ") }
            };
            let (ours, theirs) = (list(&local.codecs), list(&peer.codecs));
            return Err(HandshakeError::NoCodec { ours, theirs });
        }
        Ok(Self { sending, receiving })
    }

    pub(super) const fn choice(&self, role: Role) -> CodecChoice {
        let (ours, theirs) = (self.sending.codec, self.receiving.codec);
        match role {
            Role::Client => CodecChoice { client_to_server: ours, server_to_client: theirs },
            Role::Server => CodecChoice { client_to_server: theirs, server_to_client: ours },
        }
    }
}

/// This side's HELLO.
pub(super) fn hello(local: &Local, role: Role, session: [u8; 16], epoch: u64, auth: u8) -> Hello {
    let offer = |offer: &Offer| CodecOffer {
        id: offer.id,
        window_log: offer.window_log,
        max_raw: offer.max_raw,
    };
    Hello {
        role,
        agent: local.agent.clone(),
        nonce: local.nonce,
        codecs: local.codecs.iter().map(offer).collect(),
        limits: local.limits,
        features: 0,
        boot_id: local.boot_id,
        session,
        epoch,
        auth: auth | if local.crc { Hello::AUTH_CRC } else { 0 },
        session_name: local.session_name.clone(),
        ext: Vec::new(),
    }
}

pub(super) fn peer(hello: &Hello) -> Peer {
    let offer = |offer: &CodecOffer| Offer {
        id: offer.id,
        window_log: offer.window_log,
        max_raw: offer.max_raw,
    };
    Peer {
        agent: hello.agent.clone(),
        codecs: hello.codecs.iter().map(offer).collect(),
        limits: hello.limits,
        boot_id: hello.boot_id,
        session_name: hello.session_name.clone(),
    }
}

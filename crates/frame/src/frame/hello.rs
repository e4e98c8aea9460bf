//! HELLO: who a side is, what it decodes, and what it can hold.

use bytes::BytesMut;

use crate::body::{HelloBody, OfferBody, check_extensions, from_bytes, to_bytes};
use crate::error::{DecodeError, EncodeError, FieldError, at_most, in_range, len_at_most};
use crate::header::put_frame;
use crate::limits::{
    MAX_AGENT, MAX_CODECS, MAX_CONTROL, MAX_NAME, MAX_OFFSET, MAX_RAW, MAX_STREAMS, MIN_MAX_FRAME,
};
use crate::{CodecId, Extensions, FrameKind, Role};

/// The first frame of each side on each link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Which end the sender is.
    pub role: Role,
    /// The program and its version, for people; at most 64 bytes.
    pub agent: String,
    /// 32 fresh random bytes.
    pub nonce: [u8; 32],
    /// What the sender decodes, best first; at most 32.
    pub codecs: Vec<CodecOffer>,
    /// What the sender can hold.
    pub limits: PeerLimits,
    /// Reserved for features; 0 in version 1, unknown bits are ignored.
    pub features: u64,
    /// Random at the start of the sender's process: a change means that it restarted.
    pub boot_id: [u8; 16],
    /// The session: all zero from a client that wants a new one, else its id.
    pub session: [u8; 16],
    /// From a client the epoch it wants (1 for a new session), from a server the one it grants.
    pub epoch: u64,
    /// [`AUTH_TOKEN`](Self::AUTH_TOKEN), [`AUTH_RESUME`](Self::AUTH_RESUME) and
    /// [`AUTH_CRC`](Self::AUTH_CRC).
    pub auth: u8,
    /// What people call the session; at most 255 bytes.
    pub session_name: String,
    /// For later versions.
    pub ext: Extensions,
}

/// A codec that a side decodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecOffer {
    /// The codec.
    pub id: CodecId,
    /// The largest window it takes, as a power of two; 0 where the codec has none.
    pub window_log: u8,
    /// The most raw bytes a frame may decode to.
    pub max_raw: u32,
}

/// What a side can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerLimits {
    /// The most raw bytes in a DATA frame to it, 1 KiB to 64 KiB.
    pub max_frame: u32,
    /// The credit each stream to it starts with, in raw bytes, at most 2^62.
    pub initial_window: u64,
    /// The most streams the peer may have open at once, at most 2^62.
    pub max_streams: u64,
}

impl Hello {
    /// In [`auth`](Self::auth): the proof of a new session is keyed by a shared token.
    pub const AUTH_TOKEN: u8 = 1;
    /// In [`auth`](Self::auth): this link resumes `session`.
    pub const AUTH_RESUME: u8 = 2;
    /// In [`auth`](Self::auth): frames are to carry a CRC32C.
    pub const AUTH_CRC: u8 = 4;

    /// Whether [`AUTH_TOKEN`](Self::AUTH_TOKEN) is set.
    pub const fn has_token(&self) -> bool {
        self.auth & Self::AUTH_TOKEN != 0
    }

    /// Whether [`AUTH_RESUME`](Self::AUTH_RESUME) is set.
    pub const fn is_resume(&self) -> bool {
        self.auth & Self::AUTH_RESUME != 0
    }

    /// Whether [`AUTH_CRC`](Self::AUTH_CRC) is set.
    pub const fn wants_crc(&self) -> bool {
        self.auth & Self::AUTH_CRC != 0
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body: HelloBody = from_bytes(FrameKind::HELLO, bytes)?;
        at_most(FrameKind::HELLO, "role", body.role.into(), 1)?;
        let frame = Self {
            role: if body.role == 0 { Role::Client } else { Role::Server },
            agent: body.agent,
            nonce: body.nonce,
            codecs: body.codecs.iter().map(CodecOffer::from_body).collect(),
            limits: PeerLimits {
                max_frame: body.max_frame,
                initial_window: body.initial_window,
                max_streams: body.max_streams,
            },
            features: body.features,
            boot_id: body.boot_id,
            session: body.session,
            epoch: body.epoch,
            auth: body.auth,
            session_name: body.session_name,
            ext: body.ext,
        };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut) -> Result<(), EncodeError> {
        self.check()?;
        let body = HelloBody {
            role: match self.role {
                Role::Client => 0,
                Role::Server => 1,
            },
            agent: self.agent.clone(),
            nonce: self.nonce,
            codecs: self.codecs.iter().map(|offer| offer.to_body()).collect(),
            max_frame: self.limits.max_frame,
            initial_window: self.limits.initial_window,
            max_streams: self.limits.max_streams,
            features: self.features,
            boot_id: self.boot_id,
            session: self.session,
            epoch: self.epoch,
            auth: self.auth,
            session_name: self.session_name.clone(),
            ext: self.ext.clone(),
        };
        let bytes = to_bytes(FrameKind::HELLO, &body, MAX_CONTROL)?;
        put_frame(out, FrameKind::HELLO, false, None, &bytes, false);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        const KIND: FrameKind = FrameKind::HELLO;
        let PeerLimits { max_frame, initial_window, max_streams } = self.limits;
        len_at_most(KIND, "length of agent", self.agent.len(), MAX_AGENT)?;
        len_at_most(KIND, "number of codecs", self.codecs.len(), MAX_CODECS)?;
        in_range(KIND, "max_frame", max_frame.into(), MIN_MAX_FRAME.into(), MAX_RAW.into())?;
        for offer in &self.codecs {
            let (max_raw, least) = (offer.max_raw.into(), MIN_MAX_FRAME.into());
            in_range(KIND, "max_raw of a codec", max_raw, least, u32::MAX.into())?;
        }
        at_most(KIND, "initial_window", initial_window, MAX_OFFSET)?;
        at_most(KIND, "max_streams", max_streams, MAX_STREAMS)?;
        let known = Self::AUTH_TOKEN | Self::AUTH_RESUME | Self::AUTH_CRC;
        at_most(KIND, "auth", self.auth.into(), known.into())?;
        len_at_most(KIND, "length of session_name", self.session_name.len(), MAX_NAME)?;
        check_extensions(KIND, &self.ext)
    }
}

impl CodecOffer {
    fn from_body(body: &OfferBody) -> Self {
        Self { id: CodecId::new(body.id), window_log: body.window_log, max_raw: body.max_raw }
    }

    fn to_body(self) -> OfferBody {
        OfferBody { id: self.id.get(), window_log: self.window_log, max_raw: self.max_raw }
    }
}

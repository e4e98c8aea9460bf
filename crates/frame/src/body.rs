//! Control bodies as bytes: the frozen layouts, and the only two functions that know bincode.
//!
//! bincode 2 is unmaintained and dangerous without care, so it is fenced in here: a limit that it
//! checks before it allocates, no input left over, no second encoding of the same value, and no
//! list of zero-sized items. The format is small enough (see the specification) to be written by
//! hand in this module without changing a byte on the wire.

use bincode::config::{Configuration, LittleEndian, Varint};
use bincode::{Decode, Encode};

use crate::error::{DecodeError, EncodeError, FieldError, len_at_most};
use crate::limits::{
    MAX_CONTROL, MAX_EXTENSION_BYTES, MAX_EXTENSIONS, MAX_RESUME, MUST_UNDERSTAND,
};
use crate::{Extensions, FrameKind};

/// HELLO. Frozen: it grows by `ext` only, as all of these do.
#[derive(Encode, Decode)]
pub(crate) struct HelloBody {
    pub(crate) role: u8,
    pub(crate) agent: String,
    pub(crate) nonce: [u8; 32],
    pub(crate) codecs: Vec<OfferBody>,
    pub(crate) max_frame: u32,
    pub(crate) initial_window: u64,
    pub(crate) max_streams: u64,
    pub(crate) features: u64,
    pub(crate) boot_id: [u8; 16],
    pub(crate) session: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) auth: u8,
    pub(crate) session_name: String,
    pub(crate) ext: Extensions,
}

/// One codec in HELLO.
#[derive(Encode, Decode)]
pub(crate) struct OfferBody {
    pub(crate) id: u8,
    pub(crate) window_log: u8,
    pub(crate) max_raw: u32,
}

/// PROOF.
#[derive(Encode, Decode)]
pub(crate) struct ProofBody {
    pub(crate) mac: [u8; 32],
    pub(crate) secret: Option<[u8; 32]>,
    pub(crate) client_to_server: u8,
    pub(crate) server_to_client: u8,
    pub(crate) ext: Extensions,
}

/// RESUME.
#[derive(Encode, Decode)]
pub(crate) struct ResumeBody {
    pub(crate) streams: Vec<ResumeStreamBody>,
    pub(crate) local_opened: u64,
    pub(crate) peer_opened: u64,
    pub(crate) ext: Extensions,
}

/// One stream in RESUME.
#[derive(Encode, Decode)]
pub(crate) struct ResumeStreamBody {
    pub(crate) stream: u64,
    pub(crate) received: u64,
    pub(crate) acked: u64,
    pub(crate) limit: u64,
    pub(crate) sent: u64,
    pub(crate) end: u8,
    pub(crate) stop: bool,
    pub(crate) recv_end: bool,
}

/// OPEN.
#[derive(Encode, Decode)]
pub(crate) struct OpenBody {
    pub(crate) label: u32,
    pub(crate) name: String,
    pub(crate) priority: u8,
    pub(crate) unidirectional: bool,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) ext: Extensions,
}

/// GOAWAY.
#[derive(Encode, Decode)]
pub(crate) struct GoAwayBody {
    pub(crate) code: u32,
    pub(crate) last_stream: u64,
    pub(crate) deadline_ms: u64,
    pub(crate) reason: String,
    pub(crate) ext: Extensions,
}

/// CLOSE.
#[derive(Encode, Decode)]
pub(crate) struct CloseBody {
    pub(crate) code: u32,
    pub(crate) reason: String,
    pub(crate) ext: Extensions,
}

/// REFUSE.
#[derive(Encode, Decode)]
pub(crate) struct RefuseBody {
    pub(crate) code: u32,
    pub(crate) retry_after_ms: u64,
    pub(crate) boot_id: [u8; 16],
    pub(crate) epoch: u64,
    pub(crate) reason: String,
    pub(crate) ext: Extensions,
}

/// The bytes of a body, at most `limit` of them.
pub(crate) fn to_bytes<T: Encode>(
    kind: FrameKind,
    body: &T,
    limit: u32,
) -> Result<Vec<u8>, EncodeError> {
    let bytes = bincode::encode_to_vec(body, CONFIG)
        .map_err(|error| EncodeError::Body { kind, reason: error.to_string() })?;
    if bytes.len() > limit as usize {
        return Err(EncodeError::TooLong { kind, len: bytes.len(), limit });
    }
    Ok(bytes)
}

/// The body in these bytes, all of them, in the only encoding it has.
pub(crate) fn from_bytes<T: Encode + Decode<()>>(
    kind: FrameKind,
    bytes: &[u8],
) -> Result<T, DecodeError> {
    let malformed =
        |error: bincode::error::DecodeError| DecodeError::Body { kind, reason: error.to_string() };
    let (body, used) = if kind == FrameKind::RESUME {
        bincode::decode_from_slice(bytes, CONFIG.with_limit::<{ MAX_RESUME as usize }>())
    } else {
        bincode::decode_from_slice(bytes, CONFIG.with_limit::<{ MAX_CONTROL as usize }>())
    }
    .map_err(malformed)?;
    let again = bincode::encode_to_vec(&body, CONFIG)
        .map_err(|error| DecodeError::Body { kind, reason: error.to_string() })?;
    if used != bytes.len() || again != bytes {
        return Err(DecodeError::NotCanonical { kind });
    }
    Ok(body)
}

/// The rule that all extension lists share.
pub(crate) fn check_extensions(kind: FrameKind, ext: &Extensions) -> Result<(), FieldError> {
    len_at_most(kind, "number of extensions", ext.len(), MAX_EXTENSIONS)?;
    let bytes = ext.iter().map(|(_, value)| value.len()).fold(0, usize::saturating_add);
    len_at_most(kind, "extension bytes", bytes, MAX_EXTENSION_BYTES)?;
    match ext.iter().find(|(tag, _)| tag & MUST_UNDERSTAND != 0) {
        Some(&(tag, _)) => Err(FieldError::UnknownExtension { kind, tag }),
        None => Ok(()),
    }
}

const CONFIG: Configuration<LittleEndian, Varint> = bincode::config::standard();

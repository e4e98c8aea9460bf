//! What each side brings to a handshake, and what the server remembers of its sessions.

use p2_codec::Offer;
use p2_mux::PeerLimits;
use p2_mux::handshake::{Known, KnownState, Local, Secret, Token};

use crate::endpoint::Endpoint;
use crate::rng::Rng;

/// A side's unchanging part of a handshake.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) offers: Vec<Offer>,
    pub(crate) limits: PeerLimits,
    pub(crate) boot_id: [u8; 16],
    pub(crate) crc: bool,
    pub(crate) token: Option<Token>,
}

impl Identity {
    pub(crate) fn local(&self, rng: &mut Rng) -> Local {
        Local {
            agent: "p2-sim".into(),
            codecs: self.offers.clone(),
            require_codec: false,
            limits: self.limits,
            boot_id: self.boot_id,
            nonce: rng.bytes(),
            crc: self.crc,
            session_name: String::new(),
            junk_limit: 0,
            max_listed: 100_000,
        }
    }
}

/// A session as the server keeps it.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) id: [u8; 16],
    pub(crate) secret: Secret,
    pub(crate) endpoint: Endpoint,
    /// A frame of the client has arrived, so the client knows that it has this session.
    pub(crate) heard: bool,
}

impl Kept {
    pub(crate) fn known(&self) -> Known {
        let ended = self.endpoint.session.ended().is_some();
        Known {
            secret: self.secret.clone(),
            epoch: self.endpoint.session.epoch(),
            state: if ended { KnownState::Closed } else { KnownState::Live },
        }
    }
}

/// What the client needs to resume.
#[derive(Debug, Clone)]
pub(crate) struct Ticket {
    pub(crate) session: [u8; 16],
    pub(crate) secret: Secret,
    /// Of the last link tried.
    pub(crate) epoch: u64,
}

/// A server's choice for a new session: anything but zeros, which mean that there is none. Real ones
/// are random, the fuzzer's need not be.
pub(crate) fn session_id(rng: &mut Rng) -> [u8; 16] {
    let mut id: [u8; 16] = rng.bytes();
    id[0] |= 1;
    id
}

//! What belongs to one link and dies with it.

use std::time::Duration;

use p2_codec::Offer;
use p2_frame::{CodecId, PeerLimits, Ping};

use crate::config::Config;
use crate::flight::Flight;
use crate::keepalive::Keepalive;
use crate::limits;
use crate::police::{Bucket, Police};
use crate::time::Time;

/// What the handshake agreed on, for [`Session::attach`](crate::Session::attach).
///
/// ```
/// use p2_mux::{Attachment, CodecId};
/// let link = Attachment::new(1, CodecId::GZIP);
/// assert_eq!(link.peer.initial_window, 256 << 10);
/// ```
#[derive(Debug, Clone)]
pub struct Attachment {
    /// Number of this link; each is greater than the one before.
    pub epoch: u64,
    /// What the peer allows.
    pub peer: PeerLimits,
    /// The codec this side sends with unless a stream has its own.
    pub codec: CodecId,
    /// Codecs the peer can decode and this side can encode.
    pub common: Vec<CodecId>,
    /// What the peer decodes, and up to which sizes.
    pub offers: Vec<Offer>,
    /// The peer's list of streams; empty on a session's first link.
    pub resume: Vec<p2_frame::Resume>,
}

impl Attachment {
    /// A first link with the default limits.
    pub fn new(epoch: u64, codec: CodecId) -> Self {
        Self {
            epoch,
            peer: default_limits(),
            codec,
            common: vec![codec],
            offers: Vec::new(),
            resume: Vec::new(),
        }
    }
}

/// What a peer allows that has not said otherwise.
///
/// ```
/// assert_eq!(p2_mux::default_limits().max_streams, 1024);
/// ```
pub const fn default_limits() -> PeerLimits {
    PeerLimits {
        max_frame: limits::MAX_FRAME,
        initial_window: limits::INITIAL_WINDOW,
        max_streams: limits::MAX_STREAMS,
    }
}

#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) keepalive: Keepalive,
    pub(crate) flight: Flight,
    pub(crate) police: Police,
    pub(crate) codec: CodecId,
    pub(crate) common: Vec<CodecId>,
    pub(crate) offers: Vec<Offer>,
    /// RESET and STOP frames that may still be sent without a pause.
    pub(crate) resets_sent: Bucket,
    /// One slot: the latest PING is answered, earlier ones are overtaken.
    pub(crate) pong: Option<Ping>,
    pub(crate) ping_due: bool,
    pub(crate) rtt: Option<Duration>,
    pub(crate) min_rtt: Option<Duration>,
    received: u64,
    receipted: u64,
    pub(crate) goaway_sent: bool,
    pub(crate) close_sent: bool,
    pub(crate) close_ack_due: bool,
}

impl Link {
    pub(crate) fn new(now: Time, config: &Config, attachment: &Attachment) -> Self {
        Self {
            keepalive: Keepalive::new(now, config.heartbeat, config.heartbeat_timeout),
            flight: Flight::new(now),
            police: Police::new(now),
            codec: attachment.codec,
            common: attachment.common.clone(),
            offers: attachment.offers.clone(),
            resets_sent: Bucket::new(now, limits::RESETS_SENT, limits::RESETS_SENT_RATE),
            pong: None,
            ping_due: false,
            rtt: None,
            min_rtt: None,
            received: 0,
            receipted: 0,
            goaway_sent: false,
            close_sent: false,
            close_ack_due: false,
        }
    }

    /// The codec for a stream that may have a wish of its own.
    pub(crate) fn codec_for(&self, wish: Option<CodecId>) -> CodecId {
        match wish {
            Some(codec) if codec == CodecId::NONE || self.common.contains(&codec) => codec,
            _ => self.codec,
        }
    }

    pub(crate) const fn received(&mut self, wire: u64) {
        self.received = self.received.saturating_add(wire);
    }

    pub(crate) const fn receipt_due(&self) -> bool {
        self.received.saturating_sub(self.receipted) >= limits::RECEIPT_EVERY
    }

    pub(crate) const fn take_receipt(&mut self) -> u64 {
        self.receipted = self.received;
        self.received
    }

    /// How long a round trip takes, for deciding how often a window may grow.
    pub(crate) fn round_trip(&self) -> Duration {
        self.flight.round_trip().or(self.rtt).unwrap_or(Duration::from_millis(1))
    }
}

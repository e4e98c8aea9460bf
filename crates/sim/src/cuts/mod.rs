//! One recorded session, cut at each of its bytes.
//!
//! The bytes go straight from one side's encoder to the other side's parser, with no time between
//! them, so that a cut costs tens of microseconds. One run cuts at every `spacing`-th byte of one
//! direction, beginning at its `phase`; all phases together cut at every byte.

mod pair;

use std::sync::Arc;

use bytes::BytesMut;
use p2_codec::Registry;
use p2_mux::handshake::{ClientHandshake, Purpose, Secret, ServerHandshake, Step};
use p2_mux::{CodecId, Config, Role};

use crate::Failure;
use crate::app::App;
use crate::carrier::Codecs;
use crate::clock::Clock;
use crate::endpoint::{Endpoint, Stage};
use crate::identity::{Identity, Kept, Ticket};
use crate::log::Log;
use crate::model::Model;
use crate::pipe::NEVER;
use crate::plan::Taste;
use crate::rng::Rng;
use pair::{Cuts, Pair};

/// Bytes from one cut of a run to the next: two of the longest frames, so that each link gets
/// something done.
pub const SPACING: u64 = 2_300;
/// The longest frame, raw.
const MAX_FRAME: u32 = 1 << 10;
/// What a recorded session puts on the wire at least, both directions together.
const WIRE: u64 = 128 << 10;

/// A session that always does the same.
#[derive(Debug, Clone)]
pub struct Recording {
    /// Decides what its applications do.
    pub seed: u64,
    /// What every stream is encoded with.
    pub codec: CodecId,
    /// Bytes from the client and from the server after the handshake, without any cut.
    pub wire: [u64; 2],
    /// Raw bytes of each direction of each stream.
    raw: u64,
    shared: Codecs,
}

/// What a number of cuts came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Cuts made.
    pub cuts: u64,
    /// Sessions run from start to end.
    pub runs: u64,
    /// Raw bytes written and never read.
    pub lost: u64,
    /// Raw bytes read beyond those written.
    pub repeated: u64,
    /// Raw bytes that came through.
    pub bytes: u64,
}

impl Tally {
    /// Adds another one up.
    pub const fn add(&mut self, other: Self) {
        self.cuts += other.cuts;
        self.runs += other.runs;
        self.lost += other.lost;
        self.repeated += other.repeated;
        self.bytes += other.bytes;
    }
}

impl Recording {
    /// Records a session of at least 128 KiB of wire with this codec.
    ///
    /// # Errors
    /// When even that fails.
    pub fn new(seed: u64, codec: CodecId) -> Result<Self, Failure> {
        let shared = Codecs::new(Arc::new(Registry::builtin()), usize::MAX);
        let mut recording = Self { seed, codec, wire: [0; 2], raw: 8 << 10, shared };
        while recording.wire.iter().sum::<u64>() < WIRE {
            recording.raw += 2 << 10;
            let mut pair = Pair::new(&recording);
            pair.play(None)?;
            recording.wire = pair.carried;
        }
        Ok(recording)
    }

    /// Runs it once, cutting direction 0 (from the client) or 1 at `phase` bytes and every
    /// [`SPACING`] after that.
    ///
    /// # Errors
    /// What went wrong, with the numbers that show it again.
    pub fn cut(&self, direction: usize, phase: u64) -> Result<Tally, Failure> {
        let mut pair = Pair::new(self);
        pair.stage.rng = Rng::new((self.seed << 16) ^ (phase * 2 + direction as u64));
        let plan = Cuts { direction, next: phase, last: self.wire[direction] };
        let Self { seed, codec, .. } = *self;
        pair.play(Some(plan)).map_err(|why| {
            let missing = pair.stage.model.missing();
            format!("session {seed}, codec {codec}, direction {direction}, phase {phase}: {why}{missing}")
        })?;
        let model = &pair.stage.model;
        let (written, read) = (model.bytes_written(), model.bytes_read());
        Ok(Tally {
            cuts: pair.cuts,
            runs: 1,
            lost: written.saturating_sub(read),
            repeated: read.saturating_sub(written),
            bytes: read,
        })
    }

    /// Cuts the handshake of the first link (`resume` false) or of a later one at every byte of
    /// both directions; the session has to come through all the same.
    ///
    /// # Errors
    /// What went wrong, and where it was cut.
    pub fn cut_handshakes(&self, resume: bool) -> Result<Tally, Failure> {
        let mut tally = Tally::default();
        for direction in [0, 1] {
            for at in 0.. {
                let mut pair = Pair::new(self);
                let result = pair.play_handshake(resume, direction, at);
                let cut = result.map_err(|why| {
                    format!("handshake, resume {resume}, direction {direction}, byte {at}: {why}")
                })?;
                if !cut {
                    break;
                }
                let bytes = pair.stage.model.bytes_read();
                tally.add(Tally { cuts: 1, runs: 1, bytes, ..Tally::default() });
            }
        }
        Ok(tally)
    }
}

//! What a session's links came to: counted where it happens, told by its statistics.

use std::{collections::BTreeMap, time::Duration};

use p2_mux::{CodecId, Histogram, SentFrame};

use crate::{ConnectFailure, DisconnectReason};

/// Counts over a session's life.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) disconnects: BTreeMap<DisconnectReason, u64>,
    pub(crate) connect_failures: BTreeMap<ConnectFailure, u64>,
    pub(crate) outages: Histogram,
    pub(crate) round_trips: Histogram,
    pub(crate) damaged_frames: u64,
    pub(crate) damaged_payloads: u64,
    /// Raw bytes that went out as they are.
    pub(crate) plain: u64,
    /// What writers had waited for credit when the session ended: nobody waits after that.
    pub(crate) credit_blocked: Option<Duration>,
}

impl Tally {
    pub(crate) fn disconnected(&mut self, reason: DisconnectReason) {
        count(self.disconnects.entry(reason).or_default());
    }

    pub(crate) fn connect_failed(&mut self, kind: ConnectFailure) {
        count(self.connect_failures.entry(kind).or_default());
    }

    pub(crate) fn frame_damaged(&mut self) {
        count(&mut self.damaged_frames);
    }

    /// A batch went out.
    pub(crate) fn sent_plain(&mut self, batch: &[SentFrame]) {
        let plain = batch.iter().filter(|frame| frame.codec == CodecId::NONE);
        self.plain = plain.fold(self.plain, |sum, frame| sum.saturating_add(frame.raw_len.into()));
    }

    pub(crate) fn payload_damaged(&mut self) {
        count(&mut self.damaged_payloads);
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            disconnects: BTreeMap::new(),
            connect_failures: BTreeMap::new(),
            outages: Histogram::of_outages(),
            round_trips: Histogram::of_round_trips(),
            damaged_frames: 0,
            damaged_payloads: 0,
            plain: 0,
            credit_blocked: None,
        }
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

//! What a session's links came to: counted where it happens, told by its statistics.

use std::{collections::BTreeMap, time::Duration};

use p2_mux::Histogram;

use crate::{ConnectFailure, DisconnectReason};

/// What outages are counted by: a blink, a reconnect, a reboot, a night.
const OUTAGES: &[Duration] = &[
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(1_800),
    Duration::from_secs(7_200),
    Duration::from_secs(86_400),
];

/// What round trips are counted by: a machine, a house, a continent, a satellite, a queue.
const ROUND_TRIPS: &[Duration] = &[
    Duration::from_micros(200),
    Duration::from_micros(500),
    Duration::from_millis(1),
    Duration::from_millis(2),
    Duration::from_millis(5),
    Duration::from_millis(10),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Counts over a session's life.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) disconnects: BTreeMap<DisconnectReason, u64>,
    pub(crate) connect_failures: BTreeMap<ConnectFailure, u64>,
    pub(crate) outages: Histogram,
    pub(crate) round_trips: Histogram,
    pub(crate) damaged_frames: u64,
    pub(crate) damaged_payloads: u64,
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

    pub(crate) fn payload_damaged(&mut self) {
        count(&mut self.damaged_payloads);
    }
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            disconnects: BTreeMap::new(),
            connect_failures: BTreeMap::new(),
            outages: Histogram::new(OUTAGES),
            round_trips: Histogram::new(ROUND_TRIPS),
            damaged_frames: 0,
            damaged_payloads: 0,
            credit_blocked: None,
        }
    }
}

fn count(counter: &mut u64) {
    *counter = counter.saturating_add(1);
}

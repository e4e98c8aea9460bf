//! How the cap grows while nothing is known of the link yet.

use std::time::Duration;

/// Doubling until the rate has stopped growing, as in BBR's startup; and the rounds after it.
#[derive(Debug)]
pub(super) struct Startup {
    pub(super) full: bool,
    best: u64,
    /// A round ends when this many bytes are delivered.
    round_ends: u64,
    rounds_without_growth: u32,
    pub(super) rounds: u32,
    /// The shortest round trip seen in this round.
    pub(super) shortest: Option<Duration>,
}

impl Startup {
    pub(super) const fn new() -> Self {
        Self {
            full: false,
            best: 0,
            round_ends: 0,
            rounds_without_growth: 0,
            rounds: 0,
            shortest: None,
        }
    }

    pub(super) fn round(
        &mut self,
        delivered: u64,
        sent: u64,
        rate: u64,
        limited: bool,
        long: Duration,
    ) {
        if delivered < self.round_ends {
            return;
        }
        self.round_ends = sent;
        self.rounds = self.rounds.wrapping_add(1);
        // A whole round waited: what is sent beyond this only makes the queue longer.
        self.full |= self.shortest.take().is_some_and(|shortest| shortest > long);
        if self.full || limited {
            return;
        }
        if rate >= self.best.saturating_add(self.best / 4) {
            self.best = rate;
            self.rounds_without_growth = 0;
        } else {
            self.rounds_without_growth = self.rounds_without_growth.saturating_add(1);
            self.full = self.rounds_without_growth >= 3;
        }
    }
}

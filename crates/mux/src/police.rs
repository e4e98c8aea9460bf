//! Budgets for what is allowed in moderation: PINGs, resets, small and empty frames.

use crate::error::LinkError;
use crate::limits;
use crate::time::Time;

/// A bucket that refills with time.
#[derive(Debug)]
pub(crate) struct Bucket {
    level: u64,
    burst: u64,
    rate: u64,
    filled_at: Time,
}

impl Bucket {
    pub(crate) const fn new(now: Time, burst: u64, rate: u64) -> Self {
        Self { level: burst, burst, rate, filled_at: now }
    }

    pub(crate) fn take(&mut self, now: Time, amount: u64) -> bool {
        let elapsed = now.since(self.filled_at);
        let nanos = u128::from(self.rate).saturating_mul(elapsed.as_nanos());
        let refill = u64::try_from(nanos / 1_000_000_000).unwrap_or(u64::MAX);
        if refill > 0 {
            self.level = self.level.saturating_add(refill).min(self.burst);
            self.filled_at = now;
        }
        let enough = self.level >= amount;
        if enough {
            self.level = self.level.saturating_sub(amount);
        }
        enough
    }
}

/// What one link's peer has left of each budget. A new link has new ones: an honest peer sends a
/// PING on each, and how often it may come with a new one is limited elsewhere.
#[derive(Debug)]
pub(crate) struct Police {
    pings: Bucket,
    resets: Bucket,
    small: Bucket,
    empty_in_a_row: u32,
}

impl Police {
    pub(crate) fn new(now: Time) -> Self {
        let seconds = limits::RESET_PERIOD.as_secs();
        let per_second = limits::RESETS.checked_div(seconds).unwrap_or(limits::RESETS);
        Self {
            pings: Bucket::new(now, limits::PING_BURST, limits::PING_RATE),
            resets: Bucket::new(now, limits::RESETS, per_second),
            small: Bucket::new(now, limits::SMALL_FRAME_BURST, limits::SMALL_FRAME_RATE),
            empty_in_a_row: 0,
        }
    }

    pub(crate) fn ping(&mut self, now: Time) -> Result<(), LinkError> {
        allow(self.pings.take(now, 1), "PING frames", limits::PING_BURST)
    }

    /// A RESET or STOP from the peer that changed something.
    pub(crate) fn reset(&mut self, now: Time) -> Result<(), LinkError> {
        allow(self.resets.take(now, 1), "resets in 10 s", limits::RESETS)
    }

    pub(crate) fn data(&mut self, now: Time, raw_len: u32) -> Result<(), LinkError> {
        if raw_len == 0 {
            self.empty_in_a_row = self.empty_in_a_row.saturating_add(1);
            let limit = limits::EMPTY_DATA_IN_A_ROW;
            allow(self.empty_in_a_row <= limit, "empty DATA frames in a row", limit.into())?;
        } else {
            self.empty_in_a_row = 0;
        }
        let overhead = limits::SMALL_FRAME.saturating_sub(u64::from(raw_len));
        if overhead == 0 {
            return Ok(());
        }
        let fine = self.small.take(now, overhead);
        allow(fine, "bytes of overhead in small DATA frames", limits::SMALL_FRAME_BURST)
    }
}

fn allow(fine: bool, what: &'static str, limit: u64) -> Result<(), LinkError> {
    if fine { Ok(()) } else { Err(LinkError::Abuse { what, limit }) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_hundredth_empty_frame_passes_and_the_next_does_not() {
        let mut police = Police::new(Time::default());
        for _ in 0..limits::EMPTY_DATA_IN_A_ROW {
            police.data(Time::default(), 0).unwrap();
        }
        assert!(police.data(Time::default(), 0).is_err());
        police.data(Time::default(), 1).unwrap();
        police.data(Time::default(), 0).unwrap();
    }

    #[test]
    fn pings_refill_with_time() {
        let mut now = Time::default();
        let mut police = Police::new(now);
        for _ in 0..limits::PING_BURST {
            police.ping(now).unwrap();
        }
        assert!(police.ping(now).is_err());
        now = now + Duration::from_millis(100);
        police.ping(now).unwrap();
        assert!(police.ping(now).is_err());
    }

    #[test]
    fn the_thousandth_reset_passes_and_the_next_does_not() {
        let now = Time::default();
        let mut police = Police::new(now);
        for _ in 0..limits::RESETS {
            police.reset(now).unwrap();
        }
        assert!(police.reset(now).is_err());
    }
}

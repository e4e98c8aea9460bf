//! A token bucket in bytes a second, as arithmetic on given instants.

use std::time::Duration;
use tokio::time::Instant;

/// Paces one stream. Bytes may be taken while the balance is not negative; a piece may overdraw it,
/// and the debt is waited for, so a rate far below a chunk's size works too.
#[derive(Debug)]
pub(super) struct TokenBucket {
    rate: f64,
    burst: f64,
    balance: f64,
    last: Instant,
}

impl TokenBucket {
    /// A full bucket of `rate` bytes a second that holds an eighth of a second.
    pub(super) fn new(rate: u64, now: Instant) -> Self {
        let rate = rate.max(1) as f64;
        let burst = (rate / 8.0).clamp(1.0, 4.0 * 1024.0 * 1024.0);
        Self { rate, burst, balance: burst, last: now }
    }

    /// The largest piece to send at once.
    pub(super) fn piece(&self) -> usize {
        (self.burst as usize).clamp(512, 64 * 1024)
    }

    /// How long to wait until the next piece may go.
    pub(super) fn wait(&mut self, now: Instant) -> Duration {
        let elapsed = now.saturating_duration_since(self.last).as_secs_f64();
        self.last = self.last.max(now);
        self.balance = (self.balance + elapsed * self.rate).min(self.burst);
        if self.balance >= 0.0 {
            Duration::ZERO
        } else {
            // A microsecond more than computed, so that rounding never asks for a second wait.
            Duration::from_secs_f64(-self.balance / self.rate) + Duration::from_micros(1)
        }
    }

    /// Counts a piece that goes now.
    pub(super) fn take(&mut self, bytes: usize) {
        self.balance -= bytes as f64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Moves `bytes` through a bucket on a virtual clock and returns how long that took.
    fn time_for(bytes: usize, rate: u64) -> Duration {
        let start = Instant::now();
        let mut now = start;
        let mut bucket = TokenBucket::new(rate, now);
        let mut left = bytes;
        while left > 0 {
            now += bucket.wait(now);
            let piece = left.min(bucket.piece());
            bucket.take(piece);
            left -= piece;
        }
        now - start
    }

    #[test]
    fn the_rate_holds_over_time() {
        for (bytes, rate) in [(10 << 20, 1 << 20), (100_000, 10_000), (2_000, 100)] {
            let took = time_for(bytes, rate).as_secs_f64();
            let ideal = bytes as f64 / rate as f64;
            let slack = 0.2 + 600.0 / rate as f64;
            assert!(
                took <= ideal + slack && took >= ideal - 0.2 - slack,
                "{bytes} bytes at {rate}/s took {took} s"
            );
        }
    }

    #[test]
    fn idle_time_is_not_saved_up_beyond_the_burst() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(8_000, start);
        let later = start + Duration::from_secs(3_600);
        assert_eq!(bucket.wait(later), Duration::ZERO);
        bucket.take(1_000);
        assert_eq!(bucket.wait(later), Duration::ZERO);
        bucket.take(1_000);
        let wait = bucket.wait(later);
        assert!(wait > Duration::from_millis(100) && wait < Duration::from_millis(150), "{wait:?}");
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_is_harmless() {
        let start = Instant::now() + Duration::from_secs(5);
        let mut bucket = TokenBucket::new(100, start);
        bucket.take(1_000);
        let first = bucket.wait(start);
        assert!(bucket.wait(start - Duration::from_secs(1)) >= first);
    }
}

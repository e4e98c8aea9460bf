//! How many lines peers may cause: whoever can reach the program must not be able to fill a disk or
//! hide the line that matters.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Lines at once, and one more for each pause after that.
const BURST: u32 = 40;
const PAUSE: Duration = Duration::from_millis(100);

/// A bucket of lines that refills with time, and a count of those that found it empty.
#[derive(Debug)]
pub(crate) struct Flood(Mutex<Bucket>);

/// Rows of receipts: a table is for people, and one that does not fit is left out as a whole.
const ROWS: u32 = 200;
const ROW_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
struct Bucket {
    burst: u32,
    pause: Duration,
    level: u32,
    filled_at: Instant,
    left_out: u64,
}

/// What to do with a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Say it, and before it how many were left out since the last one.
    Say(Option<u64>),
    /// It is counted.
    LeaveOut,
}

impl Flood {
    pub(crate) fn new(now: Instant) -> Self {
        Self::of(now, BURST, PAUSE)
    }

    /// For the rows of tables.
    pub(super) fn of_rows(now: Instant) -> Self {
        Self::of(now, ROWS, ROW_PAUSE)
    }

    fn of(now: Instant, burst: u32, pause: Duration) -> Self {
        Self(Mutex::new(Bucket { burst, pause, level: burst, filled_at: now, left_out: 0 }))
    }

    /// Whether there is room for all of these lines; none is counted if not.
    pub(super) fn fits(&self, now: Instant, lines: usize) -> bool {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.refill(now);
        let left = u32::try_from(lines).ok().and_then(|lines| bucket.level.checked_sub(lines));
        bucket.level = left.unwrap_or(bucket.level);
        left.is_some()
    }

    /// Judges one line.
    pub(crate) fn judge(&self, now: Instant) -> Verdict {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bucket.refill(now);
        match bucket.level.checked_sub(1) {
            Some(level) => {
                bucket.level = level;
                let left_out = std::mem::take(&mut bucket.left_out);
                Verdict::Say((left_out > 0).then_some(left_out))
            }
            None => {
                bucket.left_out = bucket.left_out.saturating_add(1);
                Verdict::LeaveOut
            }
        }
    }

    /// How many were left out and not told of yet.
    pub(super) fn rest(&self) -> Option<u64> {
        let mut bucket = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let left_out = std::mem::take(&mut bucket.left_out);
        (left_out > 0).then_some(left_out)
    }
}

impl Bucket {
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.filled_at);
        let pauses = passed.as_nanos().checked_div(self.pause.as_nanos()).unwrap_or(0);
        if pauses > 0 {
            let refill = u32::try_from(pauses).unwrap_or(self.burst);
            self.level = self.level.saturating_add(refill).min(self.burst);
            self.filled_at = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_becomes_a_trickle_and_a_count() {
        let start = Instant::now();
        let flood = Flood::new(start);
        let said = (0..1000).filter(|_| flood.judge(start) == Verdict::Say(None)).count();
        assert_eq!(said, BURST as usize);
        assert_eq!(flood.judge(start + PAUSE), Verdict::Say(Some(1000 - u64::from(BURST))));
        assert_eq!(flood.judge(start + PAUSE), Verdict::LeaveOut);
        assert_eq!(flood.rest(), Some(1));
        assert_eq!(flood.rest(), None);
    }

    #[test]
    fn a_table_is_said_as_a_whole_or_not_at_all() {
        let start = Instant::now();
        let flood = Flood::of_rows(start);
        assert!(!flood.fits(start, ROWS as usize + 1));
        assert!(flood.fits(start, ROWS as usize));
        assert!(!flood.fits(start, 1));
        assert!(flood.fits(start + 4 * ROW_PAUSE, 4));
    }
}

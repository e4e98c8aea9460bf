//! Rates and lags, from nothing but the looks that somebody takes anyway.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// A younger look says too little about a rate.
const SHORTEST: Duration = Duration::from_millis(100);
/// A look of this age is preferred: older ones are about the past.
const GOOD: Duration = Duration::from_millis(900);
/// An older look says nothing about the present.
const LONGEST: Duration = Duration::from_secs(60);
/// Marks kept to tell a lag. When there are more, every second one goes.
const MARKS: usize = 32;

/// Tells how fast a count grows.
#[derive(Debug, Default)]
pub(super) struct Meter {
    older: Option<(Instant, u64)>,
    newer: Option<(Instant, u64)>,
}

impl Meter {
    /// Counts a second since a look about a second ago; `None` when there was none of late.
    pub(super) fn look(&mut self, now: Instant, count: u64) -> Option<f64> {
        let age = |look: &(Instant, u64)| now.saturating_duration_since(look.0);
        let looks = [self.newer, self.older].into_iter().flatten();
        let usable = |look: &(Instant, u64)| (SHORTEST..=LONGEST).contains(&age(look));
        let mut usable = looks.filter(usable).peekable();
        let younger = usable.peek().copied();
        let base = usable.find(|look| age(look) >= GOOD).or(younger);
        if self.newer.as_ref().is_none_or(|look| age(look) >= GOOD) {
            self.older = self.newer.replace((now, count));
        }
        base.map(|look| count.saturating_sub(look.1) as f64 / age(&look).as_secs_f64())
    }

    /// Whether the next look would tell a rate.
    pub(super) fn is_ready(&self, now: Instant) -> bool {
        [self.newer, self.older]
            .into_iter()
            .flatten()
            .any(|look| (SHORTEST..=LONGEST).contains(&now.saturating_duration_since(look.0)))
    }
}

/// Tells how long the oldest byte that is not acknowledged has waited.
#[derive(Debug, Default)]
pub(super) struct Lag {
    /// When a look found how much had been moved, the oldest first.
    marks: VecDeque<(Instant, u64)>,
    looked: bool,
}

impl Lag {
    /// At least this long, and longer by no more than the time between looks. `None` at a first
    /// look that finds something unacknowledged: nobody saw it arrive.
    pub(super) fn look(&mut self, now: Instant, moved: u64, acked: u64) -> Option<Duration> {
        let first = !std::mem::replace(&mut self.looked, true);
        while self.marks.front().is_some_and(|mark| mark.1 <= acked) {
            self.marks.pop_front();
        }
        if self.marks.back().is_none_or(|mark| mark.1 < moved) && moved > acked {
            self.marks.push_back((now, moved));
        }
        if self.marks.len() > MARKS {
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
        }
        match self.marks.front() {
            None => Some(Duration::ZERO),
            Some(_) if first => None,
            Some(mark) => Some(now.saturating_duration_since(mark.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(base: Instant, tenths: u64) -> Instant {
        base + Duration::from_millis(tenths * 100)
    }

    #[test]
    fn a_rate_is_about_the_last_second_however_often_somebody_looks() {
        let base = Instant::now();
        let mut meter = Meter::default();
        assert!(!meter.is_ready(base));
        assert_eq!(meter.look(base, 1_000), None, "nothing to compare with");
        assert_eq!(meter.look(base, 1_000), None, "no time has passed");
        assert!(meter.is_ready(seconds(base, 5)));
        assert_eq!(meter.look(seconds(base, 5), 1_100), Some(200.0));
        assert_eq!(meter.look(seconds(base, 10), 1_200), Some(200.0));
        // Two who look by turns see the same second.
        assert_eq!(meter.look(seconds(base, 12), 1_200), Some(200.0 / 1.2));
        assert_eq!(meter.look(seconds(base, 20), 2_200), Some(1_000.0));
        assert_eq!(meter.look(seconds(base, 900), 9_000), None, "that was long ago");
        assert_eq!(meter.look(seconds(base, 910), 9_000), Some(0.0));
    }

    #[test]
    fn a_lag_is_the_age_of_the_oldest_byte_that_somebody_saw() {
        let base = Instant::now();
        let mut lag = Lag::default();
        let mut look = |tenths, moved, acked| {
            let lag = lag.look(seconds(base, tenths), moved, acked);
            lag.map(|lag| lag.as_millis() / 100)
        };
        assert_eq!(look(0, 10, 5), None, "nobody saw it arrive");
        assert_eq!(look(10, 20, 5), Some(10));
        assert_eq!(look(20, 30, 15), Some(10), "what came at the second look waits");
        assert_eq!(look(30, 30, 15), Some(20));
        assert_eq!(look(40, 30, 30), Some(0));
        assert_eq!(look(50, 31, 30), Some(0), "it came since the last look");
        assert_eq!(look(60, 31, 30), Some(10));
    }

    #[test]
    fn a_long_outage_takes_no_more_marks_than_a_short_one() {
        let base = Instant::now();
        let mut lag = Lag::default();
        for look in 0..10_000 {
            lag.look(seconds(base, look), look + 1, 0);
        }
        assert!(lag.marks.len() <= MARKS);
        let last = lag.look(seconds(base, 10_000), 10_001, 0);
        assert_eq!(last, Some(Duration::from_secs(1_000)));
    }
}

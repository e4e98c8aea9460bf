//! How long something took, counted by size: an average hides what hurts.

use std::time::Duration;

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

/// What waits for a frame's turn are counted by: around the 200 ms that a lower class waits at most.
const QUEUE_WAITS: &[Duration] = &[
    Duration::from_millis(1),
    Duration::from_millis(5),
    Duration::from_millis(20),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_secs(1),
    Duration::from_secs(5),
];

/// Times counted below fixed bounds. It holds a few numbers, however many times it was told.
///
/// ```
/// use p2_mux::Histogram;
/// use std::time::Duration;
/// const BOUNDS: &[Duration] = &[Duration::from_millis(10), Duration::from_secs(1)];
/// let mut times = Histogram::new(BOUNDS);
/// for millis in [3, 10, 500, 2_000] {
///     times.observe(Duration::from_millis(millis));
/// }
/// assert_eq!(times.counts(), [2, 1, 1], "up to 10 ms, up to 1 s, above");
/// assert_eq!((times.count(), times.sum()), (4, Duration::from_millis(2_513)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    bounds: &'static [Duration],
    counts: Vec<u64>,
    sum: Duration,
}

impl Histogram {
    /// Nothing counted yet. `bounds` rise; each is the largest time that still counts below it.
    pub fn new(bounds: &'static [Duration]) -> Self {
        Self { bounds, counts: vec![0; bounds.len().saturating_add(1)], sum: Duration::ZERO }
    }

    /// For times without a link.
    pub fn of_outages() -> Self {
        Self::new(OUTAGES)
    }

    /// For round trips.
    pub fn of_round_trips() -> Self {
        Self::new(ROUND_TRIPS)
    }

    /// For how long frames wait for their turn.
    pub fn of_queue_waits() -> Self {
        Self::new(QUEUE_WAITS)
    }

    /// Counts one time.
    pub fn observe(&mut self, time: Duration) {
        let at = self.bounds.partition_point(|bound| *bound < time);
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(1);
        }
        self.sum = self.sum.saturating_add(time);
    }

    /// Counts all that `other` has counted; it must have the same bounds, else nothing happens.
    pub fn add(&mut self, other: &Self) {
        if self.bounds != other.bounds {
            return;
        }
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count = count.saturating_add(*more);
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// The bounds.
    pub const fn bounds(&self) -> &'static [Duration] {
        self.bounds
    }

    /// How many times fell below each bound and above the one before it; the last are those above
    /// every bound.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// How many times were counted.
    pub fn count(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// All times together.
    pub const fn sum(&self) -> Duration {
        self.sum
    }
}

impl Default for Histogram {
    /// Without bounds: a count and a sum.
    fn default() -> Self {
        Self::new(&[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: &[Duration] = &[Duration::from_secs(1), Duration::from_secs(2)];

    #[test]
    fn sums_of_like_histograms_are_exact_and_unlike_ones_are_left_alone() {
        let mut one = Histogram::new(BOUNDS);
        one.observe(Duration::from_secs(1));
        let mut other = Histogram::new(BOUNDS);
        other.observe(Duration::from_secs(3));
        one.add(&other);
        assert_eq!(one.counts(), [1, 0, 1]);
        assert_eq!(one.sum(), Duration::from_secs(4));
        let before = one.clone();
        one.add(&Histogram::default());
        assert_eq!(one, before);
    }
}

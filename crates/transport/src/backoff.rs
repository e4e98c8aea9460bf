//! When to dial again: at once, then with full jitter under a doubling ceiling.

use std::time::Duration;

/// A link that lived this long wipes the slate clean.
const STABLE: Duration = Duration::from_secs(30);

/// How often and how long to retry a link.
///
/// The first retry is immediate; the `n`-th after it waits a random time up to
/// `min(max, min * 2^n)`. Two kinds of link start the count anew, so that the next retry is immediate
/// again: one that stayed up for 30 s, and one that made progress, over which stream bytes arrived
/// or were acknowledged. A link that breaks often but moves data is re-made at once; one that
/// breaks before it is of use is waited for.
///
/// ```
/// use std::time::Duration;
/// use p2_transport::Backoff;
///
/// let patient = Backoff::default();
/// assert_eq!(patient.limit, None);
/// let hasty = Backoff { limit: Some(3), max: Duration::from_secs(1), ..patient };
/// assert_eq!(hasty.min, Duration::from_millis(250));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// The ceiling of the first jittered wait. Default 250 ms.
    pub min: Duration,
    /// The ceiling of every wait. Default 30 s.
    pub max: Duration,
    /// Give up after this many failed attempts in a row. Default: never.
    pub limit: Option<u32>,
    /// Give up after this long without a link. Default: never.
    pub total: Option<Duration>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            min: Duration::from_millis(250),
            max: Duration::from_secs(30),
            limit: None,
            total: None,
        }
    }
}

/// Where the attempts stand.
#[derive(Debug)]
pub(crate) struct Attempts {
    policy: Backoff,
    /// Failed in a row, for the limit.
    failed: u32,
    /// Since the last stable link, for the waits.
    dialled: u32,
}

impl Attempts {
    pub(crate) fn new(policy: Backoff) -> Self {
        Self { policy, failed: 0, dialled: 0 }
    }

    /// The number of the attempt that comes next, from 1.
    pub(crate) fn next(&self) -> u32 {
        self.failed.saturating_add(1)
    }

    /// Attempts that have failed in a row.
    pub(crate) fn failed(&self) -> u32 {
        self.failed
    }

    /// An attempt has failed.
    pub(crate) fn failure(&mut self) {
        self.failed = self.failed.saturating_add(1);
    }

    /// How long to wait before the next attempt; `None` once the policy's limits are reached.
    /// `without_link` is how long there has been no link, `floor` what the peer asked for.
    pub(crate) fn wait(
        &mut self,
        without_link: Duration,
        floor: Duration,
        random: &mut fastrand::Rng,
    ) -> Option<Duration> {
        if self.policy.limit.is_some_and(|limit| self.failed >= limit.max(1)) {
            return None;
        }
        let wait = match self.dialled.checked_sub(1) {
            None => Duration::ZERO,
            Some(doublings) => {
                let ceiling = self.policy.min.saturating_mul(2u32.saturating_pow(doublings));
                ceiling.min(self.policy.max).mul_f64(random.f64())
            }
        };
        self.dialled = self.dialled.saturating_add(1);
        let wait = wait.max(floor);
        match self.policy.total {
            Some(total) if self.failed > 0 && without_link >= total => None,
            Some(total) => Some(wait.min(total.saturating_sub(without_link))),
            None => Some(wait),
        }
    }

    /// The session's first link is there: connecting is over, reconnecting begins anew.
    pub(crate) fn connected(&mut self) {
        (self.failed, self.dialled) = (0, 0);
    }

    /// A link is there.
    pub(crate) fn resumed(&mut self) {
        self.failed = 0;
    }

    /// Judges a link that has just ended; one that lived long enough, or over which the session
    /// `progressed`, wipes the slate clean.
    pub(crate) fn link_ended(&mut self, lived: Duration, progressed: bool) {
        if progressed || lived >= STABLE {
            self.dialled = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZERO: Duration = Duration::ZERO;

    fn waits(attempts: &mut Attempts, count: usize) -> Vec<Duration> {
        let mut random = fastrand::Rng::with_seed(7);
        let mut next = || {
            let wait = attempts.wait(ZERO, ZERO, &mut random);
            attempts.failure();
            wait
        };
        (0..count).map_while(|_| next()).collect()
    }

    #[test]
    fn the_first_attempt_is_immediate_and_the_rest_stay_under_the_doubling_ceiling() {
        let policy = Backoff { max: Duration::from_secs(2), ..Backoff::default() };
        for _ in 0..200 {
            let waits = waits(&mut Attempts::new(policy), 7);
            for (wait, ceiling) in waits.iter().zip([0, 250, 500, 1000, 2000, 2000, 2000]) {
                assert!(*wait <= Duration::from_millis(ceiling), "{wait:?} over {ceiling} ms");
            }
        }
    }

    #[test]
    fn the_limit_counts_failures_in_a_row() {
        let mut attempts = Attempts::new(Backoff { limit: Some(2), ..Backoff::default() });
        assert_eq!(waits(&mut attempts, 9).len(), 2);
        attempts.resumed();
        assert_eq!(waits(&mut attempts, 9).len(), 2);
    }

    #[test]
    fn only_a_stable_or_useful_link_makes_the_next_attempt_immediate_again() {
        let policy = Backoff { max: Duration::from_secs(1 << 20), ..Backoff::default() };
        let mut attempts = Attempts::new(policy);
        waits(&mut attempts, 12);
        attempts.link_ended(Duration::from_secs(29), false);
        assert!(waits(&mut attempts, 1)[0] > ZERO);
        attempts.link_ended(STABLE, false);
        assert_eq!(waits(&mut attempts, 12)[0], ZERO);
        attempts.link_ended(ZERO, true);
        assert_eq!(waits(&mut attempts, 1), [ZERO]);
    }

    #[test]
    fn the_total_time_ends_the_attempts_and_caps_the_last_wait() {
        let mut random = fastrand::Rng::with_seed(7);
        let total = Duration::from_secs(10);
        let mut attempts = Attempts::new(Backoff { total: Some(total), ..Backoff::default() });
        waits(&mut attempts, 20);
        let almost = Duration::from_millis(9_999);
        assert!(attempts.wait(almost, ZERO, &mut random).expect("time is left") <= total - almost);
        assert_eq!(attempts.wait(total, ZERO, &mut random), None);
    }

    #[test]
    fn a_peer_that_asks_for_patience_gets_it() {
        let mut random = fastrand::Rng::with_seed(7);
        let floor = Duration::from_secs(5);
        let mut attempts = Attempts::new(Backoff::default());
        assert!(attempts.wait(ZERO, floor, &mut random).expect("no limit is set") >= floor);
    }
}

//! Credit arithmetic: how far a receiving half may be written to, and how its window grows.

use std::time::Duration;

use crate::budget::Budget;
use crate::time::Time;

/// A reader keeps up that has read what blocked its peer within this time.
const KEEPS_UP: Duration = Duration::from_millis(100);

/// The window of one receiving half. Limits are absolute offsets and only ever rise.
#[derive(Debug)]
pub(crate) struct Window {
    size: u64,
    /// The limit the peer has been told.
    advertised: u64,
    /// Only where the peer had to wait for more; without it `size` is the initial one.
    tuning: Option<Box<Tuning>>,
}

/// What a window grows by.
#[derive(Debug)]
struct Tuning {
    initial: u64,
    /// Bytes taken from the budget for growth.
    reserved: u64,
    grown_at: Option<Time>,
    /// The limit at which the peer waits or last waited.
    blocked: u64,
    /// The bytes up to `blocked` are still on their way.
    blocked_ahead: bool,
    /// When it had used its credit up and waited for more.
    blocked_at: Option<Time>,
}

impl Window {
    pub(crate) const fn new(initial: u64) -> Self {
        Self { size: initial, advertised: initial, tuning: None }
    }

    /// The highest offset the peer may send below.
    pub(crate) const fn limit(&self) -> u64 {
        self.advertised
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    /// The limit that `acked` bytes justify; never less than what was promised.
    pub(crate) fn target(&self, acked: u64) -> u64 {
        acked.saturating_add(self.size).min(crate::limits::MAX_OFFSET).max(self.advertised)
    }

    /// Whether a new limit is worth a message of its own: a quarter of the window.
    pub(crate) fn worth_telling(&self, acked: u64) -> bool {
        self.target(acked).saturating_sub(self.advertised) >= self.size / 4
    }

    /// Raises the limit as far as `acked` justifies and returns it, to be sent.
    pub(crate) fn advance(&mut self, acked: u64) -> u64 {
        self.advertised = self.target(acked);
        self.advertised
    }

    /// The peer says that it waits at this limit. It counts once per limit, and only when the
    /// bytes below it are here: growth is for credit that was used, not for the asking.
    pub(crate) fn blocked(&mut self, limit: u64) {
        let (initial, before) = match &self.tuning {
            Some(tuning) => (tuning.initial, tuning.blocked),
            None => (self.size, 0),
        };
        if limit >= initial && limit > before {
            let tuning = self.tuning.get_or_insert_with(|| Tuning::new(initial));
            tuning.blocked = limit;
            tuning.blocked_ahead = true;
        }
    }

    /// Grows if the peer waited for it and the reader, which has left `unread` bytes, keeps up: it
    /// has read at least half soon after. A slow reader would only hoard memory.
    pub(crate) fn grow_if_earned(
        &mut self,
        now: Time,
        rtt: Duration,
        max: u64,
        received: u64,
        unread: u64,
        budget: &mut Budget,
    ) {
        let Some(tuning) = &mut self.tuning else { return };
        if tuning.blocked_ahead && received >= tuning.blocked {
            tuning.blocked_ahead = false;
            tuning.blocked_at = Some(now);
        }
        let Some(at) = tuning.blocked_at else { return };
        let late = now.since(at) > KEEPS_UP.saturating_add(rtt);
        let kept_up = unread <= self.size / 2;
        if late || kept_up {
            tuning.blocked_at = None;
        }
        if kept_up && !late {
            self.grow(now, rtt, max, budget);
        }
    }

    /// Doubles the window if the budget has room, at most once a round trip.
    fn grow(&mut self, now: Time, rtt: Duration, max: u64, budget: &mut Budget) -> bool {
        let Some(tuning) = &mut self.tuning else { return false };
        let wanted = self.size.saturating_mul(2).min(max);
        let more = wanted.saturating_sub(self.size);
        let recently = tuning.grown_at.is_some_and(|at| now.since(at) < rtt);
        if more == 0 || recently || !budget.take(more) {
            return false;
        }
        self.size = wanted;
        tuning.reserved = tuning.reserved.saturating_add(more);
        tuning.grown_at = Some(now);
        true
    }

    /// Halves the window of a stream that has been idle, and gives back what is no longer promised.
    pub(crate) fn shrink(&mut self, acked: u64, budget: &mut Budget) {
        let Some(tuning) = &mut self.tuning else { return };
        self.size = (self.size / 2).max(tuning.initial);
        let promised = self.advertised.saturating_sub(acked).max(self.size);
        let needed = promised.saturating_sub(tuning.initial);
        budget.give(tuning.reserved.saturating_sub(needed));
        tuning.reserved = tuning.reserved.min(needed);
        if self.size == tuning.initial && tuning.is_over() {
            self.tuning = None;
        }
    }

    /// Gives everything back; the half is over.
    pub(crate) fn close(&mut self, budget: &mut Budget) {
        if let Some(tuning) = &mut self.tuning {
            budget.give(std::mem::take(&mut tuning.reserved));
        }
    }
}

impl Tuning {
    fn new(initial: u64) -> Box<Self> {
        Box::new(Self {
            initial,
            reserved: 0,
            grown_at: None,
            blocked: 0,
            blocked_ahead: false,
            blocked_at: None,
        })
    }

    /// Nothing was taken, and nobody waits.
    const fn is_over(&self) -> bool {
        self.reserved == 0 && !self.blocked_ahead && self.blocked_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::ProcessBudget;

    #[test]
    fn limits_only_rise_and_growth_stops_at_the_budget() {
        let mut budget = Budget::new(900, ProcessBudget::new(10_000));
        let mut window = Window::new(256);
        let rtt = Duration::from_millis(10);
        let mut now = Time::default();
        assert!(!window.grow(now, rtt, 4096, &mut budget), "nobody waits");
        window.blocked(256);
        window.grow_if_earned(now, rtt, 256, 256, 0, &mut budget);
        assert!(window.grow(now, rtt, 4096, &mut budget), "256 more fit");
        assert!(!window.grow(now, rtt, 4096, &mut budget), "only once a round trip");
        now = now + rtt;
        assert!(window.grow(now, rtt, 4096, &mut budget), "512 more fit");
        now = now + rtt;
        assert!(!window.grow(now, rtt, 4096, &mut budget), "1024 more do not");
        assert_eq!(window.advance(100), 1124);
        window.shrink(100, &mut budget);
        assert_eq!(window.advance(100), 1124, "a promise is kept");
        window.shrink(1124, &mut budget);
        window.shrink(1124, &mut budget);
        assert_eq!(window.size(), 256);
        assert!(window.tuning.is_none(), "an idle window is two numbers");
        assert!(budget.take(900), "all came back");
    }
}

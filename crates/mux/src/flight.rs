//! How much may be on its way: a cap on the link's unacknowledged bytes, from the peer's RECEIPTs.
//!
//! A kernel, a proxy or an ssh process between the two ends swallows megabytes, and an urgent byte
//! waits behind all of them. The model is that of BBR (draft-ietf-ccwg-bbr): the delivery rate is
//! a windowed maximum, the round trip is measured while little is in flight, and no more is kept in
//! flight than their product with some room for growth: as much again until the rate stops growing,
//! a quarter after that, and a few milliseconds of work for a receiver that wakes late.

use std::collections::VecDeque;
use std::time::Duration;

use crate::time::Time;

/// In flight always, whatever was measured.
const FLOOR: u64 = 32 << 10;
/// In flight before anything was measured.
const FIRST: u64 = FLOOR;
/// Standing queue allowed at the measured rate.
const SLACK: Duration = Duration::from_millis(2);
/// With no more than this in flight a round trip is the path's own, not that of our queue: one
/// frame of the largest size and what goes with it.
const SHALLOW: u64 = 72 << 10;
/// A round trip older than this is measured anew, with a link that was drained for it.
const ROUND_TRIP_AGE: Duration = Duration::from_secs(10);
/// A maximum rate is forgotten after one to two of these.
const RATE_AGE: Duration = Duration::from_secs(2);
/// Bytes between two marks, and marks kept: they cover 8 MiB at least.
const MARK_EVERY: u64 = 32 << 10;
const MARKS: usize = 256;

#[derive(Debug, Clone, Copy)]
struct Mark {
    sent: u64,
    at: Time,
    delivered: u64,
    delivered_at: Time,
    limited: bool,
    /// Nothing to speak of was in flight when it was set.
    shallow: bool,
}

/// The account of one link.
#[derive(Debug)]
pub(crate) struct Flight {
    sent: u64,
    delivered: u64,
    delivered_at: Time,
    marks: VecDeque<Mark>,
    mark_every: u64,
    marked: u64,
    /// The application had nothing more: rates measured now say nothing about the link.
    limited: bool,
    /// The path's round trip, a mean over shallow samples, and when it was last measured.
    round_trip: Option<(Duration, Time)>,
    /// Bytes per second: the maximum of this period and of the one before.
    rate: (u64, u64),
    rate_since: Time,
    /// The link is being emptied to measure the round trip anew.
    draining: bool,
    startup: Startup,
}

/// Doubling until the rate has stopped growing, as in BBR's startup.
#[derive(Debug, Default)]
struct Startup {
    full: bool,
    best: u64,
    /// A round ends when this many bytes are delivered.
    round_ends: u64,
    rounds_without_growth: u32,
}

impl Startup {
    fn round(&mut self, delivered: u64, sent: u64, rate: u64, limited: bool) {
        if self.full || delivered < self.round_ends {
            return;
        }
        self.round_ends = sent;
        if limited {
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

impl Flight {
    pub(crate) const fn new(now: Time) -> Self {
        Self {
            sent: 0,
            delivered: 0,
            delivered_at: now,
            marks: VecDeque::new(),
            mark_every: MARK_EVERY,
            marked: 0,
            limited: false,
            round_trip: None,
            rate: (0, 0),
            rate_since: now,
            draining: false,
            startup: Startup { full: false, best: 0, round_ends: 0, rounds_without_growth: 0 },
        }
    }

    /// Bytes that may still be put on the link now.
    pub(crate) fn room(&self) -> u64 {
        self.cap().saturating_sub(self.in_flight())
    }

    pub(crate) const fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.delivered)
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.map(|(rtt, _)| rtt)
    }

    /// `bytes` went out; `limited` when nothing more was waiting.
    pub(crate) fn sent(&mut self, now: Time, bytes: u64, limited: bool) {
        self.sent = self.sent.saturating_add(bytes);
        self.limited = limited;
        if self.sent.saturating_sub(self.marked) < self.mark_every {
            return;
        }
        if self.marks.len() >= MARKS {
            // A very long pipe: mark it half as densely.
            let mut keep = false;
            self.marks.retain(|_| {
                keep = !keep;
                keep
            });
            self.mark_every = self.mark_every.saturating_mul(2);
        }
        self.marked = self.sent;
        self.marks.push_back(Mark {
            sent: self.sent,
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            limited,
            shallow: self.in_flight() <= SHALLOW,
        });
    }

    /// The peer has read `received` bytes of this link. False when that cannot be.
    pub(crate) fn receipt(&mut self, now: Time, received: u64) -> bool {
        if received > self.sent {
            return false;
        }
        if received <= self.delivered {
            return true;
        }
        self.delivered = received;
        self.delivered_at = now;
        let mut last = None;
        while self.marks.front().is_some_and(|mark| mark.sent <= received) {
            last = self.marks.pop_front();
        }
        if let Some(mark) = last {
            self.sample_round_trip(now, mark);
            self.sample_rate(now, mark, received);
            let rate = self.rate.0.max(self.rate.1);
            self.startup.round(received, self.sent, rate, mark.limited);
        }
        true
    }

    /// The mean, not the minimum: where small writes wait for each other on the way (Nagle's
    /// algorithm in a proxy), the shortest round trip says nothing about the usual one, and a cap
    /// made from it would starve the link. PING is such a small write, so it does not count here.
    fn sample_round_trip(&mut self, now: Time, mark: Mark) {
        let sample = now.since(mark.at);
        if mark.shallow {
            let mean = self
                .round_trip
                .map_or(sample, |(mean, _)| mean.saturating_mul(7).saturating_add(sample) / 8);
            self.round_trip = Some((mean, now));
            self.draining = false;
        } else if self.round_trip.is_none_or(|(_, at)| now.since(at) > ROUND_TRIP_AGE) {
            self.draining = true;
        }
    }

    fn sample_rate(&mut self, now: Time, mark: Mark, received: u64) {
        let span = now.since(mark.delivered_at).max(now.since(mark.at)).as_nanos().max(1);
        let bytes = u128::from(received.saturating_sub(mark.delivered));
        let rate =
            u64::try_from(bytes.saturating_mul(1_000_000_000).checked_div(span).unwrap_or(0))
                .unwrap_or(u64::MAX);
        if mark.limited && rate <= self.rate.0.max(self.rate.1) {
            return;
        }
        if now.since(self.rate_since) > RATE_AGE {
            self.rate = (0, self.rate.0);
            self.rate_since = now;
        }
        self.rate.0 = self.rate.0.max(rate);
    }

    fn cap(&self) -> u64 {
        let rate = self.rate.0.max(self.rate.1);
        let Some((rtt, _)) = self.round_trip.filter(|_| rate > 0 && !self.draining) else {
            return FIRST;
        };
        let span = if self.startup.full {
            // Once the pipe is full, all that is sent beyond it is a queue for urgent bytes.
            rtt.saturating_add(rtt / 4).saturating_add(SLACK)
        } else {
            rtt.saturating_mul(2).saturating_add(SLACK)
        };
        let bytes = u128::from(rate).saturating_mul(span.as_nanos()) / 1_000_000_000;
        u64::try_from(bytes).unwrap_or(u64::MAX).max(FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe of `rate` bytes/s with `rtt`, filled as fast as the cap allows for `seconds`.
    /// Returns the 95th percentile of queueing delay after three seconds, and the bytes delivered.
    fn simulate(rate: u64, rtt: Duration, seconds: u64) -> (Duration, u64) {
        let step = Duration::from_micros(100);
        let per_step = rate / 10_000;
        let mut now = Time::default();
        let mut flight = Flight::new(now);
        let (mut queue, mut served) = (0u64, 0u64);
        let mut receipts: VecDeque<(Time, u64)> = VecDeque::new();
        let mut queues = Vec::new();
        for tick in 0..seconds * 10_000 {
            now = now + step;
            let room = flight.room().min(256 << 10).min((1 << 30) - queue);
            if room > 0 {
                flight.sent(now, room, false);
                queue += room;
            }
            let out = queue.min(per_step);
            queue -= out;
            served += out;
            receipts.push_back((now + rtt, served));
            while receipts.front().is_some_and(|(at, _)| *at <= now) {
                let (_, received) = receipts.pop_front().unwrap();
                assert!(flight.receipt(now, received));
            }
            if tick > 30_000 {
                queues.push(queue);
            }
        }
        queues.sort_unstable();
        let high = queues[queues.len() * 95 / 100];
        (Duration::from_secs_f64(high as f64 / rate as f64), served)
    }

    #[test]
    fn a_slow_link_is_kept_full_with_a_short_queue() {
        let (queue, served) = simulate(12_500_000, Duration::from_micros(200), 5);
        assert!(queue < Duration::from_millis(8), "{queue:?} of queue at 100 Mbit/s");
        assert!(served > 12_500_000 * 5 * 97 / 100, "{served} bytes in 5 s");
    }

    #[test]
    fn a_long_fat_link_fills() {
        let (queue, served) = simulate(125_000_000, Duration::from_millis(100), 12);
        assert!(queue < Duration::from_millis(40), "{queue:?} of queue at 1 Gbit/s, 100 ms");
        assert!(served > 125_000_000 * 12 * 90 / 100, "{served} bytes in 12 s");
    }

    #[test]
    fn a_receipt_for_more_than_was_sent_is_refused() {
        let mut flight = Flight::new(Time::default());
        flight.sent(Time::default(), 10, false);
        assert!(flight.receipt(Time::default(), 10));
        assert!(!flight.receipt(Time::default(), 11));
    }
}

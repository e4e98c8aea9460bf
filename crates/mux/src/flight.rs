//! How much may be on its way: a cap on the link's unacknowledged bytes, from the peer's RECEIPTs.
//!
//! A kernel, a proxy or an ssh process between the two ends swallows megabytes, and an urgent byte
//! waits behind all of them. The model is that of BBR (draft-ietf-ccwg-bbr): the delivery rate is
//! a windowed maximum, the round trip is measured while little is in flight, and no more is kept in
//! flight than their product, and a few milliseconds of work for a receiver that wakes late. As much
//! again is allowed until the rate stops growing, and after that a quarter more in one round of
//! eight, to find out whether the link has become faster.

mod round_trip;
mod startup;

use std::collections::VecDeque;
use std::time::Duration;

use crate::limits;
use crate::time::Time;
use round_trip::RoundTrip;
use startup::Startup;

/// In flight before anything was measured.
const FIRST: u64 = (32 << 10) + LAG;
/// Read by the peer and not yet receipted. Without room for it, a direction that carries little
/// beside its control frames would wait for a receipt that is not due.
const LAG: u64 = limits::RECEIPT_EVERY;
/// Standing queue allowed at the measured rate, and the most bytes of it: a link so fast that they
/// pass sooner has a receiver that wakes sooner.
const SLACK: Duration = Duration::from_millis(2);
const SLACK_MOST: u64 = 1 << 20;
/// The most bytes of it while short messages pass beside bulk: they would wait behind it.
const SLACK_BRISK: u64 = 64 << 10;
/// What short messages may send between two receipts though the cap is reached.
const MESSAGES: u64 = 8 << 10;
/// A link that was full is written to again when there is room for what it carries in this time, or
/// for this many bytes: on a fast one each receipt makes room for little more than a frame.
const WORTH_A_WRITE: (Duration, u64) = (Duration::from_micros(250), 128 << 10);
/// For how long after a short message the queue is kept that short.
const BRISK_FOR: Duration = Duration::from_millis(50);
/// With less in flight than this a short message waits for nothing to speak of.
const CLEAR: u64 = 64 << 10;
/// With no more than this in flight a round trip is the path's own, not that of our queue: the
/// largest frame, begun when there was still room for a byte.
const SHALLOW: u64 = FIRST + (68 << 10);
/// Once the pipe is full, a quarter more is tried in one round of so many.
const PROBE_EVERY: u32 = 8;
/// An urgent byte does not wait longer than this for such a trial.
const PROBE_MOST: Duration = Duration::from_millis(10);
/// Beside short messages and on a path so short that wake-ups are most of a round trip, a trial is
/// a quarter of the path without them, or this.
const PROBE_LEAST: Duration = Duration::from_micros(20);
/// A round trip that nothing has confirmed for this long is measured anew, with a link that was
/// drained for it: either there is a queue that is not ours, or the path has become longer.
const ROUND_TRIP_AGE: Duration = Duration::from_secs(3);
/// A rate is taken over no less than this.
const PERIOD: Duration = Duration::from_millis(1);
/// A maximum rate is forgotten after one to two of these.
const RATE_AGE: Duration = Duration::from_secs(2);
/// Bytes between two marks, and marks kept: they cover 8 MiB at least.
const MARK_EVERY: u64 = 32 << 10;
const MARKS: usize = 256;

/// Bytes that went out together, the last of which is number `sent`; or many small writes.
#[derive(Debug, Clone, Copy)]
struct Mark {
    sent: u64,
    /// When the first of them went out, and the last.
    begun: Time,
    at: Time,
    delivered: u64,
    delivered_at: Time,
    limited: bool,
    /// What was in flight when it was set.
    in_flight: u64,
    /// Bytes up to this one went out before `begun`.
    from: u64,
}

/// What was delivered since some time.
#[derive(Debug, Clone, Copy)]
struct Period {
    since: Time,
    delivered: u64,
    /// The application had nothing more at some time.
    limited: bool,
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
    /// When the first byte after the last mark went out, and how many went before it.
    begun: Option<(Time, u64)>,
    /// The application had nothing more: rates measured now say nothing about the link.
    limited: bool,
    round_trip: Option<RoundTrip>,
    /// Bytes per second: the maximum of this period and of the one before.
    rate: (u64, u64),
    rate_since: Time,
    period: Period,
    /// The link is being emptied to measure the round trip anew.
    draining: bool,
    startup: Startup,
    /// Bytes of short messages that went out beyond the cap since the last receipt.
    passed: u64,
    /// Until when the queue is kept short for the messages that pass beside bulk.
    brisk_until: Option<Time>,
    /// What may be in flight, by all of the above.
    cap: u64,
    /// The cap was reached, and there is not enough room again to be worth a write.
    full: bool,
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
            begun: None,
            limited: false,
            round_trip: None,
            rate: (0, 0),
            rate_since: now,
            period: Period { since: now, delivered: 0, limited: false },
            draining: false,
            startup: Startup::new(),
            passed: 0,
            brisk_until: None,
            cap: FIRST,
            full: false,
        }
    }

    /// Bytes that may still be put on the link now.
    pub(crate) fn room(&self) -> u64 {
        if self.full { 0 } else { self.cap.saturating_sub(self.in_flight()) }
    }

    /// Bytes of a frame while streams compete: what takes little time at the link's rate.
    pub(crate) fn frame(&self) -> u32 {
        let bytes = bytes(self.rate(), limits::COMPETING_TIME);
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        bytes.clamp(limits::COMPETING_FRAME, limits::COMPETING_FRAME_MOST)
    }

    /// What short messages may send beyond that until something is receipted: they make the queue
    /// hardly longer.
    pub(crate) const fn beyond(&self) -> u64 {
        MESSAGES.saturating_sub(self.passed)
    }

    /// A short message of `wire` bytes goes out although there is no room.
    pub(crate) const fn pass(&mut self, wire: u64) {
        self.passed = self.passed.saturating_add(wire);
    }

    pub(crate) const fn in_flight(&self) -> u64 {
        self.sent.saturating_sub(self.delivered)
    }

    pub(crate) fn round_trip(&self) -> Option<Duration> {
        self.round_trip.map(|rtt| rtt.time)
    }

    /// A short message was sent. If it had to pass beside bulk, others may follow: for a while they
    /// shall find a shorter queue.
    pub(crate) fn message(&mut self, now: Time) {
        if self.in_flight() > CLEAR {
            self.brisk_until = Some(now + BRISK_FOR);
        }
    }

    /// Whether short messages have passed beside bulk lately.
    pub(crate) const fn is_brisk(&self) -> bool {
        self.brisk_until.is_some()
    }

    /// `bytes` went out; `limited` when nothing more was waiting.
    pub(crate) fn sent(&mut self, now: Time, bytes: u64, limited: bool) {
        let before = self.sent;
        self.sent = self.sent.saturating_add(bytes);
        self.limited = limited;
        self.full |= self.in_flight() >= self.cap;
        self.brisk_until = self.brisk_until.filter(|until| now < *until);
        // What trickled out before a large batch says nothing of it.
        let (begun, from) = match self.begun {
            Some(begun) if bytes < self.mark_every => begun,
            _ => (now, before),
        };
        self.begun = Some((begun, from));
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
        } else if self.marks.len() < MARKS / 4 && self.mark_every > MARK_EVERY {
            self.mark_every /= 2;
        }
        self.marked = self.sent;
        self.begun = None;
        self.marks.push_back(Mark {
            sent: self.sent,
            begun,
            at: now,
            delivered: self.delivered,
            delivered_at: self.delivered_at,
            limited,
            in_flight: self.in_flight(),
            from,
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
        self.passed = 0;
        // The byte that made the receipt due is the last that it counts.
        if let Some(mark) = self.marks.iter().find(|mark| mark.sent >= received).copied() {
            self.sample_round_trip(now, mark, received);
        }
        let mut last = None;
        while self.marks.front().is_some_and(|mark| mark.sent <= received) {
            last = self.marks.pop_front();
        }
        if let Some(mark) = last {
            self.sample_rate(now, mark, received);
            let rate = self.rate();
            let long = self.round_trip.map_or(Duration::MAX, |rtt| rtt.long());
            self.startup.round(received, self.sent, rate, mark.limited, long);
        }
        self.cap = self.cap();
        // Less than LAG may stay in flight without a receipt.
        let most = (self.cap.saturating_sub(LAG) / 8).min(WORTH_A_WRITE.1);
        let worth_it = bytes(self.rate(), WORTH_A_WRITE.0).min(most);
        self.full &= self.in_flight().saturating_add(worth_it) > self.cap;
        true
    }

    /// The mean, not the minimum: where small writes wait for each other on the way (Nagle's
    /// algorithm in a proxy), the shortest round trip says nothing about the usual one, and a cap
    /// made from it would starve the link. PING is such a small write, so it does not count here.
    fn sample_round_trip(&mut self, now: Time, mark: Mark, received: u64) {
        if received <= mark.from {
            // The receipt is for bytes that went out before it was begun.
            return;
        }
        let sample = now.since(mark.begun);
        if mark.at.since(mark.begun) > sample / 8 {
            return;
        }
        let shortest = self.startup.shortest.get_or_insert(sample);
        *shortest = sample.min(*shortest);
        if mark.in_flight <= SHALLOW {
            let bytes = mark.in_flight.saturating_sub(mark.sent.saturating_sub(received));
            self.shallow(now, sample, bytes);
            return;
        }
        match &mut self.round_trip {
            // Our queue is short enough to see that the path is not longer than it was.
            Some(rtt) if sample <= rtt.long() => {
                rtt.at = now;
            }
            Some(rtt) if now.since(rtt.at) <= ROUND_TRIP_AGE => {}
            _ => {
                // What little is in flight from now on must be marked as densely.
                self.mark_every = MARK_EVERY;
                self.draining = true;
            }
        }
    }

    /// A round trip of the path's own was measured, with `bytes` ahead of the receipted one.
    fn shallow(&mut self, now: Time, sample: Duration, bytes: u64) {
        let drained = std::mem::take(&mut self.draining);
        let fresh = RoundTrip::new(now, sample, bytes);
        match &mut self.round_trip {
            Some(rtt) if drained && sample > rtt.long().saturating_add(rtt.time / 4) => {
                // Another path: what was known of the old one is in the way.
                *rtt = fresh;
                self.startup = Startup::new();
            }
            Some(rtt) => rtt.add(now, sample, bytes),
            none => *none = Some(fresh),
        }
    }

    fn sample_rate(&mut self, now: Time, mark: Mark, received: u64) {
        self.period.limited |= mark.limited;
        let span = now.since(mark.delivered_at).max(now.since(mark.at));
        let (span, delivered, limited) = if span >= PERIOD {
            (span, mark.delivered, mark.limited)
        } else {
            // Receipts of a near peer come in bursts: what one of them tells of so short a time is
            // how fast it reads what has piled up.
            let Period { since, delivered, limited } = self.period;
            let span = now.since(since);
            if span < PERIOD {
                return;
            }
            self.period = Period { since: now, delivered: received, limited: false };
            (span, delivered, limited)
        };
        let bytes = u128::from(received.saturating_sub(delivered));
        let span = span.as_nanos().max(1);
        let rate =
            u64::try_from(bytes.saturating_mul(1_000_000_000).checked_div(span).unwrap_or(0))
                .unwrap_or(u64::MAX);
        if limited && rate <= self.rate() {
            return;
        }
        if now.since(self.rate_since) > RATE_AGE {
            self.rate = (0, self.rate.0);
            self.rate_since = now;
        }
        self.rate.0 = self.rate.0.max(rate);
    }

    /// Bytes per second: the best of what is remembered.
    fn rate(&self) -> u64 {
        self.rate.0.max(self.rate.1)
    }

    fn cap(&self) -> u64 {
        let rate = self.rate();
        let Some(rtt) = self.round_trip.filter(|_| rate > 0 && !self.draining) else {
            return FIRST;
        };
        let span = if self.startup.full {
            let own = u128::from(rtt.bytes).saturating_mul(1_000_000_000);
            let own = own.checked_div(u128::from(rate)).unwrap_or(0);
            let own = Duration::from_nanos(u64::try_from(own).unwrap_or(u64::MAX));
            let path = rtt.time.saturating_sub(own);
            // Where messages wait, what a round trip is beyond the shortest one is mostly waiting.
            let path = if self.is_brisk() { path.min(rtt.shortest().max(path / 4)) } else { path };
            // All that is sent beyond the pipe's capacity is a queue for urgent bytes.
            if self.startup.rounds % PROBE_EVERY != 0 {
                path
            } else if self.is_brisk() && rtt.time < PERIOD {
                path.saturating_add((path / 4).max(PROBE_LEAST))
            } else {
                // Beyond the whole round trip: where the cap is what limits, less is in flight than
                // `rate` alone explains, and only this finds out.
                rtt.time.saturating_add((rtt.time / 4).min(PROBE_MOST))
            }
        } else {
            rtt.time.saturating_mul(2)
        };
        let most = if self.is_brisk() { SLACK_BRISK } else { SLACK_MOST };
        let slack = bytes(rate, SLACK).min(most);
        bytes(rate, span).saturating_add(slack).saturating_add(LAG)
    }
}

/// What passes in `time` at `rate` bytes per second.
fn bytes(rate: u64, time: Duration) -> u64 {
    let bytes = u128::from(rate).saturating_mul(time.as_nanos()) / 1_000_000_000;
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that is filled with whole frames as fast as the cap allows for `seconds`; `at` tells its
    /// rate in bytes/s and its round trip at a millisecond. Returns the 95th percentile of queueing
    /// delay and the share of the pipe that was used, both after second `from`.
    fn simulate(
        at: impl Fn(u64) -> (u64, Duration),
        frame: u64,
        messages: bool,
        from: u64,
        seconds: u64,
    ) -> (Duration, f64) {
        let step = Duration::from_micros(100);
        let mut now = Time::default();
        let mut flight = Flight::new(now);
        let (mut queue, mut served, mut receipted) = (0u64, 0u64, 0u64);
        let (mut used, mut could) = (0u64, 0u64);
        let mut receipts: VecDeque<(Time, u64)> = VecDeque::new();
        let mut delays = Vec::new();
        for tick in 0..seconds * 10_000 {
            now = now + step;
            let (rate, rtt) = at(tick / 10);
            let per_step = rate / 10_000;
            let room = flight.room().min(limits::BATCH as u64);
            if room > 0 {
                let bytes = room.div_ceil(frame) * frame;
                flight.sent(now, bytes, false);
                queue += bytes;
            }
            if messages && tick % 200 == 0 {
                flight.message(now);
            }
            let out = queue.min(per_step);
            queue -= out;
            served += out;
            if served - receipted >= LAG {
                receipted = served;
                receipts.push_back((now + rtt, served));
            }
            while receipts.front().is_some_and(|(at, _)| *at <= now) {
                let (_, received) = receipts.pop_front().unwrap();
                assert!(flight.receipt(now, received));
            }
            if tick >= from * 10_000 {
                delays.push(Duration::from_secs_f64(queue as f64 / rate as f64));
                used += out;
                could += per_step;
            }
        }
        delays.sort_unstable();
        (delays[delays.len() * 95 / 100], used as f64 / could as f64)
    }

    #[test]
    fn a_link_that_was_worse_for_a_while_or_has_become_longer_is_filled_again() {
        let ms = Duration::from_millis;
        for frame in [16 << 10, (64 << 10) + 28] {
            for messages in [false, true] {
                let what = format!("frames of {frame}, messages {messages}");
                let dip =
                    |at| (if (5_000..11_000).contains(&at) { 1 << 20 } else { 12_500_000 }, ms(60));
                let (_, share) = simulate(dip, frame, messages, 30, 35);
                assert!(share > 0.8, "after a dip, {what}: {share:.2} of the link used");
                let near = |at| {
                    let dip = (5_000..11_000).contains(&at);
                    (if dip { 1 << 20 } else { 1_250_000_000 }, Duration::from_micros(300))
                };
                let (_, share) = simulate(near, frame, messages, 30, 32);
                assert!(share > 0.8, "after a dip, near, {what}: {share:.2} of the link used");
                let longer = |at| (12_500_000, ms(if at < 5_000 { 20 } else { 60 }));
                let (_, share) = simulate(longer, frame, messages, 55, 60);
                assert!(share > 0.8, "a longer path, {what}: {share:.2} of the link used");
                let far = |at| (125_000_000, ms(if at < 10_000 { 100 } else { 140 }));
                let (_, share) = simulate(far, frame, messages, 55, 60);
                assert!(share > 0.8, "a fat and longer path, {what}: {share:.2} of the link used");
            }
        }
    }

    #[test]
    fn a_link_is_kept_full_with_a_short_queue_whatever_a_frame_holds() {
        for (megabits, rtt, most) in
            [(100, 0.2, 14), (100, 20.0, 14), (1000, 0.2, 8), (1000, 10.0, 8), (1000, 100.0, 16)]
        {
            for frame in [4 << 10, 16 << 10, (64 << 10) + 28] {
                let rtt = Duration::from_secs_f64(rtt / 1e3);
                let (queue, share) = simulate(|_| (megabits * 125_000, rtt), frame, false, 2, 15);
                let what = format!("{megabits} Mbit/s, {rtt:?}, frames of {frame}");
                assert!(share > 0.98, "{what}: {share:.3} of the link used");
                let most = Duration::from_millis(most);
                assert!(queue < most, "{what}: a queue of {queue:?}");
            }
        }
    }

    #[test]
    fn a_trickle_beside_it_does_not_hide_the_round_trip_of_a_large_batch() {
        let ms = Duration::from_millis;
        let mut now = Time::default();
        let mut flight = Flight::new(now);
        let mut sent = 0;
        for _ in 0..10 {
            sent += 100;
            flight.sent(now, 100, true);
            now = now + ms(10);
        }
        let frame = (64 << 10) + 28;
        flight.sent(now, frame, false);
        now = now + ms(100);
        assert!(flight.receipt(now, sent + frame));
        assert_eq!(flight.round_trip(), Some(ms(100)));
        assert!(flight.room() > frame, "the next round may carry more");
    }

    #[test]
    fn a_frame_among_others_takes_little_time_whatever_the_link_carries() {
        let mut flight = Flight::new(Time::default());
        assert_eq!(flight.frame(), 16 << 10, "nothing is known of it");
        for (rate, frame) in
            [(125_000_000, 16 << 10), (1_250_000_000, 31_250), (10_000_000_000, 48 << 10)]
        {
            flight.rate.0 = rate;
            assert_eq!(flight.frame(), frame, "{rate} bytes/s");
        }
    }

    #[test]
    fn a_receipt_for_more_than_was_sent_is_refused() {
        let mut flight = Flight::new(Time::default());
        flight.sent(Time::default(), 10, false);
        assert!(flight.receipt(Time::default(), 10));
        assert!(!flight.receipt(Time::default(), 11));
    }

    #[test]
    fn a_message_beside_bulk_makes_the_queue_of_a_fast_link_short_for_a_while() {
        let step = Duration::from_micros(50);
        let mut now = Time::default();
        let mut flight = Flight::new(now);
        let mut sent = 0;
        let mut turn = |flight: &mut Flight, message: bool| {
            now = now + step;
            let bytes = flight.room().min(limits::BATCH as u64);
            sent += bytes;
            if message {
                flight.message(now);
            }
            flight.sent(now, bytes, false);
            now = now + step;
            assert!(flight.receipt(now, sent));
            flight.cap
        };
        let roomy = (0..1_000).map(|_| turn(&mut flight, false)).last().unwrap();
        assert!(roomy > 2 * SLACK_BRISK, "{roomy} bytes");
        turn(&mut flight, true);
        assert!(!flight.is_brisk(), "nothing was in flight: the message waited for nothing");
        flight.sent(Time::default(), 2 * CLEAR, false);
        turn(&mut flight, true);
        assert!(flight.is_brisk() && flight.cap + SLACK_BRISK < roomy, "{} bytes", flight.cap);
        let later = (0..600).map(|_| turn(&mut flight, false)).last().unwrap();
        assert!(!flight.is_brisk() && later > 2 * SLACK_BRISK, "{later} bytes");
    }
}

//! Whether the peer is alive: PINGs at an interval, any byte as proof of life, and patience with
//! our own clock.

use std::time::Duration;

use crate::time::Time;

/// What the passing of time demands.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) ping: bool,
    /// The PING before that one was never answered.
    pub(crate) missed: bool,
    pub(crate) dead: Option<Duration>,
}

#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    heard_at: Time,
    ping_at: Time,
    dead_at: Time,
    next_id: u64,
    waiting: Option<u64>,
}

impl Keepalive {
    pub(crate) fn new(now: Time, interval: Duration, timeout: Duration) -> Self {
        Self {
            interval,
            timeout,
            heard_at: now,
            // The first one goes at once: it measures the round trip of the new link.
            ping_at: now,
            dead_at: now + timeout,
            next_id: 0,
            waiting: None,
        }
    }

    /// Any byte arrived.
    pub(crate) fn heard(&mut self, now: Time) {
        self.heard_at = now;
        self.dead_at = now + self.timeout;
    }

    pub(crate) fn deadline(&self) -> Time {
        self.ping_at.min(self.dead_at)
    }

    pub(crate) fn timeout(&mut self, now: Time) -> Due {
        let mut due = Due::default();
        if now >= self.dead_at {
            // A timer that fires this late was stopped with us: suspended, SIGSTOP, starved. The
            // peer's words may still be in the socket, so ask before judging.
            let late = now.since(self.dead_at) >= self.interval / 2;
            if !late {
                due.dead = Some(now.since(self.heard_at));
                return due;
            }
            self.dead_at = now + self.interval;
            self.ping_at = now;
        }
        if now >= self.ping_at {
            due.ping = true;
            due.missed = self.waiting.is_some();
            self.ping_at = now + self.interval;
        }
        due
    }

    /// Numbers the PING that is sent now.
    pub(crate) const fn next_ping(&mut self) -> u64 {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.waiting = Some(id);
        id
    }

    /// A PONG arrived; whether it answers the last PING.
    pub(crate) fn answered(&mut self, id: u64) -> bool {
        let current = self.waiting == Some(id);
        if current {
            self.waiting = None;
        }
        current
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_secs(5);
    const TIMEOUT: Duration = Duration::from_secs(15);

    #[test]
    fn silence_for_the_timeout_is_death() {
        let start = Time::default();
        let mut keepalive = Keepalive::new(start, INTERVAL, TIMEOUT);
        for second in 0..15 {
            let due = keepalive.timeout(start + Duration::from_secs(second));
            assert_eq!(due.ping, second % 5 == 0, "second {second}");
            assert_eq!(due.dead, None);
            if due.ping {
                assert_eq!(due.missed, second > 0);
                keepalive.next_ping();
            }
        }
        assert_eq!(keepalive.timeout(start + TIMEOUT).dead, Some(TIMEOUT));
    }

    #[test]
    fn after_a_long_sleep_the_peer_is_asked_before_it_is_judged() {
        let start = Time::default();
        let mut keepalive = Keepalive::new(start, INTERVAL, TIMEOUT);
        keepalive.timeout(start);
        keepalive.next_ping();
        let woken = start + Duration::from_secs(3600);
        let due = keepalive.timeout(woken);
        assert_eq!((due.ping, due.dead), (true, None));
        assert_eq!(keepalive.timeout(woken + INTERVAL).dead, Some(Duration::from_secs(3605)));
        keepalive.heard(woken + Duration::from_secs(1));
        assert_eq!(keepalive.timeout(woken + INTERVAL).dead, None);
    }

    #[test]
    fn only_the_last_ping_can_be_answered() {
        let mut keepalive = Keepalive::new(Time::default(), INTERVAL, TIMEOUT);
        let first = keepalive.next_ping();
        let second = keepalive.next_ping();
        assert!(!keepalive.answered(first));
        assert!(keepalive.answered(second));
        assert!(!keepalive.answered(second));
    }
}

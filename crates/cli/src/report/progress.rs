//! What is said about a session's link: connected, lost, tried again, resumed.

use std::time::{Duration, Instant};

use p2_transport::{LinkState, SessionEvent, SessionStats};

use super::human;
use super::ledger::Ledger;
use crate::sink::escape_text;

/// Attempts that get a line in a log: the first, then each tenth.
const SAID_EACH: u32 = 10;

/// Which end of the session this is: what is said differs in a few words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// It dials and reads sources.
    Sender,
    /// It listens and fills sinks.
    Receiver,
}

/// How the session is spoken of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Watched {
    /// Which end this is.
    pub(crate) side: Side,
    /// The peer as the user named it; its address if empty.
    pub(crate) peer: String,
}

/// Turns what happens to one link into lines, and its state into a status.
#[derive(Debug)]
pub(crate) struct Narrator {
    watched: Watched,
    /// With its level, as in `zstd:1`.
    codec: String,
    session: String,
    /// On a terminal the status line shows each attempt, so none gets a line of its own.
    live: bool,
    connected: bool,
    /// An event has told of a link: the next ones will, too.
    hears: bool,
    /// The present outage has been told.
    lost: bool,
    /// The last attempt that was judged, in the present outage.
    attempt: u32,
    down_since: Option<Instant>,
}

impl Narrator {
    /// A narrator of the session of this name.
    pub(crate) fn new(watched: Watched, session: &str, live: bool) -> Self {
        Self {
            watched,
            codec: String::new(),
            session: escape_text(session),
            live,
            connected: false,
            hears: false,
            lost: false,
            attempt: 0,
            down_since: None,
        }
    }

    /// What was agreed on, before the line that says it.
    pub(crate) fn set_codec(&mut self, codec: String) {
        self.codec = codec;
    }

    /// Whether events tell of the link; before the first one its state has to.
    pub(crate) fn hears(&self) -> bool {
        self.hears
    }

    /// The line for `event`, if it deserves one. `link` is the state now, `stats` the numbers now;
    /// both are asked for only if the line has them.
    pub(crate) fn line(
        &mut self,
        event: &SessionEvent,
        link: impl FnOnce() -> LinkState,
        stats: impl FnOnce() -> SessionStats,
    ) -> Option<String> {
        match event {
            SessionEvent::LinkUp { resumed, address } => {
                self.hears = true;
                self.lost = false;
                self.attempt = 0;
                if *resumed { None } else { self.connected(address, stats) }
            }
            SessionEvent::LinkDown { reason } => {
                self.hears = true;
                self.lost(reason, link, stats)
            }
            SessionEvent::AttemptFailed { attempt, reason, retry_in } => {
                self.attempt_failed(*attempt, reason, *retry_in)
            }
            SessionEvent::Resumed { outage, replayed, streams } => {
                self.down_since = None;
                Some(self.resumed(*outage, *replayed, *streams as u64, Ledger::of(&stats())))
            }
            SessionEvent::GoingAway => Some(format!(
                "! the peer takes no new streams; those that are open may finish{}",
                self.named(),
            )),
            SessionEvent::Uncompressed => Some(format!(
                "! no codec in common with the peer: sending uncompressed{}",
                self.named()
            )),
            _ => None,
        }
    }

    /// The line for a failed attempt: of the first, then of each tenth, whoever tells of it first.
    pub(crate) fn attempt_failed(
        &mut self,
        attempt: u32,
        reason: &str,
        next: Duration,
    ) -> Option<String> {
        let since = *self.down_since.get_or_insert_with(Instant::now);
        if attempt == self.attempt {
            return None;
        }
        self.attempt = attempt;
        let said = attempt == 1 || attempt % SAID_EACH == 0;
        (said && !self.live).then(|| self.still_down(attempt, reason, next, since.elapsed()))
    }

    /// The first link's line, once: the watch may begin before or after that link.
    pub(crate) fn connected(
        &mut self,
        address: &str,
        stats: impl FnOnce() -> SessionStats,
    ) -> Option<String> {
        if std::mem::replace(&mut self.connected, true) {
            return None;
        }
        self.down_since = None;
        let peer = match self.watched.peer.as_str() {
            "" => address,
            peer => peer,
        };
        let mut line = format!("connected {}", escape_text(peer));
        if !self.codec.is_empty() {
            line.push_str(&format!("   codec {}", self.codec));
        }
        if let Some(rtt) = stats().rtt {
            line.push_str(&format!("   rtt {}", human::rtt(rtt)));
        }
        line.push_str(&format!("   session {}", self.session));
        Some(line)
    }

    /// The line for a lost link, once for each outage: the watch may begin before or after it.
    pub(crate) fn lost(
        &mut self,
        reason: &str,
        link: impl FnOnce() -> LinkState,
        stats: impl FnOnce() -> SessionStats,
    ) -> Option<String> {
        if std::mem::replace(&mut self.lost, true) {
            return None;
        }
        self.down_since = Some(Instant::now());
        self.attempt = 0;
        let link = link();
        let mut line = format!("! link lost: {}.", escape_text(reason));
        match self.watched.side {
            Side::Sender => {
                let stats = stats();
                let held = match link {
                    LinkState::Down { held, .. } => held,
                    _ => stats.retained,
                };
                let held = human::of(held, stats.retained_limit);
                line.push_str(&format!(" Sources keep running, {held} held."));
            }
            Side::Receiver => line.push_str(" Waiting for the sender."),
        }
        if let LinkState::Down { attempt, retry_in: Some(time), .. } = link {
            line.push_str(&format!("   retry {attempt} in {}", human::span(time)));
        }
        Some(line + &self.named())
    }

    /// The state in one line that is rewritten in place. `rate` is raw bytes over the last tick.
    pub(crate) fn status(&self, link: &LinkState, stats: &SessionStats, rate: &str) -> String {
        let held = match stats.retained_limit {
            0 => String::new(),
            limit => format!("   held {}", human::of(stats.retained, limit)),
        };
        match link {
            LinkState::Connecting { attempt } => {
                format!("connecting to {}   attempt {attempt}", escape_text(&self.watched.peer))
            }
            LinkState::Down { reason, attempt, retry_in, since, .. } => {
                let next = match (self.watched.side, retry_in) {
                    (Side::Receiver, _) => "waiting for the sender".to_owned(),
                    (_, Some(time)) => format!("retry {attempt} in {}", human::span(*time)),
                    (_, None) => format!("retry {attempt} now"),
                };
                let paused = if stats.retained_limit > 0 && stats.retained >= stats.retained_limit {
                    ", sources paused"
                } else {
                    ""
                };
                format!(
                    "! {}: no link for {}   {next}{held}{paused}   {}",
                    self.session,
                    human::span(since.elapsed()),
                    escape_text(reason),
                )
            }
            _ => {
                let (raw, wire) = moved(self.watched.side, stats);
                let mut line = format!(
                    "{}   {}   {}   {rate}   {}{held}",
                    self.session,
                    human::count(stats.streams.len() as u64, "stream"),
                    human::bytes(raw),
                    human::ratio(raw, wire),
                );
                if let Some(rtt) = stats.rtt {
                    line.push_str(&format!("   rtt {}", human::rtt(rtt)));
                }
                line
            }
        }
    }

    fn still_down(&self, attempt: u32, reason: &str, next: Duration, outage: Duration) -> String {
        let state = match self.connected {
            true => "still no link",
            false => "no link yet",
        };
        let after = match outage.as_secs() {
            0 => String::new(),
            _ => format!(" after {}", human::span(outage)),
        };
        format!(
            "! {state}{after}: {}   attempt {attempt}, next in {}{}",
            escape_text(reason),
            human::span(next),
            self.named()
        )
    }

    fn resumed(&self, outage: Duration, replayed: u64, streams: u64, ledger: Ledger) -> String {
        let replayed = match replayed {
            0 => "nothing to replay".to_owned(),
            bytes => {
                format!("replayed {} on {}", human::bytes(bytes), human::count(streams, "stream"))
            }
        };
        format!("resumed after {}   {replayed}   {ledger}{}", human::span(outage), self.named())
    }

    /// A receiver has many sessions and says which one it speaks of.
    fn named(&self) -> String {
        match self.watched.side {
            Side::Sender => String::new(),
            Side::Receiver => format!("   session {}", self.session),
        }
    }
}

/// Raw and wire bytes in the direction that this side is about.
pub(crate) fn moved(side: Side, stats: &SessionStats) -> (u64, u64) {
    match side {
        Side::Sender => (stats.raw_sent, stats.wire_sent),
        Side::Receiver => (stats.raw_received, stats.wire_received),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn narrator(side: Side, live: bool) -> Narrator {
        let watched = Watched { side, peer: "web1".into() };
        let mut narrator = Narrator::new(watched, "web1-logs", live);
        narrator.set_codec("zstd:1".into());
        narrator
    }

    fn stats() -> SessionStats {
        let mut stats = SessionStats::default();
        stats.rtt = Some(Duration::from_millis(23));
        stats.retained = 3_250_586;
        stats.retained_limit = 64 << 20;
        stats.raw_sent = 4_617_089_843;
        stats.wire_sent = 650_117_120;
        stats
    }

    fn down() -> LinkState {
        LinkState::Down {
            reason: "no answer for 15 s".into(),
            attempt: 1,
            retry_in: Some(Duration::from_millis(400)),
            since: Instant::now(),
            held: 3_250_586,
        }
    }

    fn failed(attempt: u32) -> SessionEvent {
        SessionEvent::AttemptFailed {
            attempt,
            reason: "connection refused".into(),
            retry_in: Duration::from_secs(30),
        }
    }

    #[test]
    fn a_drop_and_a_resume_read_as_promised() {
        let mut narrator = narrator(Side::Sender, false);
        let up = SessionEvent::LinkUp { resumed: false, address: "10.0.0.1:9000".into() };
        assert_eq!(
            narrator.line(&up, down, stats).as_deref(),
            Some("connected web1   codec zstd:1   rtt 23 ms   session web1-logs")
        );
        assert_eq!(narrator.connected("10.0.0.1:9000", stats), None, "said once");
        let lost = SessionEvent::LinkDown { reason: "no answer for 15 s".into() };
        assert_eq!(
            narrator.line(&lost, down, stats).as_deref(),
            Some(
                "! link lost: no answer for 15 s. Sources keep running, 3.1 of 64 MiB held.   \
                 retry 1 in 0.4 s"
            )
        );
        let resumed = SessionEvent::Resumed {
            outage: Duration::from_secs(51),
            replayed: 217_088,
            streams: 2,
        };
        assert_eq!(
            narrator.line(&resumed, down, stats).as_deref(),
            Some("resumed after 51 s   replayed 212 KiB on 2 streams   lost 0   duplicated 0")
        );
    }

    #[test]
    fn events_without_numbers_in_their_line_take_no_snapshot() {
        let mut narrator = narrator(Side::Receiver, false);
        let link = || -> LinkState { panic!("asked for the state") };
        let stats = || -> SessionStats { panic!("asked for the numbers") };
        let id = p2_transport::StreamId::from_wire(5).expect("an id");
        let (label, name) = (1, "app".to_owned());
        for event in [
            SessionEvent::HeartbeatSent,
            SessionEvent::HeartbeatReceived,
            SessionEvent::HeartbeatAnswered { rtt: Duration::ZERO },
            SessionEvent::StreamOpened { id, label, name, ours: false },
            SessionEvent::StreamClosed { id },
            SessionEvent::LinkUp { resumed: true, address: String::new() },
        ] {
            assert_eq!(narrator.line(&event, link, stats), None, "{event:?}");
        }
        for event in [SessionEvent::GoingAway, SessionEvent::Uncompressed, failed(1)] {
            assert!(narrator.line(&event, link, stats).is_some(), "{event:?}");
        }
        // Even a link that goes does not need them at a receiver.
        let lost = SessionEvent::LinkDown { reason: "x".into() };
        assert!(narrator.line(&lost, down, stats).is_some());
    }

    #[test]
    fn each_outage_is_told_once() {
        let mut narrator = narrator(Side::Receiver, false);
        let lost = SessionEvent::LinkDown { reason: "x".into() };
        assert!(!narrator.hears());
        assert!(narrator.lost("x", down, stats).is_some(), "seen in the state");
        assert_eq!(narrator.line(&lost, down, stats), None, "the same one as an event");
        assert!(narrator.hears());
        let up = SessionEvent::LinkUp { resumed: true, address: String::new() };
        assert_eq!(narrator.line(&up, down, stats), None);
        assert!(narrator.line(&lost, down, stats).is_some(), "the next one");
    }

    #[test]
    fn a_receiver_says_which_session_it_speaks_of() {
        let mut narrator = narrator(Side::Receiver, false);
        let lost = SessionEvent::LinkDown { reason: "closed by the \u{1b}peer".into() };
        let link = LinkState::Connecting { attempt: 1 };
        assert_eq!(
            narrator.line(&lost, || link, stats).as_deref(),
            Some(
                "! link lost: closed by the \\x1bpeer. Waiting for the sender.   session web1-logs"
            )
        );
    }

    #[test]
    fn a_log_has_the_first_attempt_and_then_each_tenth() {
        let mut narrator = narrator(Side::Sender, false);
        let said: Vec<u32> =
            (1..=30).filter(|&n| narrator.line(&failed(n), down, stats).is_some()).collect();
        assert_eq!(said, [1, 10, 20, 30]);
        assert_eq!(
            narrator.line(&failed(10), down, stats).as_deref(),
            Some("! no link yet: connection refused   attempt 10, next in 30 s")
        );
        narrator.connected = true;
        assert_eq!(
            narrator.still_down(20, "x", Duration::from_secs(30), Duration::from_secs(95)),
            "! still no link after 1 m 35 s: x   attempt 20, next in 30 s"
        );
    }

    #[test]
    fn a_terminal_has_attempts_in_its_status_line_only() {
        let mut narrator = narrator(Side::Sender, true);
        assert_eq!(narrator.line(&failed(1), down, stats), None);
        let mut full = stats();
        full.retained = 64 << 20;
        assert_eq!(
            narrator.status(&down(), &full, "0 B/s"),
            "! web1-logs: no link for 0 s   retry 1 in 0.4 s   held 64 of 64 MiB, sources paused   \
             no answer for 15 s"
        );
    }

    #[test]
    fn the_status_of_a_link_that_is_up_shows_what_moves() {
        let narrator = narrator(Side::Sender, true);
        let up = LinkState::Up {
            since: Instant::now(),
            rtt: None,
            resumed: false,
            address: String::new(),
        };
        assert_eq!(
            narrator.status(&up, &stats(), "82 MiB/s"),
            "web1-logs   0 streams   4.3 GiB   82 MiB/s   7.1x   held 3.1 of 64 MiB   rtt 23 ms"
        );
    }
}

//! Events as NDJSON: one object a line, each with `time` (RFC 3339, UTC), `event` and `session`.
//!
//! | event | further fields |
//! |---|---|
//! | `link_up` | `resumed`, `address` |
//! | `link_down` | `reason` |
//! | `attempt_failed` | `attempt`, `reason`, `retry_in_ms` |
//! | `resumed` | `outage_ms`, `replayed`, `streams` |
//! | `heartbeat_sent`, `heartbeat_received` | |
//! | `heartbeat_answered` | `rtt_us` |
//! | `stream_opened` | `id`, `stream`, `name`, `ours` |
//! | `stream_closed` | `id` |
//! | `stream_delivered` | `stream`, `name`, `bytes`, `dropped`, `verified`, and `failure` if any |
//! | `going_away` | `code`, `reason`, `deadline_ms` |
//! | `uncompressed` | |
//! | `progress` | `link_up`, `raw_sent`, `raw_received`, `wire_sent`, `wire_received`, `held`, `held_limit`, `streams`, `reconnects`, `lost`, `duplicated`, and `rtt_us` if known |
//! | `closed` | `ok`, and `reason` if not |
//! | `summary` | `raw_sent`, `raw_received`, `wire_sent`, `wire_received`, `streams`, `verified_streams`, `reset_streams`, `lost`, `duplicated`, `dropped`, `reconnects`, `replayed`, `outage_ms` |
//! | `link_accepted` | `address`; no session yet |
//! | `link_refused` | `address`, `reason`; no session yet |
//! | `session_opened`, `session_resumed` | `id`, `address` |
//! | `session_ended` | `id`, `ok`, and `reason` if not |
//! | `message` | `text`: a line for people, with `--progress json` |
//! | `events_lost` | `count` |
//!
//! Sizes are bytes; a name that ends in `_ms` or `_us` names its unit.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2_transport::{ServerEvent, SessionEvent, SessionStats, SessionSummary};
use serde_json::Value;

use super::ledger::Ledger;
use crate::settings::EventsTarget;
use crate::sink::{Outcome, Patient, Writer, json_string};

/// Events that may wait for a slow file or pipe. Beyond them events are lost and counted: a
/// transfer must not wait for its own story.
const QUEUE: usize = 4096;

/// One event, before it has a time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    /// What happened, as in the table of this module.
    pub(crate) kind: &'static str,
    /// The session it belongs to, if any.
    pub(crate) session: Option<String>,
    /// The further fields, in order.
    pub(crate) fields: Vec<(&'static str, Value)>,
}

impl Event {
    /// An event of a session.
    pub(crate) fn of(kind: &'static str, session: &str) -> Self {
        Self { kind, session: Some(session.to_owned()), fields: Vec::new() }
    }

    /// What the library says about a session.
    pub(crate) fn from_session(session: &str, event: &SessionEvent) -> Option<Self> {
        let new = |kind| Self::of(kind, session);
        Some(match event {
            SessionEvent::LinkUp { resumed, address } => {
                new("link_up").with("resumed", *resumed).with("address", address.as_str())
            }
            SessionEvent::LinkDown { reason } => new("link_down").with("reason", reason.as_str()),
            SessionEvent::AttemptFailed { attempt, reason, retry_in } => new("attempt_failed")
                .with("attempt", *attempt)
                .with("reason", reason.as_str())
                .with("retry_in_ms", ms(*retry_in)),
            SessionEvent::Resumed { outage, replayed, streams } => new("resumed")
                .with("outage_ms", ms(*outage))
                .with("replayed", *replayed)
                .with("streams", *streams),
            SessionEvent::HeartbeatSent => new("heartbeat_sent"),
            SessionEvent::HeartbeatReceived => new("heartbeat_received"),
            SessionEvent::HeartbeatAnswered { rtt } => {
                new("heartbeat_answered").with("rtt_us", us(*rtt))
            }
            SessionEvent::StreamOpened { id, label, name, ours } => new("stream_opened")
                .with("id", id.to_string())
                .with("stream", *label)
                .with("name", name.as_str())
                .with("ours", *ours),
            SessionEvent::StreamClosed { id } => new("stream_closed").with("id", id.to_string()),
            SessionEvent::GoingAway => new("going_away"),
            SessionEvent::Uncompressed => new("uncompressed"),
            SessionEvent::Closed(how) => new("closed").ending(how.as_ref().err()),
            _ => return None,
        })
    }

    /// What the library says about a server.
    pub(crate) fn from_server(event: &ServerEvent) -> Option<Self> {
        let linked = |kind, address: &str| {
            Self { kind, session: None, fields: Vec::new() }.with("address", address)
        };
        Some(match event {
            ServerEvent::LinkAccepted { address } => linked("link_accepted", address),
            ServerEvent::LinkRefused { address, reason } => {
                linked("link_refused", address).with("reason", reason.as_str())
            }
            ServerEvent::SessionOpened { id, name, address } => Self::of("session_opened", name)
                .with("id", id.to_string())
                .with("address", address.as_str()),
            ServerEvent::SessionResumed { id, name, address } => Self::of("session_resumed", name)
                .with("id", id.to_string())
                .with("address", address.as_str()),
            ServerEvent::SessionEnded { id, name, outcome } => Self::of("session_ended", name)
                .with("id", id.to_string())
                .ending(outcome.as_ref().err()),
            _ => return None,
        })
    }

    /// How the delivery of one stream ended.
    pub(crate) fn delivered(outcome: &Outcome) -> Self {
        let event = Self::of("stream_delivered", &outcome.stream.session)
            .with("stream", outcome.stream.label)
            .with("name", outcome.stream.name.as_str())
            .with("bytes", outcome.bytes)
            .with("dropped", outcome.dropped)
            .with("verified", outcome.verified);
        match &outcome.failure {
            None => event,
            Some(failure) => event.with("failure", failure.to_string()),
        }
    }

    /// The numbers now.
    pub(crate) fn progress(stats: &SessionStats) -> Self {
        let ledger = Ledger::of(stats);
        let event = Self::of("progress", &stats.name)
            .with("link_up", stats.link_up)
            .with("raw_sent", stats.raw_sent)
            .with("raw_received", stats.raw_received)
            .with("wire_sent", stats.wire_sent)
            .with("wire_received", stats.wire_received)
            .with("held", stats.retained)
            .with("held_limit", stats.retained_limit)
            .with("streams", stats.streams.len())
            .with("reconnects", stats.reconnects)
            .with("lost", ledger.lost)
            .with("duplicated", ledger.duplicated);
        match stats.rtt {
            None => event,
            Some(rtt) => event.with("rtt_us", us(rtt)),
        }
    }

    /// The numbers at the end.
    pub(crate) fn summary(summary: &SessionSummary) -> Self {
        Self::of("summary", &summary.name)
            .with("raw_sent", summary.raw_sent)
            .with("raw_received", summary.raw_received)
            .with("wire_sent", summary.wire_sent)
            .with("wire_received", summary.wire_received)
            .with("streams", summary.other_streams.saturating_add(summary.streams.len() as u64))
            .with("verified_streams", summary.verified_streams)
            .with("reset_streams", summary.reset_streams)
            .with("lost", summary.lost)
            .with("duplicated", summary.duplicated)
            .with("dropped", summary.dropped)
            .with("reconnects", summary.reconnects)
            .with("replayed", summary.replayed_bytes)
            .with("outage_ms", ms(summary.outage))
    }

    /// A line for people.
    pub(crate) fn message(text: &str) -> Self {
        Self { kind: "message", session: None, fields: Vec::new() }.with("text", text)
    }

    /// Adds a field.
    pub(crate) fn with(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        self.fields.push((key, value.into()));
        self
    }

    /// One line without its end, with `time` in front.
    pub(crate) fn to_line(&self, time: jiff::Timestamp) -> String {
        let mut line = format!("{{\"time\":\"{time:.3}\",\"event\":\"{}\"", self.kind).into_bytes();
        if let Some(session) = &self.session {
            line.extend_from_slice(b",\"session\":");
            json_string(session, &mut line);
        }
        for (key, value) in &self.fields {
            line.extend_from_slice(format!(",\"{key}\":").as_bytes());
            match value {
                Value::String(text) => json_string(text, &mut line),
                value => line.extend_from_slice(value.to_string().as_bytes()),
            }
        }
        line.push(b'}');
        String::from_utf8_lossy(&line).into_owned()
    }

    fn ending(self, error: Option<&impl ToString>) -> Self {
        match error {
            None => self.with("ok", true),
            Some(error) => self.with("ok", false).with("reason", error.to_string()),
        }
    }
}

/// Where events go.
#[derive(Debug)]
pub(crate) struct EventLog {
    writer: Writer,
    lost: AtomicU64,
}

impl EventLog {
    /// Opens standard output, or a file (mode 0600) to append to.
    pub(crate) fn open(target: &EventsTarget) -> io::Result<Self> {
        let output = match target {
            EventsTarget::Stdout => Patient::stdout()?,
            EventsTarget::File(path) => {
                Patient(OpenOptions::new().append(true).create(true).mode(0o600).open(path)?)
            }
        };
        Ok(Self::to(Writer::with_queue("events", QUEUE, output)?))
    }

    /// Writes to `writer`.
    pub(crate) fn to(writer: Writer) -> Self {
        Self { writer, lost: AtomicU64::new(0) }
    }

    /// Hands over an event without waiting.
    pub(crate) fn emit(&self, event: &Event) {
        let now = jiff::Timestamp::now();
        let lost = self.lost.swap(0, Ordering::Relaxed);
        let mut lines = String::new();
        if lost > 0 {
            let note = Event { kind: "events_lost", session: None, fields: Vec::new() };
            lines = note.with("count", lost).to_line(now) + "\n";
        }
        lines += &event.to_line(now);
        lines.push('\n');
        if !self.writer.offer(lines.into_bytes()) {
            self.lost.fetch_add(lost.saturating_add(1), Ordering::Relaxed);
        }
    }

    /// Returns once everything handed over is written.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        self.writer.flush().await
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn us(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TIME: &str = "2026-02-03T20:15:00.123456Z";

    fn line(event: &Event) -> String {
        event.to_line(TIME.parse().expect("a time"))
    }

    #[test]
    fn each_line_has_time_event_and_session_first() {
        let event = SessionEvent::Resumed {
            outage: Duration::from_secs(51),
            replayed: 217_088,
            streams: 2,
        };
        let event = Event::from_session("web1-\"logs", &event).expect("known");
        assert_eq!(
            line(&event),
            "{\"time\":\"2026-02-03T20:15:00.123Z\",\"event\":\"resumed\",\
             \"session\":\"web1-\\\"logs\",\"outage_ms\":51000,\"replayed\":217088,\"streams\":2}"
        );
    }

    #[test]
    fn text_of_a_peer_stays_inside_its_string() {
        let event = SessionEvent::LinkDown { reason: "\"}\n{\u{1b}[2J\u{9b}".into() };
        let event = Event::from_session("s", &event).expect("known");
        let line = line(&event);
        assert!(line.ends_with("\"reason\":\"\\\"}\\n{\\u001b[2J\\u009b\"}"), "{line}");
        let value: Value = serde_json::from_str(&line).expect("one object");
        assert_eq!(value["reason"], "\"}\n{\u{1b}[2J\u{9b}");
    }

    #[test]
    fn numbers_are_numbers() {
        let mut stats = SessionStats::default();
        stats.name = "s".into();
        stats.raw_sent = u64::MAX;
        stats.rtt = Some(Duration::from_micros(310));
        let value: Value =
            serde_json::from_str(&line(&Event::progress(&stats))).expect("one object");
        assert_eq!(value["raw_sent"], u64::MAX);
        assert_eq!(value["rtt_us"], 310);
        assert_eq!(value["link_up"], false);
    }

    #[test]
    fn every_kind_is_documented() {
        let source = include_str!("events.rs");
        let docs: String = source.lines().take_while(|line| line.starts_with("//!")).collect();
        let kinds = source.split("new(\"").skip(1).chain(source.split("of(\"").skip(1));
        let mut seen = 0;
        for rest in kinds {
            let Some((kind, _)) = rest.split_once('"') else {
                continue;
            };
            if !kind.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') || kind.is_empty() {
                continue;
            }
            assert!(docs.contains(&format!("`{kind}`")), "{kind}");
            seen += 1;
        }
        assert!(seen >= 17, "{seen}");
    }

    #[tokio::test]
    async fn a_file_gets_one_object_a_line_and_is_appended_to() {
        let temp = tempfile::tempdir().expect("temp dir");
        let target = EventsTarget::File(temp.path().join("events"));
        for kind in ["uncompressed", "heartbeat_sent"] {
            let log = EventLog::open(&target).expect("opened");
            log.emit(&Event::of(kind, "s"));
            log.flush().await.expect("written");
        }
        let text = std::fs::read_to_string(temp.path().join("events")).expect("file");
        let kinds: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).expect("an object"))
            .map(|value| value["event"].as_str().expect("text").to_owned())
            .collect();
        assert_eq!(kinds, ["uncompressed", "heartbeat_sent"]);
    }
}

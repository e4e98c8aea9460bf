//! Sessions and streams as rows of a table; names of peers are escaped.

use std::time::Duration;

use super::super::columns::columns;
use crate::report::{bytes, of, rtt, span};
use crate::sink::escape_text;
use crate::status::{SessionState, SessionStatus, StreamStatus};

/// The longest name in a table, in characters.
const NAME: usize = 32;

/// What is not known.
const NONE: &str = "-";

/// A table of sessions, each with the number of its process.
pub(super) fn sessions<'a>(all: impl Iterator<Item = (u32, &'a SessionStatus)>) -> String {
    let rows: Vec<[String; 13]> = all.map(|(pid, session)| session_row(pid, session)).collect();
    let head = [
        "process",
        "#",
        "side",
        "session",
        "peer",
        "state",
        "for",
        "rate",
        "total",
        "ratio",
        "unacked",
        "held",
        "reconnects",
    ];
    columns(head, &rows, 6)
}

fn session_row(pid: u32, session: &SessionStatus) -> [String; 13] {
    [
        pid.to_string(),
        session.number.to_string(),
        session.side.clone(),
        name(&session.name),
        name(&session.peer),
        session.state.to_string(),
        span(time(session.state_seconds)),
        rate(session.bytes_per_second),
        bytes(session.raw_bytes),
        ratio(session.ratio),
        bytes(session.unacked_bytes),
        of(session.retained_bytes, session.retained_limit_bytes),
        session.reconnects.to_string(),
    ]
}

/// A table of streams, each with the name of its session.
pub(super) fn streams<'a>(all: impl Iterator<Item = (&'a str, &'a StreamStatus)>) -> String {
    let rows: Vec<[String; 12]> =
        all.map(|(session, stream)| stream_row(session, stream)).collect();
    let head = [
        "session", "stream", "name", "priority", "codec", "state", "rate", "total", "wire",
        "ratio", "unacked", "lag",
    ];
    columns(head, &rows, 6)
}

fn stream_row(session: &str, stream: &StreamStatus) -> [String; 12] {
    [
        name(session),
        stream.label.to_string(),
        name(&stream.name),
        stream.priority.clone(),
        stream.codec.clone().unwrap_or_else(|| NONE.to_owned()),
        stream.state.clone(),
        rate(stream.bytes_per_second),
        bytes(stream.raw_bytes),
        bytes(stream.wire_bytes),
        ratio(stream.ratio),
        bytes(stream.unacked_bytes),
        stream.lag_seconds.map_or_else(|| NONE.to_owned(), |lag| span(time(lag))),
    ]
}

/// How a session is, in words.
pub(super) fn state(session: &SessionStatus) -> String {
    let since = span(time(session.state_seconds));
    match session.state {
        SessionState::Up => format!("up for {since}"),
        SessionState::Closed => "ending".to_owned(),
        SessionState::Connecting => {
            format!("connecting for {since}, attempt {}", session.attempt.unwrap_or(1))
        }
        SessionState::Down => {
            let reason = escape_text(session.reason.as_deref().unwrap_or("unknown"));
            let next = match (session.attempt, session.retry_in_seconds) {
                (None, _) => "waiting for the sender".to_owned(),
                (Some(attempt), Some(after)) => {
                    format!("attempt {attempt} in {}", span(time(after)))
                }
                (Some(attempt), None) => format!("attempt {attempt} under way"),
            };
            format!("DOWN for {since}: {reason} ({next})")
        }
    }
}

/// The last round trip, if there was one.
pub(super) fn round_trip(session: &SessionStatus) -> Option<String> {
    session.rtt_seconds.map(|seconds| rtt(time(seconds)))
}

/// Bytes a second.
pub(super) fn rate(rate: Option<f64>) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
    rate.map_or_else(|| NONE.to_owned(), |rate| format!("{}/s", bytes(rate as u64)))
}

/// Seconds that may be anything, as they come from another process.
pub(super) fn time(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// A ratio of raw to wire.
pub(super) fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| NONE.to_owned(), |ratio| format!("{ratio:.1}x"))
}

/// A peer's name, harmless and not too long.
pub(super) fn name(text: &str) -> String {
    let mut shown = escape_text(text);
    if let Some((cut, _)) = shown.char_indices().nth(NAME) {
        shown.truncate(cut);
        shown.push('~');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_peers_act_on_no_terminal_and_break_no_table() {
        let stream = StreamStatus { name: "\u{1b}[2J\nx".into(), ..StreamStatus::default() };
        let long = "n".repeat(200);
        let text = streams([(long.as_str(), &stream)].into_iter());
        assert_eq!(text.lines().count(), 2, "{text}");
        assert!(text.contains("\\x1b[2J\\nx") && !text.contains('\u{1b}'), "{text}");
        assert!(text.contains(&format!("{}~ ", "n".repeat(NAME))), "{text}");
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let text = streams([("s", &StreamStatus::default())].into_iter());
        let row = text.lines().nth(1).expect("a row");
        assert_eq!(row.split_whitespace().filter(|cell| *cell == "-").count(), 4, "{row}");
    }

    #[test]
    fn a_state_says_why_and_what_comes_next() {
        let mut session = SessionStatus {
            state: SessionState::Down,
            state_seconds: 12.0,
            reason: Some("no answer".into()),
            attempt: Some(3),
            retry_in_seconds: Some(2.0),
            ..SessionStatus::default()
        };
        assert_eq!(state(&session), "DOWN for 12 s: no answer (attempt 3 in 2 s)");
        session.attempt = None;
        assert_eq!(state(&session), "DOWN for 12 s: no answer (waiting for the sender)");
        session.state = SessionState::Up;
        assert_eq!(state(&session), "up for 12 s");
        session.state_seconds = f64::NAN;
        assert_eq!(state(&session), "up for 0 s");
    }
}

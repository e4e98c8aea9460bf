//! What needs somebody's look, in sentences.

use std::time::Duration;

use super::{SessionState, Status};
use crate::report::span;

/// Problems that are named; the others are counted.
const NAMED: usize = 19;

/// A session that is not up is a problem; there is no other kind yet.
pub(super) fn problems(status: &Status) -> Vec<String> {
    let mut problems: Vec<String> = Vec::new();
    let mut more = 0_u64;
    for session in &status.sessions {
        let since = span(Duration::try_from_secs_f64(session.state_seconds).unwrap_or_default());
        let text = match session.state {
            SessionState::Up | SessionState::Closed => continue,
            SessionState::Connecting => {
                format!("session {}: no link yet after {since}", session.name)
            }
            SessionState::Down => {
                let reason = session.reason.as_deref().unwrap_or("unknown");
                format!("session {}: no link for {since}: {reason}", session.name)
            }
        };
        if problems.len() < NAMED {
            problems.push(text);
        } else {
            more += 1;
        }
    }
    if more > 0 {
        problems.push(format!("and {more} more sessions without a link"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::SessionStatus;

    fn session(name: &str, state: SessionState) -> SessionStatus {
        SessionStatus {
            name: name.to_owned(),
            state,
            state_seconds: 12.0,
            reason: (state == SessionState::Down).then(|| "no answer".to_owned()),
            ..SessionStatus::default()
        }
    }

    #[test]
    fn a_session_without_a_link_is_a_problem() {
        let sessions = vec![
            session("a", SessionState::Up),
            session("b", SessionState::Down),
            session("c", SessionState::Connecting),
            session("d", SessionState::Closed),
        ];
        let status = Status { sessions, ..Status::default() };
        assert_eq!(
            problems(&status),
            ["session b: no link for 12 s: no answer", "session c: no link yet after 12 s"]
        );
    }

    #[test]
    fn a_great_outage_is_told_in_few_lines() {
        let sessions = vec![session("a", SessionState::Down); 500];
        let all = problems(&Status { sessions, ..Status::default() });
        assert_eq!(all.len(), NAMED + 1);
        assert_eq!(all.last().map(String::as_str), Some("and 481 more sessions without a link"));
    }
}

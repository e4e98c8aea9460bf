//! Errors for people: what failed, why, and what to do next, with the exit code that goes with it.

use std::fmt;

use p2_transport::{
    BindError, ConnectError, DialError, ErrorCode, SessionError, StreamError, TokenError,
    Unacknowledged,
};
use tracing::Level;

use crate::exit::Exit;
use crate::logging;
use crate::sink::escape_text;
use crate::ssh::SshError;
use crate::style::{Style, Tone, say};
use crate::units::format_size;

/// Streams named in a message; the others are counted.
const NAMED_STREAMS: usize = 5;

/// An error that ends the program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserError {
    exit: Exit,
    what: String,
    hints: Vec<String>,
}

impl UserError {
    /// What failed and why, in one sentence without a full stop.
    pub(crate) fn new(exit: Exit, what: impl Into<String>) -> Self {
        Self { exit, what: what.into(), hints: Vec::new() }
    }

    /// The command line, the environment or a file it names is wrong.
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, what)
    }

    /// What to do next; each hint is a line of its own.
    #[must_use]
    pub(crate) fn hint(mut self, next: impl Into<String>) -> Self {
        self.hints.push(next.into());
        self
    }

    /// How the program ends because of it.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    /// What to do next.
    pub(crate) fn hints(&self) -> &[String] {
        &self.hints
    }

    /// The lines of it, without colour.
    #[cfg(test)]
    pub(crate) fn render(&self) -> String {
        self.lines(Style::plain()).join("\n")
    }

    /// Says it on stderr.
    pub(crate) fn report(&self) {
        if logging::is_json() {
            say(&logging::say_json(Level::ERROR, &self.in_one_line()));
        } else {
            say(&self.lines(Style::stderr()).join("\n"));
        }
    }

    /// All of it in one line, without colour.
    pub(crate) fn in_one_line(&self) -> String {
        let hints = self.hints.iter().map(|hint| format!("; next: {hint}"));
        format!("{}{}", self.what, hints.collect::<String>())
    }

    fn lines(&self, style: Style) -> Vec<String> {
        let mut lines = vec![format!("{} {}", style.paint(Tone::Error, "error:"), self.what)];
        for hint in &self.hints {
            lines.push(format!("  {} {hint}", style.paint(Tone::Hint, "next:")));
        }
        lines
    }
}

impl fmt::Display for UserError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for UserError {}

impl From<&ConnectError> for UserError {
    fn from(error: &ConnectError) -> Self {
        // The peer's own words are in there: nothing of them may act on the terminal.
        let mut said = Self::new(connect_exit(error), escape_text(&error.to_string()));
        if let Some(ssh) = through_ssh(error) {
            said.hints.clone_from(&ssh.next);
            return said;
        }
        match root(error) {
            ConnectError::Dial(DialError::Refused { .. }) => said
                .hint("start the receiver there: `p2 recv`")
                .hint("on another machine? `p2 send --ssh [USER@]HOST` starts one there by itself"),
            ConnectError::NoCodec { .. } => said.hint(
                "leave out --require-codec to go on uncompressed, or build with `--features full`",
            ),
            ConnectError::Busy { .. } => {
                said.hint("try again later, or raise its limits (`--max-sessions`)")
            }
            _ => said,
        }
    }
}

impl From<ConnectError> for UserError {
    fn from(error: ConnectError) -> Self {
        Self::from(&error)
    }
}

impl From<&SessionError> for UserError {
    fn from(error: &SessionError) -> Self {
        let mut said = Self::new(session_exit(error), escape_text(&error.to_string()));
        if let SessionError::Refused(cause) | SessionError::RetriesExhausted { last: cause, .. } =
            error
        {
            said.hints = Self::from(cause.as_ref()).hints;
        }
        match unacknowledged(error) {
            [] => said,
            streams => said.hint(format!(
                "not acknowledged: {}; send again from there, what is before it is delivered",
                listed(streams)
            )),
        }
    }
}

impl From<SessionError> for UserError {
    fn from(error: SessionError) -> Self {
        Self::from(&error)
    }
}

impl From<BindError> for UserError {
    fn from(error: BindError) -> Self {
        let exit = match &error {
            BindError::Address { .. } | BindError::Exposed { .. } => Exit::Usage,
            _ => Exit::Failure,
        };
        let said = Self::new(exit, error.to_string());
        match error {
            BindError::InUse { .. } => said
                .hint("another `p2 recv`? stop it, or choose an address: `p2 recv --listen ADDR`"),
            BindError::Io { source, .. }
                if source.kind() == std::io::ErrorKind::PermissionDenied =>
            {
                said.hint("ports below 1024 are for root: choose a higher one")
            }
            _ => said,
        }
    }
}

impl From<TokenError> for UserError {
    fn from(error: TokenError) -> Self {
        Self::usage(error.to_string())
    }
}

impl From<anyhow::Error> for UserError {
    /// Finds in the chain what is known here; else the whole chain in one line and exit code 1.
    fn from(error: anyhow::Error) -> Self {
        let error = match error.downcast::<Self>() {
            Ok(known) => return known,
            Err(error) => error,
        };
        for cause in error.chain() {
            if let Some(known) = cause.downcast_ref::<Self>() {
                return known.clone();
            }
            if let Some(connect) = cause.downcast_ref::<ConnectError>() {
                return connect.into();
            }
            if let Some(session) = cause.downcast_ref::<SessionError>() {
                return session.into();
            }
        }
        Self::new(Exit::Failure, escape_text(&format!("{error:#}")))
    }
}

/// Whether a reader of our output went away: no words are due then.
pub(crate) fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// The exit code of a session that was never made.
pub(crate) fn connect_exit(error: &ConnectError) -> Exit {
    if let Some(ssh) = through_ssh(error) {
        return ssh.exit();
    }
    match error {
        ConnectError::Target { .. } => Exit::Usage,
        ConnectError::Version { .. }
        | ConnectError::Denied { .. }
        | ConnectError::NoCodec { .. }
        | ConnectError::Busy { .. }
        | ConnectError::Refused { .. } => Exit::Refused,
        ConnectError::Protocol { .. } | ConnectError::Cancelled => Exit::Failure,
        // Whatever the last attempt said, more patience might have helped.
        _ => Exit::NoConnection,
    }
}

/// The exit code of a session that ended other than in order.
pub(crate) fn session_exit(error: &SessionError) -> Exit {
    match error {
        SessionError::PeerRestarted { .. }
        | SessionError::Unknown { .. }
        | SessionError::Expired { .. } => Exit::Unacknowledged,
        SessionError::ClosedByPeer { code, .. } | SessionError::Aborted { code, .. }
            if *code == ErrorCode::INTEGRITY =>
        {
            Exit::Integrity
        }
        SessionError::ClosedByPeer { code, .. } | SessionError::Aborted { code, .. }
            if [ErrorCode::SOURCE_FAILED, ErrorCode::SINK_FAILED].contains(code) =>
        {
            Exit::Endpoint
        }
        SessionError::Refused(error) => connect_exit(error),
        _ if !unacknowledged(error).is_empty() => Exit::Unacknowledged,
        SessionError::RetriesExhausted { last, .. } => match through_ssh(last) {
            Some(ssh) => ssh.exit(),
            None => Exit::NoConnection,
        },
        _ => Exit::Failure,
    }
}

/// The exit code of a stream that was not received whole.
pub(crate) fn stream_exit(error: &StreamError) -> Exit {
    match error {
        StreamError::Integrity => Exit::Integrity,
        StreamError::Reset(code) if *code == ErrorCode::SOURCE_FAILED => Exit::Endpoint,
        StreamError::Session(error) => session_exit(error),
        _ => Exit::Failure,
    }
}

/// The streams with bytes that the peer never acknowledged.
fn unacknowledged(error: &SessionError) -> &[Unacknowledged] {
    match error {
        SessionError::PeerRestarted { unacknowledged }
        | SessionError::Unknown { unacknowledged }
        | SessionError::Expired { unacknowledged }
        | SessionError::ClosedByPeer { unacknowledged, .. }
        | SessionError::Protocol { unacknowledged, .. }
        | SessionError::RetriesExhausted { unacknowledged, .. } => unacknowledged,
        _ => &[],
    }
}

/// `app from offset 123 (45 B), web from offset 0 (1 KiB) and 3 more`.
fn listed(streams: &[Unacknowledged]) -> String {
    let named: Vec<String> = streams
        .iter()
        .take(NAMED_STREAMS)
        .map(|stream| {
            let name = escape_text(&stream.name);
            format!("{name} from offset {} ({})", stream.acknowledged, format_size(stream.bytes))
        })
        .collect();
    let mut text = named.join(", ");
    if let Some(more) = streams.len().checked_sub(NAMED_STREAMS).filter(|more| *more > 0) {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

/// What the last attempt said, if attempts were counted.
fn root(error: &ConnectError) -> &ConnectError {
    let mut error = error;
    while let ConnectError::RetriesExhausted { last, .. } = error {
        error = last;
    }
    error
}

/// What ssh had to say, if that is why there is no link.
fn through_ssh(error: &ConnectError) -> Option<&SshError> {
    match root(error) {
        ConnectError::Dial(DialError::Other { source, .. }) => source.downcast_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2_transport::StreamId;
    use std::sync::Arc;
    use std::time::Duration;

    fn held(count: usize) -> Vec<Unacknowledged> {
        let stream = |n: usize| Unacknowledged {
            id: StreamId::from_wire(8).expect("an id"),
            label: 7,
            name: format!("app{n}"),
            acknowledged: 100,
            bytes: 2048,
        };
        (0..count).map(stream).collect()
    }

    fn nobody() -> ConnectError {
        ConnectError::Dial(DialError::Refused { target: "h:9000".into() })
    }

    #[test]
    fn every_connect_error_has_its_exit_code() {
        let target = || "h:9000".to_owned();
        let why = || "because".to_owned();
        let second = Duration::from_secs(1);
        for (error, exit) in [
            (ConnectError::Target { target: target(), why: why() }, Exit::Usage),
            (nobody(), Exit::NoConnection),
            (ConnectError::ClosedAtOnce { target: target() }, Exit::NoConnection),
            (ConnectError::Interrupted { target: target(), why: why() }, Exit::NoConnection),
            (
                ConnectError::HandshakeTimeout { target: target(), limit: second },
                Exit::NoConnection,
            ),
            (ConnectError::NotP2 { target: target(), why: why(), said: why() }, Exit::NoConnection),
            (ConnectError::Version { target: target(), why: why() }, Exit::Refused),
            (ConnectError::Denied { target: target(), why: why() }, Exit::Refused),
            (ConnectError::NoCodec { target: target(), ours: why(), theirs: why() }, Exit::Refused),
            (
                ConnectError::Busy { target: target(), why: why(), retry_after: second },
                Exit::Refused,
            ),
            (
                ConnectError::Refused { target: target(), why: why(), transient: false },
                Exit::Refused,
            ),
            (ConnectError::Protocol { target: target(), why: why() }, Exit::Failure),
            (
                ConnectError::RetriesExhausted {
                    attempts: 3,
                    elapsed: second,
                    last: Box::new(nobody()),
                },
                Exit::NoConnection,
            ),
            (ConnectError::Cancelled, Exit::Failure),
        ] {
            assert_eq!(UserError::from(&error).exit(), exit, "{error}");
        }
    }

    #[test]
    fn a_refused_connection_says_what_to_start_even_after_retries() {
        let last = Box::new(nobody());
        let tired =
            ConnectError::RetriesExhausted { attempts: 3, elapsed: Duration::from_secs(1), last };
        for error in [nobody(), tired] {
            let text = UserError::from(error).render();
            assert!(text.starts_with("error: "), "{text}");
            assert!(text.contains("\n  next: start the receiver there: `p2 recv`"), "{text}");
            assert!(text.contains("p2 send --ssh [USER@]HOST"), "{text}");
        }
    }

    #[test]
    fn a_lost_session_says_from_where_to_go_on() {
        for error in [
            SessionError::PeerRestarted { unacknowledged: held(1) },
            SessionError::Unknown { unacknowledged: held(1) },
            SessionError::Expired { unacknowledged: held(1) },
            SessionError::ClosedByPeer {
                code: ErrorCode::SHUTTING_DOWN,
                reason: String::new(),
                unacknowledged: held(1),
            },
            SessionError::RetriesExhausted {
                attempts: 3,
                outage: Duration::from_secs(1),
                last: Arc::new(nobody()),
                unacknowledged: held(1),
            },
        ] {
            let said = UserError::from(&error);
            assert_eq!(said.exit(), Exit::Unacknowledged, "{error}");
            let expected = "next: not acknowledged: app0 from offset 100 (2 KiB)";
            assert!(said.render().contains(expected), "{}", said.render());
        }
        let many = UserError::from(SessionError::Unknown { unacknowledged: held(8) }).render();
        assert!(many.contains("app4") && !many.contains("app5"), "{many}");
        assert!(many.contains("and 3 more"), "{many}");
    }

    #[test]
    fn a_session_error_has_the_exit_code_of_its_cause() {
        let protocol = |unacknowledged| SessionError::Protocol { why: "x".into(), unacknowledged };
        let closed = |code| SessionError::ClosedByPeer {
            code,
            reason: String::new(),
            unacknowledged: held(1),
        };
        for (error, exit) in [
            (closed(ErrorCode::INTEGRITY), Exit::Integrity),
            (closed(ErrorCode::SINK_FAILED), Exit::Endpoint),
            (SessionError::Refused(Arc::new(nobody())), Exit::NoConnection),
            (protocol(vec![]), Exit::Failure),
            (protocol(held(1)), Exit::Unacknowledged),
            (
                SessionError::RetriesExhausted {
                    attempts: 1,
                    outage: Duration::ZERO,
                    last: Arc::new(nobody()),
                    unacknowledged: vec![],
                },
                Exit::NoConnection,
            ),
        ] {
            assert_eq!(session_exit(&error), exit, "{error}");
        }
    }

    #[test]
    fn bind_errors_tell_configuration_from_the_rest() {
        let address = || "0.0.0.0:1".to_owned();
        let denied = std::io::Error::from(std::io::ErrorKind::PermissionDenied);
        for (error, exit, words) in [
            (BindError::Exposed { address: address() }, Exit::Usage, "--token-file"),
            (BindError::InUse { address: address() }, Exit::Failure, "--listen ADDR"),
            (BindError::Io { address: address(), source: denied }, Exit::Failure, "below 1024"),
        ] {
            let said = UserError::from(error);
            assert_eq!(said.exit(), exit);
            assert!(said.render().contains(words), "{}", said.render());
        }
    }

    #[test]
    fn words_of_the_peer_cannot_drive_the_terminal() {
        let why = "\u{1b}[2J\nerror: forged".to_owned();
        let text = UserError::from(ConnectError::Denied { target: "h:1".into(), why }).render();
        assert!(!text.contains('\u{1b}') && text.lines().count() == 1, "{text}");
    }

    #[test]
    fn a_known_error_is_found_under_any_context() {
        let error = anyhow::Error::new(UserError::usage("bad").hint("good")).context("while");
        let found = UserError::from(error);
        assert_eq!(
            (found.exit(), found.render().as_str()),
            (Exit::Usage, "error: bad\n  next: good")
        );
        let error = anyhow::Error::new(nobody()).context("while connecting");
        assert_eq!(UserError::from(error).exit(), Exit::NoConnection);
        let error = anyhow::anyhow!("inner").context("outer");
        assert_eq!(UserError::from(error), UserError::new(Exit::Failure, "outer: inner"));
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_worth_words() {
        let gone = std::io::Error::from(std::io::ErrorKind::BrokenPipe);
        assert!(is_broken_pipe(&anyhow::Error::new(gone).context("writing")));
        assert!(!is_broken_pipe(&anyhow::anyhow!("other")));
    }
}

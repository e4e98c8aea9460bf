//! What the end of an ssh means: its exit status and last words, in ours, with a next step.

use p2_transport::dial::CommandEnd;

use crate::exit::Exit;
use crate::settings::{Address, SshSettings};
use crate::sink::escape_text;

/// The way that was tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Way {
    /// A command on the far side.
    Command,
    /// An address as the far side sees it.
    Forward(Address),
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// There is no `ssh` on this machine.
    NoSsh,
    /// ssh does not like its arguments or its configuration.
    Usage,
    /// The name does not resolve, or the host cannot be reached, or hung up.
    Network,
    /// The login was refused.
    Login,
    /// The host key is not known here.
    HostKeyUnknown,
    /// The host key is another than the known one.
    HostKeyChanged,
    /// No forwarding for this user.
    ForwardRefused,
    /// Nothing listens at the far end of the forwarding.
    NobodyListens,
    /// No commands for this user.
    NoCommands,
    /// `p2` is not there, or cannot be run.
    NoProgram,
    /// The far side's `p2` does not know what it was asked.
    TooOld,
    /// The far side's `p2` says what is wrong.
    Remote,
    /// Something spoke, but not P2.
    Noise,
    /// Nothing came in time.
    Silence,
    /// ssh was ended by a signal.
    Killed,
    /// Anything else.
    Other,
}

/// Why there is no link through ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshError {
    /// The kind, for policy.
    pub(crate) kind: Kind,
    /// What failed and why.
    pub(crate) what: String,
    /// What to do next.
    pub(crate) next: Vec<String>,
}

impl std::fmt::Display for SshError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.what)
    }
}

impl std::error::Error for SshError {}

impl SshError {
    pub(crate) fn new(kind: Kind, what: impl Into<String>, next: &[&str]) -> Self {
        let next = next.iter().map(|&text| text.to_owned()).collect();
        Self { kind, what: what.into(), next }
    }

    /// The exit code if this ends the program.
    pub(crate) fn exit(&self) -> Exit {
        match self.kind {
            Kind::Usage => Exit::Usage,
            Kind::Login
            | Kind::HostKeyUnknown
            | Kind::HostKeyChanged
            | Kind::ForwardRefused
            | Kind::NoCommands
            | Kind::TooOld => Exit::Refused,
            _ => Exit::NoConnection,
        }
    }
}

/// When the far side's p2 has no advice of its own.
const ASK_THE_LOG: &str = "mend it there; the receiver's log is in ~/.local/state/p2 at HOST";

/// ssh's own failures; everything else is the far command's exit code.
const OWN: i32 = 255;

/// What the end of an ssh means. `noise` is what the far side said instead of its greeting.
pub(crate) fn diagnose(
    settings: &SshSettings,
    way: &Way,
    end: &CommandEnd,
    noise: &[u8],
) -> SshError {
    let host = escape_text(&settings.host);
    let said = Said::of(&end.stderr);
    let found = match end.code() {
        Some(OWN) => own(&host, way, &said),
        Some(code) => remote(settings, &host, code, &said, noise),
        None => None,
    };
    let mut error = found.unwrap_or_else(|| other(&host, way, end, noise));
    for next in &mut error.next {
        *next = next.replace("HOST", &host);
    }
    error
}

fn own(host: &str, way: &Way, said: &Said) -> Option<SshError> {
    let has = |words: &[&str]| said.line_with(words);
    let error = SshError::new;
    if has(&["host identification has changed", "warning: possible dns spoofing"]).is_some() {
        return Some(SshError {
            kind: Kind::HostKeyChanged,
            what: format!("the host key of {host} is not the one that is known here"),
            next: vec![
                "if the host was set up anew: `ssh-keygen -R HOST`, then `ssh HOST` once".into(),
                "if not, another machine answers in its place: find out before you go on".into(),
            ],
        });
    }
    if has(&["host key verification failed", "host key is known for"]).is_some() {
        return Some(SshError {
            kind: Kind::HostKeyUnknown,
            what: format!("the host key of {host} is not known here"),
            next: vec!["run `ssh HOST` once, compare the key it shows, and accept it".into()],
        });
    }
    if let Some(line) = has(&[
        "permission denied (",
        "too many authentication failures",
        "no more authentication methods",
        "no supported authentication methods",
    ]) {
        return Some(error(
            Kind::Login,
            format!("{host} refused the login: {line}"),
            &[
                "check user and key: `ssh HOST` has to work by itself",
                "a key with a passphrase needs an agent (`ssh-add`): P2 logs in again without asking",
            ],
        ));
    }
    if let Some(line) = has(&["could not resolve hostname"]) {
        let next = "check the name and the network; `ssh -G HOST` shows what ssh makes of it";
        return Some(error(Kind::Network, format!("cannot find {host}: {line}"), &[next]));
    }
    if let (Way::Forward(to), Some(line)) =
        (way, has(&["open failed: administratively prohibited", "forwarding is disabled"]))
    {
        return Some(error(
            Kind::ForwardRefused,
            format!("{host} does not allow a connection to {to}: {line}"),
            &[
                "go without forwarding: `--ssh-mode attach`, with p2 installed there",
                "or allow it there: `AllowTcpForwarding local` in sshd_config",
            ],
        ));
    }
    if let (Way::Forward(to), true) = (way, has(&["open failed: connect failed"]).is_some()) {
        return Some(error(
            Kind::NobodyListens,
            format!("nothing listens on {to} at {host}"),
            &["start the receiver there: `p2 recv`", "or let P2 start one: `--ssh-mode attach`"],
        ));
    }
    if let Some(line) = has(&[
        "exec request failed",
        "open failed: administratively prohibited",
        "shell request failed",
        "open failed: connect failed",
    ]) {
        return Some(error(
            Kind::NoCommands,
            format!("{host} runs no commands for this user: {line}"),
            &["start `p2 recv` there in another way, and go to it with `--ssh-mode forward`"],
        ));
    }
    if let Some(line) = has(&[
        "bad configuration option",
        "terminating, ",
        "illegal option",
        "unknown option",
        "unsupported option",
        "usage: ssh",
        "bad port",
        "invalid characters",
        "keyword ",
        "can't open user config",
    ]) {
        let next = "check --ssh-arg and the ssh configuration: `p2 doctor --ssh HOST`";
        return Some(error(Kind::Usage, format!("ssh cannot use its settings: {line}"), &[next]));
    }
    if let Some(line) = has(&[
        "connection refused",
        "connection timed out",
        "operation timed out",
        "no route to host",
        "network is unreachable",
        "connection closed",
        "connection reset",
        "banner exchange",
        "kex_exchange_identification",
        "broken pipe",
        "not responding",
        "host is down",
    ]) {
        let next = "check the network and whether an ssh server runs there: `ssh HOST`";
        return Some(error(Kind::Network, format!("cannot reach {host} by ssh: {line}"), &[next]));
    }
    None
}

/// The far side's command ended by itself.
fn remote(
    settings: &SshSettings,
    host: &str,
    code: i32,
    said: &Said,
    noise: &[u8],
) -> Option<SshError> {
    let p2 = escape_text(settings.remote_p2.as_deref().unwrap_or("p2"));
    let noise = String::from_utf8_lossy(noise).to_lowercase();
    let install = "install p2 there, or say where it is: `--remote-p2 PATH`";
    match code {
        127 => Some(SshError::new(
            Kind::NoProgram,
            format!("{host} has no `{p2}`{}", said.last()),
            &[install, "or start `p2 recv` there in another way, and use `--ssh-mode forward`"],
        )),
        126 => Some(SshError::new(
            Kind::NoProgram,
            format!("{host} cannot run `{p2}`{}", said.last()),
            &[install],
        )),
        2 if said.line_with(&["unexpected argument", "unrecognized"]).is_some() => {
            Some(SshError::new(
                Kind::TooOld,
                format!("the p2 of {host} does not know `recv --attach`"),
                &["install the same version on both sides"],
            ))
        }
        _ if noise.contains("account is currently not available")
            || noise.contains("sftp connections only") =>
        {
            Some(SshError::new(
                Kind::NoCommands,
                format!("{host} runs no commands for this user"),
                &["start `p2 recv` there in another way, and go to it with `--ssh-mode forward`"],
            ))
        }
        _ => {
            let line = said.line_with(&["error: "])?;
            Some(SshError {
                kind: Kind::Remote,
                what: format!("p2 at {host} says: {line}"),
                next: match said.next() {
                    none if none.is_empty() => vec![ASK_THE_LOG.to_owned()],
                    next => next,
                },
            })
        }
    }
}

fn other(host: &str, way: &Way, end: &CommandEnd, noise: &[u8]) -> SshError {
    let signalled = end.status.is_some_and(|status| status.code().is_none());
    if signalled {
        return SshError::new(
            Kind::Killed,
            escape_text(&format!("{end}, on the way to {host}")),
            &[],
        );
    }
    let mut what = match end.code() {
        Some(0) => format!("the command at {host} ended without a word of P2"),
        Some(OWN) | None => escape_text(&format!("no link to {host}: {end}")),
        Some(code) => {
            escape_text(&format!("the command at {host} ended with exit code {code}: {end}"))
        }
    };
    what.push_str(&shown(noise));
    let own = end.code() == Some(OWN);
    let next = match way {
        _ if own => "check that `ssh HOST` works by itself",
        Way::Command => "check that `ssh HOST p2 --version` prints a version and nothing else",
        Way::Forward(_) => "check that `ssh HOST` works by itself",
    };
    SshError::new(if own { Kind::Other } else { Kind::Remote }, what, &[next])
}

/// The noise as a person may see it: its beginning, nothing in it that acts on a terminal.
pub(crate) fn shown(noise: &[u8]) -> String {
    const SHOWN: usize = 300;
    let text = String::from_utf8_lossy(noise);
    let text = escape_text(text.trim());
    match text.char_indices().nth(SHOWN) {
        _ if text.is_empty() => String::new(),
        Some((cut, _)) => format!("; it said: {}...", text.get(..cut).unwrap_or_default()),
        None => format!("; it said: {text}"),
    }
}

/// The lines on standard error.
struct Said(Vec<String>);

impl Said {
    fn of(stderr: &str) -> Self {
        let lines = stderr.lines().map(|line| escape_text(line.trim()));
        Self(lines.filter(|line| !line.is_empty()).collect())
    }

    /// The last line that has one of these words in it.
    fn line_with(&self, words: &[&str]) -> Option<&str> {
        let found = |line: &&String| {
            let line = line.to_lowercase();
            words.iter().any(|word| line.contains(word))
        };
        self.0.iter().rev().find(found).map(String::as_str)
    }

    fn last(&self) -> String {
        self.0.last().map_or_else(String::new, |line| format!(": {line}"))
    }

    /// What the far side's p2 says to do.
    fn next(&self) -> Vec<String> {
        self.0.iter().filter_map(|line| line.strip_prefix("next: ").map(str::to_owned)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn end(code: i32, stderr: &str) -> CommandEnd {
        CommandEnd {
            program: "ssh".into(),
            status: Some(ExitStatus::from_raw(code << 8)),
            stderr: stderr.into(),
        }
    }

    fn kind(code: i32, stderr: &str) -> Kind {
        diagnose(&SshSettings::to("h"), &Way::Command, &end(code, stderr), b"").kind
    }

    #[test]
    fn words_of_ssh_have_their_meaning() {
        for (words, expected) in [
            ("me@h: Permission denied (publickey).", Kind::Login),
            ("Received disconnect from ::1: 2: Too many authentication failures", Kind::Login),
            (
                "No ED25519 host key is known for h and you have requested strict checking.\nHost key verification failed.",
                Kind::HostKeyUnknown,
            ),
            (
                "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.",
                Kind::HostKeyChanged,
            ),
            ("ssh: Could not resolve hostname h: Name or service not known", Kind::Network),
            ("ssh: connect to host h port 22: Connection refused", Kind::Network),
            ("kex_exchange_identification: Connection closed by remote host", Kind::Network),
            ("Connection closed by UNKNOWN port 65535", Kind::Network),
            ("exec request failed on channel 0", Kind::NoCommands),
            ("command-line: line 0: Bad configuration option: foo", Kind::Usage),
            ("something new", Kind::Other),
        ] {
            assert_eq!(kind(255, words), expected, "{words}");
        }
        assert_eq!(kind(127, "sh: 1: exec: p2: not found"), Kind::NoProgram);
        assert_eq!(kind(2, "error: unexpected argument '--attach' found"), Kind::TooOld);
        // A remote command's own words are not ssh's.
        assert_eq!(kind(1, "error: cannot write: Permission denied (os error 13)"), Kind::Remote);
    }

    #[test]
    fn words_about_a_forwarding_have_theirs() {
        let way = Way::Forward(Address::local_default());
        let settings = SshSettings::to("h");
        for (words, expected) in [
            (
                "channel 0: open failed: connect failed: Connection refused\nstdio forwarding failed",
                Kind::NobodyListens,
            ),
            (
                "channel 0: open failed: administratively prohibited: open failed\nstdio forwarding failed",
                Kind::ForwardRefused,
            ),
        ] {
            let error = diagnose(&settings, &way, &end(255, words), b"");
            assert_eq!(error.kind, expected, "{words}");
            assert!(error.what.contains("127.0.0.1:9000"), "{error}");
        }
    }

    #[test]
    fn the_far_sides_words_are_passed_on_with_their_next_step_and_act_on_nothing() {
        let stderr = "error: no room\u{1b}[2J\n  next: make room\n";
        let error = diagnose(&SshSettings::to("h"), &Way::Command, &end(7, stderr), b"");
        assert_eq!(error.what, "p2 at h says: error: no room\\x1b[2J");
        assert_eq!(error.next, ["make room"]);
    }

    #[test]
    fn a_signal_is_told_as_one() {
        let killed = CommandEnd { status: Some(ExitStatus::from_raw(9)), ..end(0, "") };
        let error = diagnose(&SshSettings::to("h"), &Way::Command, &killed, b"");
        assert_eq!(error.kind, Kind::Killed);
        assert!(error.what.contains("signal: 9"), "{error}");
    }

    #[test]
    fn what_came_instead_is_shown() {
        let error =
            diagnose(&SshSettings::to("h"), &Way::Command, &end(0, ""), b"\x1b[1mGoodbye\n");
        assert!(error.what.ends_with("; it said: \\x1b[1mGoodbye"), "{error}");
    }
}

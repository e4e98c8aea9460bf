//! Dials through ssh: which way, when it may ask the user, and which failures are the last word.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use p2_transport::Link;
use p2_transport::dial::{CommandDial, Dial, DialError, Dialling, Retry};
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout_at};

use super::arguments::{self, Asking};
use super::diagnosis::{Kind, SshError, Way, diagnose, shown};
use super::greeting::{Greeting, Scan};
use crate::settings::{SshMode, SshSettings};
use crate::sink::escape_text;

/// At least so long between two attempts that need somebody to act first: haste would lock the
/// user out.
const SLOW: Duration = Duration::from_secs(60);
/// Login and the start of a command, on top of the time to connect.
const LOGIN: Duration = Duration::from_secs(20);
/// The same while somebody types.
const TYPING: Duration = Duration::from_secs(10 * 60);
/// From the first noise of a login shell to the greeting.
const NOISE: Duration = Duration::from_secs(10);
/// How long ssh may take to end once its output has.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// Dials one host through ssh, again and again. Clones share what is learnt.
#[derive(Debug, Clone)]
pub(crate) struct SshDial(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: SshSettings,
    /// Somebody is there to be asked.
    terminal: bool,
    /// A session was made: from now on the way is fixed, and nobody is asked.
    settled: AtomicBool,
    /// The way of the last link, and what was learnt on it.
    last: Mutex<Last>,
}

#[derive(Debug, Clone, Default)]
struct Last {
    way: Option<Way>,
    greeting: Option<Greeting>,
}

impl SshDial {
    pub(crate) fn new(settings: SshSettings) -> Self {
        let terminal = std::io::stderr().is_terminal() && std::fs::File::open("/dev/tty").is_ok();
        let (settled, last) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Inner { settings, terminal, settled, last }))
    }

    /// A session was made over the last link: it can only be resumed the same way.
    pub(crate) fn settle(&self) {
        self.0.settled.store(true, Ordering::SeqCst);
    }

    /// The way of the last link.
    pub(crate) fn way(&self) -> Option<Way> {
        self.0.last().way.clone()
    }

    /// What the far side's receiver said of itself.
    pub(crate) fn greeting(&self) -> Option<Greeting> {
        self.0.last().greeting.clone()
    }
}

impl Dial for SshDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let link = self.0.link().await;
            link.map_err(|error| self.0.judged(error))
        })
    }

    fn target(&self) -> String {
        escape_text(&self.0.settings.host)
    }
}

impl Inner {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_settled(&self) -> bool {
        self.settled.load(Ordering::SeqCst)
    }

    async fn link(self: &Arc<Self>) -> Result<Link, SshError> {
        let known = if self.is_settled() { self.last().way.clone() } else { None };
        match (known, self.settings.mode) {
            (Some(Way::Forward(_)), _) | (None, SshMode::Forward) => self.forward(None).await,
            (Some(Way::Command), _) | (None, SshMode::Attach) => self.attach().await,
            (None, SshMode::Auto) => match self.attach().await {
                Err(error) if matches!(error.kind, Kind::NoProgram | Kind::NoCommands) => {
                    tracing::info!(%error, "trying a forwarding instead");
                    self.forward(Some(error)).await
                }
                done => done,
            },
        }
    }

    /// Over the far side's `p2 recv --attach`.
    async fn attach(self: &Arc<Self>) -> Result<Link, SshError> {
        // Asked nothing, ssh can be kept away from the terminal and its Ctrl-C.
        let mut done = self.attach_asking(Asking::Never).await;
        let cure = |error: &SshError| matches!(error.kind, Kind::Login | Kind::HostKeyUnknown);
        if self.terminal && !self.is_settled() && done.as_ref().is_err_and(cure) {
            done = self.attach_asking(Asking::Allowed).await;
        }
        done
    }

    async fn attach_asking(self: &Arc<Self>, asking: Asking) -> Result<Link, SshError> {
        let settings = &self.settings;
        let line = arguments::command(settings, asking, &arguments::attach(settings));
        let noise = Arc::new(Mutex::new(Vec::new()));
        let dial = self.command(line, asking, Way::Command, noise.clone());
        let link = dial.dial().await.map_err(|error| self.known(error))?;
        let (link, greeting) = self.greeted(link, asking, &noise).await?;
        *self.last() = Last { way: Some(Way::Command), greeting: Some(greeting) };
        Ok(link)
    }

    /// Over `ssh -W`. `instead` is why there was no better way.
    async fn forward(self: &Arc<Self>, instead: Option<SshError>) -> Result<Link, SshError> {
        let to = self.settings.forward_to.clone();
        let first = self.terminal && !self.is_settled();
        let asking = if first { Asking::Allowed } else { Asking::Never };
        let line = arguments::forward(&self.settings, asking, &to);
        let way = Way::Forward(to);
        *self.last() = Last { way: Some(way.clone()), greeting: None };
        let patience = if first { TYPING } else { LOGIN };
        let inner = self.clone();
        let dial = self.command(line, asking, way.clone(), Arc::default());
        let dial = dial.patience(patience).describe(move |end| {
            let mut error = diagnose(&inner.settings, &way, end, b"");
            if let Some(first) = &instead {
                error.what = format!("{}, and {}", first.what, error.what);
                error.next = first.next.clone();
            }
            inner.judged(error)
        });
        dial.dial().await.map_err(|error| self.known(error))
    }

    fn command(
        self: &Arc<Self>,
        line: Vec<std::ffi::OsString>,
        asking: Asking,
        way: Way,
        noise: Arc<Mutex<Vec<u8>>>,
    ) -> CommandDial {
        let inner = self.clone();
        let host = escape_text(&self.settings.host);
        let dial = CommandDial::new("ssh", line, host).integrity(true).describe(move |end| {
            let noise = noise.lock().unwrap_or_else(PoisonError::into_inner);
            inner.judged(diagnose(&inner.settings, &way, end, &noise))
        });
        match asking {
            // It asks on the terminal, and so must stay in the terminal's group of processes.
            Asking::Allowed => {
                dial.own_group(false).hear(|line| crate::style::say(&escape_text(line)))
            }
            Asking::Never => dial,
        }
    }

    /// Waits for the receiver's greeting, past any noise.
    async fn greeted(
        &self,
        mut link: Link,
        asking: Asking,
        noise: &Mutex<Vec<u8>>,
    ) -> Result<(Link, Greeting), SshError> {
        let host = escape_text(&self.settings.host);
        let login = if asking == Asking::Allowed { TYPING } else { LOGIN };
        let mut limit = Instant::now() + self.settings.connect_timeout + login;
        let mut read = Vec::new();
        loop {
            let before = read.len();
            let more = timeout_at(limit, link.reader.read_buf(&mut read)).await;
            match Greeting::scan(&read) {
                Scan::Found { greeting, noise, rest } => {
                    if noise > 0 {
                        let said = shown(read.get(..noise).unwrap_or_default());
                        tracing::info!(%host, "the login shell is noisy{said}");
                    }
                    let rest = std::io::Cursor::new(read.split_off(rest));
                    link.reader = Box::new(rest.chain(link.reader));
                    return Ok((link, greeting));
                }
                Scan::Never => {
                    return Err(SshError::new(
                        Kind::Noise,
                        format!("{host} says too much before P2 answers{}", shown(&read)),
                        &["let the login shell be silent when it has no terminal"],
                    ));
                }
                Scan::More => {}
            }
            match more {
                Ok(Ok(1..)) => {
                    if before == 0 {
                        limit = limit.min(Instant::now() + NOISE);
                    }
                }
                // It ended: its last words say more than that.
                Ok(_) => {
                    *noise.lock().unwrap_or_else(PoisonError::into_inner) = read;
                    let Some(why) = link.explain.take() else { break };
                    let why = tokio::time::timeout(LAST_WORDS, why).await.ok().flatten();
                    match why {
                        Some(error) => return Err(self.known(error)),
                        None => break,
                    }
                }
                Err(_) => {
                    return Err(SshError::new(
                        if read.is_empty() { Kind::Silence } else { Kind::Noise },
                        format!("P2 did not answer at {host} in time{}", shown(&read)),
                        &["check that `ssh HOST p2 --version` prints a version and nothing else"],
                    ));
                }
            }
        }
        Err(SshError::new(Kind::Silence, format!("ssh to {host} fell silent"), &[]))
    }

    /// What of an error is ours.
    fn known(&self, error: DialError) -> SshError {
        let host = escape_text(&self.settings.host);
        if let DialError::Other { source, .. } = &error {
            if let Some(known) = source.downcast_ref::<SshError>() {
                return known.clone();
            }
        }
        let why = match error {
            DialError::Permanent { why, .. } | DialError::Failed { why, .. } => why,
            other => other.to_string(),
        };
        SshError::new(
            Kind::NoSsh,
            escape_text(&format!("no way to {host}: {why}")),
            &["install the OpenSSH client, so that `ssh` is in the PATH"],
        )
    }

    /// An error with what is to come of it. What needs somebody to act is not retried at once: on a
    /// terminal, before there is a session, it is the last word; else it waits at least a minute.
    fn judged(&self, error: SshError) -> DialError {
        let first = !self.is_settled();
        let retry = match error.kind {
            Kind::Usage => Retry::Never,
            Kind::Network | Kind::NobodyListens | Kind::Silence | Kind::Killed | Kind::Other => {
                Retry::Usual
            }
            Kind::HostKeyChanged if self.terminal => Retry::Never,
            _ if self.terminal && first => Retry::Never,
            _ => Retry::After(SLOW),
        };
        DialError::Other { source: Arc::new(error), retry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(terminal: bool, settled: bool) -> Inner {
        Inner {
            settings: SshSettings::to("host"),
            terminal,
            settled: AtomicBool::new(settled),
            last: Mutex::default(),
        }
    }

    #[test]
    fn what_somebody_has_to_cure_ends_a_first_connect_on_a_terminal_and_waits_elsewhere() {
        let retry = |terminal, settled, kind| {
            let error = SshError::new(kind, "", &[]);
            match dial(terminal, settled).judged(error) {
                DialError::Other { retry, .. } => retry,
                other => panic!("{other}"),
            }
        };
        for kind in [Kind::Login, Kind::HostKeyUnknown, Kind::NoProgram, Kind::ForwardRefused] {
            assert_eq!(retry(true, false, kind), Retry::Never, "{kind:?}");
            assert_eq!(retry(false, false, kind), Retry::After(SLOW), "{kind:?}");
            // There is a session to lose.
            assert_eq!(retry(true, true, kind), Retry::After(SLOW), "{kind:?}");
            assert_eq!(retry(false, true, kind), Retry::After(SLOW), "{kind:?}");
        }
        assert_eq!(retry(true, true, Kind::HostKeyChanged), Retry::Never);
        assert_eq!(retry(false, true, Kind::HostKeyChanged), Retry::After(SLOW));
        assert_eq!(retry(false, false, Kind::Usage), Retry::Never);
        for kind in [Kind::Network, Kind::Killed, Kind::Silence, Kind::Other] {
            assert_eq!(retry(true, false, kind), Retry::Usual, "{kind:?}");
        }
    }
}

//! The way through ssh, validated.

use std::time::Duration;

use strum::{Display, EnumString};

use super::{Address, ConnectionSettings, RetrySettings};
use crate::args::SshArgs;
use crate::error::UserError;
use crate::sink::Ack;

/// Which way to go on the far side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Display, EnumString)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum SshMode {
    /// Attach, and where that is not possible, forward.
    #[default]
    Auto,
    /// To a receiver that is started there.
    Attach,
    /// To a receiver that listens there.
    Forward,
}

/// Whom to reach through ssh, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SshSettings {
    /// `[USER@]HOST`; never begins with a dash.
    pub(crate) host: String,
    /// Which way.
    pub(crate) mode: SshMode,
    /// More arguments for ssh.
    pub(crate) arguments: Vec<String>,
    /// Where p2 is there; none: wherever it is usually installed.
    pub(crate) remote_p2: Option<String>,
    /// Where the started receiver writes; none: its default.
    pub(crate) remote_dir: Option<String>,
    /// What the started receiver acknowledges.
    pub(crate) remote_ack: Ack,
    /// The listening receiver, as the far side sees it.
    pub(crate) forward_to: Address,
    /// Of the session; ssh watches its own connection alike.
    pub(crate) heartbeat: Duration,
    /// Of the session.
    pub(crate) heartbeat_timeout: Duration,
    /// For one attempt.
    pub(crate) connect_timeout: Duration,
}

impl SshSettings {
    /// Defaults for a host.
    #[cfg(test)]
    pub(crate) fn to(host: impl Into<String>) -> Self {
        let connection = ConnectionSettings::default();
        Self {
            host: host.into(),
            mode: SshMode::Auto,
            arguments: Vec::new(),
            remote_p2: None,
            remote_dir: None,
            remote_ack: Ack::Written,
            forward_to: Address::local_default(),
            heartbeat: connection.heartbeat,
            heartbeat_timeout: connection.heartbeat_timeout,
            connect_timeout: RetrySettings::default().connect_timeout,
        }
    }

    /// `None` without `--ssh`. A target is a receiver that listens on the far side.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2.
    pub(crate) fn from_args(
        args: SshArgs,
        target: Option<&Address>,
        connection: &ConnectionSettings,
        retry: &RetrySettings,
    ) -> Result<Option<Self>, UserError> {
        let Some(host) = args.ssh else {
            return match args.first_given() {
                Some(flag) => Err(UserError::usage(format!("{flag} needs --ssh [USER@]HOST"))),
                None => Ok(None),
            };
        };
        check_host(&host)?;
        let mode = match (args.ssh_mode, target) {
            (Some(SshMode::Attach), Some(target)) => {
                return Err(UserError::usage(format!(
                    "--ssh-mode attach starts a receiver of its own: {target} has no meaning"
                ))
                .hint("leave out the target, or choose --ssh-mode forward"));
            }
            (_, Some(Address::Unix(path))) => {
                return Err(UserError::usage(format!(
                    "ssh cannot forward to the Unix socket {}",
                    path.display()
                ))
                .hint("leave out the target: P2 starts a receiver there"));
            }
            (None, Some(_)) => SshMode::Forward,
            (mode, _) => mode.unwrap_or_default(),
        };
        let started = mode != SshMode::Forward;
        if started && connection.token.is_some() {
            return Err(UserError::usage("--token-file is for a receiver that listens")
                .hint("leave it out: ssh proves who you are")
                .hint("to a `p2 recv --token-file` there: --ssh-mode forward"));
        }
        if !started && (args.remote_dir.is_some() || args.remote_ack.is_some()) {
            return Err(UserError::usage(
                "--remote-dir and --remote-ack are for a receiver that P2 starts there",
            )
            .hint("leave them out, or leave out the target and --ssh-mode forward"));
        }
        Ok(Some(Self {
            host,
            mode,
            arguments: args.ssh_arg,
            remote_p2: args.remote_p2,
            remote_dir: args.remote_dir,
            remote_ack: args.remote_ack.unwrap_or_default(),
            forward_to: target.cloned().unwrap_or_else(Address::local_default),
            heartbeat: connection.heartbeat,
            heartbeat_timeout: connection.heartbeat_timeout,
            connect_timeout: retry.connect_timeout,
        }))
    }
}

/// What would be an option to ssh, or to a program that it starts, is no host.
fn check_host(host: &str) -> Result<(), UserError> {
    let name = host.rsplit('@').next().unwrap_or_default();
    if host.starts_with('-') || name.starts_with('-') {
        return Err(UserError::usage(format!("--ssh {host}: a host does not begin with a dash"))
            .hint("arguments for ssh go into --ssh-arg"));
    }
    if name.is_empty() || host.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(UserError::usage(format!(
            "--ssh {}: write [USER@]HOST, as for ssh",
            crate::sink::escape_text(host)
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::exit::Exit;
    use crate::settings::{SendSettings, StdinKind};

    fn read(line: &[&str]) -> Result<SendSettings, UserError> {
        let cli = Cli::read([&["p2", "send"], line].concat()).expect("valid syntax");
        let Command::Send(args) = cli.command else { panic!("not send") };
        SendSettings::from_args(*args, StdinKind::Other)
    }

    #[test]
    fn the_flags_reach_the_settings() {
        let line = ["--ssh=me@host", "--ssh-arg=-p", "--ssh-arg", "2222", "--remote-dir=logs"];
        let ssh = read(&line).expect("valid").ssh.expect("given");
        let mut expected = SshSettings::to("me@host");
        expected.arguments = vec!["-p".into(), "2222".into()];
        expected.remote_dir = Some("logs".into());
        assert_eq!(ssh, expected);
        assert_eq!(read(&[]).expect("valid").ssh, None);
    }

    #[test]
    fn a_target_is_a_receiver_that_listens_there() {
        let ssh = read(&["--ssh=host", "127.0.0.1:9001"]).expect("valid").ssh.expect("given");
        assert_eq!(ssh.mode, SshMode::Forward);
        assert_eq!(ssh.forward_to.to_string(), "127.0.0.1:9001");
        let ssh = read(&["--ssh=host", "--ssh-mode=forward"]).expect("valid").ssh.expect("given");
        assert_eq!((ssh.mode, ssh.forward_to), (SshMode::Forward, Address::local_default()));
        let ssh = read(&["--ssh=host", "--ssh-mode=auto", "h:1"]).expect("valid").ssh;
        let ssh = ssh.expect("given");
        assert_eq!((ssh.mode, ssh.forward_to.to_string()), (SshMode::Auto, "h:1".to_owned()));
    }

    #[test]
    fn what_is_no_host_or_makes_no_sense_is_a_usage_error() {
        for (line, words) in [
            (&["--ssh=-oProxyCommand=x"] as &[&str], "does not begin with a dash"),
            (&["--ssh=me@-x"], "does not begin with a dash"),
            (&["--ssh="], "write [USER@]HOST"),
            (&["--ssh=a b"], "write [USER@]HOST"),
            (&["--ssh=h", "--ssh-mode=attach", "h:1"], "has no meaning"),
            (&["--ssh=h", "unix:/s"], "cannot forward to the Unix socket"),
            (&["--ssh=h", "h:1", "--remote-dir=d"], "that P2 starts there"),
        ] {
            let error = read(line).expect_err(words);
            assert_eq!(error.exit(), Exit::Usage, "{line:?}");
            assert!(error.to_string().contains(words), "{line:?}: {error}");
        }
        for flag in ["--remote-dir=d", "--ssh-arg=-v", "--remote-p2=p", "--ssh-mode=auto"] {
            let error = read(&[flag]).expect_err(flag);
            assert_eq!(error.exit(), Exit::Usage, "{flag}");
            let name = flag.split('=').next().expect("a flag");
            assert_eq!(error.to_string(), format!("{name} needs --ssh [USER@]HOST"));
        }
        assert!(Cli::read(["p2", "send", "--ssh=h", "--ssh-mode=x"]).is_err());
    }
}

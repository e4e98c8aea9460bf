//! What `p2 recv` does, validated.

use std::time::Duration;

use super::connection::not_zero;
use super::{Address, ConnectionSettings, EventsTarget, MetricsSettings, OutputSettings};
use crate::args::{LogArgs, RecvArgs};
use crate::error::UserError;
use crate::sink::{Ack, Format, SinkSettings};

/// Where to listen and what to do with what comes.
#[derive(Debug, Clone)]
pub(crate) struct RecvSettings {
    /// Where to listen. If other machines can reach it, there is a token.
    pub(crate) listen: Address,
    /// End after the first session.
    pub(crate) once: bool,
    /// How long a session without a link can be resumed.
    pub(crate) session_ttl: Duration,
    /// Sessions at once, 1 to 100,000.
    pub(crate) max_sessions: usize,
    /// How streams are delivered.
    pub(crate) sink: SinkSettings,
    /// The sessions and their links.
    pub(crate) connection: ConnectionSettings,
    /// Where figures are served, if at all.
    pub(crate) metrics: Option<MetricsSettings>,
}

impl RecvSettings {
    /// Checks what flags alone cannot: exposure, and combinations that would mix or lose data.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2.
    pub(crate) fn from_args(args: RecvArgs, log: &LogArgs) -> Result<Self, UserError> {
        let listen = args.address.or(args.listen).unwrap_or_else(Address::local_default);
        if !listen.is_local() && args.connection.token_file.is_none() {
            return Err(UserError::usage(format!(
                "{listen} can be reached from other machines, and anyone could send to it"
            ))
            .hint("give --token-file PATH, or listen on 127.0.0.1 and come through ssh"));
        }
        not_zero("--session-ttl", args.session_ttl)?;
        let output = OutputSettings::from_args(args.output, log);
        let format = args.format.unwrap_or_default();
        if args.dir.is_some() && args.format.is_some() {
            return Err(UserError::usage("--dir writes exact bytes; --format is for stdout")
                .hint("leave out one of them"));
        }
        if args.dir.is_none() {
            if format == Format::Raw && args.only.is_none() {
                return Err(UserError::usage("--format raw would mix the bytes of all streams")
                    .hint("choose one with --only NAME, or write files with --dir DIR"));
            }
            if args.ack == Ack::Synced {
                return Err(UserError::usage("--ack synced needs files: stdout cannot be synced")
                    .hint("add --dir DIR"));
            }
            if output.events == Some(EventsTarget::Stdout) {
                return Err(UserError::usage(
                    "--events - would mix events into the data on stdout",
                )
                .hint("write them to a file: --events FILE, or the data: --dir DIR"));
            }
        }
        Ok(Self {
            listen,
            once: args.once,
            session_ttl: args.session_ttl,
            max_sessions: usize::try_from(args.max_sessions).unwrap_or(usize::MAX),
            sink: SinkSettings { format, only: args.only, dir: args.dir, ack: args.ack },
            connection: ConnectionSettings::from_args(args.connection)?,
            metrics: MetricsSettings::from_args(&args.metrics)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::exit::Exit;

    fn read(line: &[&str]) -> Result<RecvSettings, UserError> {
        let cli = Cli::read([&["p2", "recv"], line].concat()).expect("valid syntax");
        let Command::Recv(args) = cli.command else { panic!("not recv") };
        RecvSettings::from_args(*args, &cli.log)
    }

    #[test]
    fn by_default_it_listens_on_loopback_and_prints_prefixed_lines() {
        let settings = read(&[]).expect("defaults");
        assert_eq!(settings.listen.to_string(), "127.0.0.1:9000");
        assert_eq!(settings.sink.format, Format::Prefix);
        assert_eq!(settings.sink.ack, Ack::Written);
        assert!(!settings.once);
        assert_eq!(settings.max_sessions, 128);
    }

    #[test]
    fn the_address_is_an_argument_or_a_flag() {
        for line in [&["unix:/s"] as &[&str], &["--listen", "unix:/s"], &["--listen=unix:/s"]] {
            assert_eq!(read(line).expect("valid").listen, Address::Unix("/s".into()));
        }
    }

    #[test]
    fn an_exposed_address_without_a_token_is_refused() {
        for address in ["0.0.0.0:9000", "[::]:9000", "192.168.0.1:9000", "host:9000"] {
            let error = read(&["--listen", address]).expect_err(address);
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.render().contains("--token-file"), "{}", error.render());
        }
    }

    #[test]
    fn an_exposed_address_with_a_token_is_fine() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("token");
        std::fs::write(&path, "0123456789abcdef0123456789abcdef").expect("written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("mode");
        let path = path.to_string_lossy();
        let settings = read(&["--listen=0.0.0.0:9000", "--token-file", &path]).expect("valid");
        assert!(settings.connection.token.is_some());
    }

    #[test]
    fn combinations_that_would_mix_or_lose_data_are_refused() {
        for (line, words) in [
            (&["--format=raw"] as &[&str], "would mix the bytes"),
            (&["--ack=synced"], "needs files"),
            (&["--events=-"], "would mix events"),
            (&["--dir=d", "--format=json"], "--format is for stdout"),
        ] {
            let error = read(line).expect_err(words);
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.to_string().contains(words), "{error}");
        }
        for line in [
            &["--format=raw", "--only=db"] as &[&str],
            &["--dir=d", "--ack=synced", "--events=-"],
            &["--once", "--format=json"],
        ] {
            assert!(read(line).is_ok(), "{line:?}");
        }
    }
}

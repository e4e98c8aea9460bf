//! The session and its links, validated, and the builders made from them.

use std::time::Duration;

use p2_transport::{Backoff, Client, ClientBuilder, Registry, Server, ServerBuilder, Token};

use super::CodecId;
use crate::args::{ConnectionArgs, RetryArgs};
use crate::error::UserError;
use crate::units::format_duration;

/// The smallest buffer: one stream's initial window.
const MIN_BUFFER: u64 = 256 << 10;

/// Streams a server may have open at a client: nothing that dials takes any, and bytes that nobody
/// reads would fill a window each.
const STREAMS_AT_A_CLIENT: u64 = 0;

/// What both ends of a session can be told.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionSettings {
    /// In order of preference; empty: all of this build.
    pub(crate) codecs: Vec<CodecId>,
    /// Refuse a peer without a common codec.
    pub(crate) require_codec: bool,
    /// The shared secret.
    pub(crate) token: Option<Token>,
    /// Time between heartbeats.
    pub(crate) heartbeat: Duration,
    /// Silence after which a link is dead.
    pub(crate) heartbeat_timeout: Duration,
    /// Bytes retained, all streams together.
    pub(crate) buffer: u64,
    /// Streams the peer may have open at once.
    pub(crate) max_streams: u64,
    /// How long an orderly end may take.
    pub(crate) drain_timeout: Duration,
    /// The codecs that there are; those of the build unless somebody counts what they do.
    pub(crate) registry: Option<Registry>,
    /// What is allowed but unwise, in words.
    pub(crate) warnings: Vec<String>,
}

/// When to dial again, and when no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RetrySettings {
    /// Most time for one attempt.
    pub(crate) connect_timeout: Duration,
    /// Waits, and when to give up.
    pub(crate) backoff: Backoff,
}

impl ConnectionSettings {
    /// Checks the ranges and reads the token.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2 naming the flag.
    pub(crate) fn from_args(args: ConnectionArgs) -> Result<Self, UserError> {
        not_zero("--heartbeat", args.heartbeat)?;
        if args.heartbeat_timeout <= args.heartbeat {
            let heartbeat = format_duration(args.heartbeat);
            return Err(UserError::usage(format!(
                "--heartbeat-timeout must be longer than --heartbeat ({heartbeat})"
            ))
            .hint("three times the heartbeat survives a lost round trip"));
        }
        if args.buffer < MIN_BUFFER {
            return Err(UserError::usage("--buffer must be at least 256KiB"));
        }
        let mut warnings = Vec::new();
        if args.heartbeat_timeout < args.heartbeat.saturating_mul(2) {
            warnings.push(format!(
                "--heartbeat-timeout {} is under twice --heartbeat {}: one lost round trip ends a \
                 healthy link",
                format_duration(args.heartbeat_timeout),
                format_duration(args.heartbeat),
            ));
        }
        let token = match args.token_file {
            Some(path) => Some(Token::from_file(path).map_err(UserError::from)?),
            None => None,
        };
        Ok(Self {
            codecs: distinct(args.codecs),
            require_codec: args.require_codec,
            token,
            heartbeat: args.heartbeat,
            heartbeat_timeout: args.heartbeat_timeout,
            buffer: args.buffer,
            max_streams: args.max_streams,
            drain_timeout: args.drain_timeout,
            registry: None,
            warnings,
        })
    }

    /// A client told all this.
    pub(crate) fn client(&self, retry: &RetrySettings) -> ClientBuilder {
        let mut client = Client::builder()
            .agent(agent())
            .require_codec(self.require_codec)
            .heartbeat(self.heartbeat)
            .heartbeat_timeout(self.heartbeat_timeout)
            .connect_timeout(retry.connect_timeout)
            .retry(retry.backoff)
            .buffer(self.buffer)
            .max_streams(STREAMS_AT_A_CLIENT);
        if let Some(registry) = &self.registry {
            client = client.registry(registry.clone());
        }
        if !self.codecs.is_empty() {
            client = client.codecs(self.codecs.iter().copied());
        }
        match &self.token {
            Some(token) => client.token(token.clone()),
            None => client,
        }
    }

    /// A server told all this.
    pub(crate) fn server(&self) -> ServerBuilder {
        let mut server = Server::builder()
            .agent(agent())
            .require_codec(self.require_codec)
            .heartbeat(self.heartbeat)
            .heartbeat_timeout(self.heartbeat_timeout)
            .buffer(self.buffer)
            .max_streams(self.max_streams);
        if let Some(registry) = &self.registry {
            server = server.registry(registry.clone());
        }
        if !self.codecs.is_empty() {
            server = server.codecs(self.codecs.iter().copied());
        }
        match &self.token {
            Some(token) => server.token(token.clone()),
            None => server,
        }
    }
}

impl Default for ConnectionSettings {
    fn default() -> Self {
        Self {
            codecs: Vec::new(),
            require_codec: false,
            token: None,
            heartbeat: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(15),
            buffer: 64 << 20,
            max_streams: 1_024,
            drain_timeout: Duration::from_secs(10),
            registry: None,
            warnings: Vec::new(),
        }
    }
}

impl RetrySettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2 naming the flag.
    pub(crate) fn from_args(args: RetryArgs) -> Result<Self, UserError> {
        not_zero("--connect-timeout", args.connect_timeout)?;
        not_zero("--retry-min", args.retry_min)?;
        if args.retry_max < args.retry_min {
            let min = format_duration(args.retry_min);
            return Err(UserError::usage(format!(
                "--retry-max must not be shorter than --retry-min ({min})"
            )));
        }
        Ok(Self {
            connect_timeout: args.connect_timeout,
            backoff: Backoff {
                min: args.retry_min,
                max: args.retry_max,
                limit: args.retry_limit,
                total: args.retry_for,
            },
        })
    }
}

impl Default for RetrySettings {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(10), backoff: Backoff::default() }
    }
}

/// What this program calls itself to the peer.
fn agent() -> String {
    format!("p2/{}", env!("CARGO_PKG_VERSION"))
}

pub(super) fn not_zero(flag: &str, value: Duration) -> Result<(), UserError> {
    if value.is_zero() {
        return Err(UserError::usage(format!("{flag} must be longer than 0s")));
    }
    Ok(())
}

/// The first of each, in order.
fn distinct(codecs: Vec<CodecId>) -> Vec<CodecId> {
    let mut kept: Vec<CodecId> = Vec::with_capacity(codecs.len());
    for codec in codecs {
        if !kept.contains(&codec) {
            kept.push(codec);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};
    use crate::exit::Exit;

    fn read(line: &[&str]) -> Result<(ConnectionSettings, RetrySettings), UserError> {
        let cli = Cli::read([&["p2", "send"], line].concat()).expect("valid syntax");
        let Command::Send(args) = cli.command else { panic!("not send") };
        Ok((ConnectionSettings::from_args(args.connection)?, RetrySettings::from_args(args.retry)?))
    }

    #[test]
    fn the_defaults_of_the_flags_are_the_defaults_of_the_settings() {
        let (connection, retry) = read(&[]).expect("defaults");
        assert_eq!(format!("{connection:?}"), format!("{:?}", ConnectionSettings::default()));
        assert_eq!(retry, RetrySettings::default());
    }

    #[test]
    fn flags_reach_the_settings() {
        let (connection, retry) = read(&[
            "--codecs=gzip,none,gzip",
            "--heartbeat=1s",
            "--heartbeat-timeout=4s",
            "--buffer=1MiB",
            "--max-streams=9",
            "--retry-limit=3",
            "--retry-for=2m",
            "--retry-max=1s",
        ])
        .expect("valid");
        assert_eq!(connection.codecs, [CodecId::GZIP, CodecId::NONE]);
        assert_eq!(connection.heartbeat, Duration::from_secs(1));
        assert_eq!(connection.heartbeat_timeout, Duration::from_secs(4));
        assert_eq!((connection.buffer, connection.max_streams), (1 << 20, 9));
        assert_eq!(retry.backoff.limit, Some(3));
        assert_eq!(retry.backoff.total, Some(Duration::from_secs(120)));
        assert_eq!(retry.backoff.max, Duration::from_secs(1));
        assert!(connection.warnings.is_empty());
    }

    #[test]
    fn values_out_of_range_are_usage_errors_that_name_the_flag() {
        for (line, flag) in [
            (&["--heartbeat=0s"] as &[&str], "--heartbeat must"),
            (&["--heartbeat=20s"], "--heartbeat-timeout must be longer"),
            (&["--buffer=1kB"], "--buffer must"),
            (&["--connect-timeout=0s"], "--connect-timeout must"),
            (&["--retry-min=0s"], "--retry-min must"),
            (&["--retry-min=1m"], "--retry-max must not be shorter"),
            (&["--token-file=/nonexistent/token"], "/nonexistent/token"),
        ] {
            let error = read(line).expect_err(flag);
            assert_eq!(error.exit(), Exit::Usage, "{line:?}");
            assert!(error.to_string().contains(flag), "{line:?}: {error}");
        }
    }

    #[test]
    fn a_timeout_under_two_heartbeats_is_warned_of() {
        let (connection, _) = read(&["--heartbeat=10s"]).expect("allowed");
        assert_eq!(connection.warnings.len(), 1);
        assert!(connection.warnings[0].contains("under twice --heartbeat 10 s"));
    }
}

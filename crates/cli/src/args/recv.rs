//! `p2 recv`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::{ConnectionArgs, MetricsArgs, OutputArgs};
use crate::settings::Address;
use crate::sink::{Ack, Format};
use crate::units::parse_duration;

/// Listen and deliver streams.
#[derive(Debug, Clone, Args)]
pub(crate) struct RecvArgs {
    /// The same as --listen
    #[arg(value_name = "ADDR", conflicts_with = "listen")]
    pub(crate) address: Option<Address>,
    /// Where to listen: HOST:PORT or unix:PATH; default 127.0.0.1:9000
    #[arg(long, env = "P2_LISTEN", value_name = "ADDR")]
    pub(crate) listen: Option<Address>,
    /// Serve senders that come in through ssh; what `p2 send --ssh` starts
    #[arg(long, env = "P2_ATTACH", value_parser = FalseyValueParser::new(), hide_short_help = true,
          conflicts_with_all = ["address", "listen", "once", "format"])]
    pub(crate) attach: bool,
    /// With --attach: how long the receiver stays when it has no session any more
    #[arg(long, env = "P2_ATTACH_LINGER", value_name = "TIME", default_value = "10m",
          value_parser = parse_duration, hide_short_help = true)]
    pub(crate) attach_linger: Duration,
    /// The receiver that --attach leaves behind
    #[arg(long, env = "P2_DETACHED", value_parser = FalseyValueParser::new(), hide = true,
          requires = "attach")]
    pub(crate) detached: bool,
    /// End after the first session has ended, with its exit code
    #[arg(long, env = "P2_ONCE", value_parser = FalseyValueParser::new())]
    pub(crate) once: bool,
    /// How long a session without a link can be resumed
    #[arg(long, env = "P2_SESSION_TTL", value_name = "TIME", default_value = "24h",
          value_parser = parse_duration, hide_short_help = true)]
    pub(crate) session_ttl: Duration,
    /// Sessions at once, those that wait for their next link included
    #[arg(long, env = "P2_MAX_SESSIONS", value_name = "N", default_value_t = 128,
          value_parser = clap::value_parser!(u32).range(1..=100_000), hide_short_help = true)]
    pub(crate) max_sessions: u32,
    /// Write each stream, exact bytes, to DIR/SESSION/NAME instead of stdout
    #[arg(long, env = "P2_DIR", value_name = "DIR", help_heading = "Delivery")]
    pub(crate) dir: Option<PathBuf>,
    /// Lines on stdout: prefix, name, json, or raw (exact bytes; with --only) [default: prefix]
    #[arg(long, env = "P2_FORMAT", value_name = "FORM", value_parser = format, help_heading = "Delivery")]
    pub(crate) format: Option<Format>,
    /// Take the stream of this name, refuse the others
    #[arg(long, env = "P2_ONLY", value_name = "NAME", help_heading = "Delivery")]
    pub(crate) only: Option<String>,
    /// What counts as delivered: written, or synced to stable storage
    #[arg(long, env = "P2_ACK", value_name = "WHEN", default_value = "written", value_parser = ack,
          help_heading = "Delivery")]
    pub(crate) ack: Ack,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}

fn format(text: &str) -> Result<Format, String> {
    text.parse().map_err(|_| "write prefix, name, json or raw".to_owned())
}

pub(super) fn ack(text: &str) -> Result<Ack, String> {
    text.parse().map_err(|_| "write written or synced".to_owned())
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 recv                                           lines of all streams on stdout
  p2 recv --dir /var/log/remote --ack synced        files, on stable storage before acknowledged
  p2 recv --once --format raw --only db | pg_restore -d app
  p2 recv --listen unix:/run/p2.sock --format json | jq .
  p2 recv --listen 0.0.0.0:9000 --token-file /etc/p2.token

Data goes to stdout or to files; everything else, heartbeats too, goes to stderr.
An address that other machines can reach needs --token-file.";

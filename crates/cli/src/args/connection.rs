//! Flags of the session and its links.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::settings::CodecId;
use crate::settings::codec::parse_codec;
use crate::units::{parse_duration, parse_size};

/// What both ends can set.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// Codecs, best first, as in `zstd,gzip`; default: all
    #[arg(long, env = "P2_CODECS", value_name = "LIST", value_delimiter = ',', value_parser = parse_codec)]
    pub(crate) codecs: Vec<CodecId>,
    /// Refuse a peer without a common codec instead of going on uncompressed
    #[arg(long, env = "P2_REQUIRE_CODEC", value_parser = FalseyValueParser::new(), hide_short_help = true)]
    pub(crate) require_codec: bool,
    /// Both ends prove to know the secret in this file
    #[arg(long, env = "P2_TOKEN_FILE", value_name = "PATH")]
    pub(crate) token_file: Option<PathBuf>,
    /// Time between heartbeats
    #[arg(long, env = "P2_HEARTBEAT", value_name = "TIME", default_value = "5s", value_parser = parse_duration)]
    pub(crate) heartbeat: Duration,
    /// Silence after which a link counts as dead
    #[arg(long, env = "P2_HEARTBEAT_TIMEOUT", value_name = "TIME", default_value = "15s",
          value_parser = parse_duration, hide_short_help = true)]
    pub(crate) heartbeat_timeout: Duration,
    /// Most bytes held until acknowledged
    #[arg(long, env = "P2_BUFFER", value_name = "SIZE", default_value = "64MiB", value_parser = parse_size)]
    pub(crate) buffer: u64,
    /// Streams that the peer may have open at once, to 1000000
    #[arg(long, env = "P2_MAX_STREAMS", value_name = "N", default_value_t = 1024,
          value_parser = clap::value_parser!(u64).range(1..=1_000_000), hide_short_help = true)]
    pub(crate) max_streams: u64,
    /// How long an orderly end may take once asked for (Ctrl-C, SIGTERM)
    #[arg(long, env = "P2_DRAIN_TIMEOUT", value_name = "TIME", default_value = "10s",
          value_parser = parse_duration, hide_short_help = true)]
    pub(crate) drain_timeout: Duration,
}

/// What the dialling end can set.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct RetryArgs {
    /// Give up one attempt to connect after this
    #[arg(long, env = "P2_CONNECT_TIMEOUT", value_name = "TIME", default_value = "10s",
          value_parser = parse_duration, hide_short_help = true)]
    pub(crate) connect_timeout: Duration,
    /// Ceiling of the first wait between attempts; it doubles
    #[arg(long, env = "P2_RETRY_MIN", value_name = "TIME", default_value = "250ms",
          value_parser = parse_duration, hide_short_help = true)]
    pub(crate) retry_min: Duration,
    /// Ceiling of every wait between attempts
    #[arg(long, env = "P2_RETRY_MAX", value_name = "TIME", default_value = "30s",
          value_parser = parse_duration, hide_short_help = true)]
    pub(crate) retry_max: Duration,
    /// Give up after so many failures in a row; default: never
    #[arg(long, env = "P2_RETRY_LIMIT", value_name = "N",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) retry_limit: Option<u32>,
    /// Give up after this long without a link; default: never
    #[arg(long, env = "P2_RETRY_FOR", value_name = "TIME", value_parser = parse_duration,
          hide_short_help = true)]
    pub(crate) retry_for: Option<Duration>,
}

//! Flags of the metrics.

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::settings::Address;
use crate::settings::metrics::{DEFAULT, parse_address};

/// Figures over HTTP.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct MetricsArgs {
    /// Serve metrics over HTTP; alone on 127.0.0.1:9420
    #[arg(long, env = "P2_METRICS", value_name = "ADDR", num_args = 0..=1,
          default_missing_value = DEFAULT, value_parser = parse_address)]
    pub(crate) metrics: Option<Address>,
    /// Serve them to other machines as well, unencrypted and to anyone who asks
    #[arg(long, env = "P2_METRICS_PUBLIC", value_parser = FalseyValueParser::new(),
          hide_short_help = true)]
    pub(crate) metrics_public: bool,
}

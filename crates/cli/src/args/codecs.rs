//! `p2 codecs [TARGET]`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::FalseyValueParser;

use super::{ConnectionArgs, RetryArgs};
use crate::settings::Address;

/// What can be compressed how.
#[derive(Debug, Clone, Args)]
pub(crate) struct CodecsArgs {
    /// A receiver to compare with: HOST:PORT or unix:PATH
    #[arg(value_name = "TARGET")]
    pub(crate) target: Option<Address>,
    /// The answer as one JSON object
    #[arg(long, env = "P2_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// Measure with the first 4 MiB of this file instead of made-up log lines
    #[arg(long, env = "P2_SAMPLE", value_name = "FILE")]
    pub(crate) sample: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 codecs                               what this build has, with speed and ratio
  p2 codecs --sample /var/log/syslog      the same on your own data
  p2 codecs host:9000 --token-file ~/.p2-token
  p2 codecs --json | jq -r '.codecs[].name'";

//! `p2 demo`.

use clap::Args;

use super::OutputArgs;
use crate::settings::CodecId;
use crate::settings::codec::parse_codec;
use crate::units::parse_size;

/// A receiver and a sender in one process.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoArgs {
    /// Streams sent at once
    #[arg(long, env = "P2_STREAMS", value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) streams: u32,
    /// Bytes sent on each stream
    #[arg(long, env = "P2_SIZE", value_name = "SIZE", default_value = "4MiB", value_parser = parse_size)]
    pub(crate) size: u64,
    /// How often the link is cut on purpose
    #[arg(long, env = "P2_CUTS", value_name = "N", default_value_t = 2,
          value_parser = clap::value_parser!(u32).range(0..=100))]
    pub(crate) cuts: u32,
    /// Codecs, best first, as in `zstd,gzip`; default: all
    #[arg(long, env = "P2_CODECS", value_name = "LIST", value_delimiter = ',', value_parser = parse_codec)]
    pub(crate) codecs: Vec<CodecId>,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 demo                                 three streams, two cuts, the receipt
  p2 demo --streams 20 --size 16MiB --cuts 10
  p2 demo --codecs none -v                what compression is worth, with more said";

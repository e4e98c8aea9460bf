//! `p2 bench`.

use clap::Args;
use clap::builder::FalseyValueParser;

use crate::settings::CodecId;
use crate::settings::bench::{DataKind, parse_data, parse_seconds};
use crate::settings::codec::parse_codec;

/// What this machine and this build can do.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// The answer as one JSON object
    #[arg(long, env = "P2_JSON", value_parser = FalseyValueParser::new())]
    pub(crate) json: bool,
    /// How long each transfer is measured, in seconds
    #[arg(long, env = "P2_SECONDS", value_name = "N", default_value = "0.5", value_parser = parse_seconds)]
    pub(crate) seconds: f64,
    /// Streams at once, as in `1,8,100`
    #[arg(long, env = "P2_STREAMS", value_name = "LIST", value_delimiter = ',', default_value = "1,8,100",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(crate) streams: Vec<u32>,
    /// Codecs, as in `zstd,gzip`; default: all of this build, and none
    #[arg(long, env = "P2_CODECS", value_name = "LIST", value_delimiter = ',', value_parser = parse_codec)]
    pub(crate) codecs: Vec<CodecId>,
    /// What is sent: log (made-up lines), random, or the first 4 MiB of a file
    #[arg(long, env = "P2_DATA", value_name = "log|random|FILE", default_value = "log", value_parser = parse_data)]
    pub(crate) data: DataKind,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 bench                                every codec, 1, 8 and 100 streams
  p2 bench --data /var/log/syslog         what your own data gain
  p2 bench --codecs zstd,gzip --streams 4 --seconds 3
  p2 bench --json | jq '.transfers[] | [.codec, .streams, .bytes_per_s]'

Both ends are in this process, joined by a real session over loopback, so both ends share its
cores. Codecs alone use one core. Sent bytes count before compression, once they have arrived.";

//! What `p2 demo` shows, validated.

use super::{CodecId, OutputSettings};
use crate::args::{DemoArgs, LogArgs};
use crate::error::UserError;

/// The size of the show.
#[derive(Debug, Clone)]
pub(crate) struct DemoSettings {
    /// Streams sent at once, 1 to 1,000.
    pub(crate) streams: u32,
    /// Bytes on each stream, at least 1.
    pub(crate) size: u64,
    /// Cuts of the link on purpose.
    pub(crate) cuts: u32,
    /// In order of preference; empty: all of this build.
    pub(crate) codecs: Vec<CodecId>,
    /// What is said about it.
    pub(crate) output: OutputSettings,
}

impl DemoSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2.
    pub(crate) fn from_args(args: DemoArgs, log: &LogArgs) -> Result<Self, UserError> {
        if args.size == 0 {
            return Err(UserError::usage("--size must be at least 1B"));
        }
        Ok(Self {
            streams: args.streams,
            size: args.size,
            cuts: args.cuts,
            codecs: args.codecs,
            output: OutputSettings::from_args(args.output, log),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};

    #[test]
    fn three_streams_and_two_cuts_unless_told_otherwise() {
        let cli = Cli::read(["p2", "demo"]).expect("valid");
        let Command::Demo(args) = cli.command else { panic!("not demo") };
        let settings = DemoSettings::from_args(*args, &cli.log).expect("defaults");
        assert_eq!((settings.streams, settings.cuts, settings.size), (3, 2, 4 << 20));
        assert!(Cli::read(["p2", "demo", "--streams", "0"]).is_err());
        assert!(Cli::read(["p2", "demo", "--size", "4"]).is_err());
    }
}

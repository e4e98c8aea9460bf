//! `p2 config`.

use std::path::PathBuf;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};

use super::RunArgs;

/// The configuration file.
#[derive(Debug, Clone, Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    pub(crate) action: ConfigAction,
}

/// What to do with it.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConfigAction {
    /// Print a file with every setting, its meaning and its default
    Init,
    /// Say everything that is wrong with a file
    Check {
        /// The file; default: --config, else the one `p2 run` would find
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print what holds once flags, environment, file and defaults are put together
    Show(Box<ShowArgs>),
}

/// What `p2 config show` prints.
#[derive(Debug, Clone, Args)]
pub(crate) struct ShowArgs {
    /// Say of each setting where it comes from
    #[arg(long, env = "P2_ORIGIN", value_parser = FalseyValueParser::new())]
    pub(crate) origin: bool,
    #[command(flatten)]
    pub(crate) run: RunArgs,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 config init > ~/.config/p2/p2.toml
  p2 config check p2.toml                 exit code 2 and FILE:LINE:COLUMN for what is wrong
  p2 config show --origin                 what `p2 run` would do, and why
  P2_HEARTBEAT=2s p2 config show --config p2.toml --origin | grep heartbeat

What `show` prints is a configuration file itself.";

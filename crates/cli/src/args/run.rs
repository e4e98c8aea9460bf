//! `p2 run`.

use clap::Args;

use super::{ConnectionArgs, MetricsArgs, OutputArgs, RetryArgs};

/// Every session and receiver of a configuration file. What is given here holds for all of them.
#[derive(Debug, Clone, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) metrics: MetricsArgs,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 config init > p2.toml                begin with every setting at its default
  p2 config check p2.toml
  p2 run --config p2.toml                 all sessions and receivers in one process
  p2 run -v --log-format json             the file found in ~/.config/p2 or /etc/p2

The file is --config FILE, else ~/.config/p2/p2.toml ($XDG_CONFIG_HOME/p2), else /etc/p2/p2.toml.
One session that fails does not end the others; the exit code is the worst of them.
SIGHUP reads the file again: it applies what changed, and retries now. A file that is wrong changes
nothing.";

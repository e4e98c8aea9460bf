//! Flags of what the program says about itself.

use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{ArgAction, Args};

use crate::settings::ControlPlace;
use crate::settings::output::{EventsTarget, LogFormat, ProgressMode};
use crate::units::parse_duration;

/// What is shown while it runs.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// auto, bar, plain, json or none, on stderr
    #[arg(long, env = "P2_PROGRESS", value_name = "MODE", default_value = "auto",
          value_parser = progress, hide_possible_values = true)]
    pub(crate) progress: ProgressMode,
    /// Write events as NDJSON to a file or, with `-`, to stdout
    #[arg(long, env = "P2_EVENTS", value_name = "FILE|-")]
    pub(crate) events: Option<EventsTarget>,
    /// Say how it goes every so often, one line a time
    #[arg(long, env = "P2_STATS_INTERVAL", value_name = "TIME", value_parser = parse_duration,
          hide_short_help = true)]
    pub(crate) stats_interval: Option<Duration>,
    /// The socket for `p2 status`, `p2 top` and `p2 sessions`: a path, auto or off
    #[arg(
        long,
        env = "P2_CONTROL",
        value_name = "PATH|off",
        default_value = "auto",
        hide_short_help = true
    )]
    pub(crate) control: ControlPlace,
}

/// How much is said, for every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct LogArgs {
    /// Errors only
    #[arg(short, long, global = true, env = "P2_QUIET", value_parser = FalseyValueParser::new(),
          conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say more; twice and thrice: still more
    #[arg(short, long, global = true, env = "P2_VERBOSE", action = ArgAction::Count)]
    pub(crate) verbose: u8,
    /// What to log to stderr, as in `info` or `p2_transport=debug`
    #[arg(long, global = true, env = "P2_LOG", value_name = "FILTER", hide_short_help = true)]
    pub(crate) log: Option<String>,
    /// Form of the log: text or json
    #[arg(long, global = true, env = "P2_LOG_FORMAT", value_name = "FORM", default_value = "text",
          value_parser = log_format, hide_short_help = true)]
    pub(crate) log_format: LogFormat,
}

fn progress(text: &str) -> Result<ProgressMode, String> {
    text.parse().map_err(|_| "write auto, bar, plain, json or none".to_owned())
}

fn log_format(text: &str) -> Result<LogFormat, String> {
    text.parse().map_err(|_| "write text or json".to_owned())
}

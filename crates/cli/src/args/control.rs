//! `p2 status`, `p2 top` and `p2 sessions`.

use std::time::Duration;

use clap::builder::FalseyValueParser;
use clap::{Args, Subcommand};

use crate::units::parse_duration;

/// How the processes of this user are.
#[derive(Debug, Clone, Args)]
pub(crate) struct StatusArgs {
    /// A process by its number, or its control socket by its path; default: all of this user
    #[arg(value_name = "PROCESS")]
    pub(crate) process: Option<String>,
    /// One JSON object for each process, one a line
    #[arg(long, env = "P2_JSON", value_parser = FalseyValueParser::new(), conflicts_with = "check")]
    pub(crate) json: bool,
    /// Say only what is wrong, and answer by the exit code
    #[arg(long, env = "P2_CHECK", value_parser = FalseyValueParser::new())]
    pub(crate) check: bool,
}

/// What moves.
#[derive(Debug, Clone, Args)]
pub(crate) struct TopArgs {
    /// A process by its number, or its control socket by its path; default: all of this user
    #[arg(value_name = "PROCESS")]
    pub(crate) process: Option<String>,
    /// Time between looks
    #[arg(long, env = "P2_INTERVAL", value_name = "TIME", default_value = "1s",
          value_parser = parse_duration)]
    pub(crate) interval: Duration,
    /// End after so many looks
    #[arg(long, env = "P2_COUNT", value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
}

/// Sessions of receivers and senders.
#[derive(Debug, Clone, Args)]
pub(crate) struct SessionsArgs {
    #[command(subcommand)]
    pub(crate) action: SessionsAction,
}

/// What to do with them.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum SessionsAction {
    /// One line for each session
    List {
        /// A process by its number, or its control socket by its path; default: all of this user
        #[arg(value_name = "PROCESS")]
        process: Option<String>,
    },
    /// End a session of a receiver: in order within its --drain-timeout, else at once
    Drop {
        /// The session's name, or its number as in `#3`
        #[arg(value_name = "NAME")]
        name: String,
        /// A process by its number, or its control socket by its path; default: the one that has it
        #[arg(value_name = "PROCESS")]
        process: Option<String>,
    },
}

pub(crate) const STATUS_EXAMPLES: &str = "\
Examples:
  p2 status                     every p2 send and p2 recv of this user
  p2 status --check || echo 'not well'
  p2 status --json | jq -r '.sessions[] | \"\\(.name) \\(.state)\"'

Exit codes: 0 if all is well, 4 if nothing runs; with --check also 1 if a session is without a link
or a process does not answer. The JSON has `schema: 1`; fields may be added to it.";

pub(crate) const TOP_EXAMPLES: &str = "\
Examples:
  p2 top                        on a terminal: redrawn in place, q ends it
  p2 top --interval 5s
  p2 top --count 2 | tail -n 20

Without a terminal one table is printed at each look. lag is how long the oldest unacknowledged byte
has waited.";

pub(crate) const SESSIONS_EXAMPLES: &str = "\
Examples:
  p2 sessions list
  p2 sessions drop web1         it may finish its streams, within the receiver's --drain-timeout
  p2 sessions drop '#3'         by its number, where several have one name";

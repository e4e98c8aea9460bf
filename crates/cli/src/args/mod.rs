//! The command line: one file per command, one per group of flags that commands share.

mod bench;
mod codecs;
mod config;
mod connection;
mod control;
mod dashboard;
mod demo;
mod doctor;
mod generate;
mod metrics;
mod output;
mod recv;
mod run;
mod send;
mod sources;
mod ssh;

use std::path::PathBuf;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

pub(crate) use bench::BenchArgs;
pub(crate) use codecs::CodecsArgs;
pub(crate) use config::{ConfigAction, ConfigArgs};
pub(crate) use connection::{ConnectionArgs, RetryArgs};
pub(crate) use control::{SessionsAction, SessionsArgs, StatusArgs, TopArgs};
pub(crate) use dashboard::DashboardArgs;
pub(crate) use demo::DemoArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use generate::{CompletionsArgs, ManArgs};
pub(crate) use metrics::MetricsArgs;
pub(crate) use output::{LogArgs, OutputArgs};
pub(crate) use recv::RecvArgs;
pub(crate) use run::RunArgs;
pub(crate) use send::SendArgs;
pub(crate) use sources::SourceArgs;
pub(crate) use ssh::SshArgs;

use crate::exit::Exit;

/// Many streams over one connection that resumes: nothing lost, nothing twice
#[derive(Debug, Parser)]
#[command(
    name = "p2",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Try it: `p2 demo`. Every command: `-h` in short, `--help` with examples."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Settings of a file: see `p2 config`; default: ~/.config/p2/p2.toml, else /etc/p2/p2.toml
    #[arg(
        long,
        global = true,
        env = "P2_CONFIG",
        value_name = "FILE",
        hide_short_help = true,
        help_heading = "Output"
    )]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) log: LogArgs,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Listen, accept any number of senders and deliver their streams
    #[command(after_long_help = recv::EXAMPLES)]
    Recv(Box<RecvArgs>),
    /// Connect and send streams: files, commands, sockets, stdin, simulated traffic
    #[command(after_long_help = send::EXAMPLES)]
    Send(Box<SendArgs>),
    /// Every session and receiver of a configuration file, in one process
    #[command(after_long_help = run::EXAMPLES)]
    Run(Box<RunArgs>),
    /// Print, check and explain a configuration file
    #[command(after_long_help = config::EXAMPLES)]
    Config(ConfigArgs),
    /// A receiver and a sender in one process, cut on purpose, with the receipt at the end
    #[command(after_long_help = demo::EXAMPLES)]
    Demo(Box<DemoArgs>),
    /// The codecs of this build, those of a peer, and which one would be chosen
    #[command(after_long_help = codecs::EXAMPLES)]
    Codecs(Box<CodecsArgs>),
    /// What this machine and this build can do: codecs, streams, small messages, delays
    #[command(after_long_help = bench::EXAMPLES)]
    Bench(Box<BenchArgs>),
    /// Try the way to a receiver step by step, with a next step for what fails
    #[command(after_long_help = doctor::EXAMPLES)]
    Doctor(Box<DoctorArgs>),
    /// A Grafana dashboard, alert rules and a scrape configuration for the metrics
    #[command(after_long_help = dashboard::EXAMPLES)]
    Dashboard(DashboardArgs),
    /// How the senders and receivers of this user are
    #[command(after_long_help = control::STATUS_EXAMPLES)]
    Status(StatusArgs),
    /// Sessions and streams as they move
    #[command(after_long_help = control::TOP_EXAMPLES)]
    Top(TopArgs),
    /// List sessions, or end one
    #[command(after_long_help = control::SESSIONS_EXAMPLES, disable_help_subcommand = true)]
    Sessions(SessionsArgs),
    /// Completions for a shell, on stdout
    #[command(after_long_help = generate::COMPLETIONS_EXAMPLES)]
    Completions(CompletionsArgs),
    /// Manual pages, on stdout or into a directory
    #[command(after_long_help = generate::MAN_EXAMPLES)]
    Man(ManArgs),
}

impl Cli {
    /// Reads a command line, the program's name first.
    ///
    /// # Errors
    /// clap's own: a usage error, or help and version, which it counts among them.
    pub(crate) fn read<I, T>(line: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        Self::of(command(), line).map(|(cli, _)| cli)
    }

    /// The same, and what clap found where.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_with_origins<I, T>(line: I) -> Result<(Self, ArgMatches), clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        Self::of(command(), line)
    }

    /// The same without any environment.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(crate) fn read_alone(line: Vec<std::ffi::OsString>) -> Result<Self, clap::Error> {
        let deaf = |arg: clap::Arg| arg.env(clap::builder::Resettable::Reset);
        let command = command().mut_args(deaf).mut_subcommands(|sub| sub.mut_args(deaf));
        Self::of(command, line).map(|(cli, _)| cli)
    }

    fn of<I, T>(mut command: clap::Command, line: I) -> Result<(Self, ArgMatches), clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<std::ffi::OsString> + Clone,
    {
        let matches = command.try_get_matches_from_mut(line)?;
        let cli = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut command))?;
        Ok((cli, matches))
    }
}

/// The whole command line, as completions and manual pages would want it too.
pub(crate) fn command() -> clap::Command {
    // The variables follow one rule, stated once in the long help; listed they would double it.
    Cli::command()
        .after_long_help(after_help())
        .mut_args(|arg| arg.hide_env(true))
        .mut_subcommands(|sub| sub.mut_args(|arg| arg.hide_env(true)).max_term_width(100))
}

fn after_help() -> String {
    let mut text = AFTER_HELP.to_owned();
    for exit in Exit::ALL {
        text.push_str(&format!("\n  {:>3}  {}", exit.code(), exit.meaning()));
    }
    text
}

const AFTER_HELP: &str = "\
Start here:
  p2 demo                                     see it work: two cuts of the link, nothing lost
  p2 recv --dir /var/log/remote               on the machine that collects
  p2 send --tail 'app=/var/log/app*.log'      on the machine that has the logs

Over ssh:
  p2 send --ssh host --tail '/var/log/*.log'  needs nothing but `ssh host` and p2 on both sides

Settings: a flag, else its environment variable (P2_ and the flag's name: --retry-max is
P2_RETRY_MAX), else the file's key (retry-max), else the default. `p2 config` has more.

Exit codes:";

#[cfg(test)]
mod tests {
    use super::*;

    const COMMANDS: [&str; 14] = [
        "recv",
        "send",
        "run",
        "demo",
        "codecs",
        "bench",
        "doctor",
        "dashboard",
        "config",
        "status",
        "top",
        "sessions",
        "completions",
        "man",
    ];

    #[test]
    fn the_definition_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn short_help_fits_one_screen_and_long_help_has_examples() {
        for name in COMMANDS {
            let short = Cli::read(["p2", name, "-h"]).expect_err("help").to_string();
            let lines = short.lines().count();
            assert!(lines <= 42, "{name} -h has {lines} lines:\n{short}");
            let long = Cli::read(["p2", name, "--help"]).expect_err("help").to_string();
            assert!(long.contains("Examples:"), "{name} --help has no examples");
            assert!(long.lines().count() > lines);
        }
        let short = Cli::read(["p2", "-h"]).expect_err("help").to_string();
        assert!(short.lines().count() <= 30, "{short}");
        let long = Cli::read(["p2", "--help"]).expect_err("help").to_string();
        for words in ["Start here:", "P2_RETRY_MAX", "    7  a source or a sink failed for good"] {
            assert!(long.contains(words), "no {words:?} in:\n{long}");
        }
    }

    #[test]
    fn features_that_do_not_exist_yet_are_not_offered() {
        assert!(Cli::read(["p2", "send", "--spool", "x"]).is_err());
    }

    #[test]
    fn a_usage_error_has_exit_code_two_and_help_has_zero() {
        assert_eq!(Cli::read(["p2", "send", "--heartbeat", "5"]).expect_err("bare").exit_code(), 2);
        assert_eq!(Cli::read(["p2", "nonsense"]).expect_err("unknown").exit_code(), 2);
        assert_eq!(Cli::read(["p2", "--help"]).expect_err("help").exit_code(), 0);
    }

    #[test]
    fn a_bare_number_is_answered_with_a_hint() {
        let error = Cli::read(["p2", "send", "--heartbeat", "5"]).expect_err("bare").to_string();
        assert!(error.contains("`5` has no unit; did you mean `5s`?"), "{error}");
        assert!(error.contains("--heartbeat"), "{error}");
    }
}

//! What the program says about itself, and where.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::ControlPlace;
use crate::args::{LogArgs, OutputArgs};

/// How progress is shown on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum ProgressMode {
    /// `Bar` on a terminal, else `Plain`.
    #[default]
    Auto,
    /// One line, rewritten in place.
    Bar,
    /// A line for each thing that happens.
    Plain,
    /// The same as one JSON object a line.
    Json,
    /// Nothing.
    None,
}

/// Where `--events` goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EventsTarget {
    /// `-`.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

impl FromStr for EventsTarget {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "-" { Self::Stdout } else { Self::File(text.into()) })
    }
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum LogFormat {
    /// A line for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// Progress, events and how much is said.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct OutputSettings {
    /// How progress is shown; `None` when quiet.
    pub(crate) progress: ProgressMode,
    /// Where events are written.
    pub(crate) events: Option<EventsTarget>,
    /// How often to say how it goes; never zero.
    pub(crate) stats_interval: Option<Duration>,
    /// Where `p2 status` reaches this process.
    pub(crate) control: ControlPlace,
    /// Errors only.
    pub(crate) quiet: bool,
    /// How often `-v` was given.
    pub(crate) verbose: u8,
}

impl OutputSettings {
    pub(crate) fn from_args(args: OutputArgs, log: &LogArgs) -> Self {
        Self {
            progress: if log.quiet { ProgressMode::None } else { args.progress },
            events: args.events,
            stats_interval: args.stats_interval.filter(|every| !every.is_zero()),
            control: args.control,
            quiet: log.quiet,
            verbose: log.verbose,
        }
    }
}

/// The log on stderr.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogSettings {
    /// A filter of tracing-subscriber.
    pub(crate) filter: String,
    /// Its form.
    pub(crate) format: LogFormat,
}

impl LogSettings {
    /// `--log` says it all; without it `-q` and `-v` choose the level.
    pub(crate) fn from_args(args: &LogArgs) -> Self {
        let level = match (args.quiet, args.verbose) {
            (true, _) => "error",
            (false, 0) => "warn",
            (false, 1) => "info",
            (false, 2) => "debug",
            (false, _) => "trace",
        };
        let filter = args.log.clone().unwrap_or_else(|| level.to_owned());
        Self { filter, format: args.log_format }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};

    fn read(line: &[&str]) -> (OutputSettings, LogSettings) {
        let cli = Cli::read([&["p2", "demo"], line].concat()).expect("valid");
        let Command::Demo(args) = cli.command else { panic!("not demo") };
        (OutputSettings::from_args(args.output, &cli.log), LogSettings::from_args(&cli.log))
    }

    #[test]
    fn the_log_follows_the_flags_and_the_filter_overrules_them() {
        for (line, filter) in [
            (&[] as &[&str], "warn"),
            (&["-q"], "error"),
            (&["-v"], "info"),
            (&["-vv"], "debug"),
            (&["-vvv"], "trace"),
            (&["-v", "--log", "p2_mux=trace"], "p2_mux=trace"),
        ] {
            assert_eq!(read(line).1.filter, filter, "{line:?}");
        }
    }

    #[test]
    fn quiet_shows_no_progress() {
        assert_eq!(read(&["-q", "--progress", "bar"]).0.progress, ProgressMode::None);
        assert_eq!(read(&["--progress", "bar"]).0.progress, ProgressMode::Bar);
        assert!(Cli::read(["p2", "demo", "-q", "-v"]).is_err());
    }

    #[test]
    fn events_go_to_a_file_or_to_stdout() {
        assert_eq!(read(&["--events", "-"]).0.events, Some(EventsTarget::Stdout));
        assert_eq!(read(&["--events", "e"]).0.events, Some(EventsTarget::File("e".into())));
        assert_eq!(read(&["--stats-interval", "0s"]).0.stats_interval, None);
    }
}

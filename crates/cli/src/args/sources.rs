//! Flags that name sources, kept in the order in which they were given.

use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::settings::Source;
use crate::settings::source::SourceError;

/// The sources of `send`, in the order of the command line: it numbers their streams.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceArgs {
    pub(crate) sources: Vec<Source>,
}

struct Flag {
    name: &'static str,
    env: &'static str,
    value: &'static str,
    help: &'static str,
    read: fn(&str) -> Result<Source, SourceError>,
}

const FLAGS: [Flag; 7] = [
    Flag {
        name: "gen",
        env: "P2_GEN",
        value: "[NAME=]SPEC",
        help: "Simulated traffic, as in `3` or `rate=1000/s,size=200B`",
        read: Source::parse_gen,
    },
    Flag {
        name: "stdin",
        env: "P2_STDIN",
        value: "NAME",
        help: "Standard input; the default when it is a pipe or a file",
        read: Source::parse_stdin,
    },
    Flag {
        name: "file",
        env: "P2_FILE",
        value: "[NAME=]PATH",
        help: "A file, sent once",
        read: Source::parse_file,
    },
    Flag {
        name: "tail",
        env: "P2_TAIL",
        value: "[NAME=]PATH|GLOB",
        help: "Files followed as they grow, are rotated or appear",
        read: Source::parse_tail,
    },
    Flag {
        name: "exec",
        env: "P2_EXEC",
        value: "[NAME=]CMD",
        help: "What a command writes to its standard output",
        read: Source::parse_exec,
    },
    Flag {
        name: "tcp",
        env: "P2_TCP",
        value: "[NAME=]ADDR",
        help: "Listen; each connection becomes a stream",
        read: Source::parse_tcp,
    },
    Flag {
        name: "unix",
        env: "P2_UNIX",
        value: "[NAME=]PATH",
        help: "The same on a Unix socket",
        read: Source::parse_unix,
    },
];

impl Args for SourceArgs {
    fn augment_args(command: Command) -> Command {
        let command = command.next_help_heading("Sources (each repeatable)");
        FLAGS.iter().fold(command, |command, flag| {
            let arg = Arg::new(flag.name)
                .long(flag.name)
                .env(flag.env)
                .value_name(flag.value)
                .help(flag.help)
                .action(ArgAction::Append)
                .value_parser(flag.read);
            let arg = if flag.name == "stdin" {
                arg.num_args(0..=1).require_equals(true).default_missing_value("")
            } else {
                arg
            };
            command.arg(arg)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for SourceArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut found: Vec<(usize, Source)> = Vec::new();
        for flag in &FLAGS {
            let indices = matches.indices_of(flag.name).into_iter().flatten();
            let values = matches.get_many::<Source>(flag.name).into_iter().flatten().cloned();
            found.extend(indices.zip(values));
        }
        found.sort_by_key(|(index, _)| *index);
        Ok(Self { sources: found.into_iter().map(|(_, source)| source).collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

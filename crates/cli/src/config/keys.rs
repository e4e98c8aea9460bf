//! Which keys a file may have, read off the command line itself: a flag that exists is a key.

use std::sync::OnceLock;

use clap::{Arg, ArgAction, Args, Command};

use crate::args::{self, LogArgs, MetricsArgs, OutputArgs};

/// A part of a file, and the command whose flags are its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The top: what `p2 run` takes, for every session and receiver.
    Top,
    /// `[[send]]`.
    Send,
    /// `[[recv]]`.
    Recv,
    /// `[attach]`: the far side of `p2 send --ssh`.
    Attach,
    /// `[NAME]`: any other command.
    Command(String),
}

/// A setting: one flag, one variable, one key.
#[derive(Debug, Clone)]
pub(crate) struct Key {
    /// The flag without its dashes.
    pub(crate) name: String,
    /// The flag.
    pub(crate) arg: Arg,
}

/// Not settings: they say what to do, not how; `ADDR` is `--listen`.
const ACTS: [&str; 6] = ["help", "version", "config", "attach", "detached", "address"];

/// Commands that are asked once and have no settings.
const QUESTIONS: [&str; 2] = ["completions", "man"];

/// Only the far side of ssh knows it.
const OF_ATTACH: &str = "attach-linger";

/// The far side of ssh has no use for these.
const NOT_OF_ATTACH: [&str; 4] = ["listen", "once", "format", "token-file"];

impl Scope {
    /// The command that runs it.
    pub(crate) fn command(&self) -> &str {
        match self {
            Self::Top => "run",
            Self::Send => "send",
            Self::Recv | Self::Attach => "recv",
            Self::Command(name) => name,
        }
    }

    /// Its head in a file.
    pub(crate) fn head(&self) -> String {
        match self {
            Self::Top => "the top of the file".to_owned(),
            Self::Send => "[[send]]".to_owned(),
            Self::Recv => "[[recv]]".to_owned(),
            Self::Attach => "[attach]".to_owned(),
            Self::Command(name) => format!("[{name}]"),
        }
    }

    /// Every setting of its command; those of the whole process are among them.
    pub(crate) fn settings(&self) -> Vec<Key> {
        let Some(command) = definition().find_subcommand(self.command()) else {
            return Vec::new();
        };
        let keys = command.get_arguments().filter_map(Key::of);
        keys.filter(|key| *self != Self::Recv || key.name != OF_ATTACH).collect()
    }

    /// The keys that may stand in it.
    pub(crate) fn keys(&self) -> Vec<Key> {
        let mut keys = self.settings();
        if *self != Self::Top {
            keys.retain(|key| !of_process(key.id()));
        }
        if *self == Self::Attach {
            keys.retain(|key| !NOT_OF_ATTACH.contains(&key.name.as_str()));
        }
        keys
    }
}

impl Key {
    fn of(arg: &Arg) -> Option<Self> {
        let name = match (arg.get_long(), arg.get_env()) {
            (Some(long), _) => long.to_owned(),
            // A value without a flag has the name of its variable, or its own.
            (None, Some(env)) => env.to_str()?.strip_prefix("P2_")?.to_lowercase(),
            (None, None) => arg.get_id().to_string(),
        };
        let known = !ACTS.contains(&name.as_str());
        known.then(|| Self { name, arg: arg.clone() })
    }

    /// Clap's name of it.
    pub(crate) fn id(&self) -> &str {
        self.arg.get_id().as_str()
    }

    /// Whether it is on or off.
    pub(crate) fn is_switch(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::SetTrue)
    }

    /// Whether it is counted.
    pub(crate) fn is_count(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Count)
    }

    /// Whether it may have several values.
    pub(crate) fn is_list(&self) -> bool {
        matches!(self.arg.get_action(), ArgAction::Append)
    }
}

/// The commands that have a table of their own in a file.
pub(crate) fn command_tables() -> Vec<Scope> {
    let others = definition().get_subcommands().filter(|sub| {
        !["send", "recv", "run"].contains(&sub.get_name())
            && !QUESTIONS.contains(&sub.get_name())
            && !sub.has_subcommands()
            && sub.get_arguments().filter_map(Key::of).any(|key| !of_process(key.id()))
    });
    let mut scopes: Vec<Scope> =
        others.map(|sub| Scope::Command(sub.get_name().to_owned())).collect();
    scopes.push(Scope::Attach);
    scopes
}

/// Whether a setting is one of the whole process, not of one session.
pub(crate) fn of_process(id: &str) -> bool {
    static IDS: OnceLock<Vec<String>> = OnceLock::new();
    let ids = IDS.get_or_init(|| {
        let all = OutputArgs::augment_args(LogArgs::augment_args(Command::new("process")));
        let all = MetricsArgs::augment_args(all);
        all.get_arguments().map(|arg| arg.get_id().to_string()).collect()
    });
    ids.iter().any(|known| known == id)
}

/// The candidate that looks most like `word`, if one does.
pub(crate) fn similar<'a>(
    word: &str,
    candidates: impl IntoIterator<Item = &'a str>,
) -> Option<&'a str> {
    let word = word.to_lowercase().replace('_', "-");
    let scored = candidates.into_iter().map(|name| (strsim::jaro_winkler(&word, name), name));
    scored
        .filter(|(score, _)| *score > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, name)| name)
}

/// The command line, built once.
pub(crate) fn definition() -> &'static Command {
    static COMMAND: OnceLock<Command> = OnceLock::new();
    COMMAND.get_or_init(|| {
        let mut command = args::command();
        command.build();
        command
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::file::File;
    use crate::config::layers::{Given, choose, words};

    /// A value of each kind of setting.
    fn example(key: &Key) -> String {
        let arg = &key.arg;
        if key.is_switch() {
            return "true".to_owned();
        }
        let by_name = match key.name.as_str() {
            "verbose" => "2",
            "codecs" => "gzip",
            "streams" => "7",
            "ack" | "remote-ack" => "synced",
            "format" => "json",
            "ssh-mode" => "attach",
            "progress" => "plain",
            "log-format" => "json",
            "log" => "info",
            "gen" => "2",
            "tcp" => "in=127.0.0.1:1",
            "prio" => "app=high",
            "codec" => "app=none",
            "when-full" => "app=drop-oldest",
            _ => "",
        };
        let by_form = match arg.get_value_names().and_then(|names| names.first()) {
            _ if !by_name.is_empty() => by_name,
            Some(form) => match form.as_str() {
                "TIME" => "7s",
                "SIZE" => "2MiB",
                "N" | "[NAME=]N" => "7",
                "[NAME=]RATE" => "app=2MiB/s",
                "ADDR" | "TARGET" => "127.0.0.1:7",
                _ => "x",
            },
            None => "x",
        };
        by_form.to_owned()
    }

    /// Every command with flags of its own, and the part of a file that has them as keys.
    fn scopes() -> Vec<Scope> {
        [Scope::Top, Scope::Send, Scope::Recv].into_iter().chain(command_tables()).collect()
    }

    #[test]
    fn every_setting_is_a_flag_a_variable_and_a_key() {
        let mut checked = 0;
        let mut commands = vec![(definition(), true)];
        while let Some((command, top)) = commands.pop() {
            commands.extend(
                command.get_subcommands().map(|sub| (sub, top && command.get_name() == "p2")),
            );
            let asked = QUESTIONS.contains(&command.get_name());
            let own = |arg: &&Arg| !asked || of_process(arg.get_id().as_str());
            for arg in command.get_arguments().filter(own) {
                let Some(long) = arg.get_long().filter(|long| !ACTS.contains(long)) else {
                    continue;
                };
                let whose = format!("{} --{long}", command.get_name());
                let variable = format!("P2_{}", long.to_uppercase().replace('-', "_"));
                let env = arg.get_env().map(|env| env.to_string_lossy().into_owned());
                assert_eq!(env.as_ref(), Some(&variable), "{whose} has no variable");
                // A question (`config show --origin`) is no setting.
                let question = !top || command.get_name() == "p2";
                let mut places = scopes().into_iter().filter(|scope| {
                    scope.command() == command.get_name() || of_process(arg.get_id().as_str())
                });
                let place = places.find(|scope| scope.keys().iter().any(|key| key.name == long));
                match place {
                    Some(scope) => checked += reaches(&scope, long),
                    None => assert!(question, "{whose} is no key of any part of a file"),
                }
            }
        }
        assert!(checked > 100, "{checked}");
    }

    /// The key means what the flag means.
    fn reaches(scope: &Scope, name: &str) -> usize {
        let keys = scope.keys();
        let key = keys.iter().find(|key| key.name == name).expect("a key");
        let value = example(key);
        let flag = match (key.is_switch(), key.is_count()) {
            (true, _) => vec![format!("--{name}")],
            (_, true) => vec![format!("--{name}"), format!("--{name}")],
            _ => vec![format!("--{name}={value}")],
        };
        let written = match value.as_str() {
            "true" | "2" | "7" => value,
            text => format!("\"{text}\""),
        };
        let text = match scope {
            Scope::Top => format!("{name} = {written}\n"),
            scope => format!("{}\n{name} = {written}\n", scope.head()),
        };
        let file = File::parse(Path::new("p2.toml"), &text).expect(&text);
        let section = file.sections(scope).into_iter().next().or_else(|| file.table(scope));
        let chosen = choose(scope, Some(&file), section, &Given::default());
        let line: Vec<String> =
            words(scope, &chosen).iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let mut expected = vec!["p2".to_owned(), scope.command().to_owned()];
        expected.extend(flag);
        expected.extend((*scope == Scope::Attach).then(|| "--attach".to_owned()));
        assert_eq!(line, expected, "{text}");
        assert!(
            args::Cli::read_alone(line.into_iter().map(Into::into).collect()).is_ok(),
            "{text}"
        );
        1
    }

    #[test]
    fn no_secret_is_a_value_of_a_flag_or_a_variable() {
        let mut commands = vec![definition()];
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands());
            for arg in command.get_arguments() {
                let name = arg.get_long().unwrap_or(arg.get_id().as_str()).to_lowercase();
                let secret = ["token", "secret", "password", "passphrase", "key"]
                    .iter()
                    .any(|word| name.split(['-', '_']).any(|part| part == *word));
                assert!(!secret || name.ends_with("file"), "{name}");
            }
        }
    }

    #[test]
    fn what_looks_alike_is_suggested_and_nothing_else() {
        let names = ["heartbeat", "heartbeat-timeout", "retry-max", "buffer"];
        assert_eq!(similar("hartbeat", names), Some("heartbeat"));
        assert_eq!(similar("retry_max", names), Some("retry-max"));
        assert_eq!(similar("zzz", names), None);
    }
}

//! A file with every setting: what has a default stands at it, the rest is an example behind `#`.

use clap::Arg;

use crate::config::{ATTRIBUTES, Key, SOURCES, Scope, of_process};

/// What to write where there is no default, by the form of the value.
const EXAMPLES: [(&str, &str); 25] = [
    ("metrics-public", "true"),
    ("log", "\"info\""),
    ("verbose", "1"),
    ("quiet", "true"),
    ("codecs", "[\"zstd\", \"gzip\"]"),
    ("token-file", "\"/etc/p2/token\""),
    ("retry-limit", "100"),
    ("retry-for", "\"1h\""),
    ("events", "\"/var/log/p2-events.json\""),
    ("stats-interval", "\"1m\""),
    ("require-codec", "true"),
    ("target", "\"host:9000\""),
    ("ssh", "\"me@host\""),
    ("ssh-mode", "\"attach\""),
    ("ssh-arg", "[\"-p2222\"]"),
    ("remote-p2", "\"~/bin/p2\""),
    ("remote-dir", "\"/srv/received\""),
    ("remote-ack", "\"synced\""),
    ("session", "\"web1\""),
    ("listen", "\"127.0.0.1:9000\""),
    ("once", "true"),
    ("dir", "\"/srv/received\""),
    ("format", "\"json\""),
    ("only", "\"app\""),
    ("metrics", "\"127.0.0.1:9420\""),
];

const HEAD: &str = "\
# Settings of P2. `p2 config check FILE` says what is wrong with them, `p2 config show --origin` what
# holds and why. A flag goes before an environment variable (P2_ and the key's name, - as _), that
# before this file, that before the default.
# Times need a unit (\"500ms\", \"15s\", \"2m\"), sizes (\"64MiB\") and rates (\"2MiB/s\") too.
# What stands here without a # in front is the default.

# ---- For every session and receiver: what `p2 run` takes as flags.
";

const SEND: &str = "
# ---- A session: `p2 send` as a table. As many as you like.
# What stands above can stand here, too, except what concerns the whole process.
#[[send]]
";

const STREAM: &str = "\
# Its streams: each has one source (gen, stdin = true, file, tail, exec, tcp, unix), and may have the
# number that people see, a class, a codec, a level, a rate and a policy.
#[[send.stream]]
#name = \"app\"
#tail = \"/var/log/app.log\"
#id = 7
#prio = \"high\"
#codec = \"gzip\"
#level = 6
#limit = \"2MiB/s\"
#when-full = \"drop-oldest\"
";

const RECV: &str = "
# ---- A receiver: `p2 recv` as a table. As many as you like; at most one without a `dir`.
#[[recv]]
# How it is called; default: its address
#name = \"collector\"
";

const OTHERS: &str = "
# ---- The other commands have tables as well: [codecs], [demo], [doctor]; [attach] is for the far
# side of `p2 send --ssh`. Their keys are their flags.
";

/// The whole file.
pub(super) fn text() -> String {
    let mut text = HEAD.to_owned();
    let top = Scope::Top.keys();
    top.iter().for_each(|key| describe(key, false, &mut text));
    let own = |key: &&Key| !top.iter().any(|known| known.name == key.name) && !of_process(key.id());
    text.push_str(SEND);
    let in_stream = |key: &&Key| {
        !SOURCES.contains(&key.name.as_str()) && !ATTRIBUTES.contains(&key.name.as_str())
    };
    let send = Scope::Send.keys();
    send.iter().filter(own).filter(in_stream).for_each(|key| describe(key, true, &mut text));
    text.push_str(STREAM);
    text.push_str(RECV);
    let recv = Scope::Recv.keys();
    recv.iter().filter(own).for_each(|key| describe(key, true, &mut text));
    text.push_str(OTHERS);
    text
}

fn describe(key: &Key, hidden: bool, text: &mut String) {
    let help = key.arg.get_help().map(ToString::to_string).unwrap_or_default();
    for line in wrapped(&help) {
        text.push_str(&format!("# {line}\n"));
    }
    let hash = if hidden { "#" } else { "" };
    match default_of(&key.arg) {
        Some(value) => text.push_str(&format!("{hash}{} = {value}\n", key.name)),
        None => text.push_str(&format!("#{} = {}\n", key.name, example(&key.name))),
    }
}

/// The default as TOML.
fn default_of(arg: &Arg) -> Option<String> {
    let value = arg.get_default_values().first()?.to_str()?.to_owned();
    if value == "false" {
        return None;
    }
    let number = value.parse::<u64>().is_ok();
    Some(if number { value } else { format!("\"{value}\"") })
}

fn example(name: &str) -> &'static str {
    let found = EXAMPLES.iter().find(|(known, _)| *known == name);
    found.map_or("\"\"", |(_, example)| example)
}

/// Lines of a comment.
fn wrapped(help: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in help.split_whitespace() {
        let last = lines.last_mut();
        match last {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.len() + word.len() < 96 => line.push_str(&format!(" {word}")),
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::args::Command;
    use crate::config::{File, Given, choose, words};
    use crate::settings::{ConnectionSettings, LogSettings, OutputSettings, RetrySettings};

    fn file(text: &str) -> File {
        File::parse(Path::new("p2.toml"), text).expect("valid")
    }

    #[test]
    fn it_is_valid_and_equals_the_defaults() {
        let file = file(&text());
        let chosen = choose(&Scope::Top, Some(&file), None, &Given::default());
        assert!(chosen.len() > 8, "the defaults stand in it");
        let line = words(&Scope::Top, &chosen);
        let ours = crate::args::Cli::read_alone(line).expect("valid values");
        let defaults =
            crate::args::Cli::read_alone(vec!["p2".into(), "run".into()]).expect("valid");
        let logs = [&ours, &defaults].map(|cli| LogSettings::from_args(&cli.log));
        assert_eq!(logs[0], logs[1]);
        let all = [ours, defaults].map(|cli| {
            let Command::Run(run) = cli.command else { panic!("not run") };
            let output = OutputSettings::from_args(run.output, &cli.log);
            let connection = ConnectionSettings::from_args(run.connection).expect("valid");
            let retry = RetrySettings::from_args(run.retry).expect("valid");
            format!("{output:?} {connection:?} {retry:?}")
        });
        assert_eq!(all[0], all[1]);
    }

    #[test]
    fn every_setting_stands_in_it_once_and_each_example_is_valid() {
        let all = text();
        let lines: Vec<&str> = all.lines().collect();
        let mut seen = 0;
        for scope in [Scope::Top, Scope::Send, Scope::Recv] {
            let head = match scope {
                Scope::Top => "",
                Scope::Send => "[[send]]\n",
                _ => "[[recv]]\n",
            };
            let keys = scope.keys();
            for key in keys.iter().filter(|key| !SOURCES.contains(&key.name.as_str())) {
                let begin = [format!("{} = ", key.name), format!("#{} = ", key.name)];
                let stands: Vec<&&str> =
                    lines.iter().filter(|line| begin.iter().any(|b| line.starts_with(b))).collect();
                assert_eq!(stands.len(), 1, "{}: {stands:?}", key.name);
                if ATTRIBUTES.contains(&key.name.as_str()) {
                    continue;
                }
                let one = file(&format!("{head}{}\n", stands[0].trim_start_matches('#')));
                let section = one.sections(&scope).into_iter().next();
                let chosen = choose(&scope, Some(&one), section, &Given::default());
                let line = words(&scope, &chosen);
                assert!(crate::args::Cli::read_alone(line).is_ok(), "{}", stands[0]);
                seen += 1;
            }
        }
        assert!(seen > 40, "{seen}");
    }

    #[test]
    fn the_examples_of_a_session_are_one() {
        let all = text();
        let from = all.find("#[[send.stream]]").expect("there");
        let to = all.find("\n# ---- A receiver").expect("there");
        let stream = all[from..to].replace('#', "");
        assert_eq!(file(&format!("[[send]]\n{stream}")).sections(&Scope::Send).len(), 1);
    }
}

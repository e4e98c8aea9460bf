//! Which of flag, environment, file and default holds, setting by setting.

use std::ffi::{OsStr, OsString};

use clap::ArgMatches;
use clap::parser::ValueSource;

use super::file::{File, Section};
use super::keys::{Key, Scope, definition, of_process};
use super::problem::{Place, Problem};
use super::stream::{ATTRIBUTES, SOURCES, spelled};
use super::toml::{Scalar, Table, Value};

/// Where a value came from. The earlier one holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Origin {
    /// The command line.
    Flag,
    /// This variable.
    Environment(String),
    /// The file, in the section itself.
    Section(Place),
    /// The file, at its top.
    Top(Place),
}

/// One value and where it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// As it would be written behind a flag.
    pub(crate) text: OsString,
    /// Where it came from.
    pub(crate) origin: Origin,
    /// Its place among those of the same origin.
    at: (usize, usize),
}

/// A setting that somebody chose.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    /// The setting.
    pub(crate) key: Key,
    /// Its values; several only for lists.
    pub(crate) items: Vec<Item>,
}

/// What the command line and the environment say, of one command.
#[derive(Debug, Clone, Default)]
pub(crate) struct Given(Vec<(String, Vec<Item>)>);

impl Given {
    /// Reads it off the command's matches.
    pub(crate) fn of(command: &clap::Command, matches: &ArgMatches) -> Self {
        let mut given = Vec::new();
        for arg in command.get_arguments() {
            let id = arg.get_id().as_str();
            if !matches.ids().any(|known| known.as_str() == id) {
                continue;
            }
            let origin = match matches.value_source(id) {
                Some(ValueSource::CommandLine) => Origin::Flag,
                Some(ValueSource::EnvVariable) => {
                    let name = arg.get_env().unwrap_or_default().to_string_lossy();
                    Origin::Environment(name.into_owned())
                }
                _ => continue,
            };
            let texts: Vec<OsString> = match arg.get_action() {
                clap::ArgAction::SetTrue => vec![matches.get_flag(id).to_string().into()],
                clap::ArgAction::Count => vec![matches.get_count(id).to_string().into()],
                _ => matches.get_raw(id).into_iter().flatten().map(OsStr::to_owned).collect(),
            };
            let places = matches.indices_of(id).into_iter().flatten().chain(std::iter::repeat(0));
            let items = texts.into_iter().zip(places);
            let item = |(text, at)| Item { text, origin: origin.clone(), at: (at, 0) };
            // The address of `p2 recv` has a flag as well.
            let id = if id == "address" { "listen" } else { id };
            if !given.iter().any(|(known, _)| known == id) {
                given.push((id.to_owned(), items.map(item).collect::<Vec<Item>>()));
            }
        }
        Self(given)
    }

    fn get(&self, id: &str) -> Option<&[Item]> {
        self.0.iter().find(|(known, _)| known == id).map(|(_, items)| items.as_slice())
    }

    fn has_sources(&self) -> bool {
        self.0.iter().any(|(id, _)| SOURCES.contains(&id.as_str()))
    }
}

/// Chooses every setting of a command: that of a section, or of the process if there is none.
pub(crate) fn choose(
    scope: &Scope,
    file: Option<&File>,
    section: Option<Section<'_>>,
    given: &Given,
) -> Vec<Chosen> {
    let top = file.map(File::top);
    let table = section.map(|section| section.table);
    let streams = table.filter(|_| !given.has_sources()).map(spelled).unwrap_or_default();
    let mut all = Vec::new();
    for key in scope.settings() {
        let from_top = || in_table(&key, top.filter(|_| holds_at_top(scope, &key)), true);
        let from_section = || {
            let source = SOURCES.contains(&key.name.as_str());
            let table = table.filter(|_| *scope != Scope::Top && !(source && given.has_sources()));
            let mut items = in_table(&key, table, false);
            let own = streams.iter().filter(|spelled| spelled.key == key.name);
            items.extend(own.map(|one| Item {
                text: one.text.clone().into(),
                origin: Origin::Section(one.place),
                at: order(one.place),
            }));
            items
        };
        let given = given.get(key.id());
        let items = if ATTRIBUTES.contains(&key.name.as_str()) && *scope == Scope::Send {
            // By the stream's name: of two values for one name the later one holds.
            let mut items = from_section();
            items.extend(given.unwrap_or_default().iter().cloned());
            items
        } else if let Some(given) = given {
            given.to_vec()
        } else {
            let items = from_section();
            if items.is_empty() { from_top() } else { items }
        };
        if !items.is_empty() {
            all.push(Chosen { key, items });
        }
    }
    without_conflicts(scope, all)
}

/// What `p2 run` takes may stand at the top; so may what is one process's in any command.
fn holds_at_top(scope: &Scope, key: &Key) -> bool {
    if *scope == Scope::Attach && key.name == "token-file" {
        // It is for those who come by a port.
        return false;
    }
    of_process(key.id()) || *scope == Scope::Top || {
        let top = Scope::Top.keys();
        top.iter().any(|known| known.name == key.name)
    }
}

fn in_table(key: &Key, table: Option<&Table>, top: bool) -> Vec<Item> {
    let Some(entry) = table.and_then(|table| table.get(&key.name)) else { return Vec::new() };
    let item = |one: &Scalar| Item {
        text: one.text.clone().into(),
        origin: if top { Origin::Top(one.place) } else { Origin::Section(one.place) },
        at: order(one.place),
    };
    match &entry.value {
        Value::One(one) => vec![item(one)],
        Value::Many(list) => list.iter().map(item).collect(),
        Value::Table(_) | Value::Tables(_) => Vec::new(),
    }
}

fn order(place: Place) -> (usize, usize) {
    (place.line as usize, place.column as usize)
}

/// A setting that excludes another one overrules it, if its origin does.
fn without_conflicts(scope: &Scope, all: Vec<Chosen>) -> Vec<Chosen> {
    let Some(command) = definition().find_subcommand(scope.command()) else { return all };
    let on =
        |one: &Chosen| !one.key.is_switch() || one.items.iter().all(|item| item.text == "true");
    let rank = |one: &Chosen| one.items.iter().map(|item| item.origin.rank()).min();
    let excludes = |a: &Chosen, b: &Chosen| {
        command.get_arg_conflicts_with(&a.key.arg).iter().any(|arg| arg.get_id() == b.key.id())
    };
    let kept = all.iter().map(|one| {
        !all.iter().any(|other| {
            on(one)
                && on(other)
                && (excludes(one, other) || excludes(other, one))
                && rank(other) < rank(one)
        })
    });
    let kept: Vec<bool> = kept.collect();
    all.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(one, _)| one).collect()
}

/// The command line that says the same without environment and file.
pub(crate) fn words(scope: &Scope, chosen: &[Chosen]) -> Vec<OsString> {
    let mut flags: Vec<(u8, (usize, usize), OsString)> = Vec::new();
    let mut values = Vec::new();
    for one in chosen {
        for item in &one.items {
            let mut flag = OsString::from(format!("--{}", one.key.name));
            let truth = item.text == "true";
            if one.key.arg.get_long().is_none() {
                values.push(item.text.clone());
                continue;
            } else if one.key.is_switch() {
                if !truth {
                    continue;
                }
            } else if one.key.is_count() {
                let times = item.text.to_str().and_then(|text| text.parse().ok()).unwrap_or(0_u8);
                let rank = item.origin.rank();
                flags.extend((0..times).map(|_| (rank, item.at, flag.clone())));
                continue;
            } else if !item.text.is_empty() || one.key.name != "stdin" {
                flag.push("=");
                flag.push(&item.text);
            }
            // Of attributes the later one holds: flags come last.
            flags.push((item.origin.rank(), item.at, flag));
        }
    }
    flags.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let mut line: Vec<OsString> = vec!["p2".into(), scope.command().into()];
    line.extend(flags.into_iter().map(|(_, _, flag)| flag));
    if *scope == Scope::Attach {
        line.push("--attach".into());
    }
    if !values.is_empty() {
        line.push("--".into());
        line.extend(values);
    }
    line
}

/// Says where the value is that clap has refused.
pub(crate) fn blame(error: &clap::Error, chosen: &[Chosen], section: Place) -> Problem {
    use clap::error::{ContextKind, ContextValue};
    let text = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.as_str()),
        Some(ContextValue::Strings(texts)) => texts.first().map(String::as_str),
        _ => None,
    };
    let flag = text(ContextKind::InvalidArg).unwrap_or_default();
    let name = flag.trim_start_matches("--").split([' ', '=', '[', '.']).next().unwrap_or_default();
    let named = |one: &&Chosen| {
        one.key.name == name || format!("[{}]", one.key.name) == flag.to_lowercase()
    };
    let one = chosen.iter().find(named);
    let value = text(ContextKind::InvalidValue);
    let item = one.and_then(|one| {
        let same = one.items.iter().find(|item| Some(&*item.text.to_string_lossy()) == value);
        same.or(one.items.first())
    });
    let place = item.and_then(|item| item.origin.place()).unwrap_or(section);
    let reason = std::error::Error::source(error).map(ToString::to_string);
    let what = match (reason, one) {
        (Some(reason), Some(one)) => format!("{}: {reason}", one.key.name),
        _ => {
            let said = error.to_string();
            let said = said.lines().next().unwrap_or_default();
            said.trim_start_matches("error: ").to_owned()
        }
    };
    Problem::at(place, what)
}

/// Says where the setting is that a check of all settings together has refused: the first flag it
/// names.
pub(crate) fn place_of(said: &str, chosen: &[Chosen], section: Place) -> Place {
    let flags = said.split(|c: char| !(c.is_alphanumeric() || c == '-'));
    let named = flags.filter_map(|word| word.strip_prefix("--"));
    let mut places = named.filter_map(|name| {
        let one = chosen.iter().find(|one| one.key.name == name)?;
        one.items.iter().find_map(|item| item.origin.place())
    });
    places.next().unwrap_or(section)
}

impl Origin {
    /// Lower overrules higher.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Flag => 0,
            Self::Environment(_) => 1,
            Self::Section(_) => 2,
            Self::Top(_) => 3,
        }
    }

    /// The place in the file, if it is from there.
    pub(crate) fn place(&self) -> Option<Place> {
        match self {
            Self::Section(place) | Self::Top(place) => Some(*place),
            Self::Flag | Self::Environment(_) => None,
        }
    }
}

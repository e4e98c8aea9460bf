//! A configuration file: its keys are known, its values have the right shape.

use std::path::{Path, PathBuf};

use super::keys::{Key, Scope, command_tables, similar};
use super::problem::{Place, Problem};
use super::stream;
use super::toml::{Entry, Table, Value};
use crate::error::UserError;
use crate::exit::Exit;
use crate::sink::escape_text;

/// Nobody writes a larger one; a device or a pipe would never end.
const MAX_SIZE: u64 = 1 << 20;

/// A file that was read and whose keys are known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct File {
    /// As it was named.
    pub(crate) path: PathBuf,
    table: Table,
}

/// A session or a receiver of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Section<'a> {
    /// Where its head is.
    pub(crate) place: Place,
    /// What stands in it.
    pub(crate) table: &'a Table,
}

impl File {
    /// Reads a file.
    ///
    /// # Errors
    /// Everything that is wrong with it, or why it cannot be read.
    pub(crate) fn read(path: &Path) -> Result<Self, Vec<UserError>> {
        let text = text_of(path).map_err(|error| {
            let path = escape_text(&path.display().to_string());
            vec![UserError::new(Exit::Usage, format!("cannot read {path}: {error}"))]
        })?;
        Self::parse(path, &text)
            .map_err(|problems| problems.into_iter().map(|problem| problem.in_file(path)).collect())
    }

    /// Reads its text.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, Vec<Problem>> {
        let table = Table::parse(text).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let tables = command_tables();
        let keys = Scope::Top.keys();
        for entry in &table.entries {
            let sections = |scope: &Scope, problems: &mut Vec<Problem>| match &entry.value {
                Value::Tables(sections) => {
                    sections.iter().for_each(|(_, table)| check(table, scope, problems));
                }
                _ => problems.push(Problem::at(
                    entry.place,
                    format!("`{0}` is a list of tables: write [[{0}]]", entry.key),
                )),
            };
            match entry.key.as_str() {
                "send" => sections(&Scope::Send, &mut problems),
                "recv" => sections(&Scope::Recv, &mut problems),
                name => {
                    let scope = tables.iter().find(|scope| scope.head() == format!("[{name}]"));
                    match (scope, &entry.value) {
                        (Some(scope), Value::Table(table)) => check(table, scope, &mut problems),
                        (Some(scope), _) if !keys.iter().any(|key| key.name == name) => {
                            let what = format!("`{name}` is a table: write {}", scope.head());
                            problems.push(Problem::at(entry.place, what));
                        }
                        _ => check_entry(entry, &keys, &Scope::Top, &mut problems),
                    }
                }
            }
        }
        match problems.is_empty() {
            true => Ok(Self { path: path.to_owned(), table }),
            false => Err(problems),
        }
    }

    /// What holds for every session and receiver.
    pub(crate) fn top(&self) -> &Table {
        &self.table
    }

    /// The sessions (`[[send]]`) or receivers (`[[recv]]`).
    pub(crate) fn sections(&self, scope: &Scope) -> Vec<Section<'_>> {
        match self.table.get(scope.command()).map(|entry| &entry.value) {
            Some(Value::Tables(sections)) => {
                sections.iter().map(|(place, table)| Section { place: *place, table }).collect()
            }
            _ => Vec::new(),
        }
    }

    /// The table of another command.
    pub(crate) fn table(&self, scope: &Scope) -> Option<Section<'_>> {
        let name = scope.head();
        let entry = self.table.get(name.trim_matches(['[', ']']))?;
        match &entry.value {
            Value::Table(table) => Some(Section { place: entry.place, table }),
            _ => None,
        }
    }
}

fn text_of(path: &Path) -> std::io::Result<String> {
    use std::io::Read;
    let mut text = String::new();
    std::fs::File::open(path)?.take(MAX_SIZE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_SIZE {
        return Err(std::io::Error::other("it is larger than 1 MiB"));
    }
    Ok(text)
}

fn check(table: &Table, scope: &Scope, problems: &mut Vec<Problem>) {
    let keys = scope.keys();
    for entry in &table.entries {
        match (scope, entry.key.as_str()) {
            (Scope::Send, "stream") => stream::check(entry, problems),
            (Scope::Recv, "name") => match &entry.value {
                Value::One(_) => {}
                _ => problems.push(Problem::at(entry.place, "`name` takes one value")),
            },
            _ => check_entry(entry, &keys, scope, problems),
        }
    }
}

/// One key: whether it is known, and whether its value has the right shape.
pub(super) fn check_entry(entry: &Entry, keys: &[Key], scope: &Scope, problems: &mut Vec<Problem>) {
    let name = entry.key.as_str();
    let Some(key) = keys.iter().find(|key| key.name == name) else {
        problems.push(unknown(entry, keys, scope));
        return;
    };
    let what = match &entry.value {
        Value::Table(_) | Value::Tables(_) => format!("`{name}` is a value, not a table"),
        Value::Many(_) if !key.is_list() => format!("`{name}` takes one value, not a list"),
        Value::Many(list) if list.is_empty() => {
            format!("`{name}` has no value: write one, or leave it out")
        }
        Value::One(one) if key.is_switch() && one.truth.is_none() => {
            format!("`{name}` is true or false")
        }
        Value::One(one) if key.is_count() && one.text.parse::<u8>().is_err() => {
            format!("`{name}` is a small number, as in {name} = 1")
        }
        _ => return,
    };
    problems.push(Problem::at(entry.place, what));
}

fn unknown(entry: &Entry, keys: &[Key], scope: &Scope) -> Problem {
    let name = entry.key.as_str();
    let problem = Problem::at(entry.place, format!("`{name}` is no setting of {}", scope.head()));
    let elsewhere = |other: &Scope| other.keys().iter().any(|key| key.name == name);
    if *scope != Scope::Top && elsewhere(&Scope::Top) {
        return problem.hint("it is one of the whole process: put it at the top of the file");
    }
    let extra: &[&str] = match scope {
        Scope::Top => &["send", "recv"],
        Scope::Send => &["stream"],
        Scope::Recv => &["name"],
        _ => &[],
    };
    let names = keys.iter().map(|key| key.name.as_str()).chain(extra.iter().copied());
    if let Some(meant) = similar(name, names) {
        return problem.hint(format!("did you mean `{meant}`?"));
    }
    match [Scope::Send, Scope::Recv].iter().find(|other| elsewhere(other)) {
        Some(other) => problem.hint(format!("it belongs into {}", other.head())),
        None => problem.hint("`p2 config init` prints every setting"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let found = File::parse(Path::new("p2.toml"), text).expect_err(text);
        found.into_iter().map(|problem| problem.in_file(Path::new("p2.toml")).render()).collect()
    }

    #[test]
    fn a_file_has_defaults_sections_and_tables_of_commands() {
        let text = "heartbeat = \"2s\"\n[[send]]\nsession = \"a\"\n[[send]]\n[[recv]]\nonce = true\n\
                    [doctor]\nssh = \"h\"\n[attach]\ndir = \"d\"\n";
        let file = File::parse(Path::new("p2.toml"), text).expect("valid");
        assert_eq!(file.sections(&Scope::Send).len(), 2);
        assert_eq!(file.sections(&Scope::Recv)[0].place.to_string(), "5:1");
        assert!(file.table(&Scope::Attach).is_some());
        assert!(file.table(&Scope::Command("doctor".into())).is_some());
        assert!(file.table(&Scope::Command("demo".into())).is_none());
        assert_eq!(file.top().get("heartbeat").expect("there").place, Place::START);
    }

    #[test]
    fn an_unknown_key_is_named_with_its_place_and_what_was_meant() {
        for (text, words) in [
            (
                "hartbeat = \"5s\"",
                &["p2.toml:1:1: ", "`hartbeat` is no", "`heartbeat`?"] as &[&str],
            ),
            ("[[send]]\n  retry_limit = 3", &["p2.toml:2:3: ", "did you mean `retry-limit`?"]),
            ("[[send]]\n[[send.stream]]\nstdin = true\npriority = \"x\"", &["4:1", "`prio`?"]),
            ("[[send]]\nprogress = \"bar\"", &["2:1", "at the top of the file"]),
            ("session-ttl = \"1h\"", &["1:1", "it belongs into [[recv]]"]),
            ("[[sent]]\n", &["1:3", "did you mean `send`?"]),
            ("[[recv]]\nxyzzy = 1", &["2:1", "no setting of [[recv]]", "p2 config init"]),
            ("[recv]\n", &["1:2", "write [[recv]]"]),
            ("[[recv]]\nattach = true", &["2:1"]),
        ] {
            let found = problems(text);
            assert_eq!(found.len(), 1, "{found:?}");
            words.iter().for_each(|word| assert!(found[0].contains(word), "{word}: {found:?}"));
        }
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let found = problems("a = 1\nbuffer = []\n[[recv]]\nonce = \"yes\"\nlisten = [\"h:1\"]\n");
        let places: Vec<_> =
            found.iter().map(|one| one.split(' ').nth(1).expect("a place")).collect();
        assert_eq!(places, ["p2.toml:1:1:", "p2.toml:2:1:", "p2.toml:4:1:", "p2.toml:5:1:"]);
    }
}

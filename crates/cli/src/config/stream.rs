//! `[[send.stream]]`: a source and what its stream is asked to be, in one table.

use super::keys::similar;
use super::problem::{Place, Problem};
use super::toml::{Entry, Scalar, Table, Value};
use crate::settings::source::{check_name, is_name};

/// Where bytes come from; a stream has one of them.
pub(crate) const SOURCES: [&str; 7] = ["gen", "stdin", "file", "tail", "exec", "tcp", "unix"];

/// What a stream is asked to be.
pub(crate) const ATTRIBUTES: [&str; 6] = ["id", "prio", "codec", "level", "limit", "when-full"];

/// A value as it would be written behind a flag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spelled {
    /// The flag without its dashes.
    pub(crate) key: String,
    /// Its value.
    pub(crate) text: String,
    /// Where it is.
    pub(crate) place: Place,
}

/// Checks all streams of a session.
pub(super) fn check(entry: &Entry, problems: &mut Vec<Problem>) {
    let Value::Tables(streams) = &entry.value else {
        let what = "`stream` is a list of tables: write [[send.stream]]";
        problems.push(Problem::at(entry.place, what));
        return;
    };
    streams.iter().for_each(|(place, table)| check_stream(*place, table, problems));
}

fn check_stream(place: Place, table: &Table, problems: &mut Vec<Problem>) {
    let mut sources = 0;
    for entry in &table.entries {
        let name = entry.key.as_str();
        sources += u32::from(SOURCES.contains(&name));
        match (name, &entry.value) {
            ("name", Value::One(name)) => problems.extend(check_stream_name(name)),
            // `stdin = true` needs no name of its own.
            ("stdin", Value::One(one)) if one.truth == Some(true) => {}
            ("stdin", _) => problems.push(Problem::at(entry.place, "write stdin = true")),
            (name, Value::One(_)) if known(name) => {}
            (name, _) if known(name) => {
                problems.push(Problem::at(entry.place, format!("`{name}` takes one value")));
            }
            _ => {
                let known = ["name"].into_iter().chain(SOURCES).chain(ATTRIBUTES);
                let what = format!("`{name}` is no setting of [[send.stream]]");
                let problem = Problem::at(entry.place, what);
                problems.push(match similar(name, known) {
                    Some(meant) => problem.hint(format!("did you mean `{meant}`?")),
                    None => problem.hint(
                        "there are name, gen, stdin, file, tail, exec, tcp, unix, \
                                          id, prio, codec, level, limit, when-full",
                    ),
                });
            }
        }
    }
    if sources != 1 {
        let what = match sources {
            0 => "this stream has no source",
            _ => "this stream has more than one source",
        };
        let hint = "give one of gen, stdin, file, tail, exec, tcp, unix";
        problems.push(Problem::at(place, what).hint(hint));
    }
    let attribute = table.entries.iter().find(|entry| ATTRIBUTES.contains(&entry.key.as_str()));
    if let (None, Some(attribute)) = (table.get("name"), attribute) {
        let what = format!("`{}` needs the stream's `name`", attribute.key);
        problems.push(Problem::at(attribute.place, what));
    }
}

fn known(name: &str) -> bool {
    name == "name" || SOURCES.contains(&name) || ATTRIBUTES.contains(&name)
}

fn check_stream_name(name: &Scalar) -> Option<Problem> {
    let fits = !name.text.is_empty() && is_name(&name.text) && check_name(&name.text).is_ok();
    (!fits).then(|| {
        let what = format!("`{}` is no name of a stream", name.text);
        Problem::at(name.place, what).hint("1 to 255 bytes of letters, digits and . _ - : @ +")
    })
}

/// The streams of a session as flags would say them.
pub(crate) fn spelled(session: &Table) -> Vec<Spelled> {
    let Some(Value::Tables(streams)) = session.get("stream").map(|entry| &entry.value) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    for (_, table) in streams {
        let name = match table.get("name").map(|entry| &entry.value) {
            Some(Value::One(name)) => name.text.as_str(),
            _ => "",
        };
        for Entry { key, value, .. } in &table.entries {
            let Value::One(one) = value else { continue };
            let text = match key.as_str() {
                "name" => continue,
                "stdin" => name.to_owned(),
                // Without a name in front, what stands before a `=` could be taken for one.
                _ => format!("{name}={}", one.text),
            };
            all.push(Spelled { key: key.clone(), text, place: one.place });
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> (Table, Vec<String>) {
        let table = Table::parse(text).expect("TOML");
        let mut problems = Vec::new();
        if let Some(entry) = table.get("stream") {
            check(entry, &mut problems);
        }
        let told = |one: Problem| format!("{} {}", one.place.expect("a place"), one.what);
        (table, problems.into_iter().map(told).collect())
    }

    #[test]
    fn a_stream_is_spelled_as_flags_would_say_it() {
        let (table, problems) = read(
            "[[stream]]\nname = \"app\"\ntail = \"/a=b.log\"\nid = 7\nprio = \"high\"\n\
             [[stream]]\nexec = \"LANG=C date\"\n[[stream]]\nname = \"in\"\nstdin = true\n",
        );
        assert_eq!(problems, [""; 0]);
        let said: Vec<_> =
            spelled(&table).into_iter().map(|one| format!("--{}={}", one.key, one.text)).collect();
        let expected = [
            "--tail=app=/a=b.log",
            "--id=app=7",
            "--prio=app=high",
            "--exec==LANG=C date",
            "--stdin=in",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_stream_has_one_source_a_name_that_is_one_and_known_keys() {
        for (text, expected) in [
            ("[[stream]]\nname = \"a\"\n", "1:1 this stream has no source"),
            (
                "[[stream]]\nfile = \"a\"\ntail = \"b\"\n",
                "1:1 this stream has more than one source",
            ),
            ("[[stream]]\nname = \"a=b\"\nfile = \"x\"\n", "2:8 `a=b` is no name of a stream"),
            ("[[stream]]\nfile = \"x\"\nprio = \"high\"\n", "3:1 `prio` needs the stream's `name`"),
            ("[[stream]]\nfile = [\"x\"]\n", "2:1 `file` takes one value"),
            ("[[stream]]\nfile = \"x\"\nfoo = 1\n", "3:1 `foo` is no setting of [[send.stream]]"),
            ("[[stream]]\nstdin = \"x\"\n", "2:1 write stdin = true"),
        ] {
            assert_eq!(read(text).1, [expected], "{text}");
        }
    }
}

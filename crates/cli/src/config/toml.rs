//! TOML as keys and texts with their places, in the order of the file.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problem};

/// A table.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    /// In the order of the file.
    pub(crate) entries: Vec<Entry>,
}

/// A key and its value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Where the key is.
    pub(crate) place: Place,
    /// Its value.
    pub(crate) value: Value,
}

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Value {
    /// One text, number or truth.
    One(Scalar),
    /// A list of them.
    Many(Vec<Scalar>),
    /// A table.
    Table(Table),
    /// A list of tables with their places.
    Tables(Vec<(Place, Table)>),
}

/// A value without parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scalar {
    /// As it would be written behind a flag.
    pub(crate) text: String,
    /// `Some` for `true` and `false`.
    pub(crate) truth: Option<bool>,
    /// Where it is.
    pub(crate) place: Place,
}

impl Table {
    /// Reads a document.
    ///
    /// # Errors
    /// Why it is no TOML.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let root = DeTable::parse(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            Problem::at(Place::of(text, start), error.message().replace('\n', ", "))
        })?;
        table(text, root.get_ref())
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

fn table(text: &str, from: &DeTable<'_>) -> Result<Table, Problem> {
    let mut entries = Vec::with_capacity(from.len());
    for (key, item) in from {
        let place = Place::of(text, key.span().start);
        entries.push(Entry { key: key.get_ref().to_string(), place, value: value(text, item)? });
    }
    entries.sort_by_key(|entry| entry.place);
    Ok(Table { entries })
}

fn value(text: &str, from: &Spanned<DeValue<'_>>) -> Result<Value, Problem> {
    let place = Place::of(text, from.span().start);
    let items = match from.get_ref() {
        DeValue::Table(inner) => return Ok(Value::Table(table(text, inner)?)),
        DeValue::Array(items) => items,
        _ => return Ok(Value::One(scalar(text, from)?)),
    };
    if !items.iter().any(|item| item.get_ref().is_table()) {
        let scalars: Result<_, _> = items.iter().map(|item| scalar(text, item)).collect();
        return Ok(Value::Many(scalars?));
    }
    let mut tables = Vec::with_capacity(items.len());
    for item in items {
        let DeValue::Table(inner) = item.get_ref() else {
            return Err(Problem::at(place, "a list of tables has tables only"));
        };
        tables.push((Place::of(text, item.span().start), table(text, inner)?));
    }
    Ok(Value::Tables(tables))
}

fn scalar(text: &str, from: &Spanned<DeValue<'_>>) -> Result<Scalar, Problem> {
    let place = Place::of(text, from.span().start);
    let (written, truth) = match from.get_ref() {
        DeValue::String(text) => (text.to_string(), None),
        DeValue::Integer(number) => (number.to_string(), None),
        DeValue::Float(number) => (number.to_string(), None),
        DeValue::Boolean(truth) => (truth.to_string(), Some(*truth)),
        other => {
            let kind = other.type_str();
            return Err(Problem::at(place, format!("a {kind} has no place here"))
                .hint("write a text, a number, true or false"));
        }
    };
    Ok(Scalar { text: written, truth, place })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_keep_their_order_and_everything_has_its_place() {
        let text =
            "z = 5\na = [\"x\", 1.5]\n[[send]]\nonce = true\n[[send.stream]]\nname = \"n\"\n";
        let table = Table::parse(text).expect("TOML");
        let keys: Vec<_> = table.entries.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["z", "a", "send"]);
        let Value::Many(list) = &table.entries[1].value else { panic!("a list") };
        assert_eq!((list[1].text.as_str(), list[1].place.to_string()), ("1.5", "2:11".to_owned()));
        let Value::Tables(sends) = &table.entries[2].value else { panic!("tables") };
        assert_eq!(sends[0].0.to_string(), "3:1");
        let Value::One(once) = &sends[0].1.entries[0].value else { panic!("one") };
        assert_eq!((once.truth, once.place.to_string()), (Some(true), "4:8".to_owned()));
        assert!(matches!(sends[0].1.entries[1].value, Value::Tables(_)));
    }

    #[test]
    fn what_is_no_toml_has_a_place() {
        for (text, place) in [("a = 1\na = 2\n", "2:1"), ("a = \n", "1:5"), ("[x\n", "1:3")] {
            let problem = Table::parse(text).expect_err(text);
            assert_eq!(problem.place.expect("a place").to_string(), place, "{problem:?}");
        }
        let problem = Table::parse("a = 2026-01-01\n").expect_err("a date");
        assert!(problem.what.contains("datetime"), "{problem:?}");
    }
}

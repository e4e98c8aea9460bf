//! What each stream is asked to be, by its name.

use super::{CodecId, Priority};

/// What to do when a stream's retained bytes reach their bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "kebab-case")]
pub(crate) enum WhenFull {
    /// The source waits: nothing is lost.
    #[default]
    Block,
    /// The oldest bytes not yet taken by the session are dropped, recorded and counted.
    DropOldest,
}

/// The attributes of one stream.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct StreamAttributes {
    /// The number that people see, from 1; `None`: the stream's number in this run.
    pub(crate) id: Option<u32>,
    /// Who goes first when the link is busy.
    pub(crate) priority: Priority,
    /// The codec; `None`: the session's choice.
    pub(crate) codec: Option<CodecId>,
    /// The codec's level; `None`: the codec's default.
    pub(crate) level: Option<i32>,
    /// Most bytes read from the source in a second.
    pub(crate) limit: Option<u64>,
    /// What to do when the bound is reached.
    pub(crate) when_full: WhenFull,
}

/// A value for one stream (`app=7`), for those with a prefix (`load*=7`) or for all (`7`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Assigned<T> {
    /// The name, a prefix followed by `*`, or `None` for all streams.
    pub(crate) name: Option<String>,
    /// The value.
    pub(crate) value: T,
}

impl<T> Assigned<T> {
    /// Splits `[NAME=]VALUE` at the last `=` (no value has one) and reads the value.
    ///
    /// # Errors
    /// Whatever `read` answers for the value.
    pub(crate) fn parse<E>(
        input: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Self, E> {
        match input.rsplit_once('=') {
            Some((name, value)) => {
                Ok(Self { name: Some(name.to_owned()), value: read(value.trim())? })
            }
            None => Ok(Self { name: None, value: read(input.trim())? }),
        }
    }
}

/// The attributes of all streams: an exact name first, then the longest prefix, then the default.
/// Of two values for the same name the later one holds.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct AttributeTable {
    /// `--id`.
    pub(crate) id: Vec<Assigned<u32>>,
    /// `--prio`.
    pub(crate) priority: Vec<Assigned<Priority>>,
    /// `--codec`.
    pub(crate) codec: Vec<Assigned<CodecId>>,
    /// `--level`.
    pub(crate) level: Vec<Assigned<i32>>,
    /// `--limit`, bytes a second.
    pub(crate) limit: Vec<Assigned<u64>>,
    /// `--when-full`.
    pub(crate) when_full: Vec<Assigned<WhenFull>>,
}

impl AttributeTable {
    /// The attributes of the stream called `name`.
    #[must_use]
    pub(crate) fn for_name(&self, name: &str) -> StreamAttributes {
        StreamAttributes {
            id: find(&self.id, name),
            priority: find(&self.priority, name).unwrap_or_default(),
            codec: find(&self.codec, name),
            level: find(&self.level, name),
            limit: find(&self.limit, name),
            when_full: find(&self.when_full, name).unwrap_or_default(),
        }
    }

    /// Every exact name that was given attributes, with the flag that names it.
    #[must_use]
    pub(crate) fn exact_names(&self) -> Vec<(&'static str, &str)> {
        fn names<T>(list: &[Assigned<T>]) -> impl Iterator<Item = &str> {
            list.iter().filter_map(|a| a.name.as_deref()).filter(|name| !name.ends_with('*'))
        }
        let mut all: Vec<(&'static str, &str)> = Vec::new();
        all.extend(names(&self.id).map(|name| ("--id", name)));
        all.extend(names(&self.priority).map(|name| ("--prio", name)));
        all.extend(names(&self.codec).map(|name| ("--codec", name)));
        all.extend(names(&self.level).map(|name| ("--level", name)));
        all.extend(names(&self.limit).map(|name| ("--limit", name)));
        all.extend(names(&self.when_full).map(|name| ("--when-full", name)));
        all
    }
}

fn find<T: Clone>(list: &[Assigned<T>], name: &str) -> Option<T> {
    // `max_by_key` keeps the last of equals, so that a later value holds.
    list.iter()
        .filter_map(|assigned| rank(assigned.name.as_deref(), name).map(|rank| (rank, assigned)))
        .max_by_key(|(rank, _)| *rank)
        .map(|(_, assigned)| assigned.value.clone())
}

/// How well a pattern fits: exact, then by the length of the prefix, then the default.
fn rank(pattern: Option<&str>, name: &str) -> Option<usize> {
    match pattern {
        None => Some(0),
        Some(exact) if exact == name => Some(usize::MAX),
        Some(pattern) => {
            let prefix = pattern.strip_suffix('*')?;
            name.starts_with(prefix).then_some(prefix.len() + 1)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> Assigned<u32> {
        Assigned::parse(text, str::parse).expect(text)
    }

    #[test]
    fn a_value_is_for_one_stream_or_for_all() {
        assert_eq!(id("7"), Assigned { name: None, value: 7 });
        assert_eq!(id("app=7"), Assigned { name: Some("app".into()), value: 7 });
        assert_eq!(id("a=b=7").name.as_deref(), Some("a=b"));
        assert!(Assigned::parse("app=x", str::parse::<u32>).is_err());
        assert!(Assigned::parse("app=", str::parse::<u32>).is_err());
    }

    #[test]
    fn the_closest_name_holds_and_of_equals_the_later() {
        let ids = ["1", "load*=2", "load1*=3", "load12=4", "load12=5"];
        let table = AttributeTable {
            id: ids.iter().map(|text| id(text)).collect(),
            ..AttributeTable::default()
        };
        for (name, expected) in [("app", 1), ("load2", 2), ("load1", 3), ("load12", 5), ("", 1)] {
            assert_eq!(table.for_name(name).id, Some(expected), "{name}");
        }
    }

    #[test]
    fn without_any_value_a_stream_has_the_defaults() {
        assert_eq!(AttributeTable::default().for_name("app"), StreamAttributes::default());
        assert_eq!(StreamAttributes::default().when_full, WhenFull::Block);
    }

    #[test]
    fn exact_names_come_with_their_flag() {
        let table = AttributeTable {
            id: vec![id("app=1"), id("2"), id("x*=3")],
            limit: vec![Assigned { name: Some("web".into()), value: 5 }],
            ..AttributeTable::default()
        };
        assert_eq!(table.exact_names(), [("--id", "app"), ("--limit", "web")]);
    }
}

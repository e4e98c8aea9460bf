//! What is wrong with a file, and where.

use std::fmt;
use std::path::Path;

use crate::error::UserError;
use crate::sink::escape_text;

/// A place in a text, both from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The line.
    pub(crate) line: u32,
    /// The character in the line.
    pub(crate) column: u32,
}

impl Place {
    /// The first character.
    pub(crate) const START: Self = Self { line: 1, column: 1 };

    /// Where the byte at `offset` is.
    pub(crate) fn of(text: &str, offset: usize) -> Self {
        let mut end = offset.min(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let before = text.get(..end).unwrap_or_default();
        let line = before.matches('\n').count();
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(start..).unwrap_or_default().chars().count();
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX).saturating_add(1);
        Self { line: number(line), column: number(column) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// Where; none if it is about the whole file.
    pub(crate) place: Option<Place>,
    /// What, in one sentence without a full stop.
    pub(crate) what: String,
    /// What to do next.
    pub(crate) hints: Vec<String>,
}

impl Problem {
    /// A problem at a place.
    pub(crate) fn at(place: Place, what: impl Into<String>) -> Self {
        Self { place: Some(place), what: what.into(), hints: Vec::new() }
    }

    /// What to do next.
    #[must_use]
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// The same for whoever started the program. The file's text is shown escaped.
    pub(crate) fn in_file(self, path: &Path) -> UserError {
        let file = escape_text(&path.display().to_string());
        let what = escape_text(&self.what);
        let error = UserError::usage(match self.place {
            Some(place) => format!("{file}:{place}: {what}"),
            None => format!("{file}: {what}"),
        });
        self.hints.into_iter().fold(error, |error, hint| error.hint(escape_text(&hint)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_characters_are_counted_from_one() {
        let text = "a\nbü=1\n\nx";
        for (offset, line, column) in
            [(0, 1, 1), (1, 1, 2), (2, 2, 1), (3, 2, 2), (5, 2, 3), (9, 4, 1), (99, 4, 2)]
        {
            assert_eq!(Place::of(text, offset), Place { line, column }, "{offset}");
        }
        assert_eq!(Place::of("", 0), Place::START);
    }

    #[test]
    fn a_problem_names_file_line_and_column_and_cannot_act_on_a_terminal() {
        let place = Place { line: 3, column: 7 };
        let error =
            Problem::at(place, "no \u{1b}[2J").hint("write x").in_file(Path::new("p2.toml"));
        assert_eq!(error.render(), "error: p2.toml:3:7: no \\x1b[2J\n  next: write x");
    }
}

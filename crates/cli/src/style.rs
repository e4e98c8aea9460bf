//! The program's own words on stderr: colour only where it is welcome.

use std::io::{IsTerminal, Write};

use crate::logging;

/// Whether words may be coloured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    colour: bool,
}

/// What a word says, and so how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Something failed.
    Error,
    /// Something needs a look.
    Warning,
    /// A hint, a next step.
    Hint,
}

impl Style {
    /// Colour if stderr is a terminal and the environment does not object (`NO_COLOR`, `TERM=dumb`).
    #[must_use]
    pub(crate) fn stderr() -> Self {
        let var = |name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
        Self::choose(
            std::io::stderr().is_terminal(),
            var("NO_COLOR").as_deref(),
            var("TERM").as_deref(),
        )
    }

    /// Never colour.
    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { colour: false }
    }

    /// The word in its tone.
    #[must_use]
    pub(crate) fn paint(self, tone: Tone, text: &str) -> String {
        if !self.colour {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Error => "1;31",
            Tone::Warning => "1;33",
            Tone::Hint => "1;36",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    fn choose(terminal: bool, no_color: Option<&str>, term: Option<&str>) -> Self {
        let unwelcome = no_color.is_some_and(|value| !value.is_empty()) || term == Some("dumb");
        Self { colour: terminal && !unwelcome }
    }
}

/// Writes one line to stderr. A stderr that is gone is no reason to stop.
pub(crate) fn say(line: &str) {
    let mut line = line.to_owned();
    line.push('\n');
    let _ = std::io::stderr().lock().write_all(line.as_bytes());
}

/// Writes one warning line to stderr.
pub(crate) fn warn(text: &str) {
    if logging::is_json() {
        return say(&logging::say_json(tracing::Level::WARN, text));
    }
    say(&format!("{} {text}", Style::stderr().paint(Tone::Warning, "warning:")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_needs_a_terminal_and_no_objection() {
        for (terminal, no_color, term, coloured) in [
            (true, None, Some("xterm"), true),
            (true, Some(""), None, true),
            (true, Some("1"), Some("xterm"), false),
            (true, None, Some("dumb"), false),
            (false, None, Some("xterm"), false),
        ] {
            assert_eq!(Style::choose(terminal, no_color, term).colour, coloured);
        }
    }

    #[test]
    fn plain_words_are_left_as_they_are() {
        assert_eq!(Style::plain().paint(Tone::Error, "error:"), "error:");
        assert_eq!(Style { colour: true }.paint(Tone::Error, "error:"), "\x1b[1;31merror:\x1b[0m");
    }
}

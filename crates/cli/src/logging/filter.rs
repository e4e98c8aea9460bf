//! Filters of the log as text: `warning`, `info,p2_transport=debug`.

use tracing_subscriber::EnvFilter;

use crate::error::UserError;

/// The levels, the most urgent first.
const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];

/// One level more or less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// More is said.
    Louder,
    /// Less is said.
    Quieter,
}

/// Reads a filter.
///
/// # Errors
/// [`UserError`] of exit code 2.
pub(crate) fn parse(text: &str) -> Result<EnvFilter, UserError> {
    let wrong = |why: String| {
        UserError::usage(format!("--log {}: {why}", crate::sink::escape_text(text)))
            .hint("write a level (error, warning, info, debug, trace) or `p2_transport=debug,info`")
    };
    let plain = normal(text);
    // A word that is no level would be a module's name: a filter that lets nothing pass.
    let stray = plain.split(',').map(str::trim).find(|word| {
        let bare = !word.contains(['=', '[', ':']) && !word.starts_with("p2");
        bare && !LEVELS.contains(word) && *word != "off" && !word.is_empty()
    });
    match stray {
        Some(word) => Err(wrong(format!("`{word}` is no level"))),
        None => EnvFilter::try_new(&plain).map_err(|error| wrong(error.to_string())),
    }
}

/// The same with another level for everything that has no level of its own.
pub(super) fn step(text: &str, step: Step) -> String {
    let plain = normal(text);
    let mut words: Vec<String> = plain.split(',').map(|word| word.trim().to_owned()).collect();
    let level = words.iter().position(|word| LEVELS.contains(&word.as_str()) || word == "off");
    let now = level.and_then(|at| LEVELS.iter().position(|known| *known == words[at]));
    let next = match (now, step) {
        (None, Step::Louder) => Some(0),
        (None, Step::Quieter) => None,
        (Some(now), Step::Louder) => Some((now + 1).min(LEVELS.len() - 1)),
        (Some(now), Step::Quieter) => Some(now.saturating_sub(1)),
    };
    let next = next.and_then(|at| LEVELS.get(at)).copied();
    match (level, next) {
        (Some(at), Some(next)) => next.clone_into(&mut words[at]),
        (None, Some(next)) => words.insert(0, next.to_owned()),
        (_, None) => {}
    }
    words.retain(|word| !word.is_empty());
    words.join(",")
}

/// In the words of tracing: levels in lower case, `warn` for `warning`.
fn normal(text: &str) -> String {
    let words = text.split(',').map(|word| {
        let (target, level) = match word.rsplit_once('=') {
            Some((target, level)) => (Some(target), level.trim()),
            None => (None, word.trim()),
        };
        let lower = level.to_ascii_lowercase();
        let level = match lower.as_str() {
            "warning" => "warn",
            known if LEVELS.contains(&known) => known,
            _ => level,
        };
        target.map_or(level.to_owned(), |target| format!("{target}={level}"))
    });
    words.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_their_usual_names() {
        for text in ["debug", "info", "warning", "warn", "ERROR", "off", "p2_mux", ""] {
            assert!(parse(text).is_ok(), "{text}");
        }
        let filter = parse("warning,p2_transport=DEBUG").expect("valid").to_string();
        assert!(filter.contains("p2_transport=debug") && filter.contains("warn"), "{filter}");
        for text in ["loud", "infos", "p2=loud", "info,verbose"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_step_changes_the_level_of_all_and_leaves_the_others() {
        for (text, louder, quieter) in [
            ("warning", "info", "error"),
            ("error", "warn", "error"),
            ("trace", "trace", "debug"),
            ("p2_mux=trace,info", "p2_mux=trace,debug", "p2_mux=trace,warn"),
            ("p2_mux=debug", "error,p2_mux=debug", "p2_mux=debug"),
            ("off", "error", "off"),
        ] {
            assert_eq!(step(text, Step::Louder), louder, "{text}");
            assert_eq!(step(text, Step::Quieter), quieter, "{text}");
        }
    }
}

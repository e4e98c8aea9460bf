//! What a user types: never a panic, one meaning however it is written, and an error that shows which
//! words it is about.

use p2_cli::fuzzing::{PARSERS, command_line};

/// Every so many inputs are whole command lines: they cost a thousand times more.
const LINES: u8 = 64;

/// Input: which parser, then the text; for a whole command line its words, a line each.
pub(crate) fn check(input: &[u8]) {
    run(input);
}

/// As [`check`]; whether the text was understood.
pub(crate) fn run(input: &[u8]) -> bool {
    let Some((which, text)) = input.split_first() else { return false };
    let text = String::from_utf8_lossy(text);
    if which % LINES == LINES - 1 {
        return line(&text);
    }
    let parser = PARSERS[usize::from(*which) % PARSERS.len()];
    match parser(&text) {
        Ok(None) => true,
        Ok(Some(again)) => {
            assert_eq!(parser(&again), Ok(Some(again.clone())), "{text:?}");
            true
        }
        Err(words) => {
            // Quotes in the text itself would be taken for those of the error.
            let quoted = words.split('`').skip(1).step_by(2).map(|part| part.trim_end_matches('…'));
            let mut quoted = quoted.filter(|part| !part.is_empty());
            let named = text.contains('`') || quoted.any(|part| text.contains(part));
            let key = words.split_once(": ").is_some_and(|(key, _)| text.contains(key));
            assert!(
                named || key || words.starts_with("empty") || blank(&text, &words),
                "{text:?}: {words}"
            );
            false
        }
    }
}

/// What is missing cannot be quoted.
fn blank(text: &str, words: &str) -> bool {
    text.trim().is_empty() || words.contains("``") || words.contains("names nothing to read")
}

fn line(text: &str) -> bool {
    let words: Vec<&str> = text.split('\n').take(16).collect();
    // No file is read here but by its name.
    if words.iter().any(|word| word.contains("token")) {
        return false;
    }
    match command_line(&words) {
        Ok(()) => true,
        Err(said) => {
            assert!(!said.trim().is_empty(), "{words:?}");
            false
        }
    }
}

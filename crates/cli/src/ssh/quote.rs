//! Words for the far side's login shell, which every ssh server puts in between.

/// The text as one word of any common shell. A leading `~/` is the far side's home.
pub(crate) fn word(text: &str) -> String {
    match text.strip_prefix("~/") {
        Some(rest) => format!("\"$HOME\"/{}", plain_or_quoted(rest)),
        None => plain_or_quoted(text),
    }
}

fn plain_or_quoted(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./=:@%+,-".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_back_what_was_meant() {
        for text in ["p2", "a b", "it's", "", "$(id)", "`id`", "a\"b", "a\\b", "*", "a;b&c|d", "ä"]
        {
            let script = format!("printf %s {}", word(text));
            let output = std::process::Command::new("sh").args(["-c", &script]).output();
            let output = output.expect("sh runs");
            assert_eq!(String::from_utf8_lossy(&output.stdout), text, "{script}");
        }
    }

    #[test]
    fn a_tilde_is_the_far_sides_home() {
        assert_eq!(word("~/bin/p2"), "\"$HOME\"/bin/p2");
        assert_eq!(word("~/my bin/p2"), "\"$HOME\"/'my bin/p2'");
        assert_eq!(word("/opt/p2"), "/opt/p2");
        assert_eq!(word("~x"), "'~x'");
    }
}

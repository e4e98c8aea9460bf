//! Makes text of a peer harmless on a terminal and in a log: what would act is shown instead.

/// Appends one line of payload for a terminal.
///
/// Printable text and tabs pass. Control characters of C0, C1 and DEL become `\x1b` or `\u{9b}`,
/// bytes that are not UTF-8 become `\xff`, and characters that reorder or hide their neighbours
/// become `\u{202e}`. A carriage return at the very end passes: it is half of a line ending.
pub(crate) fn line(bytes: &[u8], out: &mut Vec<u8>) {
    if bytes.iter().all(|&b| is_plain(b) || b == b'\t') {
        out.extend_from_slice(bytes);
        return;
    }
    let (body, end) = match bytes.split_last() {
        Some((b'\r', body)) => (body, &b"\r"[..]),
        _ => (bytes, &b""[..]),
    };
    let mut shown = String::with_capacity(body.len().saturating_mul(2));
    push(body, true, &mut shown);
    out.extend_from_slice(shown.as_bytes());
    out.extend_from_slice(end);
}

/// A name or a reason of a peer in one line of a log, a prefix or a status line; tabs are shown too.
pub(crate) fn text(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    push(text.as_bytes(), false, &mut shown);
    shown
}

/// True for a character that must not reach a terminal as it is.
pub(crate) fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            // bidirectional marks, embeddings, overrides and isolates
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
            // nothing at all, which would let two names look alike; joiners belong to some scripts
            | '\u{200b}' | '\u{2060}'..='\u{2064}'
            // line and paragraph separators, byte order mark, interlinear and tag characters
            | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}')
}

fn is_plain(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte)
}

fn push(bytes: &[u8], tabs: bool, out: &mut String) {
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\t' if tabs => out.push(c),
                '\t' => out.push_str("\\t"),
                '\n' => out.push_str("\\n"),
                '\r' => out.push_str("\\r"),
                c if !is_active(c) => out.push(c),
                c if c.is_ascii() => out.push_str(&format!("\\x{:02x}", u32::from(c))),
                c => out.push_str(&format!("\\u{{{:x}}}", u32::from(c))),
            }
        }
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02x}"));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    fn shown(bytes: &[u8]) -> String {
        let mut out = Vec::new();
        line(bytes, &mut out);
        String::from_utf8(out).expect("escaped lines are text")
    }

    /// Eighty names that a hostile sender might choose.
    pub(crate) fn hostile_names() -> Vec<String> {
        let mut names: Vec<String> = [
            "",
            ".",
            "..",
            "../x",
            "../../etc/passwd",
            "/",
            "/etc/passwd",
            "//",
            "a/b",
            "a/../b",
            "./x",
            "...",
            ".hidden",
            ".ssh/authorized_keys",
            "-",
            "-rf",
            "--help",
            "~",
            "~root",
            "~2",
            "app~2",
            "app~gaps",
            "%",
            "%00",
            "%2e%2e",
            "%2F",
            "%empty",
            "*",
            "?",
            "[a]",
            "$HOME",
            "`id`",
            "$(id)",
            "a;b",
            "a|b",
            "a&b",
            "a>b",
            "'",
            "\"",
            "\\",
            "..\\x",
            "C:\\x",
            "con",
            "NUL",
            "aux.txt",
            "x:stream",
            " ",
            " x",
            "x ",
            "x.",
            "\t",
            "\n",
            "\r",
            "a\nb",
            "a\r\n[Stream 2] forged",
            "\0",
            "a\0b",
            "\u{1b}[2J",
            "\u{1b}]0;t\u{7}",
            "\u{1b}[31mred",
            "\u{9b}2J",
            "\u{90}q",
            "\u{7f}",
            "\u{8}\u{8}",
            "\u{202e}txt.exe",
            "\u{2066}x\u{2069}",
            "\u{200f}",
            "\u{feff}x",
            "\u{2028}",
            "\u{e0041}",
            "\u{fffd}",
            "é",
            "e\u{301}",
            "日本",
            "🦀",
            "À",
        ]
        .map(String::from)
        .to_vec();
        names.push("x".repeat(255));
        names.push("/".repeat(255));
        names.push("é".repeat(127));
        names.push(format!("{}\u{202e}", "../".repeat(84)));
        names
    }

    #[test]
    fn plain_text_and_tabs_pass_unchanged() {
        assert_eq!(shown(b"GET / 200\tok \\x1b"), "GET / 200\tok \\x1b");
        assert_eq!(shown("grüße 日本 🦀".as_bytes()), "grüße 日本 🦀");
    }

    #[test]
    fn control_characters_are_shown_not_sent() {
        assert_eq!(shown(b"\x1b[2J"), "\\x1b[2J");
        assert_eq!(shown("\u{9b}2J".as_bytes()), "\\u{9b}2J");
        assert_eq!(shown(b"a\0b\x07\x7f"), "a\\x00b\\x07\\x7f");
        assert_eq!(shown(b"over\rwrite"), "over\\rwrite");
    }

    #[test]
    fn a_carriage_return_that_ends_the_line_passes() {
        assert_eq!(shown(b"dos\r"), "dos\r");
    }

    #[test]
    fn bytes_that_are_not_utf8_are_shown_in_hex() {
        assert_eq!(shown(b"a\xff\xfeb\xe2\x82"), "a\\xff\\xfeb\\xe2\\x82");
    }

    #[test]
    fn text_that_reorders_is_shown_by_its_number() {
        assert_eq!(text("\u{202e}txt.exe"), "\\u{202e}txt.exe");
        assert_eq!(text("a\tb\nc"), "a\\tb\\nc");
    }

    #[test]
    fn none_of_eighty_hostile_names_keeps_an_active_character() {
        let names = hostile_names();
        assert_eq!(names.len(), 80);
        for name in names {
            assert!(!text(&name).chars().any(is_active), "{name:?}");
            let mut out = Vec::new();
            line(name.as_bytes(), &mut out);
            let out = String::from_utf8(out).expect("text");
            let body = out.strip_suffix('\r').unwrap_or(&out);
            assert!(!body.chars().any(|c| is_active(c) && c != '\t'), "{name:?}");
        }
    }
}

//! The forms of a line on standard output: `[Stream 7] line`, `[app] line`, a JSON object.

use bytes::Bytes;

use super::{Format, StreamInfo, escape};

/// How one stream's lines are written.
#[derive(Debug, Clone)]
pub(crate) struct LineFormat {
    form: Form,
    terminal: bool,
}

#[derive(Debug, Clone)]
enum Form {
    /// The prefix, then the line.
    Text(Bytes),
    /// An object that starts with these bytes: session, stream and name.
    Json(Bytes),
}

impl LineFormat {
    /// The form of `stream`'s lines. On a terminal, what would act on it is shown escaped.
    ///
    /// Raw on a terminal is text without a prefix; raw elsewhere has no lines and never comes here.
    pub(crate) fn new(format: Format, stream: &StreamInfo, terminal: bool) -> Self {
        let form = match format {
            Format::Prefix => Form::Text(format!("[Stream {}] ", stream.label).into()),
            // The name is the peer's text in this program's words: escaped wherever it goes, so
            // that it cannot forge another stream's prefix on a line of its own.
            Format::Name => Form::Text(format!("[{}] ", escape::text(&stream.name)).into()),
            Format::Raw => Form::Text(Bytes::new()),
            Format::Json => {
                let mut head = b"{\"session\":".to_vec();
                json_string(&stream.session, &mut head);
                head.extend_from_slice(
                    format!(",\"stream\":{},\"name\":", stream.label).as_bytes(),
                );
                json_string(&stream.name, &mut head);
                Form::Json(head.into())
            }
        };
        Self { form, terminal }
    }

    /// What comes before a line's text; empty for JSON.
    pub(crate) fn prefix(&self) -> Bytes {
        match &self.form {
            Form::Text(prefix) => prefix.clone(),
            Form::Json(_) => Bytes::new(),
        }
    }

    /// True when a piece of a line may stand without its end and be continued later.
    pub(crate) fn continues(&self) -> bool {
        matches!(self.form, Form::Text(_))
    }

    /// Appends a piece of text that starts at `offset`: a whole line (`ended`), or a part of one.
    /// `fresh` says that nothing of its line is written yet.
    pub(crate) fn push(
        &self,
        offset: u64,
        text: &[u8],
        ended: bool,
        fresh: bool,
        out: &mut Vec<u8>,
    ) {
        match &self.form {
            Form::Text(prefix) => {
                if fresh {
                    out.extend_from_slice(prefix);
                }
                if self.terminal {
                    escape::line(text, out);
                } else {
                    out.extend_from_slice(text);
                }
                if ended {
                    out.push(b'\n');
                }
            }
            Form::Json(head) => {
                out.extend_from_slice(head);
                out.extend_from_slice(format!(",\"offset\":{offset},").as_bytes());
                match std::str::from_utf8(text) {
                    Ok(text) => {
                        out.extend_from_slice(b"\"data\":");
                        json_string(text, out);
                    }
                    Err(_) => {
                        out.extend_from_slice(b"\"data_base64\":\"");
                        base64(text, out);
                        out.push(b'"');
                    }
                }
                out.extend_from_slice(if ended { b"}\n" } else { b",\"partial\":true}\n" });
            }
        }
    }

    /// Appends a line that says that the source dropped `dropped` bytes before `offset`.
    pub(crate) fn push_gap(&self, offset: u64, dropped: u64, out: &mut Vec<u8>) {
        let line = match &self.form {
            Form::Text(prefix) => {
                out.extend_from_slice(prefix);
                format!("--- {dropped} bytes dropped by the source before offset {offset} ---\n")
            }
            Form::Json(head) => {
                out.extend_from_slice(head);
                format!(",\"offset\":{offset},\"dropped\":{dropped}}}\n")
            }
        };
        out.extend_from_slice(line.as_bytes());
    }
}

/// Appends a JSON string; what would act on a terminal is written as `\uXXXX`, which means the same.
pub(crate) fn json_string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    // Most text is plain ASCII, and looking at bytes is ten times faster than at characters.
    let special = |&b: &u8| !(0x20..0x7f).contains(&b) || b == b'"' || b == b'\\';
    let Some(first) = text.as_bytes().iter().position(special) else {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    };
    let (before, text) = text.split_at(first);
    out.extend_from_slice(before.as_bytes());
    let mut plain = 0;
    for (at, c) in text.char_indices() {
        if !(c == '"' || c == '\\' || escape::is_active(c)) {
            continue;
        }
        out.extend_from_slice(text.as_bytes().get(plain..at).unwrap_or_default());
        plain = at + c.len_utf8();
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.extend_from_slice(format!("\\u{unit:04x}").as_bytes());
                }
            }
        }
    }
    out.extend_from_slice(text.as_bytes().get(plain..).unwrap_or_default());
    out.push(b'"');
}

/// Appends the standard alphabet of RFC 4648 section 4, padded.
fn base64(data: &[u8], out: &mut Vec<u8>) {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.reserve(data.len().div_ceil(3) * 4);
    for group in data.chunks(3) {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..4 {
            out.push(if digit <= group.len() {
                ALPHABET[(bits >> (18 - 6 * digit) & 63) as usize]
            } else {
                b'='
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(name: &str) -> StreamInfo {
        StreamInfo { session: "web1".into(), label: 7, name: name.into(), metadata: Vec::new() }
    }

    fn pushed(format: Format, terminal: bool, name: &str, text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        LineFormat::new(format, &info(name), terminal).push(40, text, true, true, &mut out);
        out
    }

    #[test]
    fn prefix_and_name_into_a_pipe_keep_the_exact_bytes() {
        assert_eq!(pushed(Format::Prefix, false, "app", b"a\x1b\xff"), b"[Stream 7] a\x1b\xff\n");
        assert_eq!(pushed(Format::Name, false, "app", b"x\r"), b"[app] x\r\n");
    }

    #[test]
    fn prefix_and_name_on_a_terminal_are_escaped() {
        assert_eq!(
            pushed(Format::Prefix, true, "app", b"a\x1b[2J\xff"),
            b"[Stream 7] a\\x1b[2J\\xff\n"
        );
    }

    #[test]
    fn a_hostile_name_cannot_forge_a_line_of_another_stream() {
        assert_eq!(pushed(Format::Name, false, "a\n[b", b"x"), b"[a\\n[b] x\n");
    }

    #[test]
    fn json_says_where_each_line_began() {
        assert_eq!(
            String::from_utf8(pushed(Format::Json, false, "a\"p", "x\t\\\u{9b}é🦀".as_bytes())),
            Ok("{\"session\":\"web1\",\"stream\":7,\"name\":\"a\\\"p\",\"offset\":40,\
                \"data\":\"x\\t\\\\\\u009bé🦀\"}\n"
                .to_owned())
        );
    }

    #[test]
    fn json_lines_that_are_not_utf8_are_base64() {
        for (bytes, expected) in [
            (&b"\xff"[..], "/w=="),
            (b"\xff\xfe", "//4="),
            (b"\xff\xfea", "//5h"),
            (b"\xff\xfeab", "//5hYg=="),
        ] {
            let line = pushed(Format::Json, false, "app", bytes);
            let value: serde_json::Value = serde_json::from_slice(&line).expect("one object");
            assert_eq!(value["data_base64"], expected);
            assert_eq!(value.get("data"), None);
        }
    }

    #[test]
    fn every_json_string_reads_back_as_it_was() {
        for name in super::super::escape::tests::hostile_names() {
            let line = pushed(Format::Json, true, &name, name.as_bytes());
            let text = std::str::from_utf8(&line).expect("text");
            assert!(!text.trim_end_matches('\n').chars().any(escape::is_active), "{name:?}");
            let value: serde_json::Value = serde_json::from_str(text).expect("one object");
            assert_eq!(value["name"], name);
            assert_eq!(value["data"], name);
        }
    }

    #[test]
    fn a_gap_is_a_line_of_its_own() {
        let mut out = Vec::new();
        LineFormat::new(Format::Prefix, &info("app"), false).push_gap(9, 512, &mut out);
        LineFormat::new(Format::Json, &info("app"), false).push_gap(9, 512, &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "[Stream 7] --- 512 bytes dropped by the source before offset 9 ---\n\
             {\"session\":\"web1\",\"stream\":7,\"name\":\"app\",\"offset\":9,\"dropped\":512}\n"
        );
    }
}

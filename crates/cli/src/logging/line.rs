//! One event, one line: escaped, bounded, above the status line if there is one.

use std::io::{self, Write};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tracing::{Level, Metadata};
use tracing_subscriber::fmt::MakeWriter;

use super::flood::Places;
use crate::report::{Screen, Verdict};
use crate::sink::{escape::is_active, escape_text, json_string};

/// Where a status line stands, once there is one.
static SCREEN: OnceLock<Screen> = OnceLock::new();

/// Lets the log and a status line share the terminal from now on; the first caller wins.
pub(crate) fn beside(screen: Screen) {
    let _ = SCREEN.set(screen);
}

/// The level of a line for people: what begins with `!` needs a look.
pub(crate) fn level_of(line: &str) -> Level {
    if line.starts_with("! ") || line.contains(": ! ") {
        Level::WARN
    } else if line.starts_with("[Stream 0] ") {
        Level::DEBUG
    } else {
        Level::INFO
    }
}

/// A line for people in the form of the log's other lines.
pub(crate) fn say_json(level: Level, line: &str) -> String {
    let time = jiff::Timestamp::now();
    let mut out = format!("{{\"timestamp\":\"{time:.6}\",\"level\":\"{level}\",\"message\":");
    let mut message = Vec::new();
    json_string(line, &mut message);
    out.push_str(&String::from_utf8_lossy(&message));
    out.push_str(",\"target\":\"p2\"}");
    out
}

/// Says something about the log itself, whatever the level.
pub(super) fn announce(line: &str) {
    let mut out = say(line, super::is_json());
    out.push('\n');
    let _ = stderr().write_all(out.as_bytes());
}

fn say(line: &str, json: bool) -> String {
    if json { say_json(Level::INFO, line) } else { line.to_owned() }
}

fn stderr() -> Box<dyn Write> {
    match SCREEN.get() {
        Some(screen) => Box::new(screen.clone()),
        None => Box::new(io::stderr()),
    }
}

/// Stderr for events.
pub(super) struct Stderr {
    json: bool,
    places: Arc<Places>,
}

impl Stderr {
    /// For lines of text.
    pub(super) fn text() -> Self {
        Self { json: false, places: Arc::default() }
    }

    /// For JSON objects.
    pub(super) fn json() -> Self {
        Self { json: true, places: Arc::default() }
    }
}

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Escaped<Box<dyn Write>>;

    fn make_writer(&'a self) -> Self::Writer {
        Escaped { out: Some(stderr()), json: self.json, left_out: None }
    }

    fn make_writer_for(&'a self, meta: &Metadata<'_>) -> Self::Writer {
        match self.places.judge(meta, Instant::now()) {
            Verdict::Say(left_out) => Escaped { left_out, ..self.make_writer() },
            Verdict::LeaveOut => Escaped { out: None, json: self.json, left_out: None },
        }
    }
}

/// Writes one event a call: what is in it ends up in one line, whatever a peer put there.
pub(super) struct Escaped<W> {
    /// None leaves it out.
    out: Option<W>,
    json: bool,
    /// Events like this one that were left out before it.
    left_out: Option<u64>,
}

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let Some(out) = &mut self.out else { return Ok(event.len()) };
        let text = String::from_utf8_lossy(event);
        let text = text.strip_suffix('\n').unwrap_or(&text);
        let mut lines = String::new();
        if let Some(count) = self.left_out.take() {
            lines += &say(&format!("! {count} events like the next one were left out"), self.json);
            lines.push('\n');
        }
        lines += &if self.json { escape_json(text) } else { escape_text(text) };
        lines.push('\n');
        // A log that cannot be written is no reason to stop, nor to try again.
        let _ = out.write_all(lines.as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.out.as_mut().map(Write::flush);
        Ok(())
    }
}

/// Characters that act, as JSON writes them. They stand in strings only: the rest of an object is
/// made here.
fn escape_json(object: &str) -> String {
    let mut out = String::with_capacity(object.len());
    for c in object.chars() {
        if is_active(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(json: bool, left_out: Option<u64>, event: &str) -> String {
        let mut bytes = Vec::new();
        let mut line = Escaped { out: Some(&mut bytes), json, left_out };
        assert_eq!(line.write(event.as_bytes()).expect("always"), event.len());
        String::from_utf8(bytes).expect("text")
    }

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        let line = written(false, None, "INFO peer said \u{1b}[2Jhi\nERROR forged\n");
        assert_eq!(line, "INFO peer said \\x1b[2Jhi\\nERROR forged\n");
    }

    #[test]
    fn an_object_stays_one_whatever_a_peer_says() {
        let event = serde_json::json!({ "message": "a\u{1b}[2J\u{9b}\u{202e}\n\u{e0001}\"}" });
        let line = written(true, None, &format!("{event}\n"));
        assert!(line.is_ascii() && line.lines().count() == 1, "{line}");
        let read: serde_json::Value = serde_json::from_str(&line).expect("an object");
        assert_eq!(read, event);
    }

    #[test]
    fn what_was_left_out_is_told_before_the_next_one() {
        let said = written(false, Some(7), "WARN x\n");
        assert_eq!(said, "! 7 events like the next one were left out\nWARN x\n");
        for line in written(true, Some(7), "{}\n").lines() {
            assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
        }
    }

    #[test]
    fn lines_for_people_have_a_level_too() {
        let line = say_json(level_of("web1: ! link lost: \"x\""), "! link lost: \"x\"\u{1b}");
        let read: serde_json::Value = serde_json::from_str(&line).expect("an object");
        assert_eq!((&read["level"], &read["target"]), (&"WARN".into(), &"p2".into()));
        assert_eq!(read["message"], "! link lost: \"x\"\u{1b}");
        assert_eq!(level_of("connected"), Level::INFO);
    }
}

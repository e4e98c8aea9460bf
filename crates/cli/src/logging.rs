//! The log on stderr: text or JSON, one line an event, with nothing in it that acts on a terminal.

use std::io::{self, Write};
use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::error::UserError;
use crate::report::Screen;
use crate::settings::{LogFormat, LogSettings};
use crate::sink::escape_text;

/// Starts the log.
///
/// # Errors
/// [`UserError`] of exit code 2 when the filter is not one.
pub(crate) fn start(settings: &LogSettings) -> Result<(), UserError> {
    let filter = EnvFilter::try_new(&settings.filter).map_err(|error| {
        UserError::usage(format!("--log {}: {error}", settings.filter))
            .hint("write a level (error, warn, info, debug, trace) or `p2_transport=debug,info`")
    })?;
    // Colours would have to pass the escaping; without them everything else can be escaped.
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .log_internal_errors(false)
        .with_writer(Stderr);
    let started = match settings.format {
        LogFormat::Text => builder.with_target(true).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    // Someone who embeds the program may have a log already; theirs stays.
    drop(started);
    Ok(())
}

/// Lets the log and a status line share the terminal from now on; the first caller wins.
pub(crate) fn beside(screen: Screen) {
    let _ = SCREEN.set(screen);
}

/// Where a status line stands, once there is one.
static SCREEN: OnceLock<Screen> = OnceLock::new();

/// Stderr, escaped.
struct Stderr;

impl<'a> MakeWriter<'a> for Stderr {
    type Writer = Escaped<Box<dyn Write>>;

    fn make_writer(&'a self) -> Self::Writer {
        match SCREEN.get() {
            Some(screen) => Escaped(Box::new(screen.clone())),
            None => Escaped(Box::new(io::stderr())),
        }
    }
}

/// Writes one event a call: what is in it ends up in one line, whatever a peer put there.
struct Escaped<W>(W);

impl<W: Write> Write for Escaped<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let mut line = escape_text(text.strip_suffix('\n').unwrap_or(&text));
        line.push('\n');
        // A log that cannot be written is no reason to stop, nor to try again.
        let _ = self.0.write_all(line.as_bytes());
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let _ = self.0.flush();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn an_event_is_one_line_without_control_characters() {
        let mut out = Vec::new();
        let event = "INFO peer said \u{1b}[2Jhi\nERROR forged\n";
        let written = Escaped(&mut out).write(event.as_bytes()).expect("always");
        assert_eq!(written, event.len());
        let line = String::from_utf8(out).expect("text");
        assert_eq!(line, "INFO peer said \\x1b[2Jhi\\nERROR forged\n");
    }

    #[test]
    fn a_filter_that_is_none_is_a_usage_error() {
        let settings = LogSettings { filter: "p2=loud".to_owned(), format: LogFormat::Text };
        let error = start(&settings).expect_err("no such level");
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().starts_with("--log p2=loud: "), "{error}");
    }
}

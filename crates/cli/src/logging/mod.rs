//! The log on stderr: text or JSON, one line an event, with nothing in it that acts on a terminal,
//! and a level that can be changed while the program runs.

mod filter;
mod flood;
mod line;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, Registry, reload};

use crate::error::UserError;
use crate::settings::{LogFormat, LogSettings};

pub(crate) use self::filter::Step;
pub(crate) use self::line::{beside, level_of, say_json};

/// What can be changed while it runs.
struct Control {
    handle: reload::Handle<EnvFilter, Registry>,
    filter: Mutex<String>,
}

static CONTROL: OnceLock<Control> = OnceLock::new();
static JSON: AtomicBool = AtomicBool::new(false);

/// Starts the log.
///
/// # Errors
/// [`UserError`] of exit code 2 when the filter is not one.
pub(crate) fn start(settings: &LogSettings) -> Result<(), UserError> {
    let (layer, handle) = reload::Layer::new(filter::parse(&settings.filter)?);
    // Colours would have to pass the escaping; without them everything else can be escaped.
    let lines = tracing_subscriber::fmt::layer().with_ansi(false).log_internal_errors(false);
    let lines = match settings.format {
        LogFormat::Text => lines.with_target(true).with_writer(line::Stderr::text()).boxed(),
        LogFormat::Json => {
            lines.json().flatten_event(true).with_writer(line::Stderr::json()).boxed()
        }
    };
    // Someone who embeds the program may have a log already; theirs stays.
    if tracing_subscriber::registry().with(layer).with(lines).try_init().is_ok() {
        let filter = Mutex::new(settings.filter.clone());
        let _ = CONTROL.set(Control { handle, filter });
        form(settings.format);
    }
    Ok(())
}

/// The form of what is said before the log has started.
pub(crate) fn form(format: LogFormat) {
    JSON.store(format == LogFormat::Json, Ordering::Relaxed);
}

/// Whether every line on stderr is a JSON object.
pub(crate) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// The filter that holds now; none if the log is somebody else's.
pub(crate) fn filter() -> Option<String> {
    CONTROL.get().map(|control| control.now().clone())
}

/// Lets another filter hold from now on.
///
/// # Errors
/// [`UserError`] of exit code 2 when it is not one; the old one stays.
pub(crate) fn set_filter(text: &str) -> Result<(), UserError> {
    let filter = filter::parse(text)?;
    if let Some(control) = CONTROL.get() {
        control.set(filter, text.to_owned());
    }
    Ok(())
}

/// Makes the log say one level more or less, and says so.
pub(crate) fn step(step: Step) {
    let Some(control) = CONTROL.get() else { return };
    let before = control.now().clone();
    let text = filter::step(&before, step);
    if text == before {
        return;
    }
    if let Ok(filter) = filter::parse(&text) {
        control.set(filter, text.clone());
        // As an event of its own level it would be lost just when less is said.
        line::announce(&format!("log level: {text}"));
    }
}

impl Control {
    fn now(&self) -> MutexGuard<'_, String> {
        self.filter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(&self, filter: EnvFilter, text: String) {
        // It fails only when the log is gone.
        if self.handle.reload(filter).is_ok() {
            *self.now() = text;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn a_filter_that_is_none_is_a_usage_error() {
        for text in ["p2=loud", "loud", "info,verbose"] {
            let settings = LogSettings { filter: text.to_owned(), format: LogFormat::Text };
            let error = start(&settings).expect_err("no such level");
            assert_eq!(error.exit(), Exit::Usage);
            assert!(error.to_string().starts_with(&format!("--log {text}: ")), "{error}");
        }
    }
}

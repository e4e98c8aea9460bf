//! What sources tell the person who runs them, through one callback.

use super::outcome::StreamOutcome;
use std::sync::Arc;

/// Something worth telling about a source. All texts come from outside: show them escaped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SourceEvent {
    /// A listener accepts connections.
    Listening {
        /// The source.
        name: String,
        /// Where, with the port that the system chose.
        address: String,
    },
    /// A command wrote this line to its standard error.
    Stderr {
        /// The stream.
        name: String,
        /// The line without its end; lossy UTF-8.
        line: String,
    },
    /// Something noteworthy that is no failure.
    Warning {
        /// The stream or source.
        name: String,
        /// What happened.
        text: String,
    },
    /// A stream has ended, well or not.
    Ended(StreamOutcome),
}

/// Receives every [`SourceEvent`]; called from many tasks, must not block for long.
#[derive(Clone)]
pub(crate) struct Observer(Arc<dyn Fn(SourceEvent) + Send + Sync>);

impl Observer {
    pub(crate) fn new(observe: impl Fn(SourceEvent) + Send + Sync + 'static) -> Self {
        Self(Arc::new(observe))
    }

    pub(super) fn tell(&self, event: SourceEvent) {
        (self.0)(event);
    }

    pub(super) fn warn(&self, name: &str, text: impl Into<String>) {
        self.tell(SourceEvent::Warning { name: name.to_owned(), text: text.into() });
    }
}

//! How many lines one place in the code may log: what peers can cause must not fill a disk.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tracing::callsite::Identifier;
use tracing::{Level, Metadata};

use crate::report::{Flood, Verdict};

/// A bucket for each place that logs. There are as many as the code has, so it needs no bound.
#[derive(Debug, Default)]
pub(super) struct Places(Mutex<HashMap<Identifier, Flood>>);

impl Places {
    /// Judges one event. Whoever asked for `debug` or `trace` gets all of it.
    pub(super) fn judge(&self, event: &Metadata<'_>, now: Instant) -> Verdict {
        if *event.level() > Level::INFO {
            return Verdict::Say(None);
        }
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.entry(event.callsite()).or_insert_with(|| Flood::new(now)).judge(now)
    }
}

//! Who waits for what on one stream.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use crate::staging::Stage;

/// Who waits for one stream: one reader, one writer, one who finishes.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    pub(crate) read: Option<Waker>,
    pub(crate) write: Option<Waker>,
    pub(crate) end: Option<Waker>,
    /// Where the writer gathers small writes.
    pub(crate) stage: Option<Arc<Stage>>,
}

impl Wakers {
    /// The sending half takes no more bytes.
    pub(crate) fn send_ended(&self) {
        if let Some(stage) = &self.stage {
            stage.revoke();
        }
    }

    pub(crate) fn on_read(&mut self, cx: &Context<'_>) {
        register(&mut self.read, cx);
    }

    pub(crate) fn on_write(&mut self, cx: &Context<'_>) {
        register(&mut self.write, cx);
    }

    pub(crate) fn on_end(&mut self, cx: &Context<'_>) {
        register(&mut self.end, cx);
    }
}

fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

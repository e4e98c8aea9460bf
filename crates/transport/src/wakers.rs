//! Who waits for what on one stream.

use std::task::{Context, Waker};

/// Who waits for one stream: one reader, one writer, one who finishes.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    pub(crate) read: Option<Waker>,
    pub(crate) write: Option<Waker>,
    pub(crate) end: Option<Waker>,
}

impl Wakers {
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

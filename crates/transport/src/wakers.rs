//! Who waits for what on one stream.

use std::{
    sync::Arc,
    task::{Context, Waker},
};

use p2_mux::{StreamId, StreamMap};

use crate::stream::Handle;

/// Places that stay although nobody waits there: streams that are busy need theirs again and again.
const KEPT: usize = 64;

/// Who waits for one stream: one reader, one writer, one who finishes.
#[derive(Debug, Default)]
pub(crate) struct Wakers {
    pub(crate) read: Option<Waker>,
    pub(crate) write: Option<Waker>,
    pub(crate) end: Option<Waker>,
    /// Whose writer gathers small writes at present.
    pub(crate) stage: Option<Arc<Handle>>,
}

impl Wakers {
    /// The sending half takes no more bytes.
    pub(crate) fn send_ended(&self) {
        if let Some(handle) = &self.stage {
            handle.stage.revoke();
        }
    }

    /// The peer has all that was written: the writer asks anew before it gathers more.
    pub(crate) fn written(&mut self) {
        if self.stage.as_ref().is_some_and(|handle| handle.stage.rest()) {
            self.stage = None;
        }
    }

    /// Whether nobody waits.
    pub(crate) const fn is_empty(&self) -> bool {
        self.read.is_none() && self.write.is_none() && self.end.is_none() && self.stage.is_none()
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

/// Who waits, by stream.
#[derive(Debug, Default)]
pub(crate) struct Waiting(StreamMap<Wakers>);

impl Waiting {
    /// Where tasks wait for a stream.
    pub(crate) fn join(&mut self, id: StreamId) -> &mut Wakers {
        self.0.entry(id).or_default()
    }

    /// Tells those who wait for a stream, if any.
    pub(crate) fn of(&mut self, id: StreamId, tell: impl FnOnce(&mut Wakers)) {
        if let Some(wakers) = self.0.get_mut(&id) {
            tell(wakers);
            if wakers.is_empty() && self.0.len() > KEPT {
                self.remove(id);
            }
        }
    }

    /// Nobody waits for this stream any more.
    pub(crate) fn remove(&mut self, id: StreamId) {
        self.0.remove(&id);
        // Thousands may have waited at once.
        if self.0.capacity() / 8 > self.0.len().max(KEPT) {
            self.0.shrink_to(self.0.len().saturating_mul(2));
        }
    }

    /// All of them, in no order.
    pub(crate) fn all(&mut self) -> impl Iterator<Item = &mut Wakers> {
        self.0.values_mut()
    }
}

fn register(slot: &mut Option<Waker>, cx: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *slot = Some(cx.waker().clone()),
    }
}

//! Whom the reading half has to tell of what came: those who wait for it, and the writer.

use std::{sync::Arc, task::Waker};

use crate::{shared::Shared, state::State};

/// Places for tasks that are kept while nothing comes.
const KEPT: usize = 64;

/// What others are to be told. Whoever waits for a stream is told in the end, whatever becomes of
/// the link.
pub(super) struct Tidings {
    shared: Arc<Shared>,
    /// The writer has something to do that it has not been told of.
    owing: bool,
    /// Tasks that wait for streams.
    waiting: Vec<Waker>,
}

impl Tidings {
    pub(super) const fn new(shared: Arc<Shared>) -> Self {
        Self { shared, owing: false, waiting: Vec::new() }
    }

    /// Acts on the session; whom it concerns is told by the next call of the others.
    pub(super) fn with<R>(&mut self, act: impl FnOnce(&mut State) -> R) -> R {
        let (result, owing) = self.shared.with_collecting(&mut self.waiting, act);
        self.owing |= owing.is_some();
        result
    }

    /// Tells those who wait for streams. What the writer has to say may wait for company.
    pub(super) fn tell_streams(&mut self) {
        self.waiting.drain(..).for_each(Waker::wake);
    }

    /// Tells everyone. The writer first: a worker of the runtime turns at once to whom it woke last,
    /// and a short answer would have to wait for a batch to be written.
    pub(super) fn tell_all(&mut self) {
        if std::mem::take(&mut self.owing) {
            self.shared.wake_writer();
        }
        self.tell_streams();
        self.waiting.shrink_to(KEPT);
    }
}

impl Drop for Tidings {
    fn drop(&mut self) {
        self.tell_streams();
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::Mutex,
        task::{Context, Wake},
    };

    use p2_mux::{
        Attachment, CodecId, Config, ErrorCode, OpenOptions, ProcessBudget, Role, Session,
    };

    use super::*;
    use crate::clock;

    /// Notes its name when it is woken.
    struct Sleeper(&'static str, Arc<Mutex<Vec<&'static str>>>);

    impl Wake for Sleeper {
        fn wake(self: Arc<Self>) {
            self.1.lock().expect("no panic").push(self.0);
        }
    }

    /// Tidings for a task that waits for a stream and one that is the writer, and who was woken.
    fn sleepers() -> (Tidings, impl Future<Output = ()>, Arc<Mutex<Vec<&'static str>>>) {
        let session = Session::new(Config::new(Role::Client), ProcessBudget::default());
        let shared = Arc::new(Shared::new(session, String::new()));
        let woken = Arc::default();
        let writer = Arc::new(Sleeper("writer", Arc::clone(&woken))).into();
        let work = shared.clone();
        let mut working = Box::pin(async move { work.work.notified().await });
        assert!(working.as_mut().poll(&mut Context::from_waker(&writer)).is_pending());
        let mut tidings = Tidings::new(shared);
        let reader = Arc::new(Sleeper("reader", Arc::clone(&woken))).into();
        tidings.with(|state| {
            let (now, link) = (clock::now(), Attachment::new(1, CodecId::GZIP));
            state.session.attach(now, link).expect("attached");
            let id = state.session.open(now, OpenOptions::named("a")).expect("room");
            state.wakers(id).on_read(&Context::from_waker(&reader));
            state.session.abort(ErrorCode::CANCELLED, "gone");
        });
        (tidings, working, woken)
    }

    #[test]
    fn the_writer_is_told_before_those_who_wait_for_streams() {
        let (mut tidings, _working, woken) = sleepers();
        assert!(woken.lock().expect("no panic").is_empty());
        tidings.tell_all();
        assert_eq!(*woken.lock().expect("no panic"), ["writer", "reader"]);
    }

    #[test]
    fn those_who_wait_for_streams_are_told_though_the_link_ends() {
        let (tidings, _working, woken) = sleepers();
        drop(tidings);
        assert_eq!(*woken.lock().expect("no panic"), ["reader"]);
    }
}

//! While there is a backlog, a thread makes batch after batch, and the link's task only writes them.

use std::sync::atomic::{AtomicUsize, Ordering};

use p2_mux::Time;
use tokio::{
    runtime::Handle,
    sync::mpsc::{self, Receiver, Sender},
    task::JoinHandle,
};

use super::{
    End,
    maker::{Answer, Maker},
    output::Output,
    pool,
};

/// Batches that may wait to be written, beside the one that is being written and the one that is
/// being made.
const WAITING: usize = 2;

/// Links of this process that have such a thread now. There are no more than cores: a further
/// thread would only take turns with these.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// A thread that makes the batches of one link.
pub(super) struct Beside {
    made: Receiver<(Output, Option<Time>)>,
    /// Written outputs, for their memory.
    written: Sender<Output>,
    thread: JoinHandle<Result<(Maker, Option<Answer>), End>>,
}

/// One of the threads that may run.
pub(super) struct Place;

impl Beside {
    /// Starts with the batch that `maker` has.
    pub(super) fn start(place: Place, maker: Maker) -> Self {
        let (give, made) = mpsc::channel(WAITING);
        let (written, reuse) = mpsc::channel(WAITING);
        let runtime = Handle::current();
        let thread = tokio::task::spawn_blocking(move || {
            let _place = place;
            runtime.block_on(make(maker, give, reuse))
        });
        Self { made, written, thread }
    }

    /// What to write next, and when the session wants to look at the clock; nothing once the thread
    /// has come to its end.
    ///
    /// Cancel safe.
    pub(super) async fn next(&mut self) -> Option<(Output, Option<Time>)> {
        self.made.recv().await
    }

    /// Takes back what was written.
    pub(super) fn written(&self, output: Output) {
        // Two are enough.
        let _ = self.written.try_send(output);
    }

    /// The maker, with a batch that is no backlog and what the session said with it; without an
    /// answer the link was slower than the thread, and the session is to be asked.
    pub(super) async fn end(self) -> Result<(Maker, Option<Answer>), End> {
        self.thread.await.map_err(|_| End::Panicked)?
    }
}

/// Makes batches as long as they are worth it and the link keeps up. It never waits for the link:
/// threads that do are soon all there are.
async fn make(
    mut maker: Maker,
    give: Sender<(Output, Option<Time>)>,
    mut reuse: Receiver<Output>,
) -> Result<(Maker, Option<Answer>), End> {
    loop {
        let mut output = reuse.try_recv().unwrap_or_default();
        let told = maker.make(&mut output).await?;
        // There is room, so it only fails when the link's task has gone.
        if give.try_send((output, told.wake_at)).is_err() || give.capacity() == 0 {
            return Ok((maker, None));
        }
        let answer = maker.ask()?;
        if !maker.has_backlog() {
            return Ok((maker, Some(answer)));
        }
    }
}

impl Place {
    /// Nothing when this process has enough of such threads.
    pub(super) fn take() -> Option<Self> {
        let most = pool::threads();
        let more = |running: usize| (running < most && most > 1).then(|| running.saturating_add(1));
        RUNNING.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}

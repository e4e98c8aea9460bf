//! While there is a backlog, a thread makes batch after batch, and the link's task only writes them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use p2_mux::Time;
use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{self, Receiver, Sender},
        oneshot,
    },
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
pub(super) static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// Threads that were started so far.
#[cfg(test)]
pub(super) static STARTED: AtomicUsize = AtomicUsize::new(0);

/// A thread that makes the batches of one link.
pub(super) struct Beside {
    made: Receiver<(Output, Option<Time>)>,
    /// Written outputs, for their memory.
    written: Sender<Output>,
    done: oneshot::Receiver<Done>,
}

/// What a thread gives back.
type Done = Result<(Maker, Option<Answer>), End>;

/// One of the threads that may run.
pub(super) struct Place;

impl Beside {
    /// Starts with the batch that `maker` has, or gives it back where no thread can be had. It is not
    /// one of the runtime's: those do single jobs for it, and it would wait for them as one of them.
    pub(super) fn start(place: Place, maker: Maker) -> Result<Self, Box<Maker>> {
        let (give, made) = mpsc::channel(WAITING);
        let (written, reuse) = mpsc::channel(WAITING);
        let (result, done) = oneshot::channel();
        let (begin, begun) = std::sync::mpsc::sync_channel::<Maker>(1);
        let runtime = Handle::current();
        let run = move || {
            let _place = place;
            if let Ok(maker) = begun.recv() {
                // The link may have gone.
                let _ = result.send(runtime.block_on(make(maker, give, reuse)));
            }
        };
        if thread::Builder::new().name("p2-encode".into()).spawn(run).is_err() {
            return Err(Box::new(maker));
        }
        #[cfg(test)]
        STARTED.fetch_add(1, Ordering::Relaxed);
        match begin.send(maker) {
            Ok(()) => Ok(Self { made, written, done }),
            Err(unsent) => Err(Box::new(unsent.0)),
        }
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
    pub(super) async fn end(self) -> Done {
        self.done.await.map_err(|_| End::Panicked)?
    }
}

/// Makes batches as long as they are worth it and the link keeps up. It never waits for the link:
/// threads that do are soon all there are.
async fn make(
    mut maker: Maker,
    give: Sender<(Output, Option<Time>)>,
    mut reuse: Receiver<Output>,
) -> Done {
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

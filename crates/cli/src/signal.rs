//! Signals: the first asks for an orderly end, the second for an end at once, SIGHUP for a retry,
//! SIGUSR1 and SIGUSR2 for more and less in the log.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;
use crate::logging::{self, Step};
use crate::source::Stop;

/// How long the program has to leave by itself after it was told to stop at once.
const LEAVE: Duration = Duration::from_secs(2);

/// What the user asked for by signals so far. Clones see the same.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    stop: watch::Receiver<Stop>,
    exit: watch::Receiver<Option<Exit>>,
    retry: watch::Receiver<u64>,
}

impl Signals {
    /// Takes SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGUSR2 over for the rest of the process's life.
    ///
    /// After the second SIGINT or SIGTERM the process ends within two seconds whatever hangs, after
    /// the third at once.
    ///
    /// # Errors
    /// Those of installing a handler.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn listen() -> io::Result<Self> {
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        let mut louder = signal(SignalKind::user_defined1())?;
        let mut quieter = signal(SignalKind::user_defined2())?;
        let (teller, signals) = Self::channel();
        tokio::spawn(async move {
            loop {
                let exit = tokio::select! {
                    Some(()) = interrupt.recv() => Exit::Interrupted,
                    Some(()) = terminate.recv() => Exit::Terminated,
                    Some(()) = hangup.recv() => {
                        teller.retry();
                        continue;
                    }
                    Some(()) = louder.recv() => {
                        logging::step(Step::Louder);
                        continue;
                    }
                    Some(()) = quieter.recv() => {
                        logging::step(Step::Quieter);
                        continue;
                    }
                    else => return,
                };
                match teller.ask(exit) {
                    Asked::Drain => {}
                    Asked::Now => {
                        tokio::spawn(async move {
                            tokio::time::sleep(LEAVE).await;
                            std::process::exit(i32::from(exit.code()));
                        });
                    }
                    Asked::Again => std::process::exit(i32::from(exit.code())),
                }
            }
        });
        Ok(signals)
    }

    /// The same for a part of the process, which can be asked to end alone.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub(crate) fn part(&self) -> (Part, Self) {
        let (teller, signals) = Self::channel();
        let (part, mut whole) = (Part(Arc::new(teller)), self.clone());
        let teller = Arc::clone(&part.0);
        tokio::spawn(async move {
            loop {
                teller.follow(&whole);
                let changed = tokio::select! {
                    changed = whole.stop.changed() => changed,
                    changed = whole.retry.changed() => {
                        teller.retry();
                        changed
                    }
                    // Nobody listens any more.
                    () = teller.stop.closed() => return,
                };
                if changed.is_err() {
                    return;
                }
            }
        });
        (part, signals)
    }

    /// What sources and drains follow.
    pub(crate) fn stop(&self) -> watch::Receiver<Stop> {
        self.stop.clone()
    }

    /// The exit code of the last signal that asked for an end, if any did.
    pub(crate) fn exit(&self) -> Option<Exit> {
        *self.exit.borrow()
    }

    /// Waits for the first signal that asks for an end. Cancel safe.
    pub(crate) async fn draining(&mut self) -> Exit {
        self.reached(Stop::Drain).await
    }

    /// Waits for the second one. Cancel safe.
    pub(crate) async fn stopping(&mut self) -> Exit {
        self.reached(Stop::Now).await
    }

    /// Waits for the next SIGHUP that this clone has not seen. Cancel safe.
    pub(crate) async fn retry(&mut self) {
        if self.retry.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn reached(&mut self, step: Stop) -> Exit {
        if self.stop.wait_for(|now| *now >= step).await.is_err() {
            std::future::pending::<()>().await;
        }
        self.exit().unwrap_or(Exit::Interrupted)
    }

    fn channel() -> (Teller, Self) {
        let (stop_sender, stop) = watch::channel(Stop::Running);
        let (exit_sender, exit) = watch::channel(None);
        let (retry_sender, retry) = watch::channel(0);
        let teller = Teller { stop: stop_sender, exit: exit_sender, retry: retry_sender };
        (teller, Self { stop, exit, retry })
    }
}

/// Ends a part of the process.
#[derive(Debug, Clone)]
pub(crate) struct Part(Arc<Teller>);

impl Part {
    /// Asks it for an orderly end.
    pub(crate) fn drain(&self) {
        if *self.0.stop.borrow() == Stop::Running {
            let _ = self.0.ask(Exit::Success);
        }
    }
}

/// What asking once more led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Drain,
    Now,
    Again,
}

#[derive(Debug)]
struct Teller {
    stop: watch::Sender<Stop>,
    exit: watch::Sender<Option<Exit>>,
    retry: watch::Sender<u64>,
}

impl Teller {
    fn ask(&self, exit: Exit) -> Asked {
        // The code first: whoever wakes up by the step wants to know it.
        self.exit.send_replace(Some(exit));
        let (step, asked) = match *self.stop.borrow() {
            Stop::Running => (Stop::Drain, Asked::Drain),
            Stop::Drain => (Stop::Now, Asked::Now),
            Stop::Now => (Stop::Now, Asked::Again),
        };
        self.stop.send_replace(step);
        asked
    }

    /// Goes as far as the whole has gone.
    fn follow(&self, whole: &Signals) {
        let step = *whole.stop.borrow();
        if step > *self.stop.borrow() {
            self.exit.send_replace(whole.exit());
            self.stop.send_replace(step);
        }
    }

    fn retry(&self) {
        self.retry.send_modify(|count| *count = count.wrapping_add(1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_first_drains_the_second_stops_the_third_is_impatient() {
        let (teller, mut signals) = Signals::channel();
        assert_eq!(signals.exit(), None);
        assert_eq!(teller.ask(Exit::Interrupted), Asked::Drain);
        assert_eq!(signals.draining().await, Exit::Interrupted);
        assert_eq!(*signals.stop().borrow(), Stop::Drain);
        assert_eq!(teller.ask(Exit::Terminated), Asked::Now);
        assert_eq!(signals.stopping().await, Exit::Terminated);
        assert_eq!(signals.draining().await, Exit::Terminated);
        assert_eq!(teller.ask(Exit::Interrupted), Asked::Again);
        assert_eq!(*signals.stop().borrow(), Stop::Now);
    }

    #[tokio::test]
    async fn a_retry_is_seen_once_by_each_clone_and_asks_for_no_end() {
        let (teller, mut signals) = Signals::channel();
        let mut clone = signals.clone();
        teller.retry();
        signals.retry().await;
        clone.retry().await;
        assert_eq!(*signals.stop().borrow(), Stop::Running);
        assert!(!signals.retry.has_changed().expect("the teller is there"));
    }

    #[tokio::test]
    async fn real_signals_arrive() {
        let mut signals = Signals::listen().expect("handlers");
        let pid = std::process::id().to_string();
        let kill = |name: &str| {
            let status = std::process::Command::new("kill").args([name, &pid]).status();
            assert!(status.expect("kill runs").success());
        };
        kill("-HUP");
        signals.retry().await;
        kill("-TERM");
        assert_eq!(signals.draining().await, Exit::Terminated);
    }
}

//! The two steps of an orderly end: drain what is there, then stop at once.

use tokio::sync::watch;

/// How far the program has come in ending itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Stop {
    /// Everything runs.
    #[default]
    Running,
    /// Endless sources end, streams are finished orderly.
    Drain,
    /// Everything ends now, delivered or not.
    Now,
}

/// A cheap handle on the current [`Stop`] step, one for each task.
#[derive(Debug, Clone)]
pub(crate) struct StopSignal(watch::Receiver<Stop>);

impl StopSignal {
    pub(crate) fn new(receiver: watch::Receiver<Stop>) -> Self {
        Self(receiver)
    }

    /// Whether endless sources are asked to end.
    pub(crate) fn draining(&self) -> bool {
        *self.0.borrow() >= Stop::Drain
    }

    /// Waits until endless sources are asked to end. Cancel safe.
    pub(crate) async fn drain(&mut self) {
        self.reached(Stop::Drain).await;
    }

    /// Waits until everything has to end at once. Cancel safe.
    pub(crate) async fn now(&mut self) {
        self.reached(Stop::Now).await;
    }

    async fn reached(&mut self, step: Stop) {
        if self.0.wait_for(|now| *now >= step).await.is_err() {
            // Nobody is left who could ask for an end.
            std::future::pending::<()>().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn now_implies_drain() {
        let (ask, stop) = watch::channel(Stop::Running);
        let mut stop = StopSignal::new(stop);
        assert!(!stop.draining());
        ask.send_replace(Stop::Now);
        stop.drain().await;
        stop.now().await;
        assert!(stop.draining());
    }
}

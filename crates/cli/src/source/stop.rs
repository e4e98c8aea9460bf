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
pub(crate) struct StopSignal {
    all: watch::Receiver<Stop>,
    /// Of one source, if it can be ended alone.
    own: Option<watch::Receiver<Stop>>,
}

impl StopSignal {
    pub(crate) fn new(all: watch::Receiver<Stop>) -> Self {
        Self { all, own: None }
    }

    /// The same for one source, which can be ended alone.
    pub(crate) fn or(&self, own: watch::Receiver<Stop>) -> Self {
        Self { all: self.all.clone(), own: Some(own) }
    }

    /// Whether endless sources are asked to end.
    pub(crate) fn draining(&self) -> bool {
        let own = self.own.as_ref().is_some_and(|own| *own.borrow() >= Stop::Drain);
        own || *self.all.borrow() >= Stop::Drain
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
        match &mut self.own {
            None => reached(&mut self.all, step).await,
            Some(own) => tokio::select! {
                () = reached(&mut self.all, step) => {}
                () = reached(own, step) => {}
            },
        }
    }
}

async fn reached(stop: &mut watch::Receiver<Stop>, step: Stop) {
    if stop.wait_for(|now| *now >= step).await.is_err() {
        // Nobody is left who could ask for an end.
        std::future::pending::<()>().await;
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

    #[tokio::test]
    async fn one_source_can_be_drained_alone_and_still_follows_the_others() {
        let (ask_all, all) = watch::channel(Stop::Running);
        let (ask_own, own) = watch::channel(Stop::Running);
        let all = StopSignal::new(all);
        let mut one = all.or(own);
        ask_own.send_replace(Stop::Drain);
        one.drain().await;
        assert!(one.draining() && !all.draining());
        ask_all.send_replace(Stop::Now);
        one.now().await;
    }
}

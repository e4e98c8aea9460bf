//! The scenarios: each is one function over any peer, and says what it counts.

pub(crate) mod bulk;
pub(crate) mod churn;
pub(crate) mod echo;
pub(crate) mod idle;
pub(crate) mod small;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Runs on two worker threads, a fresh runtime for each measurement, so that nothing is left over.
pub(crate) fn run<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let result = runtime.block_on(async { tokio::spawn(work).await });
    runtime.shutdown_timeout(Duration::from_secs(1));
    result.expect("the scenario ran to its end")
}

/// Tells the tasks of a scenario that its time is over.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(crate) async fn after(&self, span: Duration) {
        tokio::time::sleep(span).await;
        self.0.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What was done in a second, and in a second of processor time: the second figure stands still
/// while other programs take the processors.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) wall: f64,
    pub(crate) processor: f64,
}

/// Runs from the moment it is made.
pub(crate) struct Clock {
    wall: Instant,
    processor: f64,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self { wall: Instant::now(), processor: processor_time() }
    }

    pub(crate) fn rate(&self, amount: f64) -> Rate {
        let processor = processor_time() - self.processor;
        Rate { wall: amount / self.wall.elapsed().as_secs_f64(), processor: amount / processor }
    }
}

/// Seconds of all threads of this process.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

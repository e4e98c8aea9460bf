//! Work on many streams at once: one lane for each stream, so that its order holds.

use std::sync::OnceLock;

use tokio::task::JoinSet;

/// Raw bytes of one stream in one batch that take a codec about 100 microseconds: below, handing
/// the work to another thread costs more than it saves.
pub(crate) const WORTH: usize = 32 * 1024;
/// Threads one link may use for its codecs, its own included.
const MOST: usize = 4;

/// One stream's share of a batch.
pub(crate) trait Lane: Send + 'static {
    /// Raw bytes to go through the codec.
    fn cost(&self) -> usize;
    /// Does the work, in order.
    fn run(&mut self);
}

/// Runs every lane: here when that is soonest, else spread over a few threads.
/// Fewer lanes come back than were given only if one panicked.
pub(crate) async fn run<L: Lane>(mut lanes: Vec<L>) -> Vec<L> {
    let heavy = lanes.iter().filter(|lane| lane.cost() >= WORTH).count();
    let threads = threads().min(heavy);
    if threads < 2 {
        lanes.iter_mut().for_each(Lane::run);
        return lanes;
    }
    // The heaviest first, each to whoever has least to do.
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.cost()));
    let mut shares: Vec<(usize, Vec<L>)> = (0..threads).map(|_| (0, Vec::new())).collect();
    for lane in lanes {
        if let Some(share) = shares.iter_mut().min_by_key(|share| share.0) {
            share.0 = share.0.saturating_add(lane.cost());
            share.1.push(lane);
        }
    }
    let (_, mut own) = shares.pop().unwrap_or_default();
    let mut others = JoinSet::new();
    for (_, mut share) in shares {
        others.spawn_blocking(move || {
            share.iter_mut().for_each(Lane::run);
            share
        });
    }
    own.iter_mut().for_each(Lane::run);
    while let Some(share) = others.join_next().await {
        own.extend(share.unwrap_or_default());
    }
    own
}

/// Threads that work of one link is spread over.
pub(crate) fn threads() -> usize {
    static THREADS: OnceLock<usize> = OnceLock::new();
    *THREADS.get_or_init(|| {
        std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(MOST)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Count(usize, usize);

    impl Lane for Count {
        fn cost(&self) -> usize {
            self.0
        }
        fn run(&mut self) {
            self.1 += 1;
        }
    }

    #[tokio::test]
    async fn every_lane_runs_once_wherever_it_runs() {
        for cost in [1, WORTH] {
            let lanes = run((0..50).map(|_| Count(cost, 0)).collect()).await;
            assert_eq!(lanes.len(), 50);
            assert!(lanes.iter().all(|lane| lane.1 == 1));
        }
    }
}

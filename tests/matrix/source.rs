//! A source that goes on until it is told: a row takes as long as it takes on a busy machine.

use std::io::Write;
use std::process::ChildStdin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const CHUNK: usize = 16 << 10;

/// What writes to a sender's standard input, about 1 MiB a second.
pub struct Steady {
    stop: Arc<AtomicBool>,
    writer: JoinHandle<Vec<u8>>,
}

impl Steady {
    pub fn start(mut stdin: ChildStdin, seed: u64) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let writer = thread::spawn(move || {
            let mut chance = fastrand::Rng::with_seed(seed);
            let mut written = Vec::new();
            while !told.load(Ordering::SeqCst) {
                let from = written.len();
                written.resize(from + CHUNK, 0);
                chance.fill(&mut written[from..]);
                stdin.write_all(&written[from..]).expect("the sender takes it");
                thread::sleep(Duration::from_millis(15));
            }
            written
        });
        Self { stop, writer }
    }

    /// Ends the source, and returns everything that it wrote.
    pub fn end(self) -> Vec<u8> {
        self.stop.store(true, Ordering::SeqCst);
        self.writer.join().expect("the sender took everything")
    }
}

//! Bulk: every stream sends blocks as fast as it can, the other end reads and drops them.
//!
//! The clock runs from the first block until the last stream was read to its end, and every byte
//! written must have been read.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Clock, Rate, Stop};
use crate::peer::{BLOCK, Class, Duplex, Peer, establish};

/// GiB/s over `streams` streams.
pub(crate) async fn bulk<P: Peer>(streams: usize, span: Duration) -> Rate {
    let (near, mut far) = P::pair(streams).await;
    let established = establish::<P>(&near, &mut far, Class::Plain, streams).await;
    let clock = Clock::start();
    let flow = Flow::start(established);
    flow.stop.after(span).await;
    let bytes = flow.end().await;
    clock.rate(bytes as f64 / f64::from(1 << 30))
}

/// Streams that move bytes until they are told to stop.
pub(crate) struct Flow<S> {
    pub(crate) stop: Stop,
    read: Arc<AtomicU64>,
    writers: JoinSet<(u64, S)>,
    readers: JoinSet<(u64, S)>,
}

impl<S: Duplex> Flow<S> {
    pub(crate) fn start((near, far): (Vec<S>, Vec<S>)) -> Self {
        let (stop, read) = (Stop::default(), Arc::new(AtomicU64::new(0)));
        let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
        for mut stream in far {
            let total = read.clone();
            readers.spawn(async move {
                let mut bytes = 0;
                loop {
                    match stream.read().await as u64 {
                        0 => return (bytes, stream),
                        read => {
                            bytes += read;
                            total.fetch_add(read, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        let block = Bytes::from(vec![0x5A; BLOCK]);
        for mut stream in near {
            let (stop, block) = (stop.clone(), block.clone());
            writers.spawn(async move {
                let mut bytes = 0;
                while !stop.is_set() {
                    stream.write(&block).await;
                    bytes += block.len() as u64;
                }
                stream.finish().await;
                (bytes, stream)
            });
        }
        Self { stop, read, writers, readers }
    }

    /// Bytes that were read so far.
    pub(crate) fn moved(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Waits until everything was read. No stream is dropped before that.
    pub(crate) async fn end(self) -> u64 {
        let sum = |ends: &[(u64, S)]| ends.iter().map(|(bytes, _)| bytes).sum::<u64>();
        let writers = self.writers.join_all().await;
        let readers = self.readers.join_all().await;
        let (written, read) = (sum(&writers), sum(&readers));
        assert_eq!(written, read, "bytes written, bytes read");
        read
    }
}

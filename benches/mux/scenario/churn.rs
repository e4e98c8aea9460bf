//! Churn: open a stream, send 64 bytes, get them back, close; several at a time.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{Clock, Rate, Stop};
use crate::peer::{Accept, Class, Duplex, Open, Peer};

const AT_ONCE: usize = 64;
static MESSAGE: [u8; 64] = [0x5A; 64];

/// Streams a second.
pub(crate) async fn churn<P: Peer>(span: Duration) -> Rate {
    let (near, mut far) = P::pair(2 * AT_ONCE).await;
    let answering = tokio::spawn(async move {
        loop {
            let mut stream = far.accept().await;
            tokio::spawn(async move {
                stream.read_exactly(MESSAGE.len()).await;
                stream.write_last(&MESSAGE).await;
                // Its end is read, so that the stream closes in order.
                assert_eq!(stream.read().await, 0, "bytes after the message");
            });
        }
    });
    let stop = Stop::default();
    let clock = Clock::start();
    let mut tasks = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (near, stop) = (near.clone(), stop.clone());
        tasks.spawn(async move {
            let mut streams = 0;
            while !stop.is_set() {
                let mut stream = near.open(Class::Plain).await;
                stream.write_last(&MESSAGE).await;
                stream.read_exactly(MESSAGE.len()).await;
                assert_eq!(stream.read().await, 0, "bytes after the echo");
                streams += 1;
            }
            streams
        });
    }
    stop.after(span).await;
    let streams: usize = tasks.join_all().await.iter().sum();
    let rate = clock.rate(streams as f64);
    answering.abort();
    rate
}

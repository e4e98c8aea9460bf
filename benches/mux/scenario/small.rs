//! Small writes: messages of 128 bytes on many streams, each written by a call of its own.

use std::time::Duration;

use tokio::task::JoinSet;

use super::{Clock, Rate, Stop};
use crate::peer::{Class, Duplex, Peer, establish};

static MESSAGE: [u8; 128] = [0x5A; 128];

/// Millions of messages a second over `streams` streams, every byte of them delivered.
pub(crate) async fn small<P: Peer>(streams: usize, span: Duration) -> Rate {
    let (near, mut far) = P::pair(streams).await;
    let (senders, receivers) = establish::<P>(&near, &mut far, Class::Plain, streams).await;
    let stop = Stop::default();
    let clock = Clock::start();
    let (mut writers, mut readers) = (JoinSet::new(), JoinSet::new());
    for mut stream in receivers {
        readers.spawn(async move {
            let mut bytes = 0;
            loop {
                match stream.read().await {
                    0 => return (bytes, stream),
                    read => bytes += read,
                }
            }
        });
    }
    for mut stream in senders {
        let stop = stop.clone();
        writers.spawn(async move {
            let mut messages = 0;
            while !stop.is_set() {
                stream.write_small(&MESSAGE).await;
                messages += 1;
            }
            stream.finish().await;
            (messages, stream)
        });
    }
    stop.after(span).await;
    let writers = writers.join_all().await;
    let readers = readers.join_all().await;
    let messages: usize = writers.iter().map(|(messages, _)| messages).sum();
    let rate = clock.rate(messages as f64 / 1e6);
    let bytes: usize = readers.iter().map(|(bytes, _)| bytes).sum();
    assert_eq!(messages * MESSAGE.len(), bytes, "bytes written, bytes read");
    rate
}

//! Echo: the round trip of 64 bytes on a stream of its own, alone and beside bulk streams.

use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::bulk::Flow;
use crate::peer::{Class, Duplex, Peer, establish};

const LENGTH: usize = 64;
static MESSAGE: [u8; LENGTH] = [0x5A; LENGTH];
const BULK_STREAMS: usize = 4;
/// Between two echoes beside bulk, so that the echoes' own work takes little from the bulk.
const PAUSE: Duration = Duration::from_millis(1);
const WARM_UP: Duration = Duration::from_millis(50);

/// Microseconds.
pub(crate) struct Times {
    pub(crate) p50: f64,
    pub(crate) p99: f64,
}

pub(crate) struct Beside {
    pub(crate) times: Times,
    /// GiB/s of the bulk streams before the echo began, and with it.
    pub(crate) without: f64,
    pub(crate) with: f64,
}

/// One echo after the other, nothing else.
pub(crate) async fn alone<P: Peer>(span: Duration) -> Times {
    let (near, mut far) = P::pair(1).await;
    let (mut near_end, answering) = pair::<P>(&near, &mut far).await;
    let times = tokio::spawn(async move {
        let times = round_trips(&mut near_end, span, Duration::ZERO).await;
        end(&mut near_end).await;
        times
    });
    let times = times.await.expect("echoes");
    answering.await.expect("answers");
    times
}

/// An echo every millisecond or two while four streams send what they can.
pub(crate) async fn beside<P: Peer>(span: Duration) -> Beside {
    let (near, mut far) = P::pair(1 + BULK_STREAMS).await;
    let (mut near_end, answering) = pair::<P>(&near, &mut far).await;
    let bulk = establish::<P>(&near, &mut far, Class::Bulk, BULK_STREAMS).await;
    let flow = Flow::start(bulk);
    sleep(WARM_UP).await;
    let (start, before) = (Instant::now(), flow.moved());
    sleep(span).await;
    let without = rate(flow.moved() - before, start.elapsed());

    let echoes = tokio::spawn(async move {
        let times = round_trips(&mut near_end, span, PAUSE).await;
        end(&mut near_end).await;
        times
    });
    let (start, before) = (Instant::now(), flow.moved());
    let times = echoes.await.expect("echoes");
    let with = rate(flow.moved() - before, start.elapsed());
    flow.stop.after(Duration::ZERO).await;
    flow.end().await;
    answering.await.expect("answers");
    Beside { times, without, with }
}

/// A stream, and the task at its far end that sends everything back.
async fn pair<P: Peer>(near: &P::Near, far: &mut P::Far) -> (P::Stream, JoinHandle<()>) {
    let (mut near, mut far) = establish::<P>(near, far, Class::Urgent, 1).await;
    let mut far = far.remove(0);
    let answering = tokio::spawn(async move {
        let answer = Bytes::from_static(&MESSAGE);
        loop {
            match far.read().await {
                0 => return far.finish().await,
                read => far.write(&answer.slice(..read)).await,
            }
        }
    });
    (near.remove(0), answering)
}

async fn round_trips<S: Duplex>(stream: &mut S, span: Duration, pause: Duration) -> Times {
    let mut micros = Vec::new();
    let begin = Instant::now();
    while begin.elapsed() < span || micros.is_empty() {
        let start = Instant::now();
        stream.write_small(&MESSAGE).await;
        stream.read_exactly(LENGTH).await;
        micros.push(start.elapsed().as_secs_f64() * 1e6);
        if !pause.is_zero() {
            sleep(pause).await;
        }
    }
    micros.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| micros[(micros.len() - 1) * percent / 100];
    Times { p50: at(50), p99: at(99) }
}

/// Both directions in order: a stream that is dropped early is reset.
async fn end<S: Duplex>(stream: &mut S) {
    stream.finish().await;
    assert_eq!(stream.read().await, 0, "bytes after the last echo");
}

fn rate(bytes: u64, took: Duration) -> f64 {
    bytes as f64 / took.as_secs_f64() / f64::from(1 << 30)
}

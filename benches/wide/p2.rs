//! P2 as the two ends of the wide link: bulk streams, and an echo on a realtime stream.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::p2::{Chunk, Client, CodecId, Connection, Priority, Server, Stream, StreamOptions};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::ends::{answer, resident, told};
use crate::{BIN, GRACE};

const ECHO_EVERY: Duration = Duration::from_millis(10);
/// How long the echo runs on the empty link.
const ALONE: Duration = Duration::from_millis(500);
/// How often numbers are looked at.
const LOOK: Duration = Duration::from_millis(20);

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

#[derive(Default)]
struct Arrived {
    start: Option<Instant>,
    bins: Vec<u64>,
    window: u64,
}

impl Arrived {
    fn add(&mut self, bytes: u64) {
        let elapsed = self.start.get_or_insert_with(Instant::now).elapsed();
        let bin = (elapsed.as_nanos() / BIN.as_nanos()) as usize;
        self.bins.resize(self.bins.len().max(bin + 1), 0);
        self.bins[bin] += bytes;
    }

    fn saw(&mut self, window: u64) {
        self.window = self.window.max(window);
    }
}

pub(crate) fn receiver() {
    let runtime = runtime();
    let server = runtime.block_on(Server::builder().codecs([CodecId::NONE]).bind("127.0.0.1:0"));
    let server = server.expect("a free port");
    let (before, _) = resident();
    answer(&json!({ "address": server.local_addr() }));
    let arrived: Arc<Mutex<Arrived>> = Arc::default();
    runtime.spawn(serve(server, arrived.clone()));
    while told().is_some() {
        let arrived = arrived.lock().expect("no panic");
        let (bins, window) = (&arrived.bins, arrived.window);
        answer(&json!({
            "bins": bins, "window": window, "before": before, "peak": resident().1,
        }));
    }
}

async fn serve(server: Server, arrived: Arc<Mutex<Arrived>>) {
    let connection = server.accept().await.expect("a sender");
    let (watched, seen) = (connection.clone(), arrived.clone());
    tokio::spawn(async move {
        loop {
            let streams = watched.stats().streams;
            let largest = streams.iter().map(|stream| stream.window).max().unwrap_or(0);
            seen.lock().expect("no panic").saw(largest);
            sleep(LOOK).await;
        }
    });
    while let Some(stream) = connection.accept_stream().await {
        tokio::spawn(serve_stream(stream, arrived.clone()));
    }
}

async fn serve_stream(stream: Stream, arrived: Arc<Mutex<Arrived>>) {
    let echo = stream.name() == "echo";
    let (mut send, mut receive) = stream.split();
    while let Ok(Some(Chunk::Data { data, .. })) = receive.read_chunk().await {
        if !echo {
            arrived.lock().expect("no panic").add(data.len() as u64);
        } else if send.write_chunk(data).await.is_err() {
            return;
        }
    }
}

pub(crate) fn sender(arguments: &[String]) {
    let seconds: u64 = arguments[1].parse().expect("a number");
    let bulk: usize = arguments[2].parse().expect("a number");
    let (before, _) = resident();
    let mut sent = runtime().block_on(send(&arguments[0], Duration::from_secs(seconds), bulk));
    sent["before"] = before.into();
    sent["peak"] = resident().1.into();
    answer(&sent);
    while told().is_some() {}
}

async fn send(address: &str, span: Duration, bulk: usize) -> Value {
    let client = Client::builder().codecs([CodecId::NONE]);
    let connection = client.connect(address).await.expect("the relay");
    let options = StreamOptions::named("echo").priority(Priority::Realtime);
    let mut echo = connection.open_stream(options).await.expect("a stream");
    let alone = round_trips(&mut echo, ALONE, Duration::ZERO).await;

    let until = Instant::now() + span;
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..bulk {
        writers.spawn(fill(connection.clone(), until));
    }
    let looking = tokio::spawn(largest(connection.clone(), until));
    let beside = round_trips(&mut echo, span, GRACE.min(span / 2)).await;
    while writers.join_next().await.is_some() {}
    let (retained, in_flight, trace) = looking.await.expect("no panic");
    json!({ "alone": times(alone), "beside": times(beside), "retained": retained,
            "in_flight": in_flight, "trace": trace })
}

async fn fill(connection: Connection, until: Instant) {
    let options = StreamOptions::named("bulk").unidirectional(true);
    let mut stream = connection.open_stream(options).await.expect("a stream");
    while Instant::now() < until {
        // Its own memory each time, as a program that reads from somewhere has it.
        let block = Bytes::from(vec![0x5A; 64 << 10]);
        stream.write_chunk(block).await.expect("written");
    }
    stream.finish().await.expect("delivered");
}

/// The largest figures seen: retained, in flight; and their course.
async fn largest(connection: Connection, until: Instant) -> (u64, u64, Vec<[u64; 3]>) {
    let (mut retained, mut in_flight, mut trace) = (0, 0, Vec::new());
    let start = Instant::now();
    while Instant::now() < until {
        let stats = connection.stats();
        retained = retained.max(stats.retained);
        in_flight = in_flight.max(stats.in_flight);
        trace.push([
            start.elapsed().as_millis() as u64,
            stats.retained >> 10,
            stats.in_flight >> 10,
        ]);
        sleep(LOOK).await;
    }
    (retained, in_flight, trace)
}

/// Milliseconds of each round trip that began after `skip`. Several are on their way at once.
async fn round_trips(stream: &mut Stream, span: Duration, skip: Duration) -> Vec<f64> {
    let start = Instant::now();
    let (mut times, mut sent) = (Vec::new(), std::collections::VecDeque::new());
    let mut next = tokio::time::interval(ECHO_EVERY);
    let mut partial = 0;
    loop {
        let sending = start.elapsed() < span;
        if !sending && sent.is_empty() {
            return times;
        }
        tokio::select! {
            chunk = stream.read_chunk() => {
                let Ok(Some(Chunk::Data { data, .. })) = chunk else { panic!("the echo ended") };
                partial += data.len();
                while partial >= 64 {
                    partial -= 64;
                    let at: Instant = sent.pop_front().expect("it was sent");
                    if at - start >= skip {
                        times.push(at.elapsed().as_secs_f64() * 1e3);
                    }
                }
            }
            _ = next.tick(), if sending => {
                sent.push_back(Instant::now());
                stream.write_chunk(Bytes::from_static(&[7; 64])).await.expect("written");
            }
        }
    }
}

fn times(mut millis: Vec<f64>) -> Value {
    millis.sort_unstable_by(f64::total_cmp);
    let at = |percent: usize| millis[(millis.len() - 1) * percent / 100];
    json!({ "p50": at(50), "p99": at(99), "max": at(100), "count": millis.len() })
}

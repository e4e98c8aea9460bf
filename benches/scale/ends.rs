//! A receiver of any number of sessions, and a sender that opens sessions and streams and fills
//! them when it is told to.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ::p2::{Chunk, Client, CodecId, Connection, Server, Stream, StreamOptions};
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::ends::{End, answer, resident, told};

/// Bytes of one write.
const BLOCK: usize = 64 << 10;
/// Opened at the same time: a receiver lets in no more strangers from one address.
const OPENING: usize = 8;
const STREAMS_OPENING: usize = 64;
/// Before the clock starts.
const WARM_UP: Duration = Duration::from_secs(1);

/// Both processes.
pub(crate) struct Pair {
    pub(crate) sender: End,
    receiver: End,
}

/// What moved while all streams were filled.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Filled {
    pub(crate) bytes_per_s: f64,
    /// Of both processes.
    pub(crate) processor_s_per_gib: f64,
    /// The stream that got least.
    pub(crate) slowest_to_mean: f64,
}

impl Pair {
    pub(crate) fn start(streams: u64, sessions: u64) -> Self {
        let mut receiver = End::start("receiver", &[streams.to_string(), sessions.to_string()]);
        let target = receiver.answer()["address"].as_str().expect("an address").to_owned();
        let sender = End::start("sender", &[target, streams.to_string()]);
        Self { sender, receiver }
    }

    /// Fills every stream.
    pub(crate) fn fill(&mut self, span: Duration) -> Filled {
        self.fill_last(u64::MAX, span)
    }

    /// Fills the streams that were opened last.
    pub(crate) fn fill_last(&mut self, streams: u64, span: Duration) -> Filled {
        self.sender.ask(&format!("fill {streams}"));
        // A thousand sessions find out what their links take, side by side.
        std::thread::sleep(span.saturating_mul(4).min(WARM_UP));
        let start = Instant::now();
        let before = [self.sender.ask("look"), self.receiver.ask("look")];
        std::thread::sleep(span);
        let after = [self.sender.ask("look"), self.receiver.ask("look")];
        let took = start.elapsed().as_secs_f64();
        self.sender.ask("stop");
        let number = |value: &Value, key: &str| value[key].as_f64().expect("a number");
        let bytes = number(&after[1], "bytes") - number(&before[1], "bytes");
        let spent =
            |end: usize| number(&after[end], "processor_s") - number(&before[end], "processor_s");
        let each = |look: &Value| -> Vec<f64> {
            look["streams"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect()
        };
        let moved: Vec<f64> = each(&after[0])
            .iter()
            .zip(each(&before[0]))
            .map(|(after, before)| after - before)
            .collect();
        let mean = moved.iter().sum::<f64>() / moved.len().max(1) as f64;
        Filled {
            bytes_per_s: bytes / took,
            processor_s_per_gib: (spent(0) + spent(1)) / (bytes / f64::from(1 << 30)),
            slowest_to_mean: moved.iter().copied().fold(f64::INFINITY, f64::min) / mean,
        }
    }

    /// Bytes resident: sender, receiver. Late acknowledgements have gone out before it is read.
    pub(crate) fn resident(&mut self) -> [u64; 2] {
        std::thread::sleep(Duration::from_millis(200));
        [&mut self.sender, &mut self.receiver]
            .map(|end| end.ask("look")["resident"].as_u64().expect("a number"))
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

fn number(text: &str) -> u64 {
    text.parse().unwrap_or_else(|_| panic!("{text} is not a number"))
}

/// Seconds of all threads of this process.
fn processor_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

pub(crate) fn receiver(arguments: &[String]) {
    let runtime = runtime();
    let (streams, sessions) = (number(&arguments[0]), number(&arguments[1]));
    let server = Server::builder().codecs([CodecId::NONE]).max_streams(streams);
    let server = server.max_sessions(sessions as usize).bind("127.0.0.1:0");
    let server = runtime.block_on(server).expect("a free port");
    let address = server.local_addr();
    let bytes: Arc<AtomicU64> = Arc::default();
    let total = bytes.clone();
    runtime.spawn(async move {
        while let Some(connection) = server.accept().await {
            tokio::spawn(serve(connection, total.clone()));
        }
    });
    answer(&json!({ "address": address }));
    while told().is_some() {
        answer(&json!({
            "bytes": bytes.load(Ordering::Relaxed), "resident": resident().0,
            "processor_s": processor_s(),
        }));
    }
}

async fn serve(connection: Connection, bytes: Arc<AtomicU64>) {
    while let Some(mut stream) = connection.accept_stream().await {
        let bytes = bytes.clone();
        tokio::spawn(async move {
            let mut greeted = false;
            while let Ok(Some(Chunk::Data { data, .. })) = stream.read_chunk().await {
                bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
                if !greeted && stream.write_chunk(Bytes::from_static(b"!")).await.is_err() {
                    return;
                }
                greeted = true;
            }
        });
    }
}

#[derive(Default)]
struct Sender {
    connections: Vec<Connection>,
    idle: VecDeque<Stream>,
    opened: usize,
    moved: Vec<Arc<AtomicU64>>,
    stop: Arc<AtomicBool>,
    filling: JoinSet<Stream>,
}

pub(crate) fn sender(arguments: &[String]) {
    let runtime = runtime();
    let (address, streams) = (arguments[0].clone(), number(&arguments[1]));
    let sender = Arc::new(Mutex::new(Sender::default()));
    while let Some(line) = told() {
        let (what, count) = line.split_once(' ').unwrap_or((&line, "0"));
        let count = number(count);
        let mut sender = sender.lock().expect("no panic");
        runtime.block_on(async {
            match what {
                "sessions" => sender.sessions(&address, streams, count as usize).await,
                "streams" => sender.streams(count as usize).await,
                "fill" => sender.fill(usize::try_from(count).unwrap_or(usize::MAX)),
                "stop" => sender.stop().await,
                _ => {}
            }
        });
        let moved: Vec<u64> = sender.moved.iter().map(|m| m.load(Ordering::Relaxed)).collect();
        answer(&json!({
            "resident": resident().0, "processor_s": processor_s(), "streams": moved,
        }));
    }
}

impl Sender {
    /// As many sessions as that, all in all.
    async fn sessions(&mut self, address: &str, streams: u64, count: usize) {
        while self.connections.len() < count {
            let mut connecting = JoinSet::new();
            for _ in 0..OPENING.min(count - self.connections.len()) {
                let address = address.to_owned();
                connecting.spawn(async move {
                    let client = Client::builder().codecs([CodecId::NONE]).max_streams(streams);
                    client.connect(&address).await.expect("a session")
                });
            }
            self.connections.extend(connecting.join_all().await);
        }
    }

    /// As many streams as that, all in all, over all sessions in turn; each has carried a byte each
    /// way.
    async fn streams(&mut self, count: usize) {
        while self.opened < count {
            let mut opening = JoinSet::new();
            for index in self.opened..count.min(self.opened + STREAMS_OPENING) {
                let connection = self.connections[index % self.connections.len()].clone();
                opening.spawn(async move {
                    let stream = connection.open_stream(StreamOptions::named("s")).await;
                    let mut stream = stream.expect("room for a stream");
                    stream.write_chunk(Bytes::from_static(b"?")).await.expect("written");
                    stream.read_chunk().await.expect("readable").expect("an answer");
                    stream
                });
            }
            let opened = opening.join_all().await;
            self.opened += opened.len();
            self.idle.extend(opened);
        }
    }

    /// The last `count` streams begin to send.
    fn fill(&mut self, count: usize) {
        let first = self.idle.len().saturating_sub(count);
        for mut stream in self.idle.split_off(first) {
            let (moved, stop) = (Arc::new(AtomicU64::new(0)), self.stop.clone());
            self.moved.push(moved.clone());
            self.filling.spawn(async move {
                let block = Bytes::from_static(&[0x5A; BLOCK]);
                while !stop.load(Ordering::Relaxed) {
                    stream.write_chunk(block.clone()).await.expect("written");
                    moved.fetch_add(BLOCK as u64, Ordering::Relaxed);
                }
                stream
            });
        }
    }

    async fn stop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while self.filling.join_next().await.is_some() {}
    }
}

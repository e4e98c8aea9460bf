//! What an urgent stream waits for on a narrow link: echo times alone, and beside four bulk streams.
//!
//! ```text
//! cargo run --release --example latency -- [MBIT] [SECONDS]     default 100 Mbit/s, 5 s
//! ```
#![forbid(unsafe_code)]
#![allow(dead_code, unreachable_pub, reason = "the tests use the rest of the relay")]
#![allow(clippy::print_stdout, reason = "it speaks to a person")]

#[path = "../tests/support/relay.rs"]
mod relay;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use p2::{Chunk, Client, CodecId, Connection, Priority, Server, StreamOptions};
use relay::{Relay, Rules};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let megabits: u64 = arguments.next().map_or(Ok(100), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(5), |text| text.parse())?;
    let server = Server::builder().bind("127.0.0.1:0").await?;
    let relay = Relay::to(&server.local_addr(), 1);
    relay.rules(Rules { rate: Some(megabits * 125_000), slice: Some(4 << 10), ..Rules::default() });
    let counters: Arc<[AtomicU64; 3]> = Arc::default();
    tokio::spawn(serve(server, counters.clone()));
    let connection = Client::builder().connect(&relay.address()).await?;

    let span = Duration::from_secs(seconds);
    println!("{megabits} Mbit/s, no compression, echo of 64 bytes on a realtime stream");
    let alone = echo(&connection, span).await?;
    println!("idle link             {alone}");

    let bulk = Bulk::start(&connection, 4, Priority::Bulk);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = counters[1].load(Ordering::Relaxed);
    let beside = echo(&connection, span).await?;
    let moved = counters[1].load(Ordering::Relaxed) - before;
    println!("beside 4 bulk streams {beside}");
    let share = moved as f64 / seconds as f64 / (megabits as f64 * 125_000.0) * 100.0;
    println!("bulk                  {share:.0} % of the link");

    // The lowest class under a flood of the highest.
    let flood = Bulk::start(&connection, 2, Priority::Realtime);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let before = counters[1].load(Ordering::Relaxed);
    tokio::time::sleep(span).await;
    let low = (counters[1].load(Ordering::Relaxed) - before) as f64 / seconds as f64;
    let share = low / (megabits as f64 * 125_000.0) * 100.0;
    println!("bulk under a flood of realtime: {share:.1} % of the link");
    drop((bulk, flood));
    Ok(())
}

/// Echoes streams named `echo`, and counts the bytes of all others by their class.
async fn serve(server: Server, counters: Arc<[AtomicU64; 3]>) {
    let Some(connection) = server.accept().await else { return };
    while let Some(stream) = connection.accept_stream().await {
        let counters = counters.clone();
        tokio::spawn(async move {
            let echo = stream.name() == "echo";
            let class = usize::from(stream.priority() == Priority::Bulk);
            let (mut send, mut receive) = stream.split();
            while let Ok(Some(Chunk::Data { data, .. })) = receive.read_chunk().await {
                counters[class].fetch_add(data.len() as u64, Ordering::Relaxed);
                if echo && send.write_chunk(data).await.is_err() {
                    return;
                }
            }
        });
    }
}

/// Round trips of 64 bytes, one every 5 ms.
async fn echo(
    connection: &Connection,
    span: Duration,
) -> Result<String, Box<dyn std::error::Error>> {
    let options = StreamOptions::named("echo").priority(Priority::Realtime);
    let mut stream = connection.open_stream(options).await?;
    let mut times = Vec::new();
    let until = Instant::now() + span;
    while Instant::now() < until {
        let sent = Instant::now();
        stream.write_chunk(Bytes::from_static(&[7; 64])).await?;
        let mut missing = 64;
        while missing > 0 {
            if let Some(Chunk::Data { data, .. }) = stream.read_chunk().await? {
                missing -= data.len();
            }
        }
        times.push(sent.elapsed());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1e3;
    let (p50, p99, worst) = (at(50), at(99), at(100));
    Ok(format!("p50 {p50:7.2} ms   p99 {p99:7.2} ms   max {worst:7.2} ms"))
}

/// Streams that send as fast as they can until dropped.
struct Bulk(Vec<tokio::task::JoinHandle<()>>);

impl Bulk {
    fn start(connection: &Connection, streams: usize, priority: Priority) -> Self {
        let block = Bytes::from(vec![1_u8; 64 << 10]);
        let send = |index: usize| {
            let (connection, block) = (connection.clone(), block.clone());
            let options = StreamOptions::named(format!("bulk{index}"))
                .priority(priority)
                .codec(CodecId::NONE)
                .unidirectional(true);
            tokio::spawn(async move {
                let Ok(mut stream) = connection.open_stream(options).await else { return };
                while stream.write_chunk(block.clone()).await.is_ok() {}
            })
        };
        Self((0..streams).map(send).collect())
    }
}

impl Drop for Bulk {
    fn drop(&mut self) {
        self.0.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

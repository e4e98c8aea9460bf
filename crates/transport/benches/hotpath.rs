//! The hot paths, both ends, in one thread and over a pipe in memory: for counting instructions,
//! which do not drift as times do. `benches/instructions` runs it under callgrind.
//!
//! ```text
//! cargo bench -p p2-transport --bench hotpath -- PATH COUNT
//! ```
//!
//! Paths: `messages` (128-byte writes on 100 streams), `frames` (64 KiB on one stream), `echoes`
//! (64 bytes there and back), `streams` (open, echo, close).
#![allow(
    clippy::print_stdout,
    clippy::expect_used,
    missing_docs,
    reason = "a program for counting"
)]

use std::sync::Arc;

use bytes::Bytes;
use p2_transport::{
    Chunk, Client, CodecId, Connection, Link, Server, Stream, StreamOptions,
    dial::{Dial, Dialling},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const PIPE: usize = 256 << 10;
const STREAMS: usize = 100;
static MESSAGE: [u8; 128] = [0x5A; 128];
const BLOCK: usize = 64 << 10;
/// Messages that a writer hands over before another one's turn.
const RUN: u64 = 64;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let path = arguments.next().unwrap_or_else(|| "messages".into());
    let count = arguments.next().map_or(1_000, |text| text.parse().expect("a count"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let pair = Pair::connect().await;
        match path.as_str() {
            "messages" => messages(&pair, count).await,
            "frames" => frames(&pair, count).await,
            "echoes" => echoes(&pair, count).await,
            "streams" => streams(&pair, count).await,
            other => panic!("no such path: {other}"),
        }
        println!("{count} {path}");
    });
}

struct Pair {
    near: Connection,
    far: Connection,
    _server: Arc<Server>,
}

/// Dials by making a pipe and giving its other end to the server.
struct Piped(Arc<Server>);

impl Dial for Piped {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let link = |pipe| {
                let (reader, writer) = tokio::io::split::<tokio::io::DuplexStream>(pipe);
                Link::new(reader, writer, "a pipe").integrity(true).local(true)
            };
            let (near, far) = tokio::io::duplex(PIPE);
            self.0.serve_link(link(far));
            Ok(link(near))
        })
    }

    fn target(&self) -> String {
        "a pipe".into()
    }
}

impl Pair {
    async fn connect() -> Self {
        let server = Arc::new(Server::builder().codecs([CodecId::NONE]).without_listener());
        let client = Client::builder().codecs([CodecId::NONE]);
        let (near, far) = tokio::join!(client.connect_with(Piped(server.clone())), server.accept());
        Self { near: near.expect("connected"), far: far.expect("a session"), _server: server }
    }

    async fn stream(&self, options: StreamOptions) -> (Stream, Stream) {
        let near = self.near.open_stream(options).await.expect("room");
        (near, self.far.accept_stream().await.expect("it arrives"))
    }
}

async fn messages(pair: &Pair, count: u64) {
    let mut readers = tokio::task::JoinSet::new();
    let mut writers = tokio::task::JoinSet::new();
    let share = count / STREAMS as u64;
    for _ in 0..STREAMS {
        let (mut near, far) = pair.stream(StreamOptions::named("s").unidirectional(true)).await;
        writers.spawn(async move {
            for index in 0..share {
                near.write_all(&MESSAGE).await.expect("written");
                if index % RUN == RUN - 1 {
                    tokio::task::yield_now().await;
                }
            }
            near.finish().await.expect("delivered");
        });
        readers.spawn(drain(far));
    }
    writers.join_all().await;
    let read: u64 = readers.join_all().await.iter().sum();
    assert_eq!(read, share * STREAMS as u64 * MESSAGE.len() as u64);
}

async fn frames(pair: &Pair, count: u64) {
    let (mut near, far) = pair.stream(StreamOptions::named("s").unidirectional(true)).await;
    let reading = tokio::spawn(drain(far));
    let block = Bytes::from(vec![0x5A; BLOCK]);
    for _ in 0..count {
        near.write_chunk(block.clone()).await.expect("written");
    }
    near.finish().await.expect("delivered");
    assert_eq!(reading.await.expect("read"), count * BLOCK as u64);
}

async fn echoes(pair: &Pair, count: u64) {
    let (mut near, far) = pair.stream(StreamOptions::named("s")).await;
    let answering = tokio::spawn(answer(far));
    let mut buffer = [0; 64];
    for _ in 0..count {
        near.write_all(&MESSAGE[..64]).await.expect("written");
        near.read_exact(&mut buffer).await.expect("answered");
    }
    near.start_finish();
    answering.await.expect("no panic");
}

async fn streams(pair: &Pair, count: u64) {
    for _ in 0..count {
        let (mut near, far) = pair.stream(StreamOptions::named("s")).await;
        let answering = tokio::spawn(answer(far));
        near.write_all(&MESSAGE[..64]).await.expect("written");
        near.start_finish();
        let mut back = Vec::new();
        near.read_to_end(&mut back).await.expect("answered");
        assert_eq!(back.len(), 64);
        answering.await.expect("no panic");
    }
}

async fn drain(mut stream: Stream) -> u64 {
    let mut read = 0;
    while let Some(chunk) = stream.read_chunk().await.expect("readable") {
        if let Chunk::Data { data, .. } = chunk {
            read += data.len() as u64;
        }
    }
    read
}

async fn answer(mut stream: Stream) {
    while let Some(chunk) = stream.read_chunk().await.expect("readable") {
        if let Chunk::Data { data, .. } = chunk {
            stream.write_chunk(data).await.expect("answered");
        }
    }
    stream.start_finish();
}

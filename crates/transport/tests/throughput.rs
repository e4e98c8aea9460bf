//! Figures of this shell on loopback, printed for whoever asks: `cargo test --test throughput -- --ignored --nocapture`.

mod common;

use std::time::Instant;

use bytes::Bytes;
use common::{client, log, read_all, server, within};
use p2_transport::{Chunk, CodecId, StreamOptions};

async fn bulk(streams: usize, codec: CodecId, chunk: usize, total: usize) {
    let server = server().await;
    let address = server.local_addr();
    let (near, far) = tokio::join!(client().codecs([codec]).connect(&address), server.accept());
    let (near, far) = (near.expect("connected"), far.expect("accepted"));
    let data = log(1, chunk);
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..streams {
        let mut stream = near.open_stream(StreamOptions::named("bulk")).await.expect("room");
        let data = data.clone();
        tasks.spawn(async move {
            for _ in 0..total / streams / chunk {
                stream.write_chunk(data.clone()).await.expect("written");
            }
            stream.finish().await.expect("acknowledged");
        });
    }
    for _ in 0..streams {
        let mut stream = far.accept_stream().await.expect("it arrives");
        tasks.spawn(async move {
            while let Some(chunk) = stream.read_chunk().await.expect("readable") {
                assert!(matches!(chunk, Chunk::Data { .. }));
            }
        });
    }
    while within("bulk", tasks.join_next()).await.is_some() {}
    let took = start.elapsed().as_secs_f64();
    let stats = near.stats();
    println!(
        "{streams:4} streams, {codec}, writes of {chunk}: {:.2} GiB/s raw, {:.2} M writes/s, {} frames, {:.1}x",
        total as f64 / took / f64::from(1 << 30),
        (total / chunk) as f64 / took / 1e6,
        stats.frames_sent,
        total as f64 / stats.wire_sent as f64,
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn figures() {
    bulk(1, CodecId::NONE, 64 * 1024, 2 << 30).await;
    bulk(100, CodecId::NONE, 64 * 1024, 2 << 30).await;
    bulk(1, CodecId::GZIP, 64 * 1024, 256 << 20).await;
    bulk(8, CodecId::GZIP, 64 * 1024, 256 << 20).await;
    bulk(100, CodecId::NONE, 128, 128 << 20).await;
    bulk(100, CodecId::GZIP, 128, 32 << 20).await;
    let server = server().await;
    let (near, far) = common::pair(&server, &server.local_addr()).await;
    common::echo(far);
    let start = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let near = near.clone();
        tasks.spawn(async move {
            for _ in 0..400 {
                let mut stream = near.open_stream(StreamOptions::named("e")).await.expect("room");
                stream.write_chunk(Bytes::from_static(b"ping")).await.expect("written");
                stream.start_finish();
                assert_eq!(read_all(&mut stream).await, b"ping");
            }
        });
    }
    while within("echo", tasks.join_next()).await.is_some() {}
    println!("open + echo + close: {:.0}/s", 20_000.0 / start.elapsed().as_secs_f64());
}

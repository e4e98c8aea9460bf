//! A backlog is encoded beside the writing: everything arrives in order, over any width.

use std::sync::atomic::Ordering;

use super::*;

const LENGTH: usize = 6 << 20;

/// Lines of a log, no two alike.
fn log() -> Vec<u8> {
    let lines =
        (0..).map(|n: u64| format!("job {n} done after {} ms\n", n.wrapping_mul(7919) % 997));
    let mut log: Vec<u8> = lines.flat_map(String::into_bytes).take(LENGTH).collect();
    log.truncate(LENGTH);
    log
}

fn carry(shared: &Arc<Shared>, end: DuplexStream) -> tokio::task::JoinHandle<End> {
    let shared = shared.clone();
    tokio::spawn(async move { run(shared, link(end), &codecs()).await })
}

/// Writes it all, in pieces of several frames, and ends the stream.
async fn write(connection: Connection, codec: CodecId, log: Vec<u8>) {
    let options = StreamOptions::named("log").codec(codec);
    let mut stream = connection.open_stream(options).await.expect("room");
    for piece in log.chunks(300_000) {
        stream.write_chunk(piece.to_vec().into()).await.expect("the session stands");
    }
    stream.finish().await.expect("everything is acknowledged");
}

async fn read(connection: Connection) -> Vec<u8> {
    let mut stream = connection.accept_stream().await.expect("it arrives");
    let mut all = Vec::new();
    while let Some(Chunk::Data { data, .. }) = stream.read_chunk().await.expect("readable") {
        all.extend_from_slice(&data);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_arrives_in_order_over_wide_and_narrow_links() {
    let ids: Vec<CodecId> = codecs().registry.iter().map(|codec| codec.id()).collect();
    for (codec, width) in ids.into_iter().flat_map(|id| [(id, 4 << 20), (id, 5_000)]) {
        let sender = session(Role::Client, HOUR, 2 * HOUR);
        let receiver = session(Role::Server, HOUR, 2 * HOUR);
        let (a, b) = duplex(width);
        let links = [carry(&sender, a), carry(&receiver, b)];
        let written = tokio::spawn(write(Connection::new(sender), codec, log()));
        let all = timeout(6 * SOON, read(Connection::new(receiver))).await.expect("in time");
        assert!(all == log(), "{codec} over {width}");
        let beside = beside::STARTED.swap(0, Ordering::Relaxed) > 0;
        assert!(beside || pool::threads() < 2, "{codec} over {width}: no thread of its own");
        timeout(SOON, written).await.expect("in time").expect("finished");
        links.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

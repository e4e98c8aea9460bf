//! A backlog is encoded beside the writing: everything arrives in order, over any width, and though
//! links die meanwhile.

use std::sync::atomic::Ordering;

use tokio::sync::Mutex;

use super::*;

const LENGTH: usize = 6 << 20;
/// Links that die while their backlog is encoded.
const CUTS: u64 = 24;

/// Held by a test that counts the process's threads.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Lines of a log, no two alike.
fn log() -> Vec<u8> {
    let lines =
        (0..).map(|n: u64| format!("job {n} done after {} ms\n", n.wrapping_mul(7919) % 997));
    let mut log: Vec<u8> = lines.flat_map(String::into_bytes).take(LENGTH).collect();
    log.truncate(LENGTH);
    log
}

fn carry(shared: &Arc<Shared>, epoch: u64, end: DuplexStream) -> tokio::task::JoinHandle<End> {
    let shared = shared.clone();
    tokio::spawn(async move { run(shared, link_of(epoch, end), &codecs()).await })
}

/// Both sides go on where they are, on another link.
fn resume(sides: [&Arc<Shared>; 2], epoch: u64) {
    let parts = sides.map(|side| side.with(|state| state.session.resume_parts()));
    for (side, parts) in sides.into_iter().zip(parts.into_iter().rev()) {
        let attachment = Attachment { resume: parts, ..Attachment::new(epoch, CodecId::GZIP) };
        side.with(|state| state.session.attach(clock::now(), attachment)).expect("resumed");
        side.up(epoch, std::time::Instant::now(), true, "");
    }
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
    while let Some(Chunk::Data { data, offset }) = stream.read_chunk().await.expect("readable") {
        assert_eq!(offset, all.len() as u64);
        all.extend_from_slice(&data);
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_backlog_arrives_in_order_over_wide_and_narrow_links() {
    let _alone = ALONE.lock().await;
    let ids: Vec<CodecId> = codecs().registry.iter().map(|codec| codec.id()).collect();
    for (codec, width) in ids.into_iter().flat_map(|id| [(id, 4 << 20), (id, 5_000)]) {
        let sender = session(Role::Client, HOUR, 2 * HOUR);
        let receiver = session(Role::Server, HOUR, 2 * HOUR);
        let (a, b) = duplex(width);
        let links = [carry(&sender, 1, a), carry(&receiver, 1, b)];
        let written = tokio::spawn(write(Connection::new(sender), codec, log()));
        let all = timeout(6 * SOON, read(Connection::new(receiver))).await.expect("in time");
        assert!(all == log(), "{codec} over {width}");
        let beside = beside::STARTED.swap(0, Ordering::Relaxed) > 0;
        assert!(beside || pool::threads() < 2, "{codec} over {width}: no thread of its own");
        timeout(SOON, written).await.expect("in time").expect("finished");
        links.iter().for_each(tokio::task::JoinHandle::abort);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn links_that_die_while_a_backlog_is_encoded_lose_and_repeat_nothing() {
    let _alone = ALONE.lock().await;
    if pool::threads() < 2 {
        return;
    }
    let sender = session(Role::Client, HOUR, 2 * HOUR);
    let receiver = session(Role::Server, HOUR, 2 * HOUR);
    let written = tokio::spawn(write(Connection::new(sender.clone()), CodecId::GZIP, log()));
    let all = tokio::spawn(read(Connection::new(receiver.clone())));
    let mut cuts = 0;
    for epoch in 1.. {
        if epoch > 1 {
            resume([&sender, &receiver], epoch);
        }
        let ((near, mut near_end), (far, mut far_end)) = (duplex(1 << 20), duplex(1 << 20));
        let links = [carry(&sender, epoch, near), carry(&receiver, epoch, far)];
        let joined = tokio::spawn(async move {
            tokio::io::copy_bidirectional(&mut near_end, &mut far_end).await
        });
        let encoding = || beside::RUNNING.load(Ordering::Relaxed) > 0;
        while cuts < CUTS && !encoding() && !written.is_finished() {
            tokio::task::yield_now().await;
        }
        if cuts == CUTS || written.is_finished() {
            break;
        }
        cuts += 1;
        // The thread is somewhere in a batch, and may be so still when the next link stands.
        joined.abort();
        for link in links {
            timeout(SOON, link).await.expect("the link ends").expect("no panic");
        }
    }
    let all = timeout(6 * SOON, all).await.expect("in time").expect("no panic");
    assert!(all == log(), "{} bytes over {cuts} cuts", all.len());
    timeout(SOON, written).await.expect("in time").expect("finished");
    assert!(cuts > 0, "no link was cut while its backlog was encoded");
}

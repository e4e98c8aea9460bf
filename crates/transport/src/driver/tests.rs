//! What a link survives, what ends it, and how soon.

mod backlog;

use std::time::Duration;

use p2_frame::{Close, CrcPolicy, DecodeLimits, Frame, GoAway, decode};
use p2_mux::{Attachment, CodecId, Config, ErrorCode, LinkError, ProcessBudget, Role, Session};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex, split},
    time::{sleep, timeout},
};

use super::*;
use crate::{Chunk, Connection, StreamError, StreamOptions};

/// Much longer than anything here takes, and much shorter than a stall may last.
const SOON: Duration = Duration::from_secs(10);
const HOUR: Duration = Duration::from_secs(3600);

/// A session whose first link is attached.
fn session(role: Role, heartbeat: Duration, silence: Duration) -> Arc<Shared> {
    let config = Config { heartbeat, heartbeat_timeout: silence, ..Config::new(role) };
    let shared =
        Arc::new(Shared::new(Session::new(config, ProcessBudget::default()), String::new()));
    shared.with(|state| {
        let link = Attachment::new(1, CodecId::GZIP);
        state.session.attach(clock::now(), link).expect("attached");
        state.first_up = Some(clock::now());
    });
    shared.up(1, std::time::Instant::now(), false, "");
    shared
}

fn codecs() -> Codecs {
    {
        let registry = Registry::builtin();
        let all: Vec<_> = registry.iter().map(|codec| codec.id()).collect();
        Codecs::new(&registry, &all)
    }
}

fn link(end: DuplexStream) -> Established {
    link_of(1, end)
}

fn link_of(epoch: u64, end: DuplexStream) -> Established {
    let (reader, writer) = split(end);
    Established {
        reader: Box::new(reader),
        writer: Box::new(writer),
        input: BytesMut::new(),
        output: BytesMut::new(),
        epoch,
        crc: false,
        heard: None,
    }
}

/// Reads frames until one of them is CLOSE.
async fn until_close(far: &mut DuplexStream) -> Close {
    let limits = DecodeLimits { max_payload: 1 << 20, crc: CrcPolicy::Off, handshake: false };
    let mut input = BytesMut::new();
    loop {
        while let Some(frame) = decode(&mut input, &limits).expect("frames") {
            if let Frame::Close(close) = frame {
                return close;
            }
        }
        assert!(far.read_buf(&mut input).await.expect("readable") > 0, "the end without CLOSE");
    }
}

async fn say_close(far: &mut DuplexStream, ack: bool) {
    let mut bytes = BytesMut::new();
    let (code, reason) = (ErrorCode::NO_ERROR, String::new());
    let close = Frame::Close(Close { code, reason, ack, ext: Vec::new() });
    close.encode(&mut bytes, false).expect("a small frame");
    far.write_all(&bytes).await.expect("the link stands");
}

#[tokio::test]
async fn a_peer_that_stops_reading_is_noticed_by_the_heartbeat() {
    let shared = session(Role::Client, Duration::from_millis(100), Duration::from_millis(300));
    let connection = Connection::new(shared.clone());
    let options = StreamOptions::named("bulk").codec(CodecId::NONE);
    let mut stream = connection.open_stream(options).await.expect("room");
    stream.write_chunk(vec![7; 200_000].into()).await.expect("within the first window");
    let (near, _deaf) = duplex(1024);
    let end = timeout(SOON, run(shared, link(near), &codecs())).await.expect("noticed");
    assert!(matches!(end, End::Link(LinkError::Dead(_))), "{end}");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stops_reading_stalls_the_link_before_a_slow_heartbeat() {
    let shared = session(Role::Client, HOUR, 2 * HOUR);
    let connection = Connection::new(shared.clone());
    let options = StreamOptions::named("bulk").codec(CodecId::NONE);
    let mut stream = connection.open_stream(options).await.expect("room");
    stream.write_chunk(vec![7; 200_000].into()).await.expect("within the first window");
    let (near, _deaf) = duplex(1024);
    let end = timeout(2 * STALL, run(shared, link(near), &codecs())).await.expect("noticed");
    assert!(matches!(end, End::Stalled("written")), "{end}");
}

/// A frame of some length that changes little.
fn goaway(reason: usize) -> BytesMut {
    let mut bytes = BytesMut::new();
    let goaway = Frame::GoAway(GoAway {
        code: ErrorCode::NO_ERROR,
        last_stream: 0,
        deadline_ms: 0,
        reason: "x".repeat(reason),
        ext: Vec::new(),
    });
    goaway.encode(&mut bytes, false).expect("a small frame");
    bytes
}

/// The link must stand while `bytes` arrive one by one, `pause` apart.
async fn trickle(shared: Arc<Shared>, bytes: BytesMut, pause: Duration) {
    let (near, mut far) = duplex(64 * 1024);
    let trickle = async {
        for byte in &bytes {
            far.write_u8(*byte).await.expect("the link stands");
            sleep(pause).await;
        }
    };
    let codecs = codecs();
    tokio::select! {
        end = run(shared, link(near), &codecs) => panic!("{end}"),
        () = trickle => {}
    }
}

#[tokio::test]
async fn a_peer_that_trickles_a_frame_is_alive() {
    let silence = Duration::from_millis(1000);
    let shared = session(Role::Server, silence / 2, silence);
    trickle(shared, goaway(250), silence / 100).await;
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_takes_minutes_does_not_stall() {
    let shared = session(Role::Server, HOUR, 2 * HOUR);
    trickle(shared, goaway(5), STALL / 2).await;
}

#[tokio::test]
async fn whoever_has_its_close_acknowledged_hangs_up_first() {
    let shared = session(Role::Client, HOUR, 2 * HOUR);
    shared.with(|state| state.close(""));
    let (near, mut far) = duplex(4096);
    let peer = async {
        assert!(!until_close(&mut far).await.ack);
        // By then nothing keeps the writer awake.
        sleep(Duration::from_millis(100)).await;
        say_close(&mut far, true).await;
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.expect("it hangs up");
        far
    };
    let codecs = codecs();
    let (end, _far) = timeout(SOON, async { tokio::join!(run(shared, link(near), &codecs), peer) })
        .await
        .expect("it does not wait for the peer");
    assert!(matches!(end, End::Drained), "{end}");
}

#[tokio::test]
async fn whoever_acknowledges_a_close_hangs_up_too() {
    let shared = session(Role::Server, HOUR, 2 * HOUR);
    let (near, mut far) = duplex(4096);
    let peer = async {
        say_close(&mut far, false).await;
        assert!(until_close(&mut far).await.ack);
        far
    };
    let codecs = codecs();
    let (end, _far) = timeout(SOON, async { tokio::join!(run(shared, link(near), &codecs), peer) })
        .await
        .expect("it does not wait for the peer");
    assert!(matches!(end, End::Drained), "{end}");
}

#[tokio::test]
async fn a_stream_whose_context_finds_no_room_is_reset_and_the_link_lives() {
    let sender = session(Role::Client, HOUR, 2 * HOUR);
    let receiver = session(Role::Server, HOUR, 2 * HOUR);
    let (near, far) = (Connection::new(sender.clone()), Connection::new(receiver.clone()));
    let (a, b) = duplex(64 * 1024);
    tokio::spawn(async move { run(sender, link(a), &codecs()).await });
    tokio::spawn(async move {
        let without_room = Codecs { decoder_limit: 0, ..codecs() };
        run(receiver, link(b), &without_room).await
    });
    let mut starved = near.open_stream(StreamOptions::named("gzip")).await.expect("room");
    let raw = StreamOptions::named("raw").codec(CodecId::NONE);
    let mut raw = near.open_stream(raw).await.expect("room");
    let mut theirs = far.accept_stream().await.expect("it arrives");
    let mut theirs_raw = far.accept_stream().await.expect("it arrives");
    // More than one frame, so that one continues the context of another.
    starved.write_chunk("one line of a log\n".repeat(10_000).into()).await.expect("window");
    let failure = timeout(SOON, async {
        loop {
            match theirs.read_chunk().await {
                Ok(Some(Chunk::Data { .. })) => {}
                Ok(other) => panic!("{other:?}"),
                Err(error) => return error,
            }
        }
    });
    let failure = failure.await.expect("an error");
    assert!(matches!(failure, StreamError::TooMany(_)), "{failure}");
    let told = timeout(SOON, starved.finish()).await.expect("an answer").expect_err("stopped");
    assert!(matches!(told, StreamError::Stopped(ErrorCode::LIMIT)), "{told}");
    raw.write_chunk("still here".into()).await.expect("window");
    let chunk =
        timeout(SOON, theirs_raw.read_chunk()).await.expect("it arrives").expect("readable");
    assert!(matches!(chunk, Some(Chunk::Data { data, .. }) if data == "still here"));
}

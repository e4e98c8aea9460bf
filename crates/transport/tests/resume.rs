//! What the session promises when links die.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Relay, client, echo, log, pair, read_all, seed, server, stream, within};
use p2_transport::{
    Chunk, Client, ErrorCode, LinkState, Server, SessionError, StreamOptions, Token,
};

#[tokio::test]
async fn a_cut_in_the_middle_of_a_transfer_loses_and_repeats_nothing() {
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    let sent = log(1, 4 * 1024 * 1024);
    let text = sent.clone();
    let writing = tokio::spawn(async move {
        ours.write_chunk(text).await.expect("written");
        ours.finish().await.expect("acknowledged");
    });
    let mut all = Vec::new();
    let mut cuts = 0;
    while let Some(chunk) = within("reading", theirs.read_chunk()).await.expect("readable") {
        let Chunk::Data { offset, data } = chunk else { panic!("a gap") };
        assert_eq!(offset, all.len() as u64);
        all.extend_from_slice(&data);
        if all.len() >= (cuts + 1) * 1024 * 1024 && cuts < 3 {
            cuts += 1;
            relay.cut();
        }
    }
    within("finish", writing).await.expect("no panic");
    assert!(all == sent, "{} of {} bytes", all.len(), sent.len());
    let stats = near.stats();
    assert!(stats.reconnects >= 1 && stats.resumes == stats.reconnects, "{stats:?}");
    let summary = within("close", near.close()).await.expect("in order");
    assert_eq!((summary.lost, summary.duplicated), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_cuts_in_handshakes_and_transfers_converge() {
    let seed = seed();
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    echo(far.clone());
    relay.cut_after(seed, 1, 60_000);
    relay.cut();
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..8 {
        let near = near.clone();
        tasks.spawn(async move {
            let options = StreamOptions::named(format!("stream {index}"));
            let stream = near.open_stream(options).await.expect("room");
            let (mut send, mut recv) = stream.split();
            let sent = log(seed.wrapping_add(index), 400_000);
            let text = sent.clone();
            let writing = tokio::spawn(async move {
                send.write_chunk(text).await.expect("written");
                send.finish().await.expect("acknowledged");
            });
            let mut all = Vec::new();
            while let Some(chunk) = recv.read_chunk().await.expect("readable") {
                let Chunk::Data { offset, data } = chunk else { panic!("a gap") };
                assert_eq!(offset, all.len() as u64);
                all.extend_from_slice(&data);
            }
            assert!(all == sent, "{} of {} bytes", all.len(), sent.len());
            writing.await.expect("no panic");
        });
    }
    while let Some(done) = within("a stream", tasks.join_next()).await {
        done.expect("no panic");
    }
    relay.heal();
    let summary = within("close", near.close()).await.expect("in order");
    assert_eq!((summary.lost, summary.duplicated), (0, 0));
    within("the server's side", far.closed()).await.expect("in order");
    let second = tokio::time::timeout(Duration::from_millis(1), server.accept()).await;
    assert!(second.is_err(), "one session from first to last");
}

#[tokio::test]
async fn a_link_that_goes_silent_is_replaced() {
    let server = Server::builder()
        .heartbeat(Duration::from_millis(100))
        .heartbeat_timeout(Duration::from_millis(400))
        .bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let relay = Relay::to(&server.local_addr()).await;
    let client = client()
        .heartbeat(Duration::from_millis(100))
        .heartbeat_timeout(Duration::from_millis(400))
        .connect_timeout(Duration::from_millis(500));
    let (near, far) = tokio::join!(client.connect(&relay.address), server.accept());
    let (near, far) = (near.expect("connected"), far.expect("accepted"));
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    relay.hold(true);
    ours.write_chunk(Bytes::from_static(b"into the void")).await.expect("accepted");
    let mut link = near.link();
    let down = |state: &LinkState| matches!(state, LinkState::Down { .. });
    within("noticing", link.wait_for(down)).await.expect("the session lives");
    relay.hold(false);
    ours.start_finish();
    assert_eq!(read_all(&mut theirs).await, b"into the void");
}

#[tokio::test]
async fn a_server_that_restarted_is_named_with_what_is_open() {
    let (first, second) = (server().await, server().await);
    let relay = Relay::to(&first.local_addr()).await;
    let (near, far) = pair(&first, &relay.address).await;
    let (mut ours, _theirs) = stream(&near, &far, "log").await;
    ours.write_chunk(Bytes::from_static(b"never read")).await.expect("written");
    relay.lead_to(&second.local_addr());
    relay.cut();
    match within("closed", near.closed()).await {
        Err(SessionError::PeerRestarted { unacknowledged }) => {
            assert_eq!(unacknowledged.len(), 1);
            assert_eq!(unacknowledged[0].name, "log");
            assert_eq!((unacknowledged[0].acknowledged, unacknowledged[0].bytes), (0, 10));
        }
        other => panic!("{other:?}"),
    }
    assert!(ours.write_chunk(Bytes::from_static(b"x")).await.is_err());
}

#[tokio::test]
async fn a_detached_session_expires() {
    let server = Server::builder()
        .session_ttl(Duration::from_millis(200))
        .bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    relay.cut_after(0, 0, 1);
    relay.cut();
    let error = within("expiry", far.closed()).await.expect_err("not in order");
    assert!(matches!(error, SessionError::Expired { .. }), "{error}");
    relay.heal();
    let error = within("refusal", near.closed()).await.expect_err("not in order");
    assert!(matches!(error, SessionError::Expired { .. }), "{error}");
    assert_eq!(server.stats().sessions, 0);
}

#[tokio::test]
async fn a_close_whose_answer_was_lost_still_succeeds() {
    let seed = seed();
    for round in 0..20u64 {
        let server = server().await;
        let relay = Relay::to(&server.local_addr()).await;
        let (near, far) = pair(&server, &relay.address).await;
        let (mut ours, mut theirs) = stream(&near, &far, "log").await;
        ours.write_chunk(Bytes::from_static(b"all of it")).await.expect("written");
        ours.start_finish();
        assert_eq!(read_all(&mut theirs).await, b"all of it");
        drop((ours, theirs));
        relay.cut_after(seed.wrapping_add(round), 1, 2500);
        relay.cut();
        let closing = near.close();
        let healing = async {
            tokio::time::sleep(Duration::from_millis(30)).await;
            relay.heal();
        };
        let (summary, ()) = within("close", async { tokio::join!(closing, healing) }).await;
        assert_eq!(summary.expect("in order").lost, 0, "round {round}");
    }
}

#[tokio::test]
async fn with_a_token_sessions_resume_too() {
    let token = Token::from_bytes(b"a shared secret of some length").expect("long enough");
    let server =
        Server::builder().token(token.clone()).bind("127.0.0.1:0").await.expect("a free port");
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = tokio::join!(client().token(token).connect(&relay.address), server.accept());
    let (near, far) = (near.expect("connected"), far.expect("accepted"));
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    for _ in 0..5 {
        relay.cut();
        ours.write_chunk(log(9, 50_000)).await.expect("written");
        let mut got = 0;
        while got < 50_000 {
            match within("reading", theirs.read_chunk()).await.expect("readable") {
                Some(Chunk::Data { data, .. }) => got += data.len(),
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(server.stats().sessions, 1);
}

#[tokio::test]
async fn retry_now_skips_the_wait() {
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let slow = p2_transport::Backoff {
        min: Duration::from_secs(3600),
        max: Duration::from_secs(3600),
        ..p2_transport::Backoff::default()
    };
    let client = Client::builder().retry(slow);
    let (near, _far) = tokio::join!(client.connect(&relay.address), server.accept());
    let near = near.expect("connected");
    relay.cut_after(0, 0, 1);
    relay.cut();
    let mut link = near.link();
    let waiting = |s: &LinkState| matches!(s, LinkState::Down { retry_in: Some(wait), .. } if !wait.is_zero());
    within("waiting", link.wait_for(waiting)).await.expect("the session lives");
    relay.heal();
    near.retry_now();
    let up = |state: &LinkState| matches!(state, LinkState::Up { resumed: true, .. });
    within("up", link.wait_for(up)).await.expect("the session lives");
}

#[tokio::test]
async fn an_idle_session_survives_a_cut_and_close_aborts_on_demand() {
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    relay.cut();
    let mut link = near.link();
    let up = |state: &LinkState| matches!(state, LinkState::Up { resumed: true, .. });
    within("up", link.wait_for(up)).await.expect("the session lives");
    far.abort(ErrorCode::SHUTTING_DOWN, "maintenance");
    let error = within("closed", near.closed()).await.expect_err("not in order").to_string();
    assert!(error.contains("maintenance"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_link_fences_the_old_one_that_the_server_still_believes_in() {
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    let mut expected = Vec::new();
    for round in 0..3 {
        // All rounds together fit the first window: nobody reads yet.
        let part = log(round, 60_000);
        expected.extend_from_slice(&part);
        ours.write_chunk(part).await.expect("written");
        relay.strand();
    }
    ours.start_finish();
    assert!(read_all(&mut theirs).await == expected);
    relay.stranded_are_closed().await;
    assert_eq!(server.stats().sessions, 1);
}

#[tokio::test]
async fn cut_at_any_byte_of_the_first_handshake_there_is_one_session() {
    for bytes in (0..700).step_by(11) {
        let server = server().await;
        let relay = Relay::to(&server.local_addr()).await;
        relay.cut_next(bytes);
        let (near, far) = pair(&server, &relay.address).await;
        let (mut ours, mut theirs) = stream(&near, &far, "log").await;
        ours.write_chunk(Bytes::from_static(b"hello")).await.expect("written");
        ours.start_finish();
        assert_eq!(read_all(&mut theirs).await, b"hello", "cut after {bytes} bytes");
        drop((ours, theirs));
        let closing = within("close", near.close()).await.expect("in order");
        assert_eq!(closing.lost, 0);
        let second = tokio::time::timeout(Duration::from_millis(1), server.accept()).await;
        assert!(second.is_err(), "a second session, cut after {bytes} bytes");
    }
}

#[tokio::test]
async fn cut_at_any_byte_of_a_resume_it_converges() {
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    let mut expected = Vec::new();
    for bytes in (0..1000).step_by(13) {
        relay.cut_next(bytes);
        relay.cut();
        let part = log(bytes, 500);
        expected.extend_from_slice(&part);
        ours.write_chunk(part).await.expect("written");
        let mut got = 0;
        while got < 500 {
            match within("reading", theirs.read_chunk()).await.expect("readable") {
                Some(Chunk::Data { offset, data }) => {
                    assert_eq!(offset as usize, expected.len() - 500 + got);
                    got += data.len();
                }
                other => panic!("{other:?} after a cut at {bytes}"),
            }
        }
    }
    within("finish", async { tokio::join!(ours.finish(), read_all_of(theirs)) })
        .await
        .0
        .expect("end");
    assert_eq!(server.stats().sessions, 1);
}

async fn read_all_of(mut stream: p2_transport::Stream) {
    assert_eq!(stream.read_chunk().await.expect("readable"), None);
}

/// A TCP link that nobody vouches for: frames carry checksums.
struct Unprotected(String);

impl p2_transport::Dial for Unprotected {
    fn dial(&self) -> p2_transport::dial::Dialling<'_> {
        Box::pin(async {
            let link = p2_transport::dial::TcpDial::new(&self.0).dial().await?;
            Ok(link.integrity(false))
        })
    }
    fn target(&self) -> String {
        self.0.clone()
    }
}

#[tokio::test]
async fn a_flipped_bit_costs_the_link_and_nothing_else() {
    let seed = seed();
    let mut random = fastrand::Rng::with_seed(seed);
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let dialled = client().codecs([]).connect_with(Unprotected(relay.address.clone()));
    let (near, far) = tokio::join!(dialled, server.accept());
    let (near, far) = (near.expect("connected"), far.expect("accepted"));
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    let mut expected = Vec::new();
    for round in 0..20 {
        // Beyond the handshake: a bit that flips there is a refusal, and three are the last word.
        relay.flip(random.u64(1000..100_000));
        relay.cut();
        let part = log(round, 150_000);
        expected.extend_from_slice(&part);
        let writing = ours.write_chunk(part);
        let reading = async {
            let mut all = Vec::new();
            while all.len() < 150_000 {
                match theirs.read_chunk().await.expect("readable") {
                    Some(Chunk::Data { data, .. }) => all.extend_from_slice(&data),
                    other => panic!("{other:?}"),
                }
            }
            all
        };
        let (written, read) = within("a round", async { tokio::join!(writing, reading) }).await;
        written.expect("written");
        assert!(expected.ends_with(&read), "round {round}");
    }
    assert!(far.stats().decode_errors > 0, "{:?}", far.stats());
    ours.start_finish();
    assert_eq!(read_all_len(&mut theirs).await, 0, "length and digest agree");
}

async fn read_all_len(stream: &mut p2_transport::Stream) -> usize {
    let mut length = 0;
    while let Some(Chunk::Data { data, .. }) = stream.read_chunk().await.expect("verified") {
        length += data.len();
    }
    length
}

#[tokio::test]
async fn a_link_that_moved_something_is_replaced_at_once() {
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let never = p2_transport::Backoff {
        min: Duration::from_secs(1 << 30),
        max: Duration::from_secs(1 << 30),
        ..p2_transport::Backoff::default()
    };
    let client = Client::builder().retry(never);
    let (near, far) = tokio::join!(client.connect(&relay.address), server.accept());
    let (near, far) = (near.expect("connected"), far.expect("accepted"));
    echo(far);
    let mut stream = near.open_stream(StreamOptions::named("echo")).await.expect("room");
    for round in 0..5u64 {
        stream.write_chunk(Bytes::from_static(b"there and back")).await.expect("written");
        let mut back = 0;
        while back < 14 {
            match within("the echo", stream.read_chunk()).await.expect("readable") {
                Some(Chunk::Data { data, .. }) => back += data.len(),
                other => panic!("{other:?}"),
            }
        }
        relay.cut();
        let mut link = near.link();
        let links = near.stats().links;
        assert!(links > round, "{links} links");
        let next = |_: &LinkState| near.stats().links > links;
        within("the next link", link.wait_for(next)).await.expect("the session lives");
    }
}

#[tokio::test]
async fn a_server_that_closed_does_not_wait_for_a_client_that_has_gone() {
    let server = Server::builder()
        .session_ttl(Duration::from_millis(300))
        .bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    ours.start_finish();
    theirs.start_finish();
    assert_eq!(read_all(&mut theirs).await, b"");
    assert_eq!(read_all(&mut ours).await, b"");
    within("finish", ours.finish()).await.expect("acknowledged");
    within("finish", theirs.finish()).await.expect("acknowledged");
    drop((ours, theirs));
    relay.hold(true);
    let closing = tokio::spawn({
        let far = far.clone();
        async move { far.close().await }
    });
    within("CLOSE", async {
        // The heartbeat is 5 s: what leaves now is the farewell.
        let before = far.stats().frames_sent;
        while far.stats().frames_sent == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    })
    .await;
    relay.cut_after(0, 0, 1);
    relay.cut();
    near.abort(ErrorCode::CANCELLED, "gone");
    within("the end", closing).await.expect("no panic").expect("in order");
}

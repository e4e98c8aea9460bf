//! What a stream promises its application while the link holds.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{client, echo, log, pair, read_all, server, stream, within};
use p2_transport::{
    Chunk, CodecId, ErrorCode, HalfState, Priority, Server, StreamError, StreamOptions,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn bytes_come_back_over_tcp() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    echo(far);
    let mut stream = near.open_stream(StreamOptions::named("echo")).await.expect("room");
    let sent = log(1, 300_000);
    let (mut writer, mut reader) = {
        let (send, recv) = stream.split();
        (send, recv)
    };
    let text = sent.clone();
    let writing = tokio::spawn(async move {
        writer.write_all(&text).await.expect("written");
        writer.finish().await.expect("acknowledged");
    });
    let mut back = Vec::new();
    within("echo", reader.read_to_end(&mut back)).await.expect("read");
    within("finish", writing).await.expect("no panic");
    assert_eq!(back, sent);
    stream = near.open_stream(StreamOptions::named("empty")).await.expect("room");
    within("finish", stream.finish()).await.expect("acknowledged");
    assert_eq!(read_all(&mut stream).await, b"");
}

#[tokio::test]
async fn bytes_come_back_over_a_unix_socket() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let address = format!("unix:{}/p2", dir.path().display());
    let server = Server::builder().bind(&address).await.expect("a free path");
    let (near, far) = pair(&server, &address).await;
    echo(far);
    let mut stream = near.open_stream(StreamOptions::named("echo")).await.expect("room");
    stream.write_all(b"hello\n").await.expect("written");
    within("finish", stream.finish()).await.expect("acknowledged");
    assert_eq!(read_all(&mut stream).await, b"hello\n");
}

#[tokio::test]
async fn either_side_opens_streams_and_their_attributes_arrive() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let options = StreamOptions::named("from the server")
        .label(7)
        .priority(Priority::Bulk)
        .metadata("key", "value");
    let mut ours = far.open_stream(options).await.expect("room");
    ours.write_chunk(Bytes::from_static(b"down")).await.expect("written");
    ours.start_finish();
    let mut theirs = within("accept", near.accept_stream()).await.expect("it arrives");
    assert_eq!((theirs.name(), theirs.label()), ("from the server", 7));
    assert_eq!(theirs.priority(), Priority::Bulk);
    assert_eq!(theirs.metadata(), [("key".to_owned(), "value".to_owned())]);
    assert_eq!(theirs.id(), ours.id());
    assert_eq!(read_all(&mut theirs).await, b"down");
    theirs.write_chunk(Bytes::from_static(b"up")).await.expect("written");
    let (finished, up) = tokio::join!(within("finish", theirs.finish()), read_all(&mut ours));
    finished.expect("acknowledged by reading");
    assert_eq!(up, b"up");
}

#[tokio::test]
async fn finish_returns_only_once_the_reader_has_everything() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "late").await;
    ours.write_chunk(Bytes::from_static(b"0123456789")).await.expect("written");
    let early = tokio::time::timeout(Duration::from_millis(200), ours.finish()).await;
    assert!(early.is_err(), "nobody has read a byte yet");
    assert_eq!(read_all(&mut theirs).await, b"0123456789");
    within("finish", ours.finish()).await.expect("now it is acknowledged");
    assert!(matches!(ours.write_chunk(Bytes::from_static(b"x")).await, Err(StreamError::Ended)));
}

#[tokio::test]
async fn with_manual_acknowledgement_the_sink_decides() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "sink").await;
    theirs.set_manual_ack(true);
    ours.write_chunk(Bytes::from_static(b"0123456789")).await.expect("written");
    ours.start_finish();
    assert_eq!(read_all(&mut theirs).await, b"0123456789");
    let early = tokio::time::timeout(Duration::from_millis(200), ours.finish()).await;
    assert!(early.is_err(), "read, but not yet safe");
    theirs.acknowledge(10);
    within("finish", ours.finish()).await.expect("the sink has it");
}

#[tokio::test]
async fn dropping_an_unfinished_stream_resets_it_and_stops_its_peer() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "dropped").await;
    ours.write_chunk(Bytes::from_static(b"half a record")).await.expect("written");
    within("reading", theirs.read_chunk()).await.expect("it arrives");
    drop(ours);
    let error = within("reset", theirs.read_chunk()).await.expect_err("no silent end");
    assert!(matches!(error, StreamError::Reset(ErrorCode::CANCELLED)), "{error}");
    let error = within("stop", async {
        loop {
            if let Err(error) = theirs.write_chunk(Bytes::from(vec![0; 1024])).await {
                return error;
            }
        }
    })
    .await;
    assert!(matches!(error, StreamError::Stopped(ErrorCode::CANCELLED)), "{error}");
}

#[tokio::test]
async fn a_finished_stream_may_be_dropped_and_still_arrives() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let options = StreamOptions::named("one way").unidirectional(true);
    let mut ours = near.open_stream(options).await.expect("room");
    ours.write_chunk(log(3, 100_000)).await.expect("written");
    ours.start_finish();
    drop(ours);
    let mut theirs = within("accept", far.accept_stream()).await.expect("it arrives");
    assert_eq!(read_all(&mut theirs).await, log(3, 100_000));
    let wrong = theirs.write_chunk(Bytes::from_static(b"x")).await;
    assert!(matches!(wrong, Err(StreamError::Direction)));
}

#[tokio::test]
async fn a_cancelled_write_says_how_much_it_wrote() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "cancelled").await;
    let sent = log(4, 3 * 1024 * 1024);
    let reading = tokio::spawn(async move {
        // Slow enough that the writer has to wait for credit again and again.
        let mut all = Vec::new();
        while let Some(Chunk::Data { data, .. }) = theirs.read_chunk().await.expect("readable") {
            all.extend_from_slice(&data);
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        all
    });
    within("writing", async {
        while ours.bytes_written() < sent.len() as u64 {
            let rest = sent.slice(usize::try_from(ours.bytes_written()).expect("small")..);
            let brief = Duration::from_micros(500);
            if let Ok(result) = tokio::time::timeout(brief, ours.write_chunk(rest)).await {
                result.expect("written");
            }
        }
        ours.finish().await.expect("acknowledged");
    })
    .await;
    assert_eq!(reading.await.expect("no panic"), sent);
}

#[tokio::test]
async fn a_gap_of_the_source_is_seen_by_the_reader() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "lossy").await;
    ours.write_chunk(Bytes::from_static(b"before")).await.expect("written");
    ours.record_gap(42).expect("recorded");
    ours.write_chunk(Bytes::from_static(b"after")).await.expect("written");
    ours.start_finish();
    let mut seen = Vec::new();
    while let Some(chunk) = within("reading", theirs.read_chunk()).await.expect("readable") {
        seen.push(chunk);
    }
    assert_eq!(
        seen,
        [
            Chunk::Data { offset: 0, data: Bytes::from_static(b"before") },
            Chunk::Gap { offset: 6, dropped: 42 },
            Chunk::Data { offset: 6, data: Bytes::from_static(b"after") },
        ]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_streams_at_once_all_arrive() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    echo(far);
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..1000u64 {
        let near = near.clone();
        tasks.spawn(async move {
            let options = StreamOptions::named(format!("stream {index}"));
            let mut stream = near.open_stream(options).await.expect("room");
            let sent = log(index, 2000);
            stream.write_chunk(sent.clone()).await.expect("written");
            stream.start_finish();
            assert_eq!(read_all(&mut stream).await, sent);
        });
    }
    while let Some(done) = within("a stream", tasks.join_next()).await {
        done.expect("no panic");
    }
    let summary = within("close", near.close()).await.expect("in order");
    assert_eq!((summary.lost, summary.duplicated), (0, 0));
    assert_eq!(summary.raw_sent, 2_000_000);
    assert_eq!(summary.verified_streams, 1000);
}

#[tokio::test]
async fn close_drains_and_both_sides_agree() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "last words").await;
    ours.write_chunk(log(5, 200_000)).await.expect("written");
    ours.start_finish();
    drop(ours);
    let closing = tokio::spawn({
        let near = near.clone();
        async move { near.close().await }
    });
    assert_eq!(read_all(&mut theirs).await, log(5, 200_000));
    drop(theirs);
    let summary = within("close", closing).await.expect("no panic").expect("in order");
    assert_eq!((summary.lost, summary.duplicated, summary.raw_sent), (0, 0, 200_000));
    let theirs = within("closed", far.closed()).await.expect("in order");
    assert_eq!(theirs.raw_received, 200_000);
    assert!(far.accept_stream().await.is_none());
    assert!(near.open_stream(StreamOptions::named("late")).await.is_err());
}

#[tokio::test]
async fn abort_ends_everything_at_once_and_says_why() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (_ours, mut theirs) = stream(&near, &far, "cut short").await;
    near.abort(ErrorCode::SOURCE_FAILED, "the disk is gone");
    let error = within("closed", far.closed()).await.expect_err("not in order").to_string();
    assert!(error.contains("the disk is gone"), "{error}");
    assert!(within("read", theirs.read_chunk()).await.is_err());
    assert!(within("closed", near.closed()).await.is_err());
}

#[tokio::test]
async fn stats_count_what_went_through() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "counted").await;
    ours.write_chunk(log(6, 200_000)).await.expect("written");
    let mut read = 0;
    while read < 200_000 {
        if let Some(Chunk::Data { data, .. }) = theirs.read_chunk().await.expect("readable") {
            read += data.len();
        }
    }
    let stats = near.stats();
    assert!(stats.link_up);
    assert_eq!((stats.raw_sent, stats.links, stats.reconnects), (200_000, 1, 0));
    assert!(stats.wire_sent < 150_000, "gzip is the default: {} on the wire", stats.wire_sent);
    let one = &stats.streams[0];
    assert_eq!((one.name.as_str(), one.bytes_sent), ("counted", 200_000));
    assert_eq!((one.codec_sent, one.send_state), (Some(near.codecs().to_peer), HalfState::Open));
    assert_eq!(far.stats().raw_received, 200_000);
}

#[tokio::test]
async fn a_stream_may_choose_to_go_uncompressed() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let options = StreamOptions::named("raw").codec(CodecId::NONE);
    let mut ours = near.open_stream(options).await.expect("room");
    ours.write_chunk(log(7, 100_000)).await.expect("written");
    ours.start_finish();
    let mut theirs = within("accept", far.accept_stream()).await.expect("it arrives");
    assert_eq!(read_all(&mut theirs).await, log(7, 100_000));
    assert!(near.stats().wire_sent > 100_000);
}

#[tokio::test]
async fn start_with_returns_before_there_is_a_server() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let near = client().start_with(p2_transport::dial::TcpDial::new(&address));
    let server = Server::builder().bind(&address).await.expect("the port is free again");
    let far = within("accept", server.accept()).await.expect("it comes");
    let (mut ours, mut theirs) = stream(&near, &far, "patient").await;
    ours.write_chunk(Bytes::from_static(b"at last")).await.expect("written");
    ours.start_finish();
    assert_eq!(read_all(&mut theirs).await, b"at last");
}

#[tokio::test]
async fn a_level_that_the_codec_lacks_costs_nothing_but_the_level() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let options = StreamOptions::named("level").codec(CodecId::GZIP).level(1000);
    let mut ours = near.open_stream(options).await.expect("room");
    ours.write_chunk(log(8, 100_000)).await.expect("written");
    ours.start_finish();
    let mut theirs = within("accept", far.accept_stream()).await.expect("it arrives");
    assert_eq!(read_all(&mut theirs).await, log(8, 100_000));
    assert_eq!(near.stats().reconnects, 0);
}

#[tokio::test]
async fn streams_beyond_the_peers_limit_wait_for_room() {
    let server = Server::builder().max_streams(2).bind("127.0.0.1:0").await.expect("a free port");
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (first, _a) = stream(&near, &far, "first").await;
    let _second = stream(&near, &far, "second").await;
    let third = near.open_stream(StreamOptions::named("third"));
    tokio::pin!(third);
    let early = tokio::time::timeout(Duration::from_millis(100), &mut third).await;
    assert!(early.is_err(), "two are open");
    drop((first, _a));
    within("room", third).await.expect("one has ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heavy_streams_are_encoded_side_by_side_and_arrive_whole() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for index in 0..8u64 {
        let mut ours =
            near.open_stream(StreamOptions::named(index.to_string())).await.expect("room");
        tasks.spawn(async move {
            for part in 0..16 {
                ours.write_chunk(log(index * 100 + part, 128 * 1024)).await.expect("written");
            }
            ours.finish().await.expect("acknowledged");
        });
        let mut theirs = within("accept", far.accept_stream()).await.expect("it arrives");
        tasks.spawn(async move {
            let index: u64 = theirs.name().parse().expect("a number");
            let all = read_all(&mut theirs).await;
            let parts: Vec<Bytes> =
                (0..16).map(|part| log(index * 100 + part, 128 * 1024)).collect();
            assert!(all == parts.concat());
        });
    }
    while let Some(done) = within("a stream", tasks.join_next()).await {
        done.expect("no panic");
    }
}

#[tokio::test]
async fn closing_wakes_whoever_waits_to_open_a_stream() {
    let server = Server::builder().max_streams(1).bind("127.0.0.1:0").await.expect("a free port");
    let (near, far) = pair(&server, &server.local_addr()).await;
    let _only = stream(&near, &far, "only").await;
    let waiting = near.open_stream(StreamOptions::named("second"));
    let closing = async {
        tokio::task::yield_now().await;
        near.clone().close().await
    };
    tokio::select! {
        refused = within("the refusal", waiting) => {
            let error = refused.expect_err("the session is closing");
            assert!(matches!(error, StreamError::Session(_)), "{error}");
        }
        closed = closing => panic!("a stream is open: {closed:?}"),
    }
}

#[tokio::test]
async fn a_server_that_is_going_away_wakes_whoever_waits_to_open_a_stream() {
    let server = Server::builder().max_streams(1).bind("127.0.0.1:0").await.expect("a free port");
    let (near, far) = pair(&server, &server.local_addr()).await;
    let _only = stream(&near, &far, "only").await;
    let waiting = near.open_stream(StreamOptions::named("second"));
    tokio::select! {
        refused = within("the refusal", waiting) => {
            let error = refused.expect_err("the server takes no more");
            assert!(matches!(error, StreamError::TooMany(_)), "{error}");
        }
        () = server.shutdown(Duration::from_secs(3600)) => panic!("a stream is open"),
    }
}

#[tokio::test]
async fn a_sink_that_fails_after_the_end_was_read_is_no_success() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    for (name, acknowledged) in [("nothing", 0), ("a part", 4)] {
        let (mut ours, mut theirs) = stream(&near, &far, name).await;
        theirs.set_manual_ack(true);
        ours.write_chunk(Bytes::from_static(b"0123456789")).await.expect("written");
        ours.start_finish();
        assert_eq!(read_all(&mut theirs).await, b"0123456789");
        theirs.acknowledge(acknowledged);
        theirs.stop(ErrorCode::SINK_FAILED);
        let error = within("finish", ours.finish()).await.expect_err("the sink failed");
        assert!(matches!(error, StreamError::Stopped(ErrorCode::SINK_FAILED)), "{error}");
    }
}

#[tokio::test]
async fn dropping_what_was_read_but_not_acknowledged_delivers_nothing() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "dropped").await;
    theirs.set_manual_ack(true);
    ours.write_chunk(Bytes::from_static(b"0123456789")).await.expect("written");
    ours.start_finish();
    assert_eq!(read_all(&mut theirs).await, b"0123456789");
    drop(theirs);
    let error = within("finish", ours.finish()).await.expect_err("nobody has it");
    assert!(matches!(error, StreamError::Stopped(ErrorCode::CANCELLED)), "{error}");
}

#[tokio::test]
async fn reading_to_the_end_acknowledges_and_a_late_stop_changes_nothing() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "read").await;
    ours.write_chunk(Bytes::from_static(b"0123456789")).await.expect("written");
    ours.start_finish();
    assert_eq!(read_all(&mut theirs).await, b"0123456789");
    theirs.stop(ErrorCode::SINK_FAILED);
    within("finish", ours.finish()).await.expect("it was read");
}

/// Small writes are gathered beside the session, everything else is not: the order must hold, over
/// all the ways to write, to mark a gap and to end.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_every_size_and_gaps_arrive_in_the_order_in_which_they_were_made() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let mut tasks = tokio::task::JoinSet::new();
    for seed in 0..16_u64 {
        let options = StreamOptions::named("mixed").unidirectional(true);
        let mut ours = near.open_stream(options).await.expect("room");
        let mut theirs = within("accepting", far.accept_stream()).await.expect("it arrives");
        tasks.spawn(async move {
            let mut rng = fastrand::Rng::with_seed(seed);
            let (mut sent, mut marks) = (Vec::new(), Vec::new());
            for _ in 0..2_000 {
                let len = match rng.u8(0..16) {
                    0 => rng.usize(1..100_000),
                    1 | 2 => rng.usize(900..1_200),
                    _ => rng.usize(1..200),
                };
                let data: Vec<u8> = (0..len).map(|_| rng.u8(..)).collect();
                match rng.u8(0..4) {
                    0 => ours.write_chunk(data.clone().into()).await.expect("written"),
                    _ => ours.write_all(&data).await.expect("written"),
                }
                sent.extend_from_slice(&data);
                assert_eq!(ours.bytes_written(), sent.len() as u64, "seed {seed}");
                match rng.u8(0..64) {
                    0 => {
                        ours.record_gap(1).expect("open");
                        marks.push(sent.len() as u64);
                    }
                    1..8 => tokio::task::yield_now().await,
                    _ => {}
                }
            }
            ours.start_finish();
            assert!(ours.write_all(b"late").await.is_err(), "seed {seed}");
            ours.finish().await.expect("acknowledged");
            (seed, sent, marks)
        });
        tasks.spawn(async move {
            let (mut got, mut marks) = (Vec::new(), Vec::new());
            while let Some(chunk) = theirs.read_chunk().await.expect("readable") {
                match chunk {
                    Chunk::Data { data, .. } => got.extend_from_slice(&data),
                    Chunk::Gap { offset, .. } => marks.push(offset),
                }
            }
            (seed, got, marks)
        });
    }
    let mut ends = within("all streams", tasks.join_all()).await;
    ends.sort_by_key(|end| end.0);
    for both in ends.chunks(2) {
        let [(seed, one, marks), (_, other, same)] = both else { panic!("an odd number") };
        assert!(one == other, "seed {seed}: {} and {} bytes", one.len(), other.len());
        assert_eq!(marks, same, "seed {seed}");
    }
}

#[tokio::test]
async fn small_writes_that_nobody_waits_for_are_in_the_figures_and_leave_by_themselves() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (mut ours, mut theirs) = stream(&near, &far, "small").await;
    for _ in 0..3 {
        ours.write_all(b"0123456789").await.expect("written");
    }
    assert_eq!(near.stats().raw_sent, 30);
    let mut got = [0; 30];
    within("reading", theirs.read_exact(&mut got)).await.expect("they arrive");
    ours.write_all(b"last").await.expect("written");
    ours.start_finish();
    let mut rest = Vec::new();
    within("reading", theirs.read_to_end(&mut rest)).await.expect("verified");
    assert_eq!(rest, b"last");
}

/// What is gathered beside the session has to leave by itself, be the link idle or full.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_small_write_is_left_behind_while_others_fill_the_link() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let mut bulk =
        near.open_stream(StreamOptions::named("bulk").unidirectional(true)).await.expect("room");
    let mut drained = within("accepting", far.accept_stream()).await.expect("it arrives");
    echo(far.clone());
    let filling = tokio::spawn(async move {
        let block = Bytes::from(vec![7; 64 << 10]);
        while bulk.write_chunk(block.clone()).await.is_ok() {}
    });
    let draining =
        tokio::spawn(async move { while let Ok(Some(_)) = drained.read_chunk().await {} });
    let mut echoes = tokio::task::JoinSet::new();
    for seed in 0..8_u64 {
        let mut stream = near.open_stream(StreamOptions::named("echo")).await.expect("room");
        echoes.spawn(async move {
            let mut rng = fastrand::Rng::with_seed(seed);
            for round in 0..400 {
                let data: Vec<u8> = (0..rng.usize(1..300)).map(|_| rng.u8(..)).collect();
                stream.write_all(&data).await.expect("written");
                let mut back = vec![0; data.len()];
                let what = format!("the echo of round {round}, seed {seed}");
                within(&what, stream.read_exact(&mut back)).await.expect("read");
                assert!(back == data, "round {round}, seed {seed}");
            }
        });
    }
    within("all echoes", echoes.join_all()).await;
    filling.abort();
    draining.abort();
}

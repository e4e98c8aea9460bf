//! The library as a program uses it: both directions, back-pressure, links that die underneath.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use p2::{
    Backoff, Chunk, Client, ClientBuilder, CodecId, Connection, Priority, Server, Stream,
    StreamOptions,
};
use support::{Cut, Env, PATIENCE, Relay, Rules, assert_same, log, long_or, random, seed};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Fails with `what` when nothing comes of `future`.
async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: not within {PATIENCE:?}"),
    }
}

async fn server() -> Server {
    Server::builder().bind("127.0.0.1:0").await.expect("a free port")
}

fn client() -> ClientBuilder {
    let (min, max) = (Duration::from_millis(5), Duration::from_millis(100));
    Client::builder().session_name("s").retry(Backoff { min, max, ..Backoff::default() })
}

async fn pair(server: &Server, address: &str) -> (Connection, Connection) {
    let both = async { tokio::join!(client().connect(address), server.accept()) };
    let (near, far) = within("connecting", both).await;
    (near.expect("connected"), far.expect("accepted"))
}

async fn read_all(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = within("reading", stream.read_chunk()).await.expect("readable") {
        match chunk {
            Chunk::Data { offset, data } => {
                assert_eq!(offset, all.len() as u64, "each byte once and in order");
                all.extend_from_slice(&data);
            }
            Chunk::Gap { .. } => panic!("nothing was dropped"),
        }
    }
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_opened_written_and_finished() -> Result<(), Box<dyn std::error::Error>> {
    let server = server().await;
    let accept = server.clone();
    let receiving = tokio::spawn(async move {
        let connection = accept.accept().await.expect("a session");
        let mut log = connection.accept_stream().await.expect("a stream");
        let read = (log.name().to_owned(), log.priority(), read_all(&mut log).await);
        log.start_finish();
        drop(log);
        connection.closed().await.expect("in order");
        read
    });

    let client = Client::builder()
        .codecs([CodecId::ZSTD, CodecId::GZIP])
        .connect(&server.local_addr())
        .await?;
    let mut log = client.open_stream(StreamOptions::named("app").priority(Priority::High)).await?;
    log.write_all(b"hello\n").await?;
    within("finishing", log.finish()).await?;
    drop(log);
    let summary = within("closing", client.close()).await?;

    assert_eq!((summary.raw_sent, summary.lost, summary.duplicated), (6, 0, 0));
    let received = within("receiving", receiving).await?;
    assert_eq!(received, ("app".to_owned(), Priority::High, b"hello\n".to_vec()));
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn both_directions_of_a_stream_move_at_once() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let (up, down) = (log(1, 3 << 20), random(2, 3 << 20));
    let opened = near.open_stream(StreamOptions::named("both")).await.expect("room");
    let exchange = |stream: Stream, bytes: Vec<u8>| async move {
        let (mut read, mut write) = tokio::io::split(stream);
        let writing = async {
            write.write_all(&bytes).await.expect("writable");
            write.shutdown().await.expect("finished");
        };
        let mut all = Vec::new();
        let reading = read.read_to_end(&mut all);
        let (_, read) = tokio::join!(writing, reading);
        read.expect("readable");
        all
    };
    let near_side = tokio::spawn(exchange(opened, up.clone()));
    let accepted = within("accepting", far.accept_stream()).await.expect("a stream");
    let far_side = tokio::spawn(exchange(accepted, down.clone()));
    let at_near = within("the near end", near_side).await.expect("no panic");
    let at_far = within("the far end", far_side).await.expect("no panic");
    assert_same("at the near end", &at_near, &down);
    assert_same("at the far end", &at_far, &up);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_accepting_side_opens_streams_too() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let mut ours = far.open_stream(StreamOptions::named("news").label(9)).await.expect("room");
    ours.write_chunk(Bytes::from_static(b"from the server")).await.expect("writable");
    ours.start_finish();
    let mut theirs = within("accepting", near.accept_stream()).await.expect("a stream");
    assert_eq!((theirs.name(), theirs.label()), ("news", 9));
    assert_eq!(read_all(&mut theirs).await, b"from the server");
}

#[tokio::test(flavor = "multi_thread")]
async fn finish_returns_only_after_the_last_byte_is_acknowledged() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    let mut ours = near.open_stream(StreamOptions::named("app")).await.expect("room");
    ours.write_all(b"precious").await.expect("writable");
    let mut theirs = within("accepting", far.accept_stream()).await.expect("a stream");
    theirs.set_manual_ack(true);
    let mut finishing = tokio::spawn(async move { ours.finish().await });
    assert_eq!(read_all(&mut theirs).await, b"precious");
    // Everything is read, nothing is acknowledged. A ping of another stream there and back shows
    // that all of this has been said, without a guess about time.
    let mut echo = near.open_stream(StreamOptions::named("echo")).await.expect("room");
    echo.write_all(b"?").await.expect("writable");
    let mut other = within("accepting", far.accept_stream()).await.expect("a stream");
    other.read_exact(&mut [0]).await.expect("the question");
    other.write_all(b"!").await.expect("writable");
    within("an answer", echo.read_exact(&mut [0])).await.expect("the answer");
    let early = tokio::time::timeout(Duration::from_millis(50), &mut finishing).await;
    assert!(early.is_err(), "finished before the acknowledgement");
    theirs.acknowledge(8);
    within("finishing", finishing).await.expect("no panic").expect("acknowledged");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_nobody_reads_holds_up_no_other_and_little_memory() {
    const BUFFER: u64 = 16 << 20;
    let server = Server::builder().buffer(BUFFER).bind("127.0.0.1:0").await.expect("a free port");
    let address = server.local_addr();
    let both = async { tokio::join!(client().buffer(BUFFER).connect(&address), server.accept()) };
    let (near, far) = within("connecting", both).await;
    let (near, far) = (near.expect("connected"), far.expect("accepted"));
    let content = |n: u64| random(n, 4 << 20);
    let mut writers = Vec::new();
    for n in 0..8_u64 {
        let mut stream = near.open_stream(StreamOptions::named(n.to_string())).await.expect("room");
        writers.push(tokio::spawn(async move {
            stream.write_chunk(Bytes::from(content(n))).await.expect("writable");
            stream.finish().await.expect("acknowledged");
        }));
    }
    let mut stalled = None;
    let mut readers = Vec::new();
    for _ in 0..8 {
        let mut stream = within("accepting", far.accept_stream()).await.expect("a stream");
        if stream.name() == "3" {
            stalled = Some(stream);
        } else {
            readers.push(tokio::spawn(async move {
                let n = stream.name().parse().expect("a number");
                assert_same(
                    stream.name().to_owned().as_str(),
                    &read_all(&mut stream).await,
                    &content(n),
                );
            }));
        }
    }
    for reader in readers {
        within("the other seven", reader).await.expect("no panic");
    }
    let stats = near.stats();
    assert!(stats.retained <= BUFFER, "{} bytes are held", stats.retained);
    assert!(!writers[3].is_finished(), "nobody has read stream 3");
    let mut stalled = stalled.expect("stream 3");
    assert_same("stream 3", &read_all(&mut stalled).await, &content(3));
    for writer in writers {
        within("the writers", writer).await.expect("no panic");
    }
    assert_eq!(near.stats().reconnects, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_may_be_cut_at_any_byte_of_the_handshake() {
    let step = long_or(1, 17);
    let server = server().await;
    let relay = Relay::to(&server.local_addr(), 1);
    for at in (0..600).step_by(step) {
        for up in [true, false] {
            let cuts = Some(relay.cuts() + 1);
            let (after_up, after_down) = if up { (Some(at), None) } else { (None, Some(at)) };
            let how = if at % 2 == 0 { Cut::Fin } else { Cut::Rst };
            relay.rules(Rules { after_up, after_down, cuts, how, ..Rules::default() });
            let address = relay.address();
            let near = within("connecting", client().connect(&address)).await.expect("connected");
            let mut ours = near.open_stream(StreamOptions::named("app")).await.expect("room");
            ours.write_chunk(Bytes::from(log(at, 5_000))).await.expect("writable");
            ours.start_finish();
            // A session that was cut before its first proof was complete may be seen as well; it
            // never opens a stream.
            let mut theirs = loop {
                let far = within("accepting", server.accept()).await.expect("a session");
                tokio::select! {
                    stream = far.accept_stream() => if let Some(stream) = stream { break stream },
                    () = tokio::time::sleep(Duration::from_secs(2)) => {}
                }
            };
            assert_same(&format!("cut at {at}"), &read_all(&mut theirs).await, &log(at, 5_000));
            theirs.start_finish();
            drop(theirs);
            let mut rest = Vec::new();
            within("the other half", ours.read_to_end(&mut rest)).await.expect("an end");
            drop(ours);
            let summary = within("closing", near.close()).await.expect("in order");
            assert_eq!((summary.lost, summary.duplicated), (0, 0), "cut at {at}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn echoes_come_back_whole_through_cuts_in_both_directions() {
    let seed = seed();
    let cuts = long_or(500, 20);
    let size = long_or(40 << 20, 2 << 20);
    let server = server().await;
    let relay = Relay::to(&server.local_addr(), seed);
    let random_cut = Some(20_000..150_000);
    relay.rules(Rules { random: random_cut, cuts: Some(cuts), ..Rules::default() });
    let (near, far) = pair(&server, &relay.address()).await;
    tokio::spawn(async move {
        while let Some(stream) = far.accept_stream().await {
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(stream);
                tokio::io::copy(&mut read, &mut write).await.expect("echoed");
                write.shutdown().await.expect("finished");
            });
        }
    });
    let mut echoes = Vec::new();
    for n in 0..4_u64 {
        let stream = near.open_stream(StreamOptions::named(n.to_string())).await.expect("room");
        echoes.push(tokio::spawn(async move {
            let content = random(n, size);
            let (mut read, mut write) = tokio::io::split(stream);
            let writing = async {
                write.write_all(&content).await.expect("writable");
                write.shutdown().await.expect("finished");
            };
            let mut back = Vec::new();
            let (_, read) = tokio::join!(writing, read.read_to_end(&mut back));
            read.expect("readable");
            assert_same(&format!("echo {n}"), &back, &content);
        }));
    }
    for echo in echoes {
        within("an echo", echo).await.expect("no panic");
    }
    let summary = within("closing", near.close()).await.expect("in order");
    assert_eq!((summary.lost, summary.duplicated), (0, 0));
    assert_eq!(summary.verified_streams, 4);
    assert!(summary.reconnects > 0 && relay.cuts() == cuts, "{} cuts", relay.cuts());
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_names_become_files_inside_the_directory() {
    let env = Env::new();
    fs::create_dir(env.path("deep")).expect("a directory");
    let (receiver, address) = env.recv(&["--once", "--dir=deep/out"]);
    let long = "x".repeat(255);
    let names = [
        "",
        ".",
        "..",
        "/",
        "../x",
        "../../x",
        "/etc/passwd",
        "a/b",
        "a\\b",
        "-rf",
        "--",
        "~",
        "~root",
        ".hidden",
        "x~2",
        "x~gaps",
        "%2E",
        "a\0b",
        "a\nb",
        "\u{1b}[2J",
        "\u{202e}gnp",
        "ünïcode",
        "con",
        "aux.txt",
        "a b",
        "*",
        "?",
        "$HOME",
        "`id`",
        "'",
        "\"",
        "|",
        "&",
        ";",
        "..\u{2215}..",
        "\u{ff0e}\u{ff0e}",
        "x",
        "X",
        &long,
    ];
    let session = "../../s\u{1b}[2J";
    let near = within("connecting", client().session_name(session).connect(&address))
        .await
        .expect("connected");
    for name in names {
        let mut stream = near.open_stream(StreamOptions::named(name)).await.expect("room");
        stream.write_all(name.as_bytes()).await.expect("writable");
        within("finishing", stream.finish()).await.expect("acknowledged");
    }
    let summary = within("closing", near.close()).await.expect("in order");
    assert_eq!((summary.lost, summary.duplicated), (0, 0));
    let ended = tokio::task::spawn_blocking(|| receiver.wait()).await.expect("it ends").exits(0);
    assert!(!ended.stderr.contains('\u{1b}'), "{:?}", ended.stderr);

    let mut files = BTreeSet::new();
    collect(&env.path("."), &mut files);
    let inside = |path: &str| path.starts_with("./deep/out/%2E.%2F..%2Fs");
    assert!(files.iter().all(|path| inside(path)), "{files:?}");
    let mut contents: Vec<_> = files
        .iter()
        .map(|path| fs::read_to_string(env.path(path)).expect("what was sent"))
        .collect();
    let mut expected: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    contents.sort();
    expected.sort();
    assert_eq!(contents, expected, "one file for each name");

    fn collect(dir: &Path, files: &mut BTreeSet<String>) {
        for entry in fs::read_dir(dir).expect("a directory") {
            let entry = entry.expect("an entry");
            assert!(!entry.file_type().expect("a type").is_symlink());
            match entry.file_type().expect("a type").is_dir() {
                true => collect(&entry.path(), files),
                false => {
                    let path = entry.path();
                    let at = path.to_str().and_then(|path| path.find("/./")).expect("beneath");
                    files.insert(path.to_str().expect("plain").split_at(at + 1).1.to_owned());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shuts_down_hands_out_no_more_sessions() {
    let server = server().await;
    let (near, _far) = pair(&server, &server.local_addr()).await;
    let closing = near.clone();
    let closed = tokio::spawn(async move { closing.close().await });
    within("shutting down", server.shutdown(PATIENCE)).await;
    assert!(within("accepting", server.accept()).await.is_none());
    within("closing", closed).await.expect("no panic").expect("in order");
}

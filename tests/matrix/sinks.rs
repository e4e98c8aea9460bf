//! Sinks that are slow, stopped or full.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use p2::{Server, Stream};
use tokio::io::AsyncReadExt;

use crate::stage::{BUFFER, Held, ROOM, Sender, Stage};
use crate::support::table::Outcome;
use crate::support::{Env, Program, assert_file, assert_same, eventually, random, seed, skip};

const P2: &str = env!("CARGO_BIN_EXE_p2");

/// Three of these are how long a sink is stopped.
const TIMEOUT: Duration = Duration::from_secs(2);
const BEATS: [&str; 2] = ["--heartbeat=500ms", "--heartbeat-timeout=2s"];

/// R14: whoever reads the output takes 4 MiB a second.
pub fn slow() -> Outcome {
    let held = through_pipe(32 << 20, |pipe, expected| {
        let mut found = vec![0; expected];
        for chunk in found.chunks_mut(256 << 10) {
            pipe.read_exact(chunk).expect("more bytes");
            thread::sleep(Duration::from_millis(62));
        }
        found
    });
    Outcome::Passed(format!("32 MiB at 4 MiB/s, 0 reconnects, {held}"))
}

/// R15: nobody reads the output for three heartbeat timeouts; and beside a stream that nobody
/// reads, another one goes on.
pub fn stopped() -> Outcome {
    let held = through_pipe(24 << 20, |pipe, expected| {
        let mut found = vec![0; expected];
        let (first, rest) = found.split_at_mut(1 << 20);
        pipe.read_exact(first).expect("more bytes");
        thread::sleep(TIMEOUT * 3);
        pipe.read_exact(rest).expect("more bytes");
        found
    });
    // The best of three: the machine has other work too.
    let best = |stuck| (0..3).map(|_| bystander(stuck, Duration::ZERO)).min().expect("three");
    let (alone, beside) = (best(false), best(true));
    bystander(true, TIMEOUT * 3);
    let [alone, beside] = [alone, beside].map(|took| 16.0 / took.as_secs_f64());
    Outcome::Passed(format!(
        "same link, a bystander: {alone:.0} MiB/s alone, {beside:.0} MiB/s beside it, {held}"
    ))
}

/// R16: the disk of the sink fills up. That stream ends with the reason, another one waits for
/// room and goes on.
pub fn full() -> Outcome {
    let env = Env::new();
    fs::create_dir(env.path("out")).expect("a directory");
    let mount = "mount -t tmpfs -o size=4m tmpfs out";
    let mut probe = Command::new("unshare");
    probe.args(["-m", "sh", "-c", mount]).current_dir(env.path(""));
    if !probe.output().is_ok_and(|output| output.status.success()) {
        let why = "no tmpfs can be mounted in a namespace of its own";
        skip("tmpfs", why);
        return Outcome::Skipped(why.to_owned());
    }
    let script = format!("{mount} && exec \"$0\" \"$@\"");
    let line = ["-m", "sh", "-c", &script, P2, "recv", "--listen=127.0.0.1:0", "--dir=out"];
    let line = [&line[..], &["--events=r.ndjson"]].concat();
    let receiver = Program::at(Path::new("unshare"), &env.path(""), line);
    let mut stage = Stage::with(env, receiver, 1);
    // Its own view of the files: the disk is not mounted here.
    let root = PathBuf::from(format!("/proc/{}/root", stage.receiver.id()));
    let inside = |name: &str| root.join(stage.env.out(name).strip_prefix("/").expect("absolute"));
    let (before, after) = (random(2, 50_000), random(3, 200_000));
    stage.env.write("in", &random(1, 16 << 20));
    let line = ["--events=s.ndjson", "--file=big=in", "--limit=big=4MiB/s", "--stdin=small"];
    let mut sender = Sender::start(stage.env.send(&stage.relay.address(), &line).pipe());
    sender.process.write(&before);
    eventually("the first part of the other stream", || {
        fs::metadata(inside("small")).is_ok_and(|meta| meta.len() == 50_000).then_some(())
    });
    let delivered = || stage.events("stream_delivered");
    let failure = eventually("the disk is full", || {
        delivered().first().and_then(|event| Some(event["failure"].as_str()?.to_owned()))
    });
    assert!(failure.contains("disk full"), "{failure}");
    let written = fs::metadata(inside("big")).expect("it stays").len();
    fs::remove_file(inside("big")).expect("room again");
    sender.process.write(&after);
    sender.process.close_stdin();
    let sent = sender.end();
    let said = &sent.ended.stderr;
    assert_eq!(sent.ended.code, Some(7), "{said}");
    assert!(said.contains("! big: the peer stopped reading the stream: SINK_FAILED"), "{said}");
    assert_file(&inside("small"), &[before, after].concat());
    stage.settled(1);
    let verified: Vec<_> = delivered().iter().map(|event| event["verified"].clone()).collect();
    assert_eq!(verified, [false, true], "{:?}", delivered());
    let bytes = delivered()[0]["bytes"].as_u64().expect("a number");
    assert!(bytes <= written, "{bytes} bytes count as delivered, {written} are in the file");
    let mut held = stage.close(ROOM);
    held.peaks[1] = sent.peak;
    Outcome::Passed(format!("{bytes} bytes delivered of {written} written, {held}"))
}

/// Sends so many bytes to a receiver whose standard output is a pipe that `reader` reads, and
/// fails if it did not get exactly them over one link.
fn through_pipe(size: usize, reader: fn(&mut File, usize) -> Vec<u8>) -> Held {
    let seed = seed();
    let env = Env::new();
    let made = Command::new("mkfifo").arg(env.path("pipe")).status().expect("mkfifo");
    assert!(made.success(), "a pipe with a name");
    // For writing too: opening it must not wait for the other end.
    let mut pipe =
        OpenOptions::new().read(true).write(true).open(env.path("pipe")).expect("the pipe");
    let line = ["-c", "exec \"$0\" \"$@\" > pipe", P2, "recv", "--listen=127.0.0.1:0"];
    let more = ["--format=raw", "--only=app", "--events=r.ndjson", BUFFER];
    let line = [&line[..], &more, &BEATS].concat();
    let receiver = Program::at(Path::new("sh"), &env.path(""), line);
    let stage = Stage::with(env, receiver, seed);
    let content = random(seed, size);
    stage.env.write("in", &content);
    let reading = thread::spawn(move || reader(&mut pipe, size));
    let sender = stage.sender(&[&["--file=app=in", BUFFER], &BEATS[..]].concat());
    let sent = sender.receipt();
    assert!(sent.ended.stderr.contains("reconnects 0 "), "{}", sent.ended.stderr);
    let found = reading.join().expect("no panic");
    assert_same("the output", &found, &content);
    assert_eq!(stage.relay.links(), 1);
    stage.finish(1, &[sent])
}

/// How long a stream takes, if `stuck` beside another one that nobody reads meanwhile, and for at
/// least so long.
fn bystander(stuck: bool, least: Duration) -> Duration {
    const SIZE: usize = 16 << 20;
    let env = Env::new();
    env.write("in", &random(5, SIZE));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime");
    let server = runtime.block_on(Server::builder().bind("127.0.0.1:0")).expect("a free port");
    let mut line = vec!["--file=busy=in"];
    if stuck {
        line.insert(0, "--file=stuck=in");
    }
    line.extend(BEATS);
    let address = server.local_addr().to_string();
    let sender = Sender::start(env.send(&address, &line));
    let free = Arc::new(AtomicBool::new(!stuck));
    let took = runtime.block_on(async {
        let session = server.accept().await.expect("a session");
        let mut held = Vec::new();
        let began = Instant::now();
        let mut took = None;
        for _ in 0..1 + usize::from(stuck) {
            let stream = session.accept_stream().await.expect("a stream");
            if stream.name() == "stuck" {
                let free = Arc::clone(&free);
                held.push(tokio::spawn(async move {
                    while !free.load(Ordering::SeqCst) {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    whole(stream).await
                }));
            } else {
                assert_eq!(whole(stream).await, SIZE);
                took = Some(began.elapsed());
            }
        }
        // The link must outlive the stream that nobody reads.
        tokio::time::sleep(least.saturating_sub(began.elapsed())).await;
        free.store(true, Ordering::SeqCst);
        for reader in held {
            assert_eq!(reader.await.expect("no panic"), SIZE);
        }
        took.expect("the other stream")
    });
    let sent = sender.receipt();
    assert!(sent.ended.stderr.contains("reconnects 0 "), "{}", sent.ended.stderr);
    assert!(sent.peak <= ROOM * 2, "{}", sent.peak);
    took
}

async fn whole(mut stream: Stream) -> usize {
    let mut buffer = vec![0; 64 << 10];
    let mut size = 0;
    loop {
        match stream.read(&mut buffer).await.expect("bytes") {
            0 => return size,
            read => size += read,
        }
    }
}

//! Real sockets against a destination in memory.

use super::super::event::Observer;
use super::super::outcome::Failure;
use super::super::stop::Stop;
use super::super::testing::{Memory, until, within};
use super::super::{SourcesOutcome, run};
use super::*;
use crate::settings::attributes::{Assigned, AttributeTable};
use crate::settings::source::SourceSpec;
use crate::status::Sources;
use std::sync::Mutex;
use tokio::task::JoinHandle;

struct Harness {
    memory: Memory,
    ask: watch::Sender<Stop>,
    address: String,
    running: JoinHandle<SourcesOutcome>,
}

async fn start(spec: SourceSpec, attributes: AttributeTable) -> Harness {
    let memory = Memory::default();
    let (ask, stop) = watch::channel(Stop::Running);
    let address = Arc::new(Mutex::new(String::new()));
    let told = address.clone();
    let observer = Observer::new(move |event| {
        if let SourceEvent::Listening { address, .. } = event {
            *told.lock().expect("lock") = address;
        }
    });
    let source = Source { name: Some("in".to_owned()), spec };
    let running = tokio::spawn(run(
        vec![source],
        attributes,
        memory.clone(),
        stop,
        observer,
        Sources::default(),
    ));
    until("a listener", || !address.lock().expect("lock").is_empty()).await;
    let address = address.lock().expect("lock").clone();
    Harness { memory, ask, address, running }
}

fn tcp_any() -> SourceSpec {
    SourceSpec::TcpListen("127.0.0.1:0".to_owned())
}

impl Harness {
    async fn end(self, step: Stop) -> SourcesOutcome {
        self.ask.send_replace(step);
        within("the end", self.running).await.expect("no panic")
    }
}

#[tokio::test]
async fn each_connection_is_a_stream_both_ways() {
    let attributes = AttributeTable {
        id: vec![Assigned { name: Some("in".to_owned()), value: 7 }],
        limit: vec![Assigned { name: Some("in".to_owned()), value: 1 << 30 }],
        ..AttributeTable::default()
    };
    let harness = start(tcp_any(), attributes).await;
    let memory = harness.memory.clone();
    let mut one = TcpStream::connect(&harness.address).await.expect("connect");
    one.write_all(b"question").await.expect("write");
    until("the question", || memory.text("in-1") == "question").await;
    let plan = memory.plan("in-1");
    assert_eq!((plan.label, plan.bidirectional, plan.attributes.limit), (7, true, Some(1 << 30)));
    assert_eq!(
        plan.metadata,
        [("peer".to_owned(), one.local_addr().expect("address").to_string())]
    );
    memory.answer("in-1", "answer").await;
    memory.end_answer("in-1");
    let mut answer = String::new();
    within("the answer", one.read_to_string(&mut answer)).await.expect("read");
    assert_eq!(answer, "answer");
    // The peer's half is closed, ours is not.
    one.write_all(b" and more").await.expect("write");
    one.shutdown().await.expect("shutdown");
    until("the end of the stream", || memory.finished("in-1")).await;
    assert_eq!(memory.text("in-1"), "question and more");

    let two = TcpStream::connect(&harness.address).await.expect("connect");
    drop(two);
    until("the second stream", || memory.finished("in-2")).await;
    assert_eq!(memory.plan("in-2").label, 1);
    let outcome = harness.end(Stop::Drain).await;
    assert_eq!((outcome.total, outcome.failed, outcome.bytes), (2, 0, 17));
}

#[tokio::test]
async fn a_client_that_ends_first_still_gets_its_answer() {
    let harness = start(tcp_any(), AttributeTable::default()).await;
    let memory = harness.memory.clone();
    let mut client = TcpStream::connect(&harness.address).await.expect("connect");
    client.shutdown().await.expect("shutdown");
    until("the end of the stream", || memory.finished("in-1")).await;
    memory.answer("in-1", "late").await;
    memory.end_answer("in-1");
    let mut answer = String::new();
    within("the answer", client.read_to_string(&mut answer)).await.expect("read");
    assert_eq!(answer, "late");
    assert_eq!(harness.end(Stop::Drain).await.failed, 0);
}

#[tokio::test]
async fn a_silent_peer_does_not_close_the_clients_reading_half() {
    let harness = start(tcp_any(), AttributeTable::default()).await;
    let memory = harness.memory.clone();
    let mut client = TcpStream::connect(&harness.address).await.expect("connect");
    client.write_all(b"a").await.expect("write");
    until("the first byte", || memory.text("in-1") == "a").await;
    memory.end_answer("in-1");
    client.write_all(b"b").await.expect("write");
    until("the second byte", || memory.text("in-1") == "ab").await;
    let mut byte = [0];
    let read = client.try_read(&mut byte).expect_err("nothing to read");
    assert_eq!(read.kind(), io::ErrorKind::WouldBlock);
    client.shutdown().await.expect("shutdown");
    assert_eq!(within("the end", client.read(&mut byte)).await.expect("read"), 0);
    assert_eq!(harness.end(Stop::Drain).await.failed, 0);
}

#[tokio::test]
async fn a_reset_by_the_client_resets_the_stream_only() {
    let harness = start(tcp_any(), AttributeTable::default()).await;
    let memory = harness.memory.clone();
    let mut client = TcpStream::connect(&harness.address).await.expect("connect");
    client.write_all(b"x").await.expect("write");
    until("the byte", || memory.text("in-1") == "x").await;
    client.set_zero_linger().expect("linger");
    drop(client);
    until("the reset", || memory.was_reset("in-1")).await;
    let mut other = TcpStream::connect(&harness.address).await.expect("connect");
    other.write_all(b"y").await.expect("write");
    until("the other", || memory.text("in-2") == "y").await;
    let outcome = harness.end(Stop::Drain).await;
    assert_eq!((outcome.total, outcome.failed, outcome.permanent), (2, 1, true));
    let failures: Vec<&str> = outcome.failures().map(|(stream, _)| stream.name.as_str()).collect();
    assert_eq!(failures, ["in-1"]);
}

#[tokio::test]
async fn a_drain_finishes_open_connections_and_a_stop_cuts_them() {
    let harness = start(tcp_any(), AttributeTable::default()).await;
    let memory = harness.memory.clone();
    let mut client = TcpStream::connect(&harness.address).await.expect("connect");
    client.write_all(b"kept").await.expect("write");
    until("the bytes", || memory.text("in-1") == "kept").await;
    let outcome = harness.end(Stop::Drain).await;
    assert_eq!((outcome.total, outcome.failed), (1, 0));
    assert!(memory.finished("in-1"));

    let harness = start(tcp_any(), AttributeTable::default()).await;
    let memory = harness.memory.clone();
    let mut client = TcpStream::connect(&harness.address).await.expect("connect");
    client.write_all(b"x").await.expect("write");
    until("the byte", || memory.text("in-1") == "x").await;
    let outcome = harness.end(Stop::Now).await;
    assert_eq!(outcome.streams[0].failure, Some(Failure::Stopped));
    let mut byte = [0];
    let cut = within("the cut", client.read(&mut byte)).await.expect_err("reset");
    assert_eq!(cut.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn hundreds_of_connections_at_once() {
    let harness = start(tcp_any(), AttributeTable::default()).await;
    let memory = harness.memory.clone();
    let mut clients = Vec::new();
    for n in 0..300 {
        let mut client = TcpStream::connect(&harness.address).await.expect("connect");
        client.write_all(format!("client {n}").as_bytes()).await.expect("write");
        clients.push(client);
    }
    until("all streams", || memory.names().len() == 300).await;
    drop(clients);
    let ended = || memory.names().iter().all(|name| memory.finished(name));
    until("the end of all", ended).await;
    let outcome = harness.end(Stop::Drain).await;
    assert_eq!((outcome.total, outcome.failed), (300, 0));
}

#[tokio::test]
async fn a_unix_socket_is_private_and_removed_at_the_end() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("in.sock");
    // Left behind by a process that is gone.
    drop(std::os::unix::net::UnixListener::bind(&path).expect("bind"));
    assert!(path.exists());
    let harness = start(SourceSpec::UnixListen(path.clone()), AttributeTable::default()).await;
    let memory = harness.memory.clone();
    assert_eq!(path.metadata().expect("socket").permissions().mode() & 0o777, 0o600);
    let mut client = UnixStream::connect(&path).await.expect("connect");
    client.write_all(b"hello").await.expect("write");
    drop(client);
    until("the stream", || memory.finished("in-1")).await;
    assert_eq!(memory.text("in-1"), "hello");
    assert!(memory.plan("in-1").metadata[0].1.starts_with("unix uid="));
    assert_eq!(harness.end(Stop::Drain).await.failed, 0);
    assert!(!path.exists());
}

#[tokio::test]
async fn a_listener_or_a_file_that_is_in_the_way_stays() {
    let dir = tempfile::tempdir().expect("temp dir");
    let taken = dir.path().join("taken.sock");
    let _other = std::os::unix::net::UnixListener::bind(&taken).expect("bind");
    let error = bind_unix(&taken).await.err().expect("in use");
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    assert!(taken.exists());
    let file = dir.path().join("file");
    std::fs::write(&file, "precious").expect("write");
    assert!(bind_unix(&file).await.is_err());
    assert_eq!(std::fs::read_to_string(&file).expect("read"), "precious");
}

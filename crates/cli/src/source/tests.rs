//! Whole runs against a destination in memory, with real files and children.

use super::outcome::{Failure, StreamOutcome};
use super::testing::{Memory, until, within};
use super::*;
use crate::settings::attributes::Assigned;
use crate::settings::source::{GenShape, GenSpec};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;
use tokio::task::JoinHandle;

struct Harness {
    memory: Memory,
    ask: watch::Sender<Stop>,
    events: Arc<Mutex<Vec<SourceEvent>>>,
    running: JoinHandle<SourcesOutcome>,
}

fn start_with(sources: Vec<Source>, attributes: AttributeTable) -> Harness {
    let memory = Memory::default();
    let (ask, stop) = watch::channel(Stop::Running);
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = events.clone();
    let observer = Observer::new(move |event| told.lock().expect("lock").push(event));
    let running =
        tokio::spawn(run(sources, attributes, memory.clone(), stop, observer, Sources::default()));
    Harness { memory, ask, events, running }
}

fn start_all(sources: Vec<Source>) -> Harness {
    start_with(sources, AttributeTable::default())
}

impl Harness {
    async fn end(self) -> SourcesOutcome {
        within("the end", self.running).await.expect("no panic")
    }
    async fn drain(self) -> SourcesOutcome {
        self.ask.send_replace(Stop::Drain);
        self.end().await
    }
}

fn source(name: &str, spec: SourceSpec) -> Source {
    Source { name: (!name.is_empty()).then(|| name.to_owned()), spec }
}

fn failure(outcome: &SourcesOutcome, name: &str) -> String {
    let of_name = |(stream, failure): (&StreamOutcome, &Failure)| {
        (stream.name == name).then(|| failure.to_string())
    };
    outcome.failures().find_map(of_name).expect("a failure")
}

fn append(path: &Path, text: &str) {
    let mut file = fs::File::options().append(true).create(true).open(path).expect("open");
    file.write_all(text.as_bytes()).expect("write");
}

#[tokio::test]
async fn files_arrive_whole_and_bad_ones_fail_alone() {
    let dir = tempfile::tempdir().expect("temp dir");
    let large: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    fs::write(dir.path().join("large"), &large).expect("write");
    fs::write(dir.path().join("empty"), "").expect("write");
    fs::write(dir.path().join("exact"), vec![7; 128 * 1024]).expect("write");
    let file = |name: &str| source(name, SourceSpec::File(dir.path().join(name)));
    let folder = source("folder", SourceSpec::File(dir.path().to_owned()));
    let harness =
        start_all(vec![file("large"), file("missing"), folder, file("empty"), file("exact")]);
    let memory = harness.memory.clone();
    let outcome = harness.end().await;
    assert!(memory.bytes("large") == large);
    assert_eq!(memory.bytes("exact"), vec![7; 128 * 1024]);
    assert!(memory.finished("empty") && memory.finished("large"));
    assert_eq!((outcome.total, outcome.failed, outcome.permanent), (5, 2, true));
    assert_eq!(memory.names(), ["empty", "exact", "large"]);
    let why = failure(&outcome, "missing");
    assert!(why.contains("missing: No such file"), "{why}");
    let why = failure(&outcome, "folder");
    assert!(why.contains("is a directory") && why.contains("tar c"), "{why}");
    assert_eq!(memory.plan("exact").label, 5);
}

#[tokio::test]
async fn ten_thousand_files_need_few_descriptors() {
    let dir = tempfile::tempdir().expect("temp dir");
    let mut sources = Vec::new();
    for n in 0..10_000 {
        let path = dir.path().join(format!("f{n}"));
        fs::write(&path, format!("file {n}\n")).expect("write");
        sources.push(source(&format!("f{n}"), SourceSpec::File(path)));
    }
    let harness = start_all(sources);
    let memory = harness.memory.clone();
    memory.hold();
    // All writers wait, so everything that can be open is open.
    until("files in flight", || memory.names().len() >= 64).await;
    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    assert!(memory.names().len() <= 512, "{}", memory.names().len());
    let below = |entry: &fs::DirEntry| {
        fs::read_link(entry.path()).is_ok_and(|target| target.starts_with(dir.path()))
    };
    let open = fs::read_dir("/proc/self/fd").expect("proc").flatten().filter(below).count();
    assert!(open <= 64, "{open} descriptors");
    memory.release();
    let outcome = harness.end().await;
    assert_eq!((outcome.total, outcome.failed), (10_000, 0));
    assert_eq!(memory.text("f9999"), "file 9999\n");
}

#[tokio::test]
async fn a_named_pipe_is_read_to_its_end() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("pipe");
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
        .expect("fifo");
    let harness = start_all(vec![source("pipe", SourceSpec::File(path.clone()))]);
    let memory = harness.memory.clone();
    tokio::task::spawn_blocking(move || fs::write(path, "through a pipe"))
        .await
        .expect("join")
        .expect("write");
    let outcome = harness.end().await;
    assert_eq!((outcome.failed, memory.text("pipe").as_str()), (0, "through a pipe"));
}

#[tokio::test]
async fn commands_run_side_by_side_and_a_bad_status_is_told() {
    let harness = start_all(vec![
        source("good", SourceSpec::Exec("seq 1 1000".to_owned())),
        source("bad", SourceSpec::Exec("echo all; echo why >&2; exit 9".to_owned())),
    ]);
    let (memory, events) = (harness.memory.clone(), harness.events.clone());
    let outcome = harness.end().await;
    assert_eq!(memory.text("good").lines().count(), 1000);
    assert_eq!((memory.text("bad").as_str(), memory.finished("bad")), ("all\n", true));
    assert!(failure(&outcome, "bad").ends_with("ended with status 9"));
    let said = SourceEvent::Stderr { name: "bad".to_owned(), line: "why".to_owned() };
    assert!(events.lock().expect("lock").contains(&said));
}

#[tokio::test]
async fn generated_streams_get_the_classic_names_and_numbers() {
    let spec = GenSpec { streams: 3, count: Some(1), ..GenSpec::default() };
    let attributes = AttributeTable {
        id: vec![Assigned { name: Some("stream2".to_owned()), value: 9 }],
        ..AttributeTable::default()
    };
    let harness = start_with(vec![source("", SourceSpec::Gen(spec))], attributes);
    let memory = harness.memory.clone();
    assert_eq!(harness.end().await.failed, 0);
    assert_eq!(memory.names(), ["stream1", "stream2", "stream3"]);
    let labels = ["stream1", "stream2", "stream3"].map(|name| memory.plan(name).label);
    assert_eq!(labels, [1, 9, 2]);
    assert!(memory.text("stream3").starts_with("stream3 message 2"));
}

#[tokio::test]
async fn a_drain_ends_endless_sources_and_keeps_what_is_there() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("app.log");
    append(&path, "one\n");
    let log = GenSpec { shape: GenShape::Log, ..GenSpec::default() };
    let harness = start_all(vec![
        source("tail", SourceSpec::Tail(TailPattern::Path(path.clone()))),
        source("gen", SourceSpec::Gen(log)),
        source("sleep", SourceSpec::Exec("echo up; sleep 1000".to_owned())),
    ]);
    let memory = harness.memory.clone();
    until("all to run", || {
        memory.text("tail") == "one\n"
            && !memory.bytes("gen").is_empty()
            && memory.text("sleep") == "up\n"
    })
    .await;
    append(&path, "two\n");
    let outcome = harness.drain().await;
    assert_eq!((outcome.total, outcome.failed), (3, 0), "{:?}", outcome.streams);
    assert_eq!(memory.text("tail"), "one\ntwo\n");
    assert!(["tail", "gen", "sleep"].iter().all(|name| memory.finished(name)));
}

#[tokio::test]
async fn a_pattern_finds_later_files_and_never_sends_a_rotated_one_twice() {
    let dir = tempfile::tempdir().expect("temp dir");
    let file = |name: &str| dir.path().join(name);
    append(&file("a.log"), "a1\n");
    append(&file("a.log.1"), "older\n");
    let pattern = format!("{}/*.log*", dir.path().display());
    let harness = start_all(vec![source("logs", SourceSpec::Tail(TailPattern::Glob(pattern)))]);
    let memory = harness.memory.clone();
    until("both files", || {
        memory.text("logs-a.log") == "a1\n" && memory.text("logs-a.log.1") == "older\n"
    })
    .await;
    // A rotation by two: every name leads to another file than before.
    fs::rename(file("a.log.1"), file("a.log.2")).expect("rename");
    fs::rename(file("a.log"), file("a.log.1")).expect("rename");
    append(&file("a.log"), "a2\n");
    append(&file("b.log"), "b1\n");
    until("the new files", || {
        memory.text("logs-a.log") == "a1\na2\n" && memory.text("logs-b.log") == "b1\n"
    })
    .await;
    // Time for a mistake to show: several scans.
    tokio::time::sleep(std::time::Duration::from_millis(1_500)).await;
    let outcome = harness.drain().await;
    assert_eq!(outcome.failed, 0);
    assert_eq!(memory.names(), ["logs-a.log", "logs-a.log.1", "logs-b.log"]);
    assert_eq!(memory.text("logs-a.log.1"), "older\n");
    assert_eq!(memory.text("logs-a.log"), "a1\na2\n");
}

#[tokio::test(start_paused = true)]
async fn a_matching_file_that_stays_away_ends_its_stream_and_may_come_back() {
    let dir = tempfile::tempdir().expect("temp dir");
    let path = dir.path().join("day.log");
    append(&path, "first\n");
    let pattern = format!("{}/*.log", dir.path().display());
    let harness = start_all(vec![source("", SourceSpec::Tail(TailPattern::Glob(pattern)))]);
    let memory = harness.memory.clone();
    until("the file", || memory.text("day.log") == "first\n").await;
    fs::remove_file(&path).expect("remove");
    // Minutes of virtual time.
    while !memory.finished("day.log") {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    append(&path, "second\n");
    while memory.text("day.log-2") != "second\n" {
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
    let outcome = harness.drain().await;
    assert_eq!((outcome.total, outcome.failed), (2, 0));
}

#[tokio::test]
async fn the_end_of_the_session_ends_everything_with_its_reason() {
    let harness = start_all(vec![
        source("", SourceSpec::Gen(GenSpec { streams: 2, ..GenSpec::default() })),
        source("cmd", SourceSpec::Exec("sleep 1000".to_owned())),
    ]);
    let memory = harness.memory.clone();
    until("all streams", || memory.names().len() == 3).await;
    memory.end("the session expired");
    let outcome = harness.end().await;
    assert_eq!((outcome.failed, outcome.permanent), (3, false));
    assert_eq!(failure(&outcome, "cmd"), "the session expired");
}

#[tokio::test]
async fn a_stop_ends_a_source_that_waits_for_room() {
    let harness = start_all(vec![source(
        "zeros",
        SourceSpec::Gen(GenSpec {
            shape: GenShape::Zeros,
            count: Some(1_000_000),
            ..GenSpec::default()
        }),
    )]);
    let memory = harness.memory.clone();
    memory.hold();
    until("the stream", || memory.names().len() == 1).await;
    harness.ask.send_replace(Stop::Now);
    let outcome = harness.end().await;
    assert_eq!(outcome.streams[0].failure, Some(Failure::Stopped));
}

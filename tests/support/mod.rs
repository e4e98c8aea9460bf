//! What the end-to-end tests stand on: a directory of their own, the real program, a relay.
#![allow(dead_code, unused_imports, unreachable_pub, reason = "each test file uses a part")]
#![allow(clippy::print_stdout, reason = "what a failed test has to say")]

pub mod corpus;
pub mod process;
pub mod prometheus;
pub mod relay;
pub mod sshd;
pub mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

pub use corpus::{assert_file, assert_same, log, random, sha256};
pub use process::{Ended, PATIENCE, Process, Program, other_program};
pub use relay::{Cut, Relay, Rules};
pub use rustix::process::Signal;

/// A sender that dials again quickly.
pub const QUICK: [&str; 2] = ["--retry-min=20ms", "--retry-max=200ms"];

/// A directory for one test, removed after it.
#[derive(Debug)]
pub struct Env {
    dir: tempfile::TempDir,
}

impl Env {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A path inside the directory.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: impl AsRef<Path>) -> String {
        self.path(name).to_str().expect("a plain path").to_owned()
    }

    /// Writes a file.
    pub fn write(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).expect("a directory");
        }
        fs::write(&path, bytes).expect("written");
        path
    }

    /// A token file that only its owner can read.
    pub fn token(&self, name: &str, secret: &str) -> String {
        use std::os::unix::fs::PermissionsExt;
        let path = self.write(name, secret.as_bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        self.text(name)
    }

    /// `p2` with these arguments.
    pub fn p2<S: AsRef<std::ffi::OsStr>>(&self, arguments: &[S]) -> Program {
        Program::new(self.dir.path(), arguments)
    }

    /// `p2 recv` on a free port, and the address on which it listens.
    #[track_caller]
    pub fn recv(&self, arguments: &[&str]) -> (Process, String) {
        self.listening(self.p2(&[&["recv", "--listen=127.0.0.1:0"], arguments].concat()))
    }

    /// `p2 recv --once --dir out` on a free port: the common case.
    #[track_caller]
    pub fn recv_dir(&self) -> (Process, String) {
        self.recv(&["--once", "--dir=out"])
    }

    /// Starts a receiver and waits for its address.
    #[track_caller]
    pub fn listening(&self, program: Program) -> (Process, String) {
        let mut process = program.start();
        let address = process.address();
        (process, address)
    }

    /// `p2 send ADDRESS`, in the session `s`, which dials again quickly.
    pub fn send<S: AsRef<str>>(&self, address: &str, arguments: &[S]) -> Program {
        let mut line = vec!["send", address, "--session=s"];
        line.extend(QUICK);
        line.extend(arguments.iter().map(AsRef::as_ref));
        self.p2(&line)
    }

    /// The file of a stream of the session `s` in `out`.
    pub fn out(&self, name: &str) -> PathBuf {
        self.path("out").join("s").join(name)
    }

    /// The records of an `--events` file.
    #[track_caller]
    pub fn events(&self, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(self.path(name)).expect("an events file");
        let read = |line: &str| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{name}: {line}: {error}"))
        };
        text.lines().map(read).collect()
    }

    /// The one `summary` in an `--events` file; fails unless nothing was lost and nothing doubled.
    #[track_caller]
    pub fn summary(&self, name: &str) -> Value {
        let events = self.events(name);
        let mut summaries = events.iter().filter(|event| event["event"] == "summary");
        let summary = summaries.next().unwrap_or_else(|| panic!("no summary in {name}")).clone();
        assert!(summaries.next().is_none(), "two summaries in {name}");
        assert_eq!(summary["lost"], 0, "{summary}");
        assert_eq!(summary["duplicated"], 0, "{summary}");
        summary
    }
}

/// The codecs of the program under test, `none` among them.
pub fn codecs() -> Vec<String> {
    let env = Env::new();
    let ended = env.p2(&["codecs", "--json"]).run().exits(0);
    let answer: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    let codecs = answer["codecs"].as_array().expect("a list of codecs");
    let names: Vec<String> =
        codecs.iter().filter_map(|codec| codec["name"].as_str().map(str::to_owned)).collect();
    assert!(names.iter().any(|name| name == "gzip"), "gzip is in every build: {names:?}");
    names
}

/// The long form of a test, chosen by `P2_LONG=1`, else the short one.
pub fn long_or<T>(long: T, short: T) -> T {
    if std::env::var_os("P2_LONG").is_some_and(|value| value == "1") { long } else { short }
}

/// The seed of a random test, printed so that a failure can be repeated with `P2_SEED`.
pub fn seed() -> u64 {
    let given = std::env::var("P2_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| fastrand::u64(..));
    println!("P2_SEED={seed}");
    seed
}

/// Says that a test was skipped, or fails if `P2_REQUIRE` lists what it needs.
pub fn skip(capability: &str, why: &str) {
    let required = std::env::var("P2_REQUIRE").unwrap_or_default();
    assert!(
        !required.split(',').any(|word| word.trim() == capability),
        "P2_REQUIRE has {capability}, but {why}"
    );
    println!("SKIP: {why}");
}

/// Polls until `check` has an answer, or fails with `what`.
#[track_caller]
pub fn eventually<T>(what: &str, mut check: impl FnMut() -> Option<T>) -> T {
    let deadline = std::time::Instant::now() + PATIENCE;
    loop {
        if let Some(answer) = check() {
            return answer;
        }
        assert!(std::time::Instant::now() < deadline, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The peak of a process's resident memory, in bytes.
pub fn peak_memory(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).expect("a running process");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("its peak");
    let kib: u64 = line.split_whitespace().nth(1).and_then(|n| n.parse().ok()).expect("a number");
    kib * 1024
}

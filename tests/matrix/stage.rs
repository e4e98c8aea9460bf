//! A receiver that stays, a relay before it, senders, and what must hold when they are done.

use std::fmt;
use std::fs;
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::support::{Ended, Env, Process, Program, Relay, Signal, eventually};

/// Most resident memory of one process in these rows: twice what the largest buffer here holds,
/// and what the program itself takes in a build without optimisation.
pub const ROOM: u64 = 64 << 20;

/// Heartbeats so short that a row notices a dead link soon, and so long that a busy machine does
/// not take a living one for dead.
pub const BEATS: [&str; 2] = ["--heartbeat=500ms", "--heartbeat-timeout=3s"];

/// What a sender may hold, in rows that fill it.
pub const BUFFER: &str = "--buffer=8MiB";

/// A receiver that writes to `out`, tells its events to `r.ndjson`, and stays.
pub struct Stage {
    pub env: Env,
    pub receiver: Process,
    /// The receiver's own.
    pub address: String,
    /// The way to it.
    pub relay: Relay,
    descriptors: usize,
}

/// A sender whose memory is watched.
pub struct Sender {
    pub process: Process,
    peak: u64,
}

/// A sender's end.
pub struct Sent {
    pub ended: Ended,
    pub peak: u64,
}

/// What was measured on the way.
#[derive(Default)]
pub struct Held {
    /// Milliseconds without a link, as the senders say.
    pub outages: Vec<u64>,
    /// Peaks of resident memory: of the receiver, of the largest sender.
    pub peaks: [u64; 2],
    /// The receiver's open descriptors, before the first session and after the last.
    pub descriptors: [usize; 2],
}

impl Stage {
    pub fn new(seed: u64, arguments: &[&str]) -> Self {
        let env = Env::new();
        let line = [&["recv", "--listen=127.0.0.1:0"], &STAYS[..], arguments].concat();
        let receiver = env.p2(&line);
        Self::with(env, receiver, seed)
    }

    /// With a receiver of the caller's, which has [`STAYS`] among its arguments.
    pub fn with(env: Env, receiver: Program, seed: u64) -> Self {
        let (receiver, address) = env.listening(receiver);
        let relay = Relay::to(&address, seed);
        let descriptors = descriptors(receiver.id()).expect("a running receiver");
        Self { env, receiver, address, relay, descriptors }
    }

    /// A sender of the session `s` through the relay, with events in `s.ndjson`.
    pub fn sender<S: AsRef<str>>(&self, arguments: &[S]) -> Sender {
        let mut line = vec!["--events=s.ndjson"];
        line.extend(arguments.iter().map(AsRef::as_ref));
        Sender::start(self.env.send(&self.relay.address(), &line))
    }

    /// The kinds and contents of the receiver's events so far.
    pub fn events(&self, kind: &str) -> Vec<Value> {
        events(&self.env, "r.ndjson", kind)
    }

    /// Waits until a part of the file of a stream of session `s` is written.
    pub fn part_written(&self, name: &str, least: u64) {
        let file = self.env.out(name);
        eventually("a part is written", || {
            fs::metadata(&file).is_ok_and(|meta| meta.len() >= least).then_some(())
        });
    }

    /// Ends the receiver; fails unless it had exactly so many sessions, all of them ended in
    /// order with nothing lost or doubled, holds no descriptor more than before, and stayed
    /// within its memory.
    pub fn finish(self, sessions: usize, sent: &[Sent]) -> Held {
        self.finish_within(sessions, sent, ROOM)
    }

    /// The same with another bound on memory.
    pub fn finish_within(mut self, sessions: usize, sent: &[Sent], room: u64) -> Held {
        self.settled(sessions);
        for ended in self.events("session_ended") {
            assert_eq!(ended["ok"], true, "{ended}");
        }
        let summaries = self.events("summary");
        assert_eq!(summaries.len(), sessions, "{summaries:?}");
        for summary in &summaries {
            assert_eq!(summary["lost"], 0, "{summary}");
            assert_eq!(summary["duplicated"], 0, "{summary}");
        }
        let mut held = self.close(room);
        for one in sent {
            assert!(one.peak <= room, "{} used {} bytes", one.ended.title, one.peak);
            held.peaks[1] = held.peaks[1].max(one.peak);
        }
        held
    }

    /// Waits until so many sessions have ended, and fails if there are more.
    pub fn settled(&self, sessions: usize) {
        eventually("the sessions have ended", || {
            let ended = self.events("session_ended").len();
            let summed = self.events("summary").len() + self.unordered();
            (ended >= sessions && summed >= sessions).then_some(())
        });
        let opened = self.events("session_opened");
        assert_eq!(opened.len(), sessions, "{opened:?}");
    }

    fn unordered(&self) -> usize {
        self.events("session_ended").iter().filter(|event| event["ok"] == false).count()
    }

    /// Ends the receiver; checks what does not depend on how sessions ended.
    pub fn close(&mut self, room: u64) -> Held {
        let id = self.receiver.id();
        let before = self.descriptors;
        let mut after = usize::MAX;
        for _ in 0..2000 {
            after = descriptors(id).expect("a running receiver");
            if after <= before {
                break;
            }
            thread::sleep(Duration::from_millis(5));
        }
        assert!(after <= before, "{before} descriptors before, {after} after: {}", listed(id));
        let peak = peak(id).expect("a running receiver");
        assert!(peak <= room, "the receiver used {peak} bytes");
        self.receiver.signal(Signal::TERM);
        eventually("the receiver has ended", || self.receiver.poll().then_some(()));
        Held { outages: outages(&self.env), peaks: [peak, 0], descriptors: [before, after] }
    }
}

/// What a [`Stage`]'s receiver is told.
pub const STAYS: [&str; 2] = ["--dir=out", "--events=r.ndjson"];

impl Sender {
    pub fn start(program: Program) -> Self {
        Self { process: program.start(), peak: 0 }
    }

    /// How many descriptors it has open.
    pub fn descriptors(&self) -> usize {
        descriptors(self.process.id()).expect("a running sender")
    }

    /// Its peak of resident memory so far.
    pub fn peak(&mut self) -> u64 {
        self.peak = self.peak.max(peak(self.process.id()).unwrap_or(0));
        self.peak
    }

    /// Waits for its end, with an eye on its memory.
    pub fn end(mut self) -> Sent {
        eventually("the sender has ended", || {
            self.peak();
            thread::sleep(Duration::from_millis(5));
            self.process.poll().then_some(())
        });
        Sent { ended: self.process.wait(), peak: self.peak }
    }

    /// The same; fails unless it ended well with a clean receipt.
    pub fn receipt(self) -> Sent {
        let Sent { ended, peak } = self.end();
        Sent { ended: ended.receipt(), peak }
    }
}

impl Held {
    /// The median and the worst outage.
    pub fn back(&self) -> [u64; 2] {
        let mut outages = self.outages.clone();
        outages.sort_unstable();
        [outages.get(outages.len() / 2), outages.last()].map(|value| value.copied().unwrap_or(0))
    }
}

impl fmt::Display for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [median, worst] = self.back();
        match self.outages.len() {
            0 => {}
            1 => write!(f, "resumed in {worst} ms, ")?,
            many => write!(f, "{many} resumes, median {median} ms, worst {worst} ms, ")?,
        }
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        write!(f, "peak {:.0} MiB recv, ", mib(self.peaks[0]))?;
        if self.peaks[1] > 0 {
            write!(f, "{:.0} MiB send, ", mib(self.peaks[1]))?;
        }
        write!(f, "fd {} -> {}", self.descriptors[0], self.descriptors[1])
    }
}

/// The events of one kind in a file that may still be growing.
pub fn events(env: &Env, file: &str, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(env.path(file)).unwrap_or_default();
    let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let records = whole.map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    records.filter(|record| record["event"] == kind).collect()
}

fn outages(env: &Env) -> Vec<u64> {
    let mut found = Vec::new();
    for file in fs::read_dir(env.path("")).expect("a directory").flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.starts_with('s') && name.ends_with(".ndjson") {
            let resumed = events(env, &name, "resumed");
            found.extend(resumed.iter().filter_map(|event| event["outage_ms"].as_u64()));
        }
    }
    found
}

/// How many descriptors a process has open.
pub fn descriptors(id: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{id}/fd")).ok()?.count())
}

fn listed(id: u32) -> String {
    let open = fs::read_dir(format!("/proc/{id}/fd")).into_iter().flatten().flatten();
    let names = open.filter_map(|entry| fs::read_link(entry.path()).ok());
    names.map(|name| name.display().to_string()).collect::<Vec<_>>().join(", ")
}

/// The peak of a process's resident memory, in bytes, while it lives.
pub fn peak(id: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    // For a moment a new child still has the memory of the test that started it.
    status.lines().next().filter(|line| *line == "Name:\tp2")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

//! One attack on one receiver, beside honest transfers: what is measured, and what must hold.

use std::fs;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Resource, Rlimit, Signal, prlimit};

use crate::raw::{self, Raw};
use crate::support::table::Outcome;
use crate::support::{Env, Process, QUICK, long_or, peak_memory, random, sha256};

/// No process may ever need more, whatever its peer does.
pub const MEMORY: u64 = 96 << 20;
/// Descriptors that a program usually gets.
const DESCRIPTORS: u64 = 1024;
/// Bytes of one honest transfer.
const HONEST: usize = 16 << 20;
/// What honest transfers must keep of their speed alone: so little that only one which nearly stands
/// still fails, for the machine may have other work. The figure says how much it was.
const SLOWEST: f64 = 0.005;

/// An honest transfer, of a tenth of a second when it is alone, may not take longer than this.
const LONGEST: Duration = Duration::from_secs(20);

/// Between two rounds of an attack: whoever was closed comes again, some twenty times a second.
const PAUSE: Duration = Duration::from_millis(50);

/// A receiver under attack.
pub struct Siege {
    pub env: Env,
    pub receiver: Process,
    pub address: String,
    descriptors: usize,
    memory: u64,
    slowest: f64,
    pause: Duration,
    must_close: bool,
    measured: Option<MutexGuard<'static, ()>>,
}

/// What an attacker is given.
pub struct Target<'a> {
    pub address: &'a str,
    over: &'a AtomicBool,
    closed: &'a AtomicU64,
}

/// Rows that measure do so one after the other.
static TURN: Mutex<()> = Mutex::new(());

impl Siege {
    /// A receiver into files, whose sessions do not wait long for their senders.
    pub fn new(arguments: &[&str]) -> Self {
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        Self { measured: Some(turn), ..Self::beside(arguments) }
    }

    /// The same for a row that mostly waits, and so may run beside others.
    pub fn beside(arguments: &[&str]) -> Self {
        let env = Env::new();
        let line = [&["--dir=out", "--session-ttl=2s"], arguments].concat();
        let (receiver, address) = env.recv(&line);
        limit_descriptors(&receiver);
        let descriptors = open_descriptors(&receiver);
        Self {
            env,
            receiver,
            address,
            descriptors,
            memory: MEMORY,
            slowest: SLOWEST,
            pause: PAUSE,
            must_close: true,
            measured: None,
        }
    }

    /// What is open now belongs there: links that the row itself keeps.
    pub fn settled(mut self) -> Self {
        self.descriptors = open_descriptors(&self.receiver);
        self
    }

    /// The attack breaks no rule by itself: its link may live.
    pub fn tolerated(mut self) -> Self {
        self.must_close = false;
        self
    }

    /// What does not hold yet as it should: this much memory is taken, and this part of their speed is
    /// what honest transfers keep while rounds begin so far apart. The figures say how it is.
    pub fn gap(self, memory: u64, slowest: f64, pause: Duration) -> Self {
        Self { memory, slowest, pause, ..self }
    }

    /// Repeats `attack`, which returns the bytes it sent, beside honest transfers, and judges.
    /// The receiver must have said each of `reasons`.
    pub fn run(self, reasons: &[&str], attack: impl Fn(&Target) -> u64 + Sync) -> Outcome {
        let alone = alone();
        let (over, closed) = (AtomicBool::new(false), AtomicU64::new(0));
        let (bytes, rounds) = (AtomicU64::new(0), AtomicU64::new(0));
        let before = (cpu(&self.receiver), self.receiver.stderr().lines().count());
        let began = Instant::now();
        let mut honest = Vec::new();
        let (address, pause) = (self.address.clone(), self.pause);
        let attacked = thread::scope(|scope| {
            // Also when a transfer fails: the attacker would go on for ever.
            let end = End(&over);
            let attacker = scope.spawn(|| {
                let target = Target { address: &address, over: &over, closed: &closed };
                while !over.load(Ordering::SeqCst) {
                    bytes.fetch_add(attack(&target), Ordering::SeqCst);
                    rounds.fetch_add(1, Ordering::SeqCst);
                    rest(pause, &over);
                }
            });
            thread::sleep(Duration::from_millis(50));
            let least = long_or(Duration::from_secs(10), Duration::from_millis(1000));
            while (began.elapsed() < least || rounds.load(Ordering::SeqCst) == 0)
                && !attacker.is_finished()
            {
                honest.push(transfer(&self.env, &self.address, honest.len()));
            }
            drop(end);
            let lasted = began.elapsed();
            (attacker.join(), lasted)
        });
        let (joined, lasted) = attacked;
        if let Err(panic) = joined {
            std::panic::resume_unwind(panic);
        }
        let bytes = bytes.into_inner();
        let rounds = rounds.into_inner();
        let mut wrong = Vec::new();
        let spent = cpu(&self.receiver) - before.0 - alone.cpu * honest.len() as f64;
        let all: Duration = honest.iter().sum();
        let ratio = alone.time.as_secs_f64() * honest.len() as f64 / all.as_secs_f64();
        if ratio < self.slowest {
            wrong.push(format!("honest transfers have {ratio:.2} of their speed"));
        }
        let peak = peak_memory(self.receiver.id());
        if peak > self.memory {
            wrong.push(format!("{} resident, {} are allowed", mib(peak), mib(self.memory)));
        }
        let said = self.receiver.stderr();
        // What honest sessions say: link, codecs, table and receipt.
        let lines = said.lines().count().saturating_sub(before.1 + honest.len() * 10);
        // A burst and a trickle of lines, and of the rows of tables.
        // The attack's last round may end a little after what was measured.
        let allowed = 260 + 21 * (lasted.as_secs() as usize + 3);
        if lines > allowed {
            wrong.push(format!("{lines} lines on stderr in {lasted:.1?}, {allowed} are allowed"));
        }
        let raw = |c: char| c.is_control() && c != '\n';
        if let Some(line) = said.lines().find(|line| line.contains(raw)) {
            wrong.push(format!("raw characters on stderr: {line:?}"));
        }
        let closed = closed.into_inner();
        if self.must_close && closed < rounds {
            wrong.push(format!("only {closed} of {rounds} attacking links were closed"));
        }
        if let Err(open) = self.descriptors_return() {
            wrong.push(format!("{open} descriptors open, {} before", self.descriptors));
        }
        let after = transfer(&self.env, &self.address, honest.len());
        // Rows with many reasons have them in the events: on stderr there is not room for every line.
        let events = fs::read_to_string(self.env.path("events")).unwrap_or_default();
        let told = |reason: &str| said.contains(reason) || events.contains(reason);
        for reason in reasons.iter().filter(|reason| !told(reason)) {
            wrong.push(format!("nothing says {reason:?}"));
        }
        self.receiver.signal(Signal::TERM);
        let ended = self.receiver.wait();
        if ended.code.is_none() {
            wrong.push("it was killed by a signal that it did not handle".to_owned());
        }
        drop(self.measured);
        let figures = format!(
            "x{ratio:.2} of {:.0} MiB/s, {} peak, {lines} lines, {rounds} rounds in {lasted:.1?}, {} \
             sent, cpu {spent:.2} s",
            HONEST as f64 / alone.time.as_secs_f64() / f64::from(1 << 20),
            mib(peak),
            mib(bytes),
        );
        if !wrong.is_empty() {
            let shown: Vec<&str> = ended.stderr.lines().take(30).collect();
            println!("{}", shown.join("\n"));
        }
        assert!(wrong.is_empty(), "{}; {figures}, next took {after:.1?}", wrong.join("; "));
        Outcome::Passed(figures)
    }

    fn descriptors_return(&self) -> Result<(), usize> {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let open = open_descriptors(&self.receiver);
            if open <= self.descriptors {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(open);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Target<'_> {
    /// A new session of the attacker; `None` if there is no room before the siege is over.
    pub fn open(&self) -> Option<Raw> {
        while !self.is_over() {
            match Raw::open(self.address, "evil") {
                Ok(raw) => return Some(raw),
                Err(_) => thread::sleep(Duration::from_millis(5)),
            }
        }
        self.close();
        None
    }

    /// A session whose answers are thrown away.
    pub fn open_deaf(&self) -> Option<Raw> {
        let raw = self.open()?;
        raw.ignore();
        Some(raw)
    }

    /// A socket without a word.
    pub fn dial(&self) -> Option<TcpStream> {
        raw::dial(self.address).ok()
    }

    pub fn is_over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    /// One attacking link was closed, as it should.
    pub fn close(&self) {
        self.closed.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until the peer hangs up on this link.
    pub fn expect_close(&self, raw: &Raw) {
        if raw.hung_up(Duration::from_secs(30)) {
            self.close();
        }
    }

    /// Sends what `make` appends, item by item, until it says so by `false` or the link ends.
    pub fn flood(&self, raw: &mut Raw, mut make: impl FnMut(&mut Vec<u8>) -> bool) -> u64 {
        const BLOCK: usize = 128 << 10;
        let (mut sent, mut block, mut more) = (0, Vec::with_capacity(2 * BLOCK), true);
        while more {
            more = make(&mut block);
            if block.len() >= BLOCK || !more {
                if raw.write(&block).is_err() {
                    return sent;
                }
                sent += block.len() as u64;
                block.clear();
            }
        }
        sent
    }
}

/// Waits, but not beyond the end of the siege.
fn rest(pause: Duration, over: &AtomicBool) {
    let until = Instant::now() + pause;
    while Instant::now() < until && !over.load(Ordering::SeqCst) {
        thread::sleep(PAUSE.min(pause));
    }
}

/// Ends the siege when it is dropped.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What an honest transfer takes while nobody attacks.
#[derive(Debug, Clone, Copy)]
struct Alone {
    time: Duration,
    cpu: f64,
}

fn alone() -> Alone {
    static ALONE: OnceLock<Alone> = OnceLock::new();
    *ALONE.get_or_init(|| {
        let env = Env::new();
        let (receiver, address) = env.recv(&["--dir=out"]);
        let before = cpu(&receiver);
        let mut times: Vec<Duration> = (0..5).map(|n| transfer(&env, &address, n)).collect();
        times.sort_unstable();
        Alone { time: times[2], cpu: (cpu(&receiver) - before) / 5.0 }
    })
}

/// One honest sender delivers a file; how long that took, from its start to its end.
fn transfer(env: &Env, address: &str, number: usize) -> Duration {
    static CONTENT: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    let (content, digest) = CONTENT.get_or_init(|| {
        let content = random(7, HONEST);
        let digest = sha256(&content);
        (content, digest)
    });
    if !env.path("in").exists() {
        env.write("in", content);
    }
    let session = format!("--session=b{number}");
    let mut line = vec!["send", address, &session, "--file=in"];
    line.extend(QUICK);
    let began = Instant::now();
    let mut sender = env.p2(&line).start();
    while !sender.poll() {
        assert!(began.elapsed() < LONGEST, "an honest transfer takes more than {LONGEST:?}");
        thread::sleep(Duration::from_millis(2));
    }
    let time = began.elapsed();
    sender.wait().receipt();
    let path = env.path("out").join(format!("b{number}")).join("in");
    let found = fs::read(&path).expect("delivered");
    assert_eq!(&sha256(&found), digest, "{}: {} bytes", path.display(), found.len());
    let _ = fs::remove_file(path);
    time
}

/// Processor time of a process so far, in seconds.
pub fn cpu(process: &Process) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{}/stat", process.id())).expect("it runs");
    let fields = stat.rsplit_once(')').expect("a name in brackets").1.split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

pub fn open_descriptors(process: &Process) -> usize {
    fs::read_dir(format!("/proc/{}/fd", process.id())).expect("it runs").count()
}

pub fn limit_descriptors(process: &Process) {
    let id = i32::try_from(process.id()).ok().and_then(Pid::from_raw).expect("a process id");
    let limit = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
    prlimit(Some(id), Resource::Nofile, limit).expect("our own child");
}

pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

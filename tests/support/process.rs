//! The real program as a child: what it says is kept, and shown when a test fails.

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// Longer than any step needs on a busy machine; it only ends tests that hang.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How much of a stream of output is shown when a test fails.
const SHOWN: usize = 16 * 1024;

/// The program under test, or the one at `P2_OTHER_BIN`.
#[derive(Debug)]
pub struct Program {
    command: Command,
    title: String,
    pipe: bool,
    held: bool,
}

impl Program {
    /// `p2` with these arguments, in `dir`, without any setting from the environment.
    pub fn new<I, S>(dir: &Path, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        Self::at(Path::new(env!("CARGO_BIN_EXE_p2")), dir, arguments)
    }

    /// The same with another program file.
    pub fn at<I, S>(program: &Path, dir: &Path, arguments: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let arguments: Vec<OsString> =
            arguments.into_iter().map(|text| text.as_ref().to_owned()).collect();
        let mut title = "p2".to_owned();
        for argument in arguments.iter().take(24) {
            title.push(' ');
            title.push_str(&argument.to_string_lossy());
        }
        if arguments.len() > 24 {
            title.push_str(&format!(" ... ({} arguments)", arguments.len()));
        }
        let mut command = Command::new(program);
        command.args(arguments).current_dir(dir).env("HOME", dir).env("TERM", "dumb");
        command.env_remove("XDG_CONFIG_HOME");
        // Control sockets of tests are not among those of the user.
        command.env("XDG_RUNTIME_DIR", dir).env_remove("XDG_STATE_HOME");
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("P2_") {
                command.env_remove(name);
            }
        }
        Self { command, title, pipe: false, held: false }
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Gives it a pipe as its standard input; see [`Process::stdin`]. Otherwise it has none.
    pub fn pipe(mut self) -> Self {
        self.pipe = true;
        self
    }

    /// Leaves its standard output unread until [`Process::release`].
    pub fn held(mut self) -> Self {
        self.held = true;
        self
    }

    /// Starts it.
    pub fn start(mut self) -> Process {
        let stdin = if self.pipe { Stdio::piped() } else { Stdio::null() };
        let mut child = self
            .command
            .stdin(stdin)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.title));
        let hold = Arc::new(AtomicBool::new(self.held));
        let stdout = Output::of(child.stdout.take().expect("piped"), Arc::clone(&hold));
        let stderr = Output::of(child.stderr.take().expect("piped"), Arc::default());
        Process {
            stdin: child.stdin.take(),
            child,
            title: self.title,
            hold,
            stdout,
            stderr,
            status: None,
        }
    }

    /// Starts it and waits for its end.
    #[track_caller]
    pub fn run(self) -> Ended {
        self.start().wait()
    }
}

/// A child under way; it is killed when it is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    title: String,
    hold: Arc<AtomicBool>,
    stdout: Output,
    stderr: Output,
    status: Option<ExitStatus>,
}

/// What a child left.
#[derive(Debug)]
pub struct Ended {
    /// The command line.
    pub title: String,
    /// The exit code; none after a signal that it did not handle.
    pub code: Option<i32>,
    /// Exact bytes.
    pub stdout: Vec<u8>,
    /// Text.
    pub stderr: String,
}

impl Process {
    /// Writes to its standard input.
    pub fn write(&mut self, bytes: &[u8]) {
        let stdin = self.stdin.as_mut().expect("started with a pipe");
        stdin.write_all(bytes).unwrap_or_else(|error| panic!("stdin of {}: {error}", self.title));
    }

    /// Ends its standard input.
    pub fn close_stdin(&mut self) {
        self.stdin = None;
    }

    /// Its standard input, for a thread of its own.
    pub fn take_stdin(&mut self) -> ChildStdin {
        self.stdin.take().expect("started with a pipe")
    }

    /// Begins to read its standard output.
    pub fn release(&self) {
        self.hold.store(false, Ordering::SeqCst);
    }

    /// The process's number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// What it has said on stderr so far.
    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    /// What it has written to stdout so far.
    pub fn stdout(&self) -> Vec<u8> {
        self.stdout.bytes().clone()
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process id");
        if self.status.is_none() {
            kill_process(id, signal).expect("the child is there");
        }
    }

    /// Ends it without a warning.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.status = self.child.wait().ok();
    }

    /// Waits until stderr holds `words`, and returns what it holds.
    #[track_caller]
    pub fn say(&mut self, words: &str) -> String {
        self.until(&format!("{words:?} on stderr"), |process| {
            let said = process.stderr.text();
            said.contains(words).then_some(said)
        })
    }

    /// Waits until stdout holds `words`.
    #[track_caller]
    pub fn print(&mut self, words: &str) {
        self.until(&format!("{words:?} on stdout"), |process| {
            String::from_utf8_lossy(&process.stdout.bytes()).contains(words).then_some(())
        });
    }

    /// The address on which a receiver says that it listens.
    #[track_caller]
    pub fn address(&mut self) -> String {
        self.until("an address on stderr", |process| listening(&process.stderr.text(), ""))
    }

    /// The address on which a sender says that it listens for the source of this name.
    #[track_caller]
    pub fn source_address(&mut self, name: &str) -> String {
        let end = format!(" for {name}");
        self.until("an address on stderr", |process| listening(&process.stderr.text(), &end))
    }

    /// Waits until `check` has an answer; fails if the child ends before or nothing comes.
    #[track_caller]
    pub fn until<T>(&mut self, what: &str, check: impl Fn(&Self) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            // In this order: the child may say it and end at once.
            let over = self.poll();
            if over {
                self.stdout.finish();
                self.stderr.finish();
            }
            if let Some(answer) = check(self) {
                return answer;
            }
            assert!(!over, "{} ended with {:?} before {what}", self.title, self.status);
            assert!(Instant::now() < deadline, "{}: no {what} within {PATIENCE:?}", self.title);
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it has ended.
    pub fn poll(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("our own child");
        }
        self.status.is_some()
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Ended {
        self.stdin = None;
        let deadline = Instant::now() + PATIENCE;
        while !self.poll() {
            assert!(Instant::now() < deadline, "{}: still runs after {PATIENCE:?}", self.title);
            thread::sleep(Duration::from_millis(5));
        }
        self.release();
        self.stdout.finish();
        self.stderr.finish();
        Ended {
            title: self.title.clone(),
            code: self.status.and_then(|status| status.code()),
            stdout: self.stdout.bytes().clone(),
            stderr: self.stderr.text(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let running = self.status.is_none() && !self.poll();
        if running {
            self.kill();
        }
        if thread::panicking() {
            let state = match running {
                true => "was running".to_owned(),
                false => format!("ended with {:?}", self.status),
            };
            show(&self.title, &state, &self.stdout.bytes(), &self.stderr.text());
        }
    }
}

impl Ended {
    /// Fails unless the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        if self.code != Some(code) {
            self.show();
            panic!("{}: exit code {:?} instead of {code}", self.title, self.code);
        }
        self
    }

    /// Fails unless stderr holds each of these.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        for word in words {
            if !self.stderr.contains(word) {
                self.show();
                panic!("{}: no {word:?} on stderr", self.title);
            }
        }
        self
    }

    /// Fails unless it ended well and its receipt says that nothing was lost and nothing came twice.
    #[track_caller]
    pub fn receipt(self) -> Self {
        self.exits(0).says(&["done   ", "lost 0   duplicated 0", "all acknowledged"])
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Shows everything it said.
    pub fn show(&self) {
        show(&self.title, &format!("ended with {:?}", self.code), &self.stdout, &self.stderr);
    }
}

/// What a child writes to a pipe, read by a thread of its own.
#[derive(Debug)]
struct Output {
    held: Arc<(Mutex<Vec<u8>>, Condvar)>,
    over: Arc<AtomicBool>,
    _reader: JoinHandle<()>,
}

impl Output {
    fn of(mut pipe: impl Read + Send + 'static, hold: Arc<AtomicBool>) -> Self {
        let held = Arc::new((Mutex::new(Vec::new()), Condvar::new()));
        let over = Arc::new(AtomicBool::new(false));
        let (buffer, ended) = (Arc::clone(&held), Arc::clone(&over));
        let reader = thread::spawn(move || {
            while hold.load(Ordering::SeqCst) {
                thread::sleep(Duration::from_millis(5));
            }
            let mut chunk = vec![0; 64 * 1024];
            while let Ok(read @ 1..) = pipe.read(&mut chunk) {
                lock(&buffer.0).extend_from_slice(&chunk[..read]);
            }
            let _guard = lock(&buffer.0);
            ended.store(true, Ordering::SeqCst);
            buffer.1.notify_all();
        });
        Self { held, over, _reader: reader }
    }

    fn bytes(&self) -> MutexGuard<'_, Vec<u8>> {
        lock(&self.held.0)
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).into_owned()
    }

    /// Waits until all is read. Not for ever: a grandchild may hold the pipe open.
    fn finish(&self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        let mut guard = self.bytes();
        while !self.over.load(Ordering::SeqCst) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { return };
            guard = self.held.1.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The address in the first whole line of the form `listening on ADDRESS...` that ends in `end`.
fn listening(said: &str, end: &str) -> Option<String> {
    let lines = said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let mut rests = lines.filter_map(|line| line.strip_prefix("listening on "));
    rests.find_map(|rest| rest.strip_suffix(end)).map(str::to_owned)
}

fn show(title: &str, state: &str, stdout: &[u8], stderr: &str) {
    let tail = |bytes: &[u8]| {
        let from = bytes.len().saturating_sub(SHOWN);
        String::from_utf8_lossy(&bytes[from..]).into_owned()
    };
    let shown = match std::str::from_utf8(stdout) {
        Ok(text) => tail(text.as_bytes()),
        Err(_) => format!("({} bytes that are no text)\n", stdout.len()),
    };
    println!(
        "---- {title}: {state}\n---- its stderr:\n{}---- its stdout:\n{shown}----",
        tail(stderr.as_bytes())
    );
}

/// The program of another build, from `P2_OTHER_BIN`; without it the test is skipped, unless
/// `P2_REQUIRE` has `otherbin`.
pub fn other_program() -> Option<PathBuf> {
    match std::env::var_os("P2_OTHER_BIN") {
        Some(path) => Some(path.into()),
        None => {
            super::skip("otherbin", "P2_OTHER_BIN names no program of another build");
            None
        }
    }
}

//! A command's standard output as a stream, its standard error as lines of ours.

use super::event::{Observer, SourceEvent};
use super::pump::Produce;
use super::stop::StopSignal;
use bytes::{Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdout, Command};
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// One read.
const CHUNK: usize = 64 * 1024;

/// The longest line of standard error told as one.
const LINE: usize = 4096;

/// After a drain and the command's end: how long others who hold its output may stay silent.
const SILENCE: Duration = Duration::from_millis(250);

/// A running `sh -c COMMAND` in a process group of its own.
pub(super) struct Run {
    command: String,
    child: Child,
    stdout: ChildStdout,
    errors: Option<JoinHandle<()>>,
    buffer: BytesMut,
    stop: StopSignal,
    /// SIGTERM was sent.
    asked: bool,
    status: Option<ExitStatus>,
    deadline: Option<Instant>,
}

impl Run {
    pub(super) fn start(
        name: &str,
        command: &str,
        stop: StopSignal,
        observer: Observer,
    ) -> io::Result<Self> {
        let mut child = Command::new("sh")
            .arg("-c")
            .arg(command)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for this program, which then ends the command in order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| {
                io::Error::new(error.kind(), format!("cannot run `sh -c {command}`: {error}"))
            })?;
        let pipes = child.stdout.take().zip(child.stderr.take());
        let (stdout, stderr) =
            pipes.ok_or_else(|| io::Error::other("the command has no output"))?;
        let errors = tokio::spawn(tell_lines(name.to_owned(), stderr, observer));
        Ok(Self {
            command: command.to_owned(),
            child,
            stdout,
            errors: Some(errors),
            buffer: BytesMut::new(),
            stop,
            asked: false,
            status: None,
            deadline: None,
        })
    }

    /// Signals the whole group. Only while the child is not reaped: until then its number, which
    /// is the group's, cannot belong to anyone else.
    fn signal(&self, signal: Signal) {
        if self.status.is_some() {
            return;
        }
        let id = self.child.id().and_then(|id| i32::try_from(id).ok());
        if let Some(group) = id.and_then(Pid::from_raw) {
            // Fails only when the group is gone, which is what is wanted.
            let _ = kill_process_group(group, signal);
        }
    }

    fn ask_to_end(&mut self) {
        self.asked = true;
        self.signal(Signal::TERM);
    }
}

impl Produce for Run {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.buffer.capacity() < CHUNK / 16 {
            self.buffer.reserve(CHUNK);
        }
        loop {
            let deadline = self.deadline;
            tokio::select! {
                biased;
                length = self.stdout.read_buf(&mut self.buffer) => {
                    if self.status.is_some() {
                        self.deadline = Some(Instant::now() + SILENCE);
                    }
                    return Ok((length? > 0).then(|| self.buffer.split().freeze()));
                }
                () = self.stop.drain(), if !self.asked => self.ask_to_end(),
                status = self.child.wait(), if self.asked && self.status.is_none() => {
                    self.status = Some(status?);
                    self.deadline = Some(Instant::now() + SILENCE);
                }
                // A grandchild that left the group may hold the output open for ever.
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Ok(None);
                }
            }
        }
    }

    async fn verdict(&mut self) -> Result<(), String> {
        let status = loop {
            if let Some(status) = self.status {
                break status;
            }
            tokio::select! {
                status = self.child.wait() => self.status = Some(status.map_err(|error| error.to_string())?),
                () = self.stop.drain(), if !self.asked => self.ask_to_end(),
            }
        };
        if let Some(errors) = self.errors.take() {
            // Its last words, unless someone else keeps its standard error open.
            let _ = tokio::time::timeout(SILENCE, errors).await;
        }
        // What a command answers to our own SIGTERM is no failure.
        if status.success() || self.asked { Ok(()) } else { Err(describe(&self.command, status)) }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if let Some(errors) = &self.errors {
            errors.abort();
        }
    }
}

fn describe(command: &str, status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(127), _) => {
            format!("`{command}` ended with status 127: the shell found no such command")
        }
        (Some(126), _) => format!("`{command}` ended with status 126: it cannot be executed"),
        (Some(code), _) => format!("`{command}` ended with status {code}"),
        (None, Some(signal)) => format!("`{command}` was killed by signal {signal}"),
        (None, None) => format!("`{command}` ended with {status}"),
    }
}

async fn tell_lines(name: String, mut input: impl AsyncRead + Unpin, observer: Observer) {
    let mut pending: Vec<u8> = Vec::new();
    let mut buffer = [0; LINE];
    let tell = |line: &[u8]| {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned();
        observer.tell(SourceEvent::Stderr { name: name.clone(), line });
    };
    while let Ok(length @ 1..) = input.read(&mut buffer).await {
        for piece in buffer[..length].split_inclusive(|byte| *byte == b'\n') {
            pending.extend_from_slice(piece);
            if pending.last() == Some(&b'\n') {
                pending.pop();
                tell(&pending);
                pending.clear();
            } else if pending.len() >= LINE {
                tell(&pending);
                pending.clear();
            }
        }
    }
    if !pending.is_empty() {
        tell(&pending);
    }
}

#[cfg(test)]
mod tests {
    use super::super::stop::Stop;
    use super::super::testing::within;
    use super::*;
    use std::sync::{Arc, Mutex};
    use tokio::sync::watch;

    struct Harness {
        run: Run,
        ask: watch::Sender<Stop>,
        lines: Arc<Mutex<Vec<String>>>,
    }

    fn start(command: &str) -> Harness {
        let (ask, stop) = watch::channel(Stop::Running);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let told = lines.clone();
        let observer = Observer::new(move |event| {
            if let SourceEvent::Stderr { line, .. } = event {
                told.lock().expect("lock").push(line);
            }
        });
        let run = Run::start("x", command, StopSignal::new(stop), observer).expect("sh");
        Harness { run, ask, lines }
    }

    async fn text(run: &mut Run) -> String {
        let mut out = Vec::new();
        while let Some(chunk) = within("output", run.next()).await.expect("read") {
            out.extend_from_slice(&chunk);
        }
        String::from_utf8(out).expect("text")
    }

    #[tokio::test]
    async fn output_and_a_good_end() {
        let mut harness = start("printf 'a b\\n'; printf c; read x || echo no stdin");
        assert_eq!(text(&mut harness.run).await, "a b\ncno stdin\n");
        assert_eq!(within("the end", harness.run.verdict()).await, Ok(()));
    }

    #[tokio::test]
    async fn a_bad_status_comes_with_all_the_output() {
        let mut harness = start("echo out; echo err >&2; exit 3");
        assert_eq!(text(&mut harness.run).await, "out\n");
        let verdict = within("the end", harness.run.verdict()).await.expect_err("status");
        assert!(verdict.ends_with("ended with status 3"), "{verdict}");
        assert_eq!(*harness.lines.lock().expect("lock"), ["err"]);
    }

    #[tokio::test]
    async fn a_missing_command_and_a_killed_one_are_named() {
        let mut missing = start("/no/such/command-here");
        assert_eq!(text(&mut missing.run).await, "");
        let verdict = within("the end", missing.run.verdict()).await.expect_err("status");
        assert!(verdict.contains("no such command"), "{verdict}");
        let mut killed = start("kill -9 $$");
        assert_eq!(text(&mut killed.run).await, "");
        let verdict = within("the end", killed.run.verdict()).await.expect_err("status");
        assert!(verdict.ends_with("killed by signal 9"), "{verdict}");
    }

    #[tokio::test]
    async fn a_drain_terminates_the_whole_group_and_keeps_its_last_words() {
        let mut harness =
            start("trap 'echo bye; exit 5' TERM; echo up; while :; do sleep 0.01; done");
        let first = within("output", harness.run.next()).await.expect("read").expect("a chunk");
        assert_eq!(&first[..], b"up\n");
        harness.ask.send_replace(Stop::Drain);
        assert_eq!(text(&mut harness.run).await, "bye\n");
        assert_eq!(within("the end", harness.run.verdict()).await, Ok(()));
    }

    #[tokio::test]
    async fn dropping_kills_grandchildren_too() {
        let mut harness = start("sleep 1000 & echo $!; wait");
        let first = within("output", harness.run.next()).await.expect("read").expect("a chunk");
        let grandchild: i32 =
            std::str::from_utf8(&first).expect("text").trim().parse().expect("a number");
        drop(harness.run);
        let gone = || {
            std::fs::read_to_string(format!("/proc/{grandchild}/stat")).map_or(true, |stat| {
                stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
            })
        };
        super::super::testing::until("the grandchild's end", gone).await;
    }

    #[tokio::test]
    async fn an_endless_line_of_errors_is_cut() {
        let mut harness = start("head -c 10000 /dev/zero | tr '\\0' e >&2");
        assert_eq!(text(&mut harness.run).await, "");
        assert_eq!(within("the end", harness.run.verdict()).await, Ok(()));
        let lines = harness.lines.lock().expect("lock");
        assert_eq!(lines.iter().map(String::len).sum::<usize>(), 10_000);
        assert!(lines.iter().all(|line| line.len() < 2 * LINE));
    }
}

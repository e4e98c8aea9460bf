//! Both ends of a connection as processes of their own: this program, started again. So that the
//! memory and the processor time of each end are its own.
//!
//! An end answers with one line of JSON at a time on its standard output, and acts on lines on its
//! standard input.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// The first argument of an end.
pub(crate) const END: &str = "--end";

/// A process that is one end. Dropping it ends it.
pub(crate) struct End {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl End {
    /// Starts this program as `role`.
    pub(crate) fn start(role: &str, arguments: &[String]) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args([END, role])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("one end");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, input, output }
    }

    /// Its next answer.
    pub(crate) fn answer(&mut self) -> Value {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("an answer");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line:?}: {error}"))
    }

    /// Tells it to go on, and waits for its answer.
    pub(crate) fn ask(&mut self, what: &str) -> Value {
        writeln!(self.input, "{what}").expect("it listens");
        self.answer()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// From within an end: answers.
pub(crate) fn answer(value: &Value) {
    println!("{value}");
}

/// From within an end: the next line it is told, or nothing when nobody is there any more.
pub(crate) fn told() -> Option<String> {
    let mut line = String::new();
    let read = std::io::stdin().lock().read_line(&mut line).unwrap_or(0);
    (read > 0).then(|| line.trim().to_owned())
}

/// The resident memory of this process, in bytes: now, and at its peak.
pub(crate) fn resident() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux's /proc");
    let of = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let kib = line.and_then(|line| line.trim_start_matches(':').trim().strip_suffix("kB"));
        kib.and_then(|kib| kib.trim().parse::<u64>().ok()).expect("a size") * 1024
    };
    (of("VmRSS"), of("VmHWM"))
}

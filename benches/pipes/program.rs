//! A file through `p2 send` and `p2 recv`.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::thread;
use std::time::Instant;

/// Seconds from the start of the sender until both ended, with every byte delivered.
pub(crate) fn seconds(codec: &str, file: &Path, bytes: u64) -> f64 {
    let mut receiver = p2(&["recv", "127.0.0.1:0", "--once", "--format", "raw", "--only", "data"])
        .args(["--codecs", codec])
        .spawn()
        .expect("p2 recv starts");
    let mut said = BufReader::new(receiver.stderr.take().expect("its stderr"));
    let address = address(&mut said);
    let talk = thread::spawn(move || rest(said));
    let start = Instant::now();
    let mut source = std::ffi::OsString::from("data=");
    source.push(file);
    let sender = p2(&["send", &address, "--codecs", codec, "--file"])
        .arg(source)
        .spawn()
        .expect("p2 send starts");
    let sent = sender.wait_with_output().expect("p2 send ends");
    let delivered = end(receiver);
    let took = start.elapsed().as_secs_f64();
    let talk = talk.join().expect("its stderr");
    let words = String::from_utf8_lossy(&sent.stderr);
    assert!(sent.status.success() && delivered, "{codec}, {bytes} bytes:\n{words}\n{talk}");
    took
}

fn p2(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_p2"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("P2_") {
            command.env_remove(name);
        }
    }
    command
}

fn address(said: &mut BufReader<ChildStderr>) -> String {
    let mut line = String::new();
    while said.read_line(&mut line).expect("what p2 recv says") > 0 {
        if let Some((_, address)) = line.trim_end().split_once("listening on ") {
            let address = address.split_whitespace().next().unwrap_or_default();
            return address.to_owned();
        }
        line.clear();
    }
    panic!("p2 recv did not say where it listens");
}

fn rest(mut said: BufReader<ChildStderr>) -> String {
    let mut text = String::new();
    // What it says matters only when it fails, and then its code tells as well.
    let _ = said.read_to_string(&mut text);
    text
}

fn end(mut receiver: Child) -> bool {
    receiver.wait().expect("p2 recv ends").success()
}

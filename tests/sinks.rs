//! Where streams go: lines on stdout, exact bytes in a pipe, files.

mod support;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use serde_json::Value;
use support::{Env, Program, assert_file, assert_same, log, random};

#[test]
fn stdout_has_the_lines_and_stderr_the_heartbeats() {
    let env = Env::new();
    let beats = ["--heartbeat=200ms", "--heartbeat-timeout=10s"];
    let (receiver, address) = env.recv(&["--once", "--heartbeat=1h", "--heartbeat-timeout=2h"]);
    env.send(&address, &[&["--gen=streams=2,count=3"], &beats[..]].concat()).run().receipt();
    let ended = receiver.wait().receipt().says(&["[Stream 0] PING\n"]);
    let text = ended.text();
    assert_eq!(text.lines().count(), 6, "{text}");
    for line in text.lines() {
        let (number, rest) = line
            .strip_prefix("[Stream ")
            .and_then(|rest| rest.split_once("] "))
            .unwrap_or_else(|| panic!("{line}"));
        let time = rest.strip_prefix(&format!("stream{number} message ")).expect(line);
        let parts = (time.len(), time.get(4..5), time.get(10..11), time.get(19..));
        assert_eq!(parts, (20, Some("-"), Some("T"), Some("Z")), "{line}");
    }
    for number in ["1", "2"] {
        let prefix = format!("[Stream {number}] ");
        assert_eq!(text.lines().filter(|line| line.starts_with(&prefix)).count(), 3, "{text}");
    }
}

#[test]
fn lines_can_carry_the_name_instead_of_the_number() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--format=name"]);
    env.write("in", b"one\ntwo\nno end");
    env.send(&address, &["--file=app=in"]).run().receipt();
    assert_eq!(receiver.wait().receipt().text(), "[app] one\n[app] two\n[app] no end\n");
}

#[test]
fn the_number_of_a_stream_is_the_one_asked_for() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once"]);
    env.write("in", b"hello\n");
    env.send(&address, &["--file=app=in", "--id=app=7"]).run().receipt();
    assert_eq!(receiver.wait().receipt().text(), "[Stream 7] hello\n");
}

#[test]
fn json_lines_hold_every_byte_with_its_offset() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--format=json"]);
    let text = "plain\nquote \" and \\\n\tcontrol \u{1b}[2J\nümläut\n\n";
    env.write("in", text.as_bytes());
    env.send(&address, &["--file=app=in"]).run().receipt();
    let ended = receiver.wait().receipt();
    let mut offset = 0;
    let mut lines = Vec::new();
    for line in ended.text().lines() {
        let value: Value = serde_json::from_str(line).expect(line);
        assert_eq!((&value["session"], &value["name"]), (&"s".into(), &"app".into()));
        assert_eq!(value["offset"], offset, "{line}");
        let data = value["data"].as_str().expect(line).to_owned();
        offset += data.len() as u64 + 1;
        lines.push(data);
    }
    assert_eq!(lines, text.lines().collect::<Vec<_>>());
}

#[test]
fn raw_output_is_the_exact_bytes_of_the_one_stream_asked_for() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--format=raw", "--only=b"]);
    let content = random(1, 3 << 20);
    env.write("a", b"not asked for");
    env.write("b", &content);
    let sender = env.send(&address, &["--file=a", "--file=b"]).run();
    let ended = receiver.wait();
    assert_same("stdout", &ended.stdout, &content);
    ended.exits(0);
    // The sender has to know that one of its streams went nowhere.
    sender.exits(7).says(&["! a: ", "1 stream of 2 not delivered in full"]);
}

#[test]
fn streams_of_one_name_become_files_of_their_own() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--dir=out"]);
    for n in 1..=3_u64 {
        env.write("in", &log(n, 1_000));
        env.send(&address, &["--file=app=in"]).run().receipt();
    }
    drop(receiver);
    assert_file(&env.out("app"), &log(1, 1_000));
    assert_file(&env.out("app~2"), &log(2, 1_000));
    assert_file(&env.out("app~3"), &log(3, 1_000));
}

#[test]
fn synced_files_arrive_too_and_belong_to_their_owner_alone() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out", "--ack=synced"]);
    let content = log(4, 2 << 20);
    env.write("in", &content);
    env.send(&address, &["--file=app=in"]).run().receipt();
    receiver.wait().receipt();
    assert_file(&env.out("app"), &content);
    let mode = |path: &Path| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&env.out("app")), 0o600);
    assert_eq!(mode(&env.path("out/s")), 0o700);
}

#[test]
fn a_name_with_dots_and_slashes_stays_in_the_directory() {
    let env = Env::new();
    fs::create_dir(env.path("deep")).expect("a directory");
    let (receiver, address) = env.recv(&["--once", "--dir=deep/out", "--control=off"]);
    let sender =
        env.p2(&["send", &address, "--stdin=../../x", "--session=../../s", "--control=off"]);
    let mut sender = sender.pipe().start();
    sender.write(b"hello\n");
    sender.wait().receipt();
    receiver.wait().receipt();
    assert_file(&env.path("deep/out/%2E.%2F..%2Fs/%2E.%2F..%2Fx"), b"hello\n");
    let mut here: Vec<_> = fs::read_dir(env.path("."))
        .expect("a directory")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    here.sort();
    assert_eq!(here, ["deep"], "nothing beside the directory");
}

#[test]
fn a_link_in_place_of_the_directory_is_not_followed() {
    let env = Env::new();
    fs::create_dir_all(env.path("out")).expect("a directory");
    fs::create_dir_all(env.path("elsewhere")).expect("a directory");
    symlink(env.path("elsewhere"), env.path("out/s")).expect("a link");
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    env.write("in", b"hello\n");
    env.send(&address, &["--file=app=in"]).run().exits(7).says(&["! app: "]);
    receiver.wait().exits(7).says(&["a symbolic link or another kind of file is in the way"]);
    assert_eq!(fs::read_dir(env.path("elsewhere")).expect("a directory").count(), 0);
}

#[test]
fn a_sink_that_fails_ends_its_stream_alone() {
    let env = Env::new();
    // The shell's limit on a file's size, with its signal ignored, stands for a full disk.
    let script = format!(
        "trap '' XFSZ; ulimit -f 1024; exec {} recv --listen=127.0.0.1:0 --once --dir=out",
        env!("CARGO_BIN_EXE_p2")
    );
    let program = Program::at(Path::new("/bin/sh"), &env.path("."), ["-c", &script]);
    let (receiver, address) = env.listening(program);
    let content = log(1, 400_000);
    env.write("small", &content);
    env.write("large", &random(2, 8 << 20));
    let sender = env.send(&address, &["--file=large", "--file=small"]).run();
    receiver.wait().exits(7).says(&["! stream large ended early", "file too large"]);
    sender.exits(7).says(&["! large: ", "1 stream of 2 not delivered in full"]);
    assert_file(&env.out("small"), &content);
}

#[test]
fn a_reader_of_stdout_that_goes_away_ends_the_session() {
    let env = Env::new();
    let script = format!(
        "{} recv --listen=127.0.0.1:0 --once --format=raw --only=app | head -c 1000",
        env!("CARGO_BIN_EXE_p2")
    );
    let program = Program::at(Path::new("/bin/sh"), &env.path("."), ["-c", &script]);
    let (receiver, address) = env.listening(program);
    let content = log(1, 8 << 20);
    env.write("in", &content);
    env.send(&address, &["--file=app=in"]).run().exits(7);
    assert_same("what head read", &receiver.wait().stdout, &content[..1000]);
}

//! Where streams come from: pipes, commands, files that grow, move and appear, sockets.

mod support;

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use support::{Env, Signal, assert_file, assert_same, eventually, log, random};

/// Waits until a delivered file holds exactly `expected`.
#[track_caller]
fn delivered(path: &Path, expected: &[u8]) {
    eventually(&format!("{} holds {} bytes", path.display(), expected.len()), || {
        fs::read(path).is_ok_and(|found| found == expected).then_some(())
    });
}

fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the log");
    file.write_all(bytes).expect("appended");
}

#[test]
fn an_archive_goes_through_two_pipes_unchanged() {
    let env = Env::new();
    env.write("tree/a/text", &log(1, 2 << 20));
    env.write("tree/b/noise", &random(2, 2 << 20));
    env.write("tree/empty", b"");
    let (receiver, address) = env.recv(&["--once", "--format=raw", "--only=tar"]);
    let mut sender = env.send(&address, &["--stdin=tar"]).pipe().start();
    let mut tar = Command::new("tar")
        .args(["-c", "-f", "-", "-C"])
        .arg(env.path("tree"))
        .arg(".")
        .stdout(Stdio::piped())
        .spawn()
        .expect("tar runs");
    let mut archive = Vec::new();
    tar.stdout.take().expect("piped").read_to_end(&mut archive).expect("read");
    assert!(tar.wait().expect("it ends").success());
    let mut stdin = sender.take_stdin();
    let writer = thread::spawn({
        let archive = archive.clone();
        move || stdin.write_all(&archive).expect("the sender reads")
    });
    sender.until("its stdin taken", |_| writer.is_finished().then_some(()));
    writer.join().expect("written");
    sender.wait().receipt();
    let ended = receiver.wait().receipt();
    assert_same("the archive", &ended.stdout, &archive);
}

#[test]
fn a_pipe_without_any_flag_is_the_source() {
    let env = Env::new();
    let (receiver, address) = env.recv_dir();
    let mut sender = env.send::<&str>(&address, &[]).pipe().start();
    sender.write(b"hello\n");
    sender.close_stdin();
    sender.wait().receipt().says(&["sending standard input"]);
    receiver.wait().receipt();
    assert_file(&env.out("stdin"), b"hello\n");
}

#[test]
fn what_a_command_writes_is_a_stream_and_its_errors_are_not() {
    let env = Env::new();
    let (receiver, address) = env.recv_dir();
    let line = ["--exec=job=echo one; echo oops >&2; echo two", "--exec==LANG=C seq 3"];
    env.send(&address, &line).run().receipt().says(&["[job] oops"]);
    receiver.wait().receipt();
    assert_file(&env.out("job"), b"one\ntwo\n");
    assert_file(&env.out("seq"), b"1\n2\n3\n");
}

#[test]
fn a_log_is_followed_through_growth_renaming_and_truncation() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    let path = env.write("app.log", b"first\n");
    let out = env.out("app");
    let sender = env.send(&address, &["--tail=app=app.log"]).start();
    delivered(&out, b"first\n");
    append(&path, b"second\n");
    delivered(&out, b"first\nsecond\n");
    fs::rename(&path, env.path("app.log.1")).expect("renamed");
    append(&env.path("app.log.1"), b"last words of the old file\n");
    append(&path, b"first words of the new file\n");
    let rotated = b"first\nsecond\nlast words of the old file\nfirst words of the new file\n";
    delivered(&out, rotated);
    fs::write(&path, b"cut\n").expect("truncated and written");
    let all = [&rotated[..], b"cut\n"].concat();
    delivered(&out, &all);
    append(&path, b"end\n");
    sender.signal(Signal::INT);
    sender.wait().receipt();
    receiver.wait().receipt();
    let found = fs::read(&out).expect("delivered");
    assert!(found == all || found == [&all[..], b"end\n"].concat(), "all that was read, no more");
}

#[test]
fn a_file_that_matches_a_pattern_later_becomes_a_stream() {
    let env = Env::new();
    fs::create_dir(env.path("logs")).expect("a directory");
    env.write("logs/a.log", b"a\n");
    env.write("logs/a.txt", b"not asked for\n");
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    let sender = env.send(&address, &["--tail=logs/*.log"]).start();
    delivered(&env.out("a.log"), b"a\n");
    env.write("logs/b.log", b"b\n");
    delivered(&env.out("b.log"), b"b\n");
    sender.signal(Signal::TERM);
    sender.wait().receipt();
    receiver.wait().receipt();
    assert!(!env.out("a.txt").exists());
}

#[test]
fn each_connection_of_a_unix_socket_becomes_a_stream() {
    let env = Env::new();
    let (receiver, address) = env.recv_dir();
    let mut sender = env.send(&address, &["--unix=app=app.sock"]).start();
    sender.say("listening on ");
    for n in 1..=3_u64 {
        let mut socket = UnixStream::connect(env.path("app.sock")).expect("it listens");
        socket.write_all(&log(n, 100_000)).expect("taken");
        drop(socket);
        delivered(&env.out(&format!("app-{n}")), &log(n, 100_000));
    }
    sender.signal(Signal::TERM);
    sender.wait().receipt();
    receiver.wait().receipt();
}

#[test]
fn simulated_traffic_has_the_count_size_and_shape_asked_for() {
    let env = Env::new();
    let (receiver, address) = env.recv_dir();
    let line = [
        "--gen=load=streams=2,size=200B,count=500,shape=log",
        "--gen=zeros=total=1MiB,shape=zeros",
        "--gen=json=count=20,shape=json",
    ];
    env.send(&address, &line).run().receipt();
    receiver.wait().receipt();
    for name in ["load1", "load2"] {
        let text = fs::read_to_string(env.out(name)).expect("text");
        assert_eq!((text.len(), text.lines().count()), (100_000, 500), "{name}");
        assert!(text.lines().all(|line| line.len() == 199), "{name}");
    }
    assert_file(&env.out("zeros"), &vec![0; 1 << 20]);
    let json = fs::read_to_string(env.out("json")).expect("text");
    let objects = json.lines().filter(|line| {
        serde_json::from_str::<serde_json::Value>(line).is_ok_and(|value| value.is_object())
    });
    assert_eq!(objects.count(), 20, "{json}");
}

#[test]
fn a_name_given_twice_is_an_error_of_the_command_line() {
    let env = Env::new();
    env.send("127.0.0.1:1", &["--file=a=x", "--file=a=y"])
        .run()
        .exits(2)
        .says(&["two sources are named `a`"]);
}

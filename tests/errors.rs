//! Every failure says what failed, why and what to do next, and ends with the promised exit code.

mod support;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::thread;

use support::{Env, Relay, Signal, assert_file, eventually, log, random};

/// A port on which `answer` meets each connection.
fn stranger(answer: impl Fn(TcpStream) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    thread::spawn(move || listener.incoming().flatten().for_each(answer));
    address
}

/// A loopback port on which nothing listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

#[test]
fn a_refused_connection_names_what_to_start() {
    let env = Env::new();
    let address = nobody();
    let ended = env.send(&address, &["--gen=1", "--retry-limit=1"]).run().exits(4);
    ended.says(&[
        "error: ",
        &address,
        "refused the connection",
        "next: start the receiver there: `p2 recv`",
        "p2 send --ssh [USER@]HOST",
    ]);
}

#[test]
fn attempts_are_counted_and_the_limit_is_kept() {
    let env = Env::new();
    let ended = env.send(&nobody(), &["--gen=1", "--retry-limit=4"]).run().exits(4);
    ended.says(&["gave up after 4 attempts"]);
    let ended = env.send(&nobody(), &["--gen=1", "--retry-for=300ms"]).run().exits(4);
    ended.says(&["gave up after "]);
}

#[test]
fn the_command_line_is_judged_before_anything_is_dialled() {
    let env = Env::new();
    for (line, words) in [
        (&["nonsense"] as &[&str], "nonsense"),
        (&["send", "--nonsense"], "--nonsense"),
        (&["send", "--heartbeat", "5"], "`5` has no unit; did you mean `5s`?"),
        (&["send", "--buffer", "64"], "`64` has no unit"),
        (&["send", "--limit", "app=2MiB"], "2MiB"),
        (&["send", "--prio", "app=first"], "`first` is no priority; write realtime, high"),
        (&["send", "--codec", "app=rar"], "rar"),
        (&["send", "--id", "app=0"], "0 is the number of the heartbeat"),
        (&["send", "--heartbeat=20s"], "--heartbeat-timeout must be longer than --heartbeat"),
        (&["send", "localhost"], "did you mean `localhost:9000`?"),
        (&["send", "http://host:80"], "is a URL"),
        (&["send", "--gen", "load=speed=3"], "`speed` is not a setting of --gen"),
        (&["recv", "--format=raw"], "would mix the bytes of all streams"),
        (&["recv", "--ack=synced"], "--ack synced needs files"),
        (&["recv", "--dir=d", "--format=json"], "--format is for stdout"),
        (&["recv", "--events=-"], "would mix events into the data"),
        (&["recv", "--max-streams=0"], "--max-streams"),
        (&["codecs", "--sample=/nonexistent"], "/nonexistent"),
    ] {
        let ended = env.p2(line).run().exits(2).says(&["error: ", words]);
        assert!(ended.stdout.is_empty(), "{line:?}: errors go to stderr");
    }
}

#[test]
fn help_and_version_are_answers_on_stdout() {
    let env = Env::new();
    let version = env.p2(&["--version"]).run().exits(0);
    assert_eq!(version.text(), format!("p2 {}\n", env!("CARGO_PKG_VERSION")));
    let help = env.p2(&["--help"]).run().exits(0).text();
    assert!(help.contains("Exit codes:") && help.contains("p2 demo"), "{help}");
    env.p2::<&str>(&[]).run().exits(2).says(&["Usage:"]);
}

#[test]
fn a_listener_that_others_could_reach_needs_a_token() {
    let env = Env::new();
    env.p2(&["recv", "--listen=0.0.0.0:0"])
        .run()
        .exits(2)
        .says(&["0.0.0.0:0 can be reached from other machines", "next: give --token-file PATH"]);
    let token = env.token("token", "0123456789abcdef0123456789abcdef");
    let line = ["recv", "--listen=0.0.0.0:0", "--token-file", &token];
    let (receiver, _) = env.listening(env.p2(&line));
    receiver.signal(Signal::TERM);
    receiver.wait().exits(0);
}

#[test]
fn a_token_file_that_others_can_read_is_refused() {
    let env = Env::new();
    let token = env.token("token", "0123456789abcdef0123456789abcdef");
    std::fs::set_permissions(&token, PermissionsExt::from_mode(0o644)).expect("a mode");
    for command in [&["send"] as &[&str], &["recv", "--listen=127.0.0.1:0"]] {
        let line = [command, &["--token-file", &token]].concat();
        env.p2(&line).run().exits(2).says(&["has mode 0644", "chmod 600"]);
    }
    let short = env.token("short", "123");
    env.p2(&["send", "--token-file", &short]).run().exits(2).says(&["at least 16 are needed"]);
    env.p2(&["send", "--token-file=none"]).run().exits(2).says(&["cannot read the token file"]);
}

#[test]
fn a_wrong_or_missing_token_is_refused_without_a_second_attempt() {
    let env = Env::new();
    let right = env.token("right", "0123456789abcdef0123456789abcdef");
    let wrong = env.token("wrong", "fedcba9876543210fedcba9876543210");
    let (mut receiver, address) = env.recv(&["--once", "--dir=out", "--token-file", &right]);
    for tokens in [&["--token-file", &wrong] as &[&str], &[]] {
        let line = [&["--gen=count=1"], tokens].concat();
        let ended = env.send(&address, &line).run().exits(5);
        let ended = ended.says(&["error: ", "denied access", "check --token-file on both sides"]);
        assert!(!ended.stderr.contains("0123456789abcdef"), "{}", ended.stderr);
    }
    receiver.say("refused a link from ");
    env.write("in", b"hello\n");
    env.send(&address, &["--file=in", "--token-file", &right]).run().receipt();
    receiver.wait().receipt();
    assert_file(&env.out("in"), b"hello\n");
}

#[test]
fn a_sender_with_a_token_does_not_speak_to_a_receiver_without() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out"]);
    let token = env.token("token", "0123456789abcdef0123456789abcdef");
    let ended = env.send(&address, &["--gen=count=1", "--token-file", &token]).run();
    ended.exits(5).says(&["denied access", "check --token-file on both sides"]);
}

#[test]
fn another_protocol_on_the_port_is_named() {
    let env = Env::new();
    let ssh = stranger(|mut socket| {
        let _ = socket.write_all(b"SSH-2.0-OpenSSH_9.6\r\n");
        let _ = socket.read(&mut [0; 256]);
    });
    let ended = env.send(&ssh, &["--gen=1"]).run();
    ended.exits(4).says(&["error: ", "SSH", "check the port"]);
    let http = stranger(|mut socket| {
        let _ = socket.read(&mut [0; 256]);
        let _ = socket.write_all(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    });
    let ended = env.send(&http, &["--gen=1"]).run();
    ended.exits(4).says(&["error: ", "HTTP", "check the port"]);
}

#[test]
fn what_a_stranger_says_does_not_reach_the_terminal_as_it_is() {
    let env = Env::new();
    let stranger = stranger(|mut socket| {
        let _ =
            socket.write_all(b"\x1b[2J\x1b]0;gotcha\x07 welcome to something else entirely\r\n");
        let _ = socket.read(&mut [0; 256]);
    });
    let ended = env.send(&stranger, &["--gen=1", "--retry-limit=1"]).run();
    assert!(ended.code.is_some_and(|code| code != 0), "{ended:?}");
    assert!(!ended.stderr.contains('\u{1b}'), "{:?}", ended.stderr);
}

#[test]
fn a_connection_that_closes_at_once_is_explained() {
    let env = Env::new();
    let port = stranger(drop);
    let ended = env.send(&port, &["--gen=1", "--retry-limit=2"]).run();
    ended.exits(4).says(&["opened and closed at once", "nothing listens at the far end"]);
}

#[test]
fn a_peer_that_says_nothing_is_given_up() {
    let env = Env::new();
    let silent = stranger(|socket| {
        thread::spawn(move || {
            let _socket = socket;
            thread::park();
        });
    });
    let line = ["--gen=1", "--retry-limit=2", "--connect-timeout=300ms"];
    env.send(&silent, &line).run().exits(4).says(&["did not complete the handshake"]);
}

#[test]
fn an_address_in_use_is_named() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out"]);
    let ended = env.p2(&["recv", "--listen", &address]).run().exits(1);
    ended.says(&[&address, "in use", "next: another `p2 recv`?"]);
}

#[test]
fn a_file_that_is_missing_is_named_before_anybody_is_dialled() {
    let env = Env::new();
    let nobody = ["send", "127.0.0.1:1", "--file=missing"];
    let ended = env.p2(&nobody).run().exits(7);
    let ended = ended.says(&["cannot read missing: No such file", "check the path"]);
    assert!(!ended.stderr.contains("refused"), "{}", ended.stderr);
}

#[test]
fn a_missing_file_fails_alone() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    env.write("there", &log(1, 500_000));
    let ended = env.send(&address, &["--file=there", "--file=missing"]).run().exits(7);
    ended.says(&["! missing: ", "missing", "1 stream of 2 not delivered in full"]);
    receiver.wait();
    assert_file(&env.out("there"), &log(1, 500_000));
}

#[test]
fn a_command_that_fails_is_a_source_that_fails() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    let line = ["--exec=bad=echo part; exit 3", "--exec=good=echo whole"];
    env.send(&address, &line).run().exits(7).says(&["! bad: ", "3"]);
    receiver.wait();
    assert_file(&env.out("good"), b"whole\n");
}

#[test]
fn the_first_interrupt_delivers_what_was_read() {
    let env = Env::new();
    for signal in [Signal::INT, Signal::TERM] {
        let (mut receiver, address) = env.recv(&["--once"]);
        let sender = env.send(&address, &["--gen=rate=200/s"]).start();
        receiver.print("[Stream 1] ");
        sender.signal(signal);
        sender.wait().receipt().says(&["draining"]);
        receiver.wait().receipt();
    }
}

#[test]
fn the_second_interrupt_stops_at_once() {
    let env = Env::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (_receiver, address) = env.recv(&["--dir=out"]);
        let relay = Relay::to(&address, 1);
        env.write("in", &random(1, 16 << 20));
        let line = ["--file=in", "--limit=1MiB/s", "--drain-timeout=1h"];
        let mut sender = env.send(&relay.address(), &line).start();
        eventually("a part is carried", || (relay.carried() > 200_000).then_some(()));
        // Nothing is acknowledged any more, so the drain cannot end by itself.
        relay.black_hole();
        sender.signal(signal);
        sender.say("draining");
        sender.signal(signal);
        sender.wait().exits(code);
    }
}

#[test]
fn a_drain_that_takes_too_long_is_exit_three() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out"]);
    let relay = Relay::to(&address, 1);
    env.write("in", &random(1, 16 << 20));
    let line = ["--file=in", "--limit=1MiB/s", "--drain-timeout=300ms"];
    let sender = env.send(&relay.address(), &line).start();
    eventually("a part is carried", || (relay.carried() > 200_000).then_some(()));
    relay.black_hole();
    sender.signal(Signal::TERM);
    sender.wait().exits(3).says(&["--drain-timeout", "is over", "unacknowledged"]);
}

#[test]
fn an_interrupt_before_the_first_link_ends_the_waiting() {
    let env = Env::new();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut sender = env.send(&nobody(), &["--gen=1"]).start();
        sender.say("no link yet");
        sender.signal(signal);
        sender.wait().exits(code);
    }
}

#[test]
fn a_receiver_drains_its_sessions_when_it_is_told_to_end() {
    let env = Env::new();
    let (idle, _) = env.recv(&["--dir=out"]);
    idle.signal(Signal::TERM);
    idle.wait().exits(0);

    let (receiver, address) = env.recv(&["--dir=out", "--drain-timeout=100s"]);
    let content = random(1, 3 << 20);
    env.write("in", &content);
    let mut sender = env.send(&address, &["--file=in", "--limit=2MiB/s"]).start();
    let file = env.out("in");
    eventually("a part is written", || {
        std::fs::metadata(&file).is_ok_and(|meta| meta.len() > 100_000).then_some(())
    });
    receiver.signal(Signal::TERM);
    sender.say("the peer takes no new streams");
    sender.wait().receipt();
    receiver.wait().exits(0).says(&["draining", "lost 0   duplicated 0"]);
    assert_file(&file, &content);
}

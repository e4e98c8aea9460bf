//! What is sent arrives: every size, every codec, many streams, many connections.

mod support;

use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::thread;

use support::{Env, Signal, assert_file, codecs, eventually, log, long_or, random};

#[test]
fn files_of_every_size_and_kind_arrive_byte_identical_with_each_codec() {
    let files = [
        ("empty", Vec::new()),
        ("one", b"x".to_vec()),
        ("no-newline", b"a line without an end".to_vec()),
        ("text", log(1, 3 << 20)),
        ("random", random(2, 3 << 20)),
        ("window", random(3, 256 << 10)),
        ("window-and-one", log(4, (256 << 10) + 1)),
    ];
    for codec in codecs() {
        let env = Env::new();
        let (receiver, address) = env.recv(&["--once", "--dir=out", "--events=r.ndjson"]);
        let mut line = vec![format!("--codecs={codec}"), "--events=s.ndjson".to_owned()];
        for (name, bytes) in &files {
            env.write(&format!("in/{name}"), bytes);
            line.push(format!("--file=in/{name}"));
        }
        env.send(&address, &line).run().receipt();
        receiver.wait().receipt();
        for (name, bytes) in &files {
            assert_file(&env.out(name), bytes);
        }
        let total: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        let (sent, received) = (env.summary("s.ndjson"), env.summary("r.ndjson"));
        assert_eq!(sent["raw_sent"], total, "{codec}: {sent}");
        assert_eq!(received["raw_received"], total, "{codec}: {received}");
        assert_eq!(received["verified_streams"], files.len(), "{codec}: {received}");
        let wire = sent["wire_sent"].as_u64().expect("a number");
        match codec.as_str() {
            "none" => assert!(wire > total as u64, "{codec}: {sent}"),
            _ => assert!(wire < total as u64 * 3 / 4, "{codec}: {sent}"),
        }
    }
}

#[test]
fn thousands_of_small_files_are_as_many_streams() {
    let count = long_or(10_000, 1_000);
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out", "--events=r.ndjson"]);
    let content = |n: usize| log(n as u64, n % 300);
    let mut line = Vec::new();
    for n in 0..count {
        env.write(&format!("in/{n}"), &content(n));
        line.push(format!("--file=in/{n}"));
    }
    env.send(&address, &line).run().receipt();
    receiver.wait().receipt();
    for n in 0..count {
        assert_file(&env.out(&n.to_string()), &content(n));
    }
    assert_eq!(env.summary("r.ndjson")["verified_streams"], count);
}

#[test]
fn each_tcp_connection_becomes_a_stream() {
    let count = long_or(1_000, 200);
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    let mut sender = env.send(&address, &["--tcp=in=127.0.0.1:0"]).start();
    let entrance = sender.source_address("in");
    let content = |n: usize| log(n as u64, 1_000 + n * 7);
    let workers: Vec<_> = (0..8)
        .map(|worker| {
            let entrance = entrance.clone();
            thread::spawn(move || {
                for n in (worker..count).step_by(8) {
                    let mut socket = TcpStream::connect(&entrance).expect("the sender listens");
                    socket.write_all(&content(n)).expect("it takes what is sent");
                    socket.shutdown(Shutdown::Write).expect("an end");
                    // The other half ends when the stream is accepted, so the order of the
                    // names is no part of this test.
                }
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().expect("a connection failed"));
    eventually("all streams have a file", || {
        let files = std::fs::read_dir(env.path("out/s")).ok()?.count();
        (files == count).then_some(())
    });
    sender.signal(Signal::TERM);
    sender.wait().receipt();
    receiver.wait().receipt();
    let mut found: Vec<Vec<u8>> = (1..=count)
        .map(|n| std::fs::read(env.out(&format!("in-{n}"))).expect("a file for each"))
        .collect();
    let mut expected: Vec<Vec<u8>> = (0..count).map(content).collect();
    found.sort();
    expected.sort();
    assert!(found == expected, "the files hold what the connections carried");
}

#[test]
fn streams_of_every_priority_codec_and_rate_share_a_link() {
    let env = Env::new();
    let (receiver, address) = env.recv_dir();
    let mut line = Vec::new();
    let priorities = ["realtime", "high", "normal", "low", "bulk"];
    for (n, priority) in priorities.iter().enumerate() {
        env.write(&format!("in/{priority}"), &log(n as u64, 1 << 20));
        line.push(format!("--file=in/{priority}"));
        line.push(format!("--prio={priority}={priority}"));
    }
    line.push("--codec=low=none".to_owned());
    line.push("--level=bulk=6".to_owned());
    line.push("--codec=bulk=gzip".to_owned());
    line.push("--limit=high=2MiB/s".to_owned());
    env.send(&address, &line).run().receipt();
    receiver.wait().receipt();
    for (n, priority) in priorities.iter().enumerate() {
        assert_file(&env.out(priority), &log(n as u64, 1 << 20));
    }
}

#[test]
fn a_unix_socket_carries_a_session_too() {
    let env = Env::new();
    let socket = format!("unix:{}", env.text("p2.sock"));
    let listen = format!("--listen={socket}");
    let (receiver, address) = env.listening(env.p2(&["recv", &listen, "--once", "--dir=out"]));
    assert_eq!(address, socket);
    env.write("in", &log(5, 1 << 20));
    env.send(&address, &["--file=in"]).run().receipt();
    receiver.wait().receipt();
    assert_file(&env.out("in"), &log(5, 1 << 20));
}

#[test]
fn one_receiver_serves_several_senders_at_once() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--dir=out"]);
    let senders: Vec<_> = (0..4_u64)
        .map(|n| {
            env.write(&format!("in{n}"), &log(n, 1 << 20));
            let (session, file) = (format!("--session=web{n}"), format!("--file=app=in{n}"));
            env.p2(&["send", &address, &session, &file]).start()
        })
        .collect();
    for sender in senders {
        sender.wait().receipt();
    }
    for n in 0..4_u64 {
        assert_file(&env.path(format!("out/web{n}/app")), &log(n, 1 << 20));
    }
    receiver.signal(Signal::TERM);
    receiver.wait().exits(0);
}

#[test]
fn the_demo_needs_no_set_up_and_ends_with_the_receipt() {
    let env = Env::new();
    let ended = env.p2(&["demo", "--size=1MiB"]).run();
    ended.exits(0).says(&["lost 0   duplicated 0", "reconnects 2"]);
}

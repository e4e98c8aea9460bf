//! Bounds hold: memory, streams, names; and strangers on the port disturb nobody.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use support::{
    Env, Signal, assert_file, assert_same, eventually, log, long_or, peak_memory, random,
};

/// No process of these tests may ever need more, whatever its peer does.
const MEMORY: u64 = 96 << 20;

#[test]
fn more_streams_than_the_peer_allows_at_once_take_turns() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out", "--max-streams=3"]);
    let mut line = Vec::new();
    for n in 0..40_u64 {
        env.write(&format!("in/{n}"), &log(n, 50_000));
        line.push(format!("--file=in/{n}"));
    }
    env.send(&address, &line).run().receipt();
    receiver.wait().receipt();
    for n in 0..40_u64 {
        assert_file(&env.out(&n.to_string()), &log(n, 50_000));
    }
}

#[test]
fn a_receiver_takes_as_many_sessions_as_it_is_told() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--dir=out", "--max-sessions=2"]);
    let endless = |name: &str| {
        let session = format!("--session={name}");
        let sender = env.p2(&["send", &address, &session, "--gen=app=rate=50/s"]).start();
        let file = env.path("out").join(name).join("app");
        eventually("a line has arrived", || {
            std::fs::metadata(&file).is_ok_and(|file| file.len() > 0).then_some(())
        });
        sender
    };
    let two = ["one", "two"].map(endless);
    let third = ["send", &address, "--session=three", "--gen=count=1", "--retry-limit=1"];
    env.p2(&third).run().exits(4).says(&["too many sessions", "--max-sessions"]);
    for sender in two {
        sender.signal(Signal::TERM);
        sender.wait().says(&["lost 0", "duplicated 0"]);
    }
    env.p2(&third).run().receipt();
    receiver.signal(Signal::TERM);
    receiver.wait().exits(0);
}

#[test]
fn the_smallest_buffer_is_enough_for_any_file() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out", "--buffer=256KiB"]);
    env.write("a", &random(1, 4 << 20));
    env.write("b", &log(2, 4 << 20));
    env.send(&address, &["--buffer=256KiB", "--file=a", "--file=b"]).run().receipt();
    receiver.wait().receipt();
    assert_file(&env.out("a"), &random(1, 4 << 20));
    assert_file(&env.out("b"), &log(2, 4 << 20));
}

#[test]
fn a_reader_that_stalls_pauses_the_source_and_memory_stays_bounded() {
    let size = long_or(1 << 30, 128 << 20);
    let env = Env::new();
    let program =
        env.p2(&["recv", "--listen=127.0.0.1:0", "--once", "--format=raw", "--only=app"]).held();
    let (receiver, address) = env.listening(program);
    let content = random(1, size);
    env.write("in", &content);
    let line = ["--file=app=in", "--buffer=16MiB", "--events=s.ndjson", "--stats-interval=100ms"];
    let sender = env.send(&address, &line).start();
    // Nothing moves any more once three reports in a row have the same number.
    let sent = eventually("the source is paused", || {
        let text = std::fs::read_to_string(env.path("s.ndjson")).ok()?;
        let mut numbers = text.lines().rev().filter_map(|line| {
            let event: serde_json::Value = serde_json::from_str(line).ok()?;
            (event["event"] == "progress").then(|| event["raw_sent"].as_u64())?
        });
        let last = numbers.next()?;
        (last > 0 && numbers.take(10).filter(|number| *number == last).count() == 10)
            .then_some(last)
    });
    assert!(sent < size as u64 / 2, "{sent} bytes were taken from the source of a stalled stream");
    let memory = [peak_memory(sender.id()), peak_memory(receiver.id())];
    assert!(memory.iter().all(|peak| *peak < MEMORY), "{memory:?}");
    receiver.release();
    sender.wait().receipt().says(&["reconnects 0"]);
    assert_same("stdout", &receiver.wait().receipt().stdout, &content);
}

#[test]
fn a_name_may_have_255_bytes_and_not_one_more() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--format=json"]);
    env.write("in", b"hello\n");
    let name = "n".repeat(255);
    env.send(&address, &[format!("--file={name}=in")]).run().receipt();
    assert!(receiver.wait().receipt().text().contains(&format!("\"name\":\"{name}\"")));
    let ended = env.send(&address, &[format!("--file={name}n=in")]).run();
    ended.exits(2).says(&["longer than 255 bytes"]);
}

#[test]
fn strangers_on_the_port_are_turned_away_and_a_transfer_goes_on() {
    let count = long_or(1_000, 200);
    let env = Env::new();
    let (mut receiver, address) = env.recv(&["--dir=out"]);
    let content = random(1, 8 << 20);
    env.write("in", &content);
    let sender = env.send(&address, &["--file=in", "--limit=4MiB/s"]).start();
    let strangers: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x89P2\r\n\0\xff\n\x01\x01\0\0\0\0\0\0\x05\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0",
        b"\x89P2\r\n\0\xff\n\x01\x01\0\0\0\0\0\0",
        b"",
    ];
    let noise = random(2, 1_000);
    let mut held = Vec::new();
    for n in 0..count {
        // A port that is full of strangers may refuse one more: that is no failure.
        let Ok(mut socket) = TcpStream::connect(&address) else { continue };
        let _ = socket.set_read_timeout(Some(Duration::from_millis(1)));
        let _ = match strangers.get(n % 7) {
            Some(bytes) => socket.write_all(bytes),
            None => socket.write_all(&noise),
        };
        let _ = socket.read(&mut [0; 64]);
        // Half of them stay and say nothing more.
        if n % 2 == 0 {
            held.push(socket);
        }
    }
    sender.wait().receipt().says(&["reconnects 0"]);
    assert_file(&env.out("in"), &content);
    assert!(peak_memory(receiver.id()) < MEMORY);
    assert!(!receiver.poll(), "it still listens");
    drop(held);
    // And it takes new senders.
    env.write("more", b"hello\n");
    env.send(&address, &["--file=more"]).run().receipt();
    assert_file(&env.out("more"), b"hello\n");
    receiver.signal(Signal::TERM);
    receiver.wait().exits(0);
}

#[test]
fn a_stranger_who_speaks_a_byte_at_a_time_keeps_nobody_out() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    let slow: Vec<_> = (0..7)
        .map(|_| {
            let mut socket = TcpStream::connect(&address).expect("it listens");
            thread::spawn(move || {
                for byte in b"\x89P2\r\n\0\xff\n\x01\x01\0\0\0\0\0\0".iter().cycle() {
                    if socket.write_all(&[*byte]).is_err() {
                        return;
                    }
                    thread::sleep(Duration::from_millis(100));
                }
            })
        })
        .collect();
    env.write("in", &log(1, 1 << 20));
    env.send(&address, &["--file=in"]).run().receipt();
    receiver.wait().receipt();
    assert_file(&env.out("in"), &log(1, 1 << 20));
    // Each slow one was closed: with the receiver's end at the latest.
    slow.into_iter().for_each(|thread| thread.join().expect("it ends"));
}

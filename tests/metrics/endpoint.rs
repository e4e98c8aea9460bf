//! The HTTP endpoint under people who mean no good, and what it says to those who do.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use super::support::prometheus::{get, parse, request};
use super::support::{Env, PATIENCE, eventually};
use super::{metrics_of, receiver};

fn ask(address: &str, line: &str, headers: &str) -> u16 {
    let text = format!("{line} HTTP/1.1\r\nHost: {address}\r\n{headers}\r\n");
    request(address, &text).expect("an answer").status
}

/// Sockets of this machine that another program holds open towards `address`.
fn hold(address: &str, count: usize, first: &[u8]) -> Vec<TcpStream> {
    let open = |_| {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(first).ok()?;
        Some(stream)
    };
    (0..count).filter_map(open).collect()
}

#[test]
fn the_four_paths_answer_and_nothing_else_does() {
    let env = Env::new();
    let (_receiver, _, address) = receiver(&env, &[]);
    for (path, status) in
        [("/metrics", 200), ("/livez", 200), ("/readyz", 200), ("/api/v1/status", 200)]
    {
        assert_eq!(get(&address, path).expect("an answer").status, status, "{path}");
    }
    for path in ["/metrics/", "/../etc/passwd", "/api/v2/status", "/debug/pprof", "//metrics"] {
        assert_eq!(ask(&address, &format!("GET {path}"), ""), 404, "{path}");
    }
    let status = get(&address, "/api/v1/status").expect("an answer");
    assert!(status.head.contains("Content-Type: application/json"), "{}", status.head);
    let status: Value = serde_json::from_str(&status.body).expect("JSON");
    assert_eq!((&status["schema"], &status["roles"][0]), (&1.into(), &"recv".into()));
    let plain = get(&address, "/metrics").expect("an answer");
    assert!(plain.head.contains("text/plain; version=0.0.4"), "{}", plain.head);
    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n";
    let text = format!("GET /metrics HTTP/1.1\r\nHost: {address}\r\n{accept}\r\n");
    let open = request(&address, &text).expect("an answer");
    assert!(open.head.contains("application/openmetrics-text; version=1.0.0"), "{}", open.head);
    assert!(open.body.ends_with("# EOF\n"), "{}", open.body);
}

#[test]
fn other_methods_large_requests_and_other_hosts_are_turned_away() {
    let env = Env::new();
    let (_receiver, _, address) = receiver(&env, &[]);
    for method in ["POST", "PUT", "DELETE", "CONNECT", "TRACE", "OPTIONS"] {
        assert_eq!(ask(&address, &format!("{method} /metrics"), ""), 405, "{method}");
    }
    let body = format!("Content-Length: 100000\r\n\r\n{}", "x".repeat(100_000));
    assert_eq!(ask(&address, "POST /metrics", &body), 405);
    assert_eq!(ask(&address, "GET /metrics", &format!("X: {}\r\n", "x".repeat(8192))), 431);
    assert_eq!(ask(&address, &format!("GET /{}", "x".repeat(9000)), ""), 431);
    assert_eq!(ask(&address, "GET /metrics", &"A: b\r\n".repeat(100)), 431);
    // Just within the limits.
    assert_eq!(ask(&address, "GET /metrics", &format!("X: {}\r\n", "x".repeat(8000))), 200);
    for noise in ["\u{16}\u{3}\u{1}\r\n\r\n", "SSH-2.0-x\r\n\r\n", "GET /metrics\r\n\r\n"] {
        assert_eq!(request(&address, noise).expect("an answer").status, 400, "{noise:?}");
    }
    let rebound = "GET /metrics HTTP/1.1\r\nHost: evil.example:9420\r\n\r\n";
    assert_eq!(request(&address, rebound).expect("an answer").status, 421);
    assert_eq!(get(&address, "/livez").expect("an answer").status, 200);
}

#[test]
fn whoever_says_or_takes_nothing_holds_nobody_up() {
    let env = Env::new();
    let (receiver, _, address) = receiver(&env, &[]);
    let before = descriptors(receiver.id());
    // More than there is room for, some silent, some in the middle of a header.
    let silent = hold(&address, 500, b"");
    let slow = hold(&address, 500, b"GET /metrics HTTP/1.1\r\nX-");
    for _ in 0..5 {
        let answer = get(&address, "/metrics").expect("an answer in between");
        assert_eq!(answer.status, 200);
        assert!(answer.body.contains("p2_build_info"), "whole");
    }
    let held = descriptors(receiver.id()).saturating_sub(before);
    assert!(held <= 40, "{held} descriptors for 1000 connections");
    drop((silent, slow));
    eventually("every descriptor is given back", || {
        (descriptors(receiver.id()) <= before).then_some(())
    });
}

#[test]
fn a_request_that_comes_byte_by_byte_is_given_up() {
    let env = Env::new();
    let (_receiver, _, address) = receiver(&env, &[]);
    let mut stream = TcpStream::connect(&address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("set");
    let mut drip = stream.try_clone().expect("cloned");
    let dripping = std::thread::spawn(move || {
        // It would take a day.
        while drip.write_all(b"G").is_ok() {
            std::thread::sleep(Duration::from_millis(500));
        }
    });
    let mut said = Vec::new();
    let _ = stream.read_to_end(&mut said);
    let answer = parse(&String::from_utf8_lossy(&said)).expect("an answer, not silence");
    assert_eq!(answer.status, 408, "{answer:?}");
    drop(stream);
    dripping.join().expect("it stopped");
}

#[test]
fn an_address_that_others_can_reach_has_to_be_meant() {
    let env = Env::new();
    let line = ["recv", "--listen=127.0.0.1:0", "--metrics=0.0.0.0:0"];
    env.p2(&line).run().exits(2).says(&["can be reached from other machines", "--metrics-public"]);
    let mut meant = env.p2(&[&line[..], &["--metrics-public"]].concat()).start();
    let address = metrics_of(&mut meant).replace("0.0.0.0", "127.0.0.1");
    // There any name may lead here.
    let text = "GET /livez HTTP/1.1\r\nHost: web1.example:9420\r\n\r\n";
    assert_eq!(request(&address, text).expect("an answer").status, 200);
    let taken = format!("--metrics={address}");
    let line = ["recv", "--listen=127.0.0.1:0", &taken];
    env.p2(&line).run().exits(1).says(&["cannot serve metrics on", "--metrics HOST:PORT"]);
}

#[test]
fn nobody_is_listening_unless_asked() {
    let env = Env::new();
    let (mut receiver, _) = env.recv(&[]);
    assert!(!receiver.say("listening on").contains("metrics on"));
    let mut asked =
        env.p2(&["recv", "--listen=127.0.0.1:0"]).env("P2_METRICS", "127.0.0.1:0").start();
    assert_eq!(get(&metrics_of(&mut asked), "/livez").expect("an answer").status, 200);
}

#[test]
fn the_receiver_that_stays_behind_has_figures_as_well() {
    let env = Env::new();
    let free = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = free.expect("a free port").to_string();
    let relay = env.p2(&["recv", "--attach"]).env("P2_METRICS", &address);
    let mut relay = relay.env("P2_ATTACH_LINGER", "1s").pipe().start();
    let text = eventually("its figures", || get(&address, "/metrics")).body;
    assert!(text.contains("p2_sessions{side=\"recv\",state=\"up\"} 0\n"), "{text}");
    relay.close_stdin();
    eventually("it leaves", || get(&address, "/livez").is_none().then_some(()));
}

#[test]
fn names_that_peers_choose_are_bounded_and_stay_one_line() {
    let env = Env::new();
    let (_receiver, address, metrics) = receiver(&env, &["--dir=out"]);
    env.write("a\"b\\c\nd", b"x");
    env.send(&address, &["--file=a\"b\\c\nd"]).run().receipt();
    let line: Vec<String> =
        (0..200).map(|n| format!("--gen=s{n}=count=1,size=10B,shape=zeros")).collect();
    env.send(&address, &line).run().receipt();
    env.send(&address, &["--gen=s=streams=300,count=1,size=10B,shape=zeros"]).run().receipt();
    let text = eventually("every stream is counted", || {
        let text = get(&metrics, "/metrics").expect("an answer").body;
        text.contains("p2_streams_ended_total{side=\"recv\",result=\"complete\"} 501")
            .then_some(text)
    });
    let rows: Vec<&str> =
        text.lines().filter(|line| line.starts_with("p2_payload_bytes_total{")).collect();
    assert!(rows.len() <= 66, "{} rows", rows.len());
    let sum: u64 = rows.iter().filter_map(|row| row.rsplit(' ').next()?.parse::<u64>().ok()).sum();
    assert_eq!(sum, 500 * 10 + 1, "nothing is lost among the others");
    let strange = r#"p2_payload_bytes_total{stream="a\"b\\c\nd",direction="received"} 1"#;
    assert!(rows.contains(&strange), "{rows:#?}");
    let well_formed = |line: &&str| line.starts_with("# ") || line.starts_with("p");
    assert!(text.lines().all(|line| well_formed(&line)), "{text}");
}

fn descriptors(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).expect("a running process").count()
}

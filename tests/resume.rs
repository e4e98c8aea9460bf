//! Links die in every way; the session goes on exactly where it was.

mod support;

use std::net::TcpListener;
use std::time::Duration;

use support::{
    Cut, Env, Relay, Rules, Signal, assert_file, eventually, log, long_or, random, seed,
};

/// Heartbeats so short that a test notices a dead link soon, and so long that a busy machine does
/// not take a living one for dead.
const BEATS: [&str; 2] = ["--heartbeat=500ms", "--heartbeat-timeout=3s"];

#[test]
fn eight_streams_of_mixed_kinds_survive_cut_after_cut() {
    let seed = seed();
    let (each, cuts, range) =
        long_or((62_500_000, 200, 64_000..2_000_000), (3_000_000, 25, 64_000..500_000));
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out", "--events=r.ndjson"]);
    let relay = Relay::to(&address, seed);
    relay.rules(Rules { random: Some(range), cuts: Some(cuts), ..Rules::default() });
    let content = |n: u64| if n % 2 == 0 { random(n, each) } else { log(n, each) };
    let mut line = vec!["--events=s.ndjson".to_owned()];
    let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
    let priorities = ["realtime", "high", "normal", "low", "bulk"];
    for (n, name) in (0..).zip(names) {
        env.write(&format!("in/{name}"), &content(n));
        line.push(format!("--file=in/{name}"));
        line.push(format!("--prio={name}={}", priorities[n as usize % 5]));
    }
    for (name, codec) in names.iter().zip(support::codecs().iter().cycle()) {
        line.push(format!("--codec={name}={codec}"));
    }
    let sender = env.send(&relay.address(), &line).run().receipt();
    let receiver = receiver.wait().receipt();
    for (n, name) in (0..).zip(names) {
        assert_file(&env.out(name), &content(n));
    }
    assert_eq!(relay.cuts(), cuts, "the transfer was long enough for every cut");
    let (sent, received) = (env.summary("s.ndjson"), env.summary("r.ndjson"));
    assert_eq!(received["verified_streams"], 8, "{received}");
    assert!(sent["reconnects"].as_u64() > Some(0), "{sent}");
    assert!(sender.stderr.contains("resumed after"), "{}", sender.stderr);
    assert!(receiver.stderr.contains("resumed after"), "{}", receiver.stderr);
}

#[test]
fn lines_on_stdout_appear_once_each_over_cuts() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once"]);
    let relay = Relay::to(&address, 3);
    relay.rules(Rules { random: Some(4_000..30_000), cuts: Some(8), ..Rules::default() });
    let generated = "--gen=load=rate=4000/s,size=100B,count=8000,shape=random";
    let text: String = (0..40_000).map(|n| format!("line {n}\n")).collect();
    env.write("in", text.as_bytes());
    env.send(&relay.address(), &["--file=app=in", generated, "--codecs=none"]).run().receipt();
    let ended = receiver.wait().receipt();
    let prefix = "[Stream 1] ";
    let found: Vec<_> = ended
        .stdout
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(prefix.as_bytes()))
        .collect();
    let expected: Vec<_> = text.lines().map(str::as_bytes).collect();
    assert_eq!(found.len(), expected.len());
    assert!(found == expected, "each line once and in order");
    assert_eq!(relay.cuts(), 8);
}

#[test]
fn a_link_that_falls_silent_is_noticed_and_replaced() {
    let env = Env::new();
    let (receiver, address) = env.recv(&[&["--once", "--dir=out"], &BEATS[..]].concat());
    let relay = Relay::to(&address, 1);
    let content = random(1, 4 << 20);
    env.write("in", &content);
    let mut line = vec!["--file=in", "--limit=1MiB/s"];
    line.extend(BEATS);
    let mut sender = env.send(&relay.address(), &line).start();
    eventually("a part is carried", || (relay.carried() > 300_000).then_some(()));
    relay.black_hole();
    sender.say("link lost: ");
    relay.heal();
    sender.wait().receipt().says(&["resumed after"]);
    receiver.wait().receipt();
    assert_file(&env.out("in"), &content);
    assert!(relay.links() >= 2);
}

#[test]
fn bytes_of_an_old_link_that_arrive_late_change_nothing() {
    let env = Env::new();
    let (receiver, address) = env.recv(&[&["--once", "--dir=out"], &BEATS[..]].concat());
    let relay = Relay::to(&address, 1);
    let content = random(2, 4 << 20);
    env.write("in", &content);
    let mut line = vec!["--file=in", "--limit=1MiB/s", "--codecs=none"];
    line.extend(BEATS);
    let mut sender = env.send(&relay.address(), &line).start();
    eventually("a part is carried", || (relay.carried() > 300_000).then_some(()));
    // The old link is silent, not closed; the new one works beside it.
    relay.freeze();
    sender.say("resumed after");
    relay.thaw();
    sender.wait().receipt();
    receiver.wait().receipt();
    assert_file(&env.out("in"), &content);
}

#[test]
fn a_receiver_that_was_stopped_for_longer_than_the_timeout_goes_on() {
    let env = Env::new();
    let (receiver, address) = env.recv(&[&["--once", "--dir=out"], &BEATS[..]].concat());
    let content = random(3, 4 << 20);
    env.write("in", &content);
    let mut line = vec!["--file=in", "--limit=1MiB/s"];
    line.extend(BEATS);
    let mut sender = env.send(&address, &line).start();
    let file = env.out("in");
    eventually("a part is written", || {
        std::fs::metadata(&file).is_ok_and(|meta| meta.len() > 100_000).then_some(())
    });
    receiver.signal(Signal::STOP);
    sender.say("link lost: ");
    receiver.signal(Signal::CONT);
    sender.wait().receipt();
    receiver.wait().receipt();
    assert_file(&file, &content);
}

#[test]
fn a_receiver_that_restarts_is_a_named_end_with_exit_three() {
    let env = Env::new();
    let (mut receiver, address) = env.recv(&["--dir=out"]);
    // So narrow that something is always on its way.
    let relay = Relay::to(&address, 1);
    relay.rules(Rules { rate: Some(1 << 20), ..Rules::default() });
    env.write("in", &random(4, 16 << 20));
    let mut sender = env.send(&relay.address(), &["--file=app=in"]).start();
    let file = env.out("app");
    eventually("a part is written", || {
        std::fs::metadata(&file).is_ok_and(|meta| meta.len() > 100_000).then_some(())
    });
    receiver.kill();
    sender.say("link lost: ");
    let listen = format!("--listen={address}");
    let (_restarted, _) = env.listening(env.p2(&["recv", &listen, "--dir=out2"]));
    sender.wait().exits(3).says(&["the peer restarted", "not acknowledged: app from offset "]);
}

#[test]
fn a_sender_may_be_started_first() {
    let env = Env::new();
    let address = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a free port")
        .to_string();
    env.write("in", &log(1, 100_000));
    let mut sender = env.send(&address, &["--file=in"]).start();
    sender.say("no link yet");
    let listen = format!("--listen={address}");
    let (receiver, _) = env.listening(env.p2(&["recv", &listen, "--once", "--dir=out"]));
    sender.wait().receipt();
    receiver.wait().receipt();
    assert_file(&env.out("in"), &log(1, 100_000));
}

#[test]
fn a_far_end_that_is_away_for_a_while_is_dialled_until_it_is_back() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    let relay = Relay::to(&address, 1);
    let content = random(5, 3 << 20);
    env.write("in", &content);
    let mut sender = env.send(&relay.address(), &["--file=in", "--limit=1MiB/s"]).start();
    eventually("a part is carried", || (relay.carried() > 300_000).then_some(()));
    relay.refuse();
    relay.cut(Cut::Rst);
    sender.say("still no link");
    relay.heal();
    sender.wait().receipt().says(&["link lost: ", "resumed after"]);
    receiver.wait().receipt();
    assert_file(&env.out("in"), &content);
}

#[test]
fn a_hangup_signal_dials_at_once() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    let relay = Relay::to(&address, 1);
    let content = random(6, 2 << 20);
    env.write("in", &content);
    // Waits far beyond the patience of this test, unless it is told otherwise.
    let line = ["--file=in", "--limit=1MiB/s", "--retry-min=1h", "--retry-max=24h"];
    let mut sender =
        env.p2(&[&["send", &relay.address(), "--session=s"], &line[..]].concat()).start();
    eventually("a part is carried", || (relay.carried() > 300_000).then_some(()));
    relay.refuse();
    relay.cut(Cut::Fin);
    // The first retry is immediate, the second waits.
    sender.say("still no link");
    relay.heal();
    let attempts = relay.links();
    eventually("another attempt", || {
        sender.signal(Signal::HUP);
        std::thread::sleep(Duration::from_millis(50));
        (relay.links() > attempts).then_some(())
    });
    sender.wait().receipt();
    receiver.wait().receipt();
    assert_file(&env.out("in"), &content);
}

#[test]
fn segments_of_one_byte_change_nothing() {
    let env = Env::new();
    let (receiver, address) = env.recv_dir();
    let relay = Relay::to(&address, 1);
    relay.rules(Rules { slice: Some(1), ..Rules::default() });
    let content = random(7, 100_000);
    env.write("in", &content);
    env.send(&relay.address(), &["--file=in"]).run().receipt().says(&["reconnects 0"]);
    receiver.wait().receipt();
    assert_file(&env.out("in"), &content);
}

#[test]
fn a_slow_link_with_long_delay_is_not_taken_for_dead() {
    let env = Env::new();
    let beats = ["--heartbeat=1s", "--heartbeat-timeout=5s"];
    let (receiver, address) = env.recv(&[&["--once", "--dir=out"], &beats[..]].concat());
    let relay = Relay::to(&address, 1);
    let delay = Duration::from_millis(200);
    relay.rules(Rules { rate: Some(256 << 10), delay, ..Rules::default() });
    let content = random(8, 2 << 20);
    env.write("in", &content);
    let mut line = vec!["--file=in"];
    line.extend(beats);
    env.send(&relay.address(), &line).run().receipt().says(&["reconnects 0"]);
    receiver.wait().receipt();
    assert_file(&env.out("in"), &content);
}

#[test]
fn giving_up_with_data_held_is_exit_three_and_says_from_where() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out"]);
    let relay = Relay::to(&address, 1);
    env.write("in", &random(9, 4 << 20));
    // So narrow that something is always on its way.
    relay.rules(Rules { rate: Some(1 << 20), ..Rules::default() });
    let line = ["--file=app=in", "--retry-limit=3"];
    let sender = env.send(&relay.address(), &line).start();
    eventually("a part is carried", || (relay.carried() > 300_000).then_some(()));
    relay.refuse();
    relay.cut(Cut::Rst);
    sender.wait().exits(3).says(&["gave up after", "not acknowledged: app from offset "]);
}

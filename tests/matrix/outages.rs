//! One side is away for a while, for too long, or for good; or it is another one.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::stage::{BEATS, BUFFER, Held, ROOM, Sender, Stage, events};
use crate::support::table::Outcome;
use crate::support::{
    Cut, Env, Relay, Rules, Signal, assert_file, assert_same, eventually, long_or, random, seed,
};

/// A transfer that takes as long as a row needs.
const STEADY: [&str; 2] = ["--file=app=in", "--limit=1MiB/s"];

/// R12, the half that needs no memory of the receiver's: its output was a pipe, and it is gone.
pub fn pipe_receiver_restarts() -> Outcome {
    let env = Env::new();
    let (mut receiver, address) = env.recv(&["--format=raw", "--only=app"]);
    let relay = Relay::to(&address, 1);
    relay.rules(Rules { rate: Some(1 << 20), ..Rules::default() });
    let content = random(1, 8 << 20);
    env.write("in", &content);
    let mut sender = Sender::start(env.send(&relay.address(), &["--file=app=in"]));
    eventually("a part is delivered", || (receiver.stdout().len() > 200_000).then_some(()));
    receiver.kill();
    sender.process.say("link lost: ");
    let first = receiver.stdout();
    let listen = format!("--listen={address}");
    let (again, _) = env.listening(env.p2(&["recv", &listen, "--format=raw", "--only=app"]));
    let sent = sender.end();
    let said =
        sent.ended.exits(3).says(&["the peer restarted", "not acknowledged: app from offset "]);
    let from = offset(&said.stderr);
    assert_same("what the first receiver wrote", &first, &content[..first.len()]);
    assert!(from <= first.len() as u64, "{from} acknowledged, {} written", first.len());
    assert!(again.stdout().is_empty(), "the second one starts nothing over");
    Outcome::Passed(format!("exit 3 from offset {from}, {} written, 0 by the next", first.len()))
}

/// R17: the source is busy while nothing gets through. It is paused at the bound.
pub fn busy_source() -> Outcome {
    let seed = seed();
    let outage = Duration::from_secs(long_or(120, 12));
    let stage = Stage::new(seed, &[]);
    stage.relay.rules(Rules { rate: Some(4 << 20), ..Rules::default() });
    let content = Arc::new(random(seed, 32 << 20));
    let line = ["--events=s.ndjson", "--stdin=app", BUFFER];
    let mut sender = Sender::start(stage.env.send(&stage.relay.address(), &line).pipe());
    let mut stdin = sender.process.take_stdin();
    let written = Arc::new(AtomicU64::new(0));
    let source = {
        let (content, written) = (Arc::clone(&content), Arc::clone(&written));
        thread::spawn(move || {
            for chunk in content.chunks(16 << 10) {
                stdin.write_all(chunk).expect("the sender takes it");
                written.fetch_add(chunk.len() as u64, Ordering::SeqCst);
            }
        })
    };
    stage.part_written("app", 2 << 20);
    stage.relay.refuse();
    stage.relay.cut(Cut::Rst);
    let began = Instant::now();
    thread::sleep(outage / 2);
    let (middle, delivered) = (
        written.load(Ordering::SeqCst),
        std::fs::metadata(stage.env.out("app")).expect("it").len(),
    );
    while began.elapsed() < outage {
        sender.peak();
        thread::sleep(Duration::from_millis(50));
    }
    let end = written.load(Ordering::SeqCst);
    assert_eq!(middle, end, "the source is paused");
    // The buffer, a pipe's worth, and what was read and not yet taken.
    let ahead = end - delivered;
    assert!(ahead <= (8 << 20) + (256 << 10), "{ahead} bytes ahead");
    assert!((4 << 20) < ahead, "{ahead} bytes ahead: the buffer is of use");
    stage.relay.heal();
    source.join().expect("no panic");
    let sent = sender.receipt();
    assert_file(&stage.env.out("app"), &content);
    let held = stage.finish(1, &[sent]);
    Outcome::Passed(format!("{} KiB held for {} s, {held}", ahead >> 10, outage.as_secs()))
}

/// R18: the time to live runs out. Both sides are free, and their exit says so.
pub fn expires() -> Outcome {
    let mut stage = Stage::new(1, &["--session-ttl=2s"]);
    stage.env.write("in", &random(1, 8 << 20));
    let sender = stage.sender(&STEADY);
    stage.part_written("app", 200_000);
    stage.relay.refuse();
    stage.relay.cut(Cut::Fin);
    stage.settled(1);
    assert_eq!(stage.events("session_ended")[0]["ok"], false);
    stage.relay.heal();
    let sent = sender.end();
    let words = ["expired at the peer", "not acknowledged: app from offset "];
    let said = sent.ended.exits(3).says(&words);
    let written = std::fs::metadata(stage.env.out("app")).expect("it stays").len();
    assert!(offset(&said.stderr) <= written, "{}", said.stderr);
    let held = stage.close(ROOM);
    // With --once the receiver's own exit tells it.
    let once = Stage::new(1, &["--session-ttl=1s", "--once"]);
    once.env.write("in", &random(1, 8 << 20));
    let mut sender = once.sender(&STEADY);
    once.part_written("app", 100_000);
    once.relay.refuse();
    once.relay.cut(Cut::Rst);
    once.receiver.wait().exits(3).says(&["ended early"]);
    sender.process.kill();
    Outcome::Passed(format!("both exit 3, {held}"))
}

/// R19: the sender is killed and never comes back. The receiver keeps what it has and frees the
/// rest.
pub fn sender_killed() -> Outcome {
    let seed = seed();
    let rounds = long_or(60, 6);
    let mut stage = Stage::new(seed, &["--session-ttl=1s"]);
    let content = random(seed, 16 << 20);
    stage.env.write("in", &content);
    let mut chance = fastrand::Rng::with_seed(seed);
    for round in 1..=rounds {
        let mut sender = stage.sender(&["--file=app=in", "--limit=4MiB/s"]);
        let name = if round == 1 { "app".to_owned() } else { format!("app~{round}") };
        // The receiver numbers the files of one name while it remembers the session's directory.
        stage.part_written(&name, 1);
        thread::sleep(Duration::from_millis(chance.u64(0..400)));
        sender.process.kill();
        eventually("the session is given up", || {
            (stage.events("session_ended").len() == round).then_some(())
        });
        let file = std::fs::read(stage.env.out(&name)).expect("it stays");
        assert_same(&name, &file, &content[..file.len()]);
    }
    stage.settled(rounds);
    let held = stage.close(ROOM);
    Outcome::Passed(format!("{rounds} kills, each file a whole beginning, {held}"))
}

/// R20: one side is stopped for longer than the timeout, and goes on.
pub fn suspended() -> Outcome {
    let said: Vec<String> = thread::scope(|scope| {
        let both = ["receiver", "sender"].map(|who| scope.spawn(move || suspend(who)));
        both.map(|one| one.join().expect("it held")).to_vec()
    });
    Outcome::Passed(said.join("; "))
}

fn suspend(who: &str) -> String {
    let seed = seed();
    let stage = Stage::new(seed, &BEATS);
    let content = random(seed, 6 << 20);
    stage.env.write("in", &content);
    let sender = stage.sender(&[&STEADY, &BEATS[..]].concat());
    stage.part_written("app", 500_000);
    let process = if who == "sender" { &sender.process } else { &stage.receiver };
    process.signal(Signal::STOP);
    thread::sleep(Duration::from_millis(4_500));
    process.signal(Signal::CONT);
    let sent = sender.receipt();
    assert_file(&stage.env.out("app"), &content);
    let reconnects = events(&stage.env, "s.ndjson", "resumed").len();
    assert!(reconnects <= 1, "{reconnects} reconnects");
    let held = stage.finish(1, &[sent]);
    format!("{who}: {reconnects} reconnects, {held}")
}

/// R31: at the same address another server answers. That is the end; nothing starts over there.
pub fn another_server() -> Outcome {
    let mut stage = Stage::new(1, &[]);
    let content = random(1, 8 << 20);
    stage.env.write("in", &content);
    let sender = stage.sender(&STEADY);
    stage.part_written("app", 200_000);
    let other = Stage::new(2, &[]);
    stage.relay.target(&other.address);
    stage.relay.cut(Cut::Fin);
    let sent = sender.end();
    let words = ["the peer restarted", "not acknowledged: app from offset "];
    let said = sent.ended.exits(3).says(&words);
    assert_eq!(other.events("session_opened").len(), 0, "nothing starts over");
    assert!(!other.env.path("out").join("s").exists());
    let held: Held = other.finish(0, &[]);
    let file = std::fs::read(stage.env.out("app")).expect("it stays");
    assert_same("what the first server has", &file, &content[..file.len()]);
    let from = offset(&said.stderr);
    stage.receiver.kill();
    Outcome::Passed(format!("exit 3 from offset {from}, the other server: 0 sessions, {held}"))
}

/// R32: a hundred sessions lose their links at once, and all have new ones within 10 s.
pub fn hundred() -> Outcome {
    const SESSIONS: usize = 100;
    let stage = Stage::new(1, &[]);
    let address = stage.relay.address();
    let mut senders: Vec<Sender> = (0..SESSIONS)
        .map(|n| {
            let (session, events) = (format!("--session=n{n}"), format!("--events=s-{n}.ndjson"));
            let line = ["send", &address, "--stdin=app", &session, &events];
            let mut sender = Sender::start(stage.env.p2(&line).pipe());
            sender.process.write(format!("before {n}\n").as_bytes());
            sender
        })
        .collect();
    let file = |n: usize| stage.env.path("out").join(format!("n{n}")).join("app");
    eventually("all have begun", || {
        let begun = |n| std::fs::metadata(file(n)).is_ok_and(|meta| meta.len() > 0);
        (0..SESSIONS).all(begun).then_some(())
    });
    let open = || senders.iter().map(Sender::descriptors).sum::<usize>();
    let before = open();
    let began = Instant::now();
    stage.relay.cut(Cut::Either);
    let resumed = |n: usize| !events(&stage.env, &format!("s-{n}.ndjson"), "resumed").is_empty();
    let mut away: Vec<usize> = (0..SESSIONS).collect();
    eventually("all are back", || {
        away.retain(|n| !resumed(*n));
        away.is_empty().then_some(())
    });
    let back = began.elapsed();
    assert!(back <= Duration::from_secs(10), "all were back after {back:?}");
    eventually("the senders let go", || (open() <= before).then_some(()));
    let mut sent = Vec::new();
    for (n, sender) in senders.iter_mut().enumerate() {
        sender.process.write(format!("after {n}\n").as_bytes());
        sender.process.close_stdin();
    }
    for sender in senders {
        sent.push(sender.receipt());
    }
    for n in 0..SESSIONS {
        assert_file(&file(n), format!("before {n}\nafter {n}\n").as_bytes());
    }
    let held = stage.finish_within(SESSIONS, &sent, ROOM * 2);
    Outcome::Passed(format!("all back after {} ms, {held}", back.as_millis()))
}

/// The offset in `not acknowledged: app from offset N`.
fn offset(said: &str) -> u64 {
    let rest = said.split("app from offset ").nth(1).expect("an offset");
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

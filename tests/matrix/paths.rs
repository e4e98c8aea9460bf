//! Links that are slow, narrow, sliced, stalling, silent or late, and one that changes bytes.

use std::thread;
use std::time::Duration;

use crate::source::Steady;
use crate::stage::{ROOM, Sender, Stage, events};
use crate::support::table::Outcome;
use crate::support::{Rules, assert_file, eventually, log, long_or, random, relay::Way, seed};

/// R07: a link falls silent and is replaced; its bytes arrive late, when the new one stands or
/// while it is being made.
pub fn late_bytes() -> Outcome {
    let seed = seed();
    let rounds = long_or(60, 6);
    // For the receiver the old link lives until it is fenced.
    let stage = Stage::new(seed, &["--heartbeat-timeout=60s"]);
    let line = ["--events=s.ndjson", "--stdin=app", "--codecs=none", "--heartbeat=200ms"];
    let line = [&line[..], &["--heartbeat-timeout=1s"]].concat();
    let mut sender = Sender::start(stage.env.send(&stage.relay.address(), &line).pipe());
    let source = Steady::start(sender.process.take_stdin(), seed);
    for round in 0..rounds {
        let carried = stage.relay.carried();
        eventually("a part is carried", || {
            (stage.relay.carried() > carried + 300_000).then_some(())
        });
        let (links, resumes) = (stage.relay.links(), stage.events("session_resumed").len());
        stage.relay.freeze();
        if round % 2 == 0 {
            eventually("a new link", || (stage.relay.links() > links).then_some(()));
        } else {
            let resumed = || stage.events("session_resumed").len() > resumes;
            eventually("the session goes on", || resumed().then_some(()));
        }
        stage.relay.thaw();
    }
    let content = source.end();
    let sent = sender.receipt();
    assert_file(&stage.env.out("app"), &content);
    let held = stage.finish(1, &[sent]);
    Outcome::Passed(format!("{rounds} late links, {held}"))
}

/// R26: 200 ms with jitter at 1 Mbit/s, segments of one byte, pauses, and all of it together.
pub fn poor() -> Outcome {
    let far = Rules {
        rate: Some(125_000),
        delay: Duration::from_millis(200),
        jitter: Duration::from_millis(100),
        ..Rules::default()
    };
    let sliced = Rules { slice: Some(1), ..Rules::default() };
    let pauses = Rules { stall: Some((60_000, Duration::from_secs(2))), ..Rules::default() };
    let all = Rules { slice: Some(1), stall: pauses.stall, ..far.clone() };
    let size = long_or(8_000_000, 800_000);
    let cases = [(far, size), (sliced, size / 8), (pauses, 200_000), (all, 100_000)];
    let said: Vec<String> = thread::scope(|scope| {
        let started = cases.map(|(rules, size)| scope.spawn(move || poor_link(rules, size)));
        started.map(|one| one.join().expect("it held")).to_vec()
    });
    Outcome::Passed(format!("0 reconnects; {}", said.join("; ")))
}

fn poor_link(rules: Rules, size: usize) -> String {
    let seed = seed();
    // Half of what is set by default: the pauses are of the same size.
    let beats = ["--heartbeat=1s", "--heartbeat-timeout=7s"];
    let stage = Stage::new(seed, &beats);
    stage.relay.rules(rules);
    let content = random(seed, size);
    stage.env.write("in", &content);
    let began = std::time::Instant::now();
    let sent = stage.sender(&[&["--file=app=in"], &beats[..]].concat()).receipt();
    let took = began.elapsed();
    assert_eq!(stage.relay.links(), 1, "a living link is not taken for dead");
    assert!(events(&stage.env, "s.ndjson", "link_down").is_empty());
    assert_file(&stage.env.out("app"), &content);
    stage.finish(1, &[sent]);
    format!("{} KB in {:.1} s", size / 1000, took.as_secs_f64())
}

/// One bit flips on a link without checksums of its own: it is healed, or told; never passed on
/// as good.
pub fn flipped() -> Outcome {
    let seed = seed();
    let tries = long_or(2000, 40);
    let mut stage = Stage::new(seed, &["--session-ttl=1s"]);
    let mut chance = fastrand::Rng::with_seed(seed);
    let (mut healed, mut told) = (0, 0);
    for n in 0..tries {
        let content = log(seed ^ n, 40_000);
        stage.env.write("in", &content);
        let (up, at) = (chance.u8(0..4) > 0, chance.u64(0..9_000));
        let way = if up { Way::Up } else { Way::Down };
        stage.relay.plan([match way {
            Way::Up => Rules { flip_up: Some(at), ..Rules::default() },
            Way::Down => Rules { flip_down: Some(at % 600), ..Rules::default() },
        }]);
        let session = format!("--session=f{n}");
        let line = ["send", &stage.relay.address(), &session, "--file=app=in", "--retry-for=20s"];
        let line =
            [&line[..], &["--retry-min=20ms", "--retry-max=200ms", "--codecs=gzip"]].concat();
        let ended = stage.env.p2(&line).run();
        match ended.code {
            Some(0) => {
                // Files of one name are numbered when a half-made session comes first.
                assert_file(&stage.env.path("out").join(format!("f{n}")).join("app"), &content);
                healed += 1;
            }
            Some(code) => {
                assert!([1, 3, 4, 5, 6].contains(&code), "exit {code}: {}", ended.stderr);
                told += 1;
            }
            None => panic!("killed: {}", ended.stderr),
        }
    }
    let held = stage.close(ROOM);
    Outcome::Passed(format!("{tries} flips: {healed} healed, {told} told by the exit, {held}"))
}

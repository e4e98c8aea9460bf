//! Links that are cut: in the middle of data, in every place of a handshake, again and again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

use crate::stage::{BUFFER, Sender, Stage};
use crate::support::table::Outcome;
use crate::support::{
    Cut, Relay, Rules, assert_file, eventually, log, long_or, random, relay::Way, seed,
};

/// How many cuts of a handshake one sender goes through.
const DEEP: usize = 16;

/// Handshakes at once, each of a process of its own.
const AT_ONCE: usize = 3;

/// A sender that dials again at once, for rows in which every link is made to fail.
const HASTY: [&str; 4] = ["--retry-min=1ms", "--retry-max=4ms", "--codecs=none", "--file=app=in"];

const HOWS: [Cut; 2] = [Cut::Fin, Cut::Rst];

/// Frames of a handshake: HELLO, PROOF, RESUME.
const SHAKES: std::ops::RangeInclusive<u8> = 1..=3;

/// R01: a transfer of four streams whose every link is cut, at offsets spread over each direction.
pub fn anywhere() -> Outcome {
    let seed = seed();
    let figures: Vec<String> = (0..long_or(40, 1)).map(|n| cut_anywhere(seed ^ n)).collect();
    Outcome::Passed(figures.join("; "))
}

fn cut_anywhere(seed: u64) -> String {
    let cuts: usize = 200;
    let each = cuts * 70_000;
    let stage = Stage::new(seed, &[]);
    let contents = [random(1, each), log(2, each), random(3, each), log(4, each)];
    let mut line = vec!["send".to_owned(), stage.relay.address(), "--session=s".to_owned()];
    line.extend(["--events=s.ndjson", BUFFER].map(str::to_owned));
    for (name, content) in ["a", "b", "c", "d"].iter().zip(&contents) {
        stage.env.write(name, content);
        line.push(format!("--file={name}"));
    }
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut plan: Vec<Rules> = (0..cuts)
        .map(|n| {
            // Behind the handshake, and each place as likely as any other.
            let mut share = |most: u64| 360 + most * n as u64 / cuts as u64 + chance.u64(0..16);
            let how = HOWS[n / 2 % 2];
            match n % 2 {
                0 => Rules::cut(Way::Up, share(64 << 10), how),
                _ => Rules::cut(Way::Down, share(320), how),
            }
        })
        // So narrow that credit is given often, and the other direction gets to its cuts.
        .map(|rules| Rules { rate: Some(4 << 20), ..rules })
        .collect();
    chance.shuffle(&mut plan);
    stage.relay.plan(plan);
    let sent = Sender::start(stage.env.p2(&line)).receipt();
    assert_eq!(stage.relay.planned(), 0, "the transfer was long enough for every cut");
    assert_eq!(stage.relay.cuts(), cuts as u64);
    for (name, content) in ["a", "b", "c", "d"].iter().zip(&contents) {
        assert_file(&stage.env.out(name), content);
    }
    let held = stage.finish(1, &[sent]);
    // One is the bound, the rest is for a machine with other work.
    let [median, worst] = held.back();
    assert!(median <= 1000 && worst <= 10_000, "{held}");
    format!("{cuts} cuts, {held}")
}

/// R02: the first handshake of a session is cut after every byte of it, both ways.
pub fn handshake_of_a_new_session() -> Outcome {
    handshakes(false)
}

/// R02: the same for the handshake of a resume.
pub fn handshake_of_a_resume() -> Outcome {
    handshakes(true)
}

/// R03: each cut in the data is followed by five in the handshakes after it.
pub fn five_deep() -> Outcome {
    let seed = seed();
    let rounds = long_or(200, 20);
    let stage = Stage::new(seed, &[]);
    let lengths = lengths(&stage, true);
    let mut chance = fastrand::Rng::with_seed(seed);
    let mut plan = Vec::new();
    for _ in 0..rounds {
        plan.push(Rules::cut(Way::Up, chance.u64(2_000..40_000), Cut::Either));
        for _ in 0..5 {
            let way = chance.choice([Way::Up, Way::Down]).expect("two");
            let at = chance.u64(0..lengths[way as usize]);
            plan.push(Rules::cut(way, at, Cut::Either));
        }
    }
    let content = random(seed, rounds * 45_000);
    stage.env.write("in", &content);
    let planned = plan.len();
    stage.relay.plan(plan);
    let mut line = vec!["send", "--session=s", "--events=s.ndjson"];
    line.extend(HASTY);
    let address = stage.relay.address();
    line.push(&address);
    let sent = Sender::start(stage.env.p2(&line)).receipt();
    assert_eq!(stage.relay.planned(), 0, "the transfer was long enough for every cut");
    assert_file(&stage.env.out("app"), &content);
    let held = stage.finish(2, &[sent]);
    Outcome::Passed(format!("{planned} cuts, {held}"))
}

fn handshakes(resumed: bool) -> Outcome {
    let seed = seed();
    let stage = Stage::new(seed, &[]);
    let content = random(seed, 6_000);
    let lengths = lengths(&stage, resumed);
    let offsets = [(Way::Up, lengths[0]), (Way::Down, lengths[1])].map(|(way, length)| {
        (0..=length).map(|at| Rules::cut(way, at, HOWS[at as usize % 2])).collect::<Vec<_>>()
    });
    let mut offsets = offsets.concat();
    if long_or(true, false) {
        let swap = |rules: &Rules| {
            let how = if rules.how == Cut::Fin { Cut::Rst } else { Cut::Fin };
            Rules { how, ..rules.clone() }
        };
        offsets.extend(offsets.clone().iter().map(swap));
    }
    stage.env.write("in", &content);
    let groups: Vec<&[Rules]> = offsets.chunks(DEEP).collect();
    let (next, peak) = (AtomicUsize::new(0), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(group) = groups.get(next.fetch_add(1, Ordering::SeqCst)) {
                    let sent = through(&stage, group, resumed, &content);
                    peak.fetch_max(sent, Ordering::SeqCst);
                }
            });
        }
    });
    // The one by which the lengths were measured is a session too.
    let mut held = stage.finish(groups.len() + 1, &[]);
    held.peaks[1] = peak.into_inner();
    Outcome::Passed(format!("{} cuts in {} sessions, {held}", offsets.len(), groups.len()))
}

/// One session, whose handshakes are cut as the plan says before one succeeds.
fn through(stage: &Stage, plan: &[Rules], resumed: bool, content: &[u8]) -> u64 {
    let first = plan[0].after_up.or(plan[0].after_down).expect("a place");
    let name = format!("{}{first}", if plan[0].after_up.is_some() { 'u' } else { 'd' });
    let name = format!("{name}{:?}", plan[0].how);
    let relay = Relay::to(&stage.address, 1);
    // A resume needs a link that got as far as data.
    let begun = resumed.then(|| Rules::cut(Way::Up, 3_000, Cut::Rst));
    let plan: Vec<Rules> = begun.into_iter().chain(plan.iter().cloned()).collect();
    let links = plan.len() as u64 + 1;
    relay.plan(plan);
    let (session, events) = (format!("--session={name}"), format!("--events=s-{name}.ndjson"));
    let mut line = vec!["send", &session, &events];
    line.extend(HASTY);
    let address = relay.address();
    line.push(&address);
    let sent = Sender::start(stage.env.p2(&line)).receipt();
    assert_eq!(relay.planned(), 0, "{name}: every cut was made");
    // What came after the handshake is short enough to be cut as well, or answered.
    assert!(relay.links() >= links, "{name}: {} links", relay.links());
    assert_file(&stage.env.path("out").join(&name).join("app"), content);
    sent.peak
}

/// How long a handshake is in each direction. It costs the stage a session.
fn lengths(stage: &Stage, resumed: bool) -> [u64; 2] {
    let relay = Relay::to(&stage.address, 1);
    if resumed {
        relay.plan([Rules::cut(Way::Up, 3_000, Cut::Rst)]);
    }
    stage.env.write("probe", &random(0, 6_000));
    let mut line = vec!["send", "--session=probe", "--limit=4KiB/s", "--file=probe"];
    line.extend(&HASTY[..3]);
    let address = relay.address();
    line.push(&address);
    let sender = Sender::start(stage.env.p2(&line));
    let whole = eventually("a link gets as far as data", || {
        let heads = relay.heads();
        let heads = heads.first().filter(|_| relay.links() == 1 + u64::from(resumed))?;
        let [up, down] = [shake(&heads[0])?, shake(&heads[1])?];
        Some([up, down])
    });
    sender.receipt();
    eventually("it is over", || stage.events("session_ended").first().map(|_| ()));
    whole
}

/// Where the handshake at the beginning of these bytes ends; none if that is not to be seen yet.
fn shake(head: &[u8]) -> Option<u64> {
    let mut at = 16;
    while SHAKES.contains(head.get(at)?) {
        let length = head.get(at + 4..at + 8)?;
        at += 16 + u32::from_le_bytes(length.try_into().expect("four")) as usize;
    }
    Some(at as u64)
}

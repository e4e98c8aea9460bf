//! Real networks that fail: three namespaces, a sender, a router and a receiver.
//!
//! The time from heal to resume is bounded by the settings: a heartbeat timeout, one attempt to
//! connect, and one wait between attempts.

use std::thread;
use std::time::{Duration, Instant};

use crate::netns::{LEFT, Net, Place, RIGHT};
use crate::source::Steady;
use crate::stage::{Held, STAYS, Sender, Stage, events};
use crate::support::table::Outcome;
use crate::support::{Env, assert_file, eventually, long_or, random, seed, skip};

/// From heal to resume: what the rows allow.
const BACK: Duration = Duration::from_secs(6);

const TIMES: [&str; 4] =
    ["--heartbeat=500ms", "--heartbeat-timeout=2s", "--connect-timeout=2s", "--retry-max=1s"];

/// Bytes of a transfer that is as fast as it can be.
const SIZE: usize = 8 << 20;

/// A transfer under way between two namespaces.
struct Scene {
    net: Net,
    stage: Stage,
    sender: Sender,
    source: Option<Steady>,
    content: Vec<u8>,
}

/// R21: the sender's machine gets another address.
pub fn another_address() -> Outcome {
    scene(|scene| {
        let (old, new) = (format!("{}/24", LEFT[0]), format!("{}/24", LEFT[1]));
        let left = |line: &[&str]| scene.net.set(Place::Left, line);
        left(&["address", "delete", &old, "dev", "eth0"]);
        thread::sleep(Duration::from_secs(1));
        left(&["address", "add", &new, "dev", "eth0"]);
        left(&["route", "replace", "default", "via", "10.77.1.1"]);
        let back = scene.resumes(0);
        let from = scene.stage.events("session_resumed")[0]["address"].to_string();
        assert!(from.contains(LEFT[1]), "{from}");
        format!("back {} ms after", back.as_millis())
    })
}

/// R22: nothing passes in either direction.
pub fn hole_both_ways() -> Outcome {
    holes(&[LEFT[0], RIGHT])
}

/// R23: nothing passes in one direction, then in the other.
pub fn hole_one_way() -> Outcome {
    let rows = thread::scope(|scope| {
        let both = [LEFT[0], RIGHT].map(|to| scope.spawn(move || holes(&[to])));
        both.map(|one| one.join().expect("it held"))
    });
    let mut figures = Vec::new();
    for (row, way) in rows.into_iter().zip(["to the sender", "to the receiver"]) {
        match row {
            Outcome::Passed(figure) => figures.push(format!("{way}: {figure}")),
            skipped => return skipped,
        }
    }
    Outcome::Passed(figures.join("; "))
}

/// R24: the interface goes down and comes up again, shortly and for longer.
pub fn flapping() -> Outcome {
    scene(|scene| {
        let flaps = [300, 100, 2500, 100, 800, 3000, 200, 50];
        for down in flaps {
            scene.net.set(Place::Left, &["link", "set", "eth0", "down"]);
            thread::sleep(Duration::from_millis(down));
            scene.net.set(Place::Left, &["link", "set", "eth0", "up"]);
            // Lost with the interface.
            scene.net.set(Place::Left, &["route", "replace", "default", "via", "10.77.1.1"]);
            thread::sleep(Duration::from_millis(400));
        }
        let healed = Instant::now();
        let carried = scene.written();
        eventually("bytes arrive again", || (scene.written() > carried + 65_536).then_some(()));
        let back = healed.elapsed();
        assert!(back <= BACK, "{back:?} after the last flap");
        let reconnects = events(&scene.stage.env, "s.ndjson", "resumed").len();
        assert!(reconnects <= flaps.len(), "{reconnects} reconnects");
        format!(
            "{} flaps, {reconnects} reconnects, moving {} ms after",
            flaps.len(),
            back.as_millis()
        )
    })
}

/// R25: the kernel resets the connection, at either end.
pub fn kernel_reset() -> Outcome {
    scene(|scene| {
        let mut said = Vec::new();
        for (round, place) in [Place::Left, Place::Right].into_iter().enumerate() {
            let kill = ["ss", "--kill", "--tcp", "--numeric", "state", "established"];
            let killed = scene.net.execute(place, &kill).unwrap_or_else(|why| panic!("{why}"));
            assert!(killed.contains(RIGHT), "the kernel kills sockets: {killed}");
            said.push(format!("{} ms", scene.resumes(round).as_millis()));
            let carried = scene.written();
            eventually("bytes move", || (scene.written() > carried + 65_536).then_some(()));
        }
        format!("back after {}", said.join(" and "))
    })
}

/// R27: the router drops packets at random, in both directions.
pub fn random_loss() -> Outcome {
    let percent = "3";
    let net = match Net::new() {
        Ok(net) => net,
        Err(why) => return missing(&why),
    };
    let how = match lossy(&net, percent) {
        Ok(how) => how,
        Err(why) => return missing(&why),
    };
    let mut scene = Scene::start(net, Some(SIZE));
    let began = Instant::now();
    scene.sender.peak();
    let took = {
        eventually("it is over", || scene.sender.process.poll().then_some(()));
        began.elapsed()
    };
    let down = events(&scene.stage.env, "s.ndjson", "link_down");
    assert!(down.is_empty(), "a living link is not taken for dead: {down:?}");
    let (_, held) = scene.finish();
    let rate = SIZE as f64 / took.as_secs_f64() / f64::from(1 << 20);
    Outcome::Passed(format!("{percent}% by {how}, 0 reconnects, {rate:.1} MiB/s, {held}"))
}

/// Routes to these addresses end in the router for a while.
fn holes(to: &[&str]) -> Outcome {
    let times: &[u64] = long_or(&[1, 10, 30, 60], &[4]);
    scene(|scene| {
        let mut said = Vec::new();
        for time in times {
            let routes = |what: &str| {
                for address in to {
                    scene.net.set(Place::Middle, &["route", what, "blackhole", address]);
                }
            };
            let before = events(&scene.stage.env, "s.ndjson", "resumed").len();
            let links = scene.stage.events("link_accepted").len();
            routes("add");
            thread::sleep(Duration::from_secs(*time));
            routes("delete");
            if *time < 2 {
                // Shorter than the timeout: the old connection may recover.
                let carried = scene.written();
                eventually("bytes move", || (scene.written() > carried + 65_536).then_some(()));
                continue;
            }
            said.push(format!("{} ms after {time} s", scene.resumes(before).as_millis()));
            let accepted = scene.stage.events("link_accepted").len();
            assert!(accepted > links, "by a new connection");
        }
        format!("back {}", said.join(", "))
    })
}

impl Scene {
    /// With a file of so many bytes, or with a source that goes on until the scene is finished.
    fn start(net: Net, size: Option<usize>) -> Self {
        let env = Env::new();
        let token = format!("--token-file={}", env.token("token", "a secret of this one test"));
        let listen = format!("--listen={RIGHT}:9000");
        let line = [&["recv", &listen, &token], &STAYS[..], &TIMES[..2]].concat();
        let receiver = net.p2(Place::Right, &env, &line);
        let stage = Stage::with(env, receiver, 1);
        let content = random(seed(), size.unwrap_or(0));
        stage.env.write("in", &content);
        let source = if size.is_some() { "--file=app=in" } else { "--stdin=app" };
        let target = format!("{RIGHT}:9000");
        let line = ["send", &target, "--session=s", "--events=s.ndjson", &token, source];
        let line = [&line[..], &["--retry-min=20ms"], &TIMES].concat();
        let mut sender = Sender::start(net.p2(Place::Left, &stage.env, &line).pipe());
        let source = size.is_none().then(|| Steady::start(sender.process.take_stdin(), seed()));
        stage.part_written("app", 300_000);
        Self { net, stage, sender, source, content }
    }

    /// The time from now to the resume after so many; fails if it takes too long.
    fn resumes(&self, before: usize) -> Duration {
        let began = Instant::now();
        eventually("the session goes on", || {
            (events(&self.stage.env, "s.ndjson", "resumed").len() > before).then_some(())
        });
        let took = began.elapsed();
        assert!(took <= BACK, "back after {took:?}");
        took
    }

    fn written(&self) -> u64 {
        std::fs::metadata(self.stage.env.out("app")).map_or(0, |meta| meta.len())
    }

    fn finish(self) -> (Net, Held) {
        let content = self.source.map_or(self.content, Steady::end);
        let sent = self.sender.receipt();
        assert_file(&self.stage.env.out("app"), &content);
        (self.net, self.stage.finish(1, &[sent]))
    }
}

/// Starts a transfer, does `harm` to it, and checks that it ends well.
fn scene(harm: impl FnOnce(&Scene) -> String) -> Outcome {
    let net = match Net::new() {
        Ok(net) => net,
        Err(why) => return missing(&why),
    };
    let scene = Scene::start(net, None);
    let before = scene.sender.descriptors();
    let said = harm(&scene);
    // What belonged to the old links is closed at this end too.
    let after = eventually("the sender lets go", || {
        let after = scene.sender.descriptors();
        (after <= before).then_some(after)
    });
    let (_net, held) = scene.finish();
    Outcome::Passed(format!("{said}, {held} (sender {before} -> {after})"))
}

/// Makes the router lose packets; says by which means.
fn lossy(net: &Net, percent: &str) -> Result<&'static str, String> {
    let loss = format!("{percent}%");
    let netem = |device: &str| {
        let line = ["tc", "qdisc", "add", "dev", device, "root", "netem", "loss", &loss];
        net.execute(Place::Middle, &line)
    };
    if netem("left").and_then(|_| netem("right")).is_ok() {
        return Ok("netem");
    }
    let rules = format!(
        "table inet p2 {{\n chain f {{\n type filter hook forward priority 0;\n \
         numgen random mod 100 < {percent} drop\n }}\n }}"
    );
    let script = format!("echo '{rules}' | nft -f -");
    net.execute(Place::Middle, &["sh", "-c", &script]).map(|_| "nft")
}

fn missing(why: &str) -> Outcome {
    skip("netns", why);
    Outcome::Skipped(why.to_owned())
}

//! Sessions that outlive their ssh: whatever is killed, it costs time and nothing else.

use std::time::{Duration, Instant};

use crate::seen;
use crate::support::sshd::{Sshd, below, find, kill};
use crate::support::table::Outcome;
use crate::support::{Env, Process, Signal, assert_file, eventually, long_or, random, sha256};

/// What is fed to the sender between two cuts.
const PIECE: usize = 200 * 1024;

/// A sender that is fed by hand, and what it was fed.
struct Fed {
    sender: Process,
    data: Vec<u8>,
    resumes: usize,
    times: Vec<Duration>,
}

impl Fed {
    fn start(env: &Env, sshd: &Sshd, arguments: &[&str]) -> Self {
        let line = [&["--stdin=pipe"], arguments].concat();
        let mut sender = sshd.send(env, &line).pipe().start();
        sender.say("connected");
        Self { sender, data: Vec::new(), resumes: 0, times: Vec::new() }
    }

    fn feed(&mut self) {
        let piece = random(self.data.len() as u64, PIECE);
        self.sender.write(&piece);
        self.data.extend(piece);
    }

    /// Waits for one more resume than before, which began now at the latest.
    fn resumed(&mut self) {
        let began = Instant::now();
        self.resumes += 1;
        let wanted = self.resumes;
        self.sender.until(&format!("resume {wanted}"), |process| {
            (process.stderr().matches("resumed after").count() >= wanted).then_some(())
        });
        self.times.push(began.elapsed());
    }

    /// Ends it in order; the file that arrived is what was fed.
    fn finish(mut self, arrived: &std::path::Path) -> Outcome {
        self.feed();
        self.sender.close_stdin();
        let ended = self.sender.wait().receipt();
        assert_file(arrived, &self.data);
        self.times.sort();
        let worst = self.times.last().copied().unwrap_or_default();
        let median = self.times.get(self.times.len() / 2).copied().unwrap_or_default();
        let Outcome::Passed(seen) = seen(&ended, "done ") else { unreachable!() };
        Outcome::Passed(format!(
            "{} resumes, median {:.2} s, worst {:.2} s   {seen}",
            self.resumes,
            median.as_secs_f64(),
            worst.as_secs_f64()
        ))
    }
}

/// Kills, in the middle of a transfer, the process of this name below the sender.
fn killed(env: &Env, name: &str) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut fed = Fed::start(env, &sshd, &[]);
    fed.feed();
    kill(below(&fed.sender, name), Signal::KILL);
    fed.feed();
    fed.resumed();
    let said = fed.sender.stderr();
    let lost = said.lines().find(|line| line.contains("! link lost")).expect("it says so");
    assert!(lost.contains("Sources keep running"), "{lost}");
    assert_eq!(sshd.receivers().len(), 1, "the receiver has stayed");
    fed.finish(&sshd.arrived("pipe"))
}

pub(crate) fn ssh_killed(env: &Env) -> Outcome {
    killed(env, "ssh")
}

pub(crate) fn sshd_killed(env: &Env) -> Outcome {
    killed(env, "sshd")
}

pub(crate) fn relay_killed(env: &Env) -> Outcome {
    killed(env, "p2")
}

pub(crate) fn ssh_frozen(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut fed = Fed::start(env, &sshd, &["--heartbeat=500ms", "--heartbeat-timeout=2s"]);
    fed.feed();
    let frozen = below(&fed.sender, "ssh");
    kill(frozen, Signal::STOP);
    fed.feed();
    fed.resumed();
    let said = fed.sender.stderr();
    assert!(said.contains("! link lost: no answer for"), "{said}");
    eventually("the frozen ssh is cleared away", || {
        (find(fed.sender.id(), "ssh") != Some(frozen)).then_some(())
    });
    fed.finish(&sshd.arrived("pipe"))
}

pub(crate) fn killed_often(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut fed = Fed::start(env, &sshd, &[]);
    for round in 0..long_or(100, 25) {
        fed.feed();
        kill(below(&fed.sender, ["ssh", "sshd", "p2"][round % 3]), Signal::KILL);
        fed.resumed();
    }
    assert_eq!(sshd.receivers().len(), 1, "{}", sshd.logs());
    eventually("what was left behind is gone", || {
        let mine = std::fs::read_dir(format!("/proc/{}/task", fed.sender.id()));
        mine.ok().filter(|_| count(&fed.sender, "ssh") == 1)
    });
    fed.finish(&sshd.arrived("pipe"))
}

/// The children of this name, zombies included.
fn count(process: &Process, name: &str) -> usize {
    let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter(|entry| {
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1));
        parent == Some(&process.id().to_string()) && stat.contains(&format!("({name})"))
    })
    .count()
}

pub(crate) fn login_lost_for_a_while(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut fed = Fed::start(env, &sshd, &[]);
    fed.feed();
    sshd.authorize(false);
    kill(below(&fed.sender, "ssh"), Signal::KILL);
    let said = fed.sender.say("refused the login");
    let line = said.lines().find(|line| line.contains("refused the login")).expect("said");
    assert!(line.contains("next in 60 s") || line.contains("next in 1 m"), "{line}");
    fed.feed();
    sshd.authorize(true);
    fed.sender.signal(Signal::HUP);
    fed.resumed();
    fed.finish(&sshd.arrived("pipe"))
}

pub(crate) fn forward_killed(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let (receiver, address) = env.recv_dir();
    let mut fed = Fed::start(env, &sshd, &[&address]);
    for name in ["ssh", "sshd", "ssh"] {
        fed.feed();
        kill(below(&fed.sender, name), Signal::KILL);
        fed.resumed();
    }
    let outcome = fed.finish(&env.out("pipe"));
    receiver.wait().exits(0);
    outcome
}

pub(crate) fn receiver_killed(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut fed = Fed::start(env, &sshd, &[]);
    fed.feed();
    let first = || std::fs::read(sshd.arrived("pipe")).ok().filter(|bytes| !bytes.is_empty());
    eventually("the first bytes", first);
    let receiver = *sshd.receivers().first().expect("one was started");
    kill(receiver, Signal::KILL);
    fed.feed();
    let ended = fed.sender.wait().exits(3).says(&["the peer restarted and lost the session"]);
    let said = ended.stderr.split_once("pipe from offset ").expect("an offset").1;
    let offset: usize =
        said.split(' ').next().and_then(|number| number.parse().ok()).expect("a number");
    // What is acknowledged is there; more may be, if the receiver died before it could say so.
    let arrived = std::fs::read(sshd.arrived("pipe")).expect("a file");
    assert!(arrived.len() >= offset, "{} of {offset}", arrived.len());
    let expected = fed.data.get(..arrived.len()).expect("no more than was fed");
    assert_eq!(sha256(&arrived), sha256(expected));
    seen(&ended, "error: ")
}

//! `p2 doctor --ssh`: each step, and a next step for each failure.

use crate::seen;
use crate::support::sshd::Sshd;
use crate::support::table::Outcome;
use crate::support::{Ended, Env};

fn doctor(env: &Env, sshd: &Sshd, arguments: &[&str]) -> Ended {
    let option = format!("--ssh-arg={}", sshd.option());
    env.p2(&[&["doctor", "--ssh=far", &option], arguments].concat()).run()
}

fn steps(ended: &Ended, expected: &[&str]) {
    let text = ended.text();
    for line in expected {
        assert!(text.lines().any(|found| found.starts_with(line)), "no {line:?} in\n{text}");
    }
}

pub(crate) fn healthy(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[&super::refusals::shell("echo Welcome")]);
    let ended = doctor(env, &sshd, &[]).exits(0);
    steps(
        &ended,
        &[
            "ok    ssh         OpenSSH",
            "ok    config      ",
            "ok    login       in ",
            "ok    p2 there    p2 ",
            "warn  shell       the login shell prints something first, which is skipped: Welcome",
            "ok    receiver    p2/",
            "ok    handshake   with p2/",
            "ok    codecs      ",
            "ok    round trip  best ",
            "ok    end         the session ended in order",
            "ok    throughput  ssh alone ",
            "ok    limits      ",
        ],
    );
    let left = std::fs::read_dir(sshd.home().join("p2-received")).into_iter().flatten().count();
    assert_eq!(left, 0, "it leaves no file");
    seen(&ended, "throughput")
}

pub(crate) fn ill(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let next = "                  next: ";
    sshd.know("other");
    let ended = doctor(env, &sshd, &[]).exits(5);
    steps(&ended, &["ok    config", "FAIL  login       the host key of far is not", next]);
    sshd.know("host");
    let ended = doctor(env, &sshd, &["--remote-p2=/nowhere/p2", "--ssh-mode=attach"]).exits(4);
    steps(&ended, &["ok    login", "FAIL  p2 there    far has no `/nowhere/p2`", next]);
    let ended = doctor(env, &sshd, &["127.0.0.1:1"]).exits(4);
    steps(&ended, &["FAIL  receiver    nothing listens on 127.0.0.1:1 at far", next]);
    let ended = doctor(env, &sshd, &["--ssh-arg=-oStdinNull=yes"]);
    steps(&ended, &["warn  config      the configuration has stdinnull yes"]);
    sshd.authorize(false);
    let ended = doctor(env, &sshd, &[]).exits(5);
    steps(&ended, &["FAIL  login       far refused the login", next, "ok    limits"]);
    seen(&ended, "FAIL")
}

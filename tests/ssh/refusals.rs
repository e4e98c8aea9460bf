//! What cannot be cured by trying again: the words, the next step, the exit code.

use std::time::{Duration, Instant};

use crate::seen;
use crate::support::sshd::Sshd;
use crate::support::table::Outcome;
use crate::support::{Ended, Env};

/// One attempt, which must fail with this exit code.
fn refused(env: &Env, sshd: &Sshd, arguments: &[&str], code: i32, words: &[&str]) -> Ended {
    let line = [&["--gen=1", "--retry-limit=1"], arguments].concat();
    let ended = sshd.send(env, &line).run().exits(code).says(&["error: ", "next: "]).says(words);
    assert!(ended.stdout.is_empty(), "errors go to stderr");
    ended
}

/// A login shell that runs `first` before the command, whatever shell the user has.
pub(crate) fn shell(first: &str) -> String {
    format!("ForceCommand {first}; eval \"$SSH_ORIGINAL_COMMAND\"")
}

pub(crate) fn no_forwarding_forward(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &["AllowTcpForwarding no"]);
    let words = ["far does not allow a connection to 127.0.0.1:1", "--ssh-mode attach"];
    seen(&refused(env, &sshd, &["127.0.0.1:1"], 5, &words), "error: ")
}

pub(crate) fn nobody_listens(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let words =
        ["nothing listens on 127.0.0.1:1 at far", "next: start the receiver there: `p2 recv`"];
    seen(&refused(env, &sshd, &["127.0.0.1:1"], 4, &words), "error: ")
}

pub(crate) fn endless_noise(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &["ForceCommand yes 'buy now'"]);
    let words = ["far says too much before P2 answers; it said: buy now\\nbuy now"];
    seen(&refused(env, &sshd, &[], 4, &words), "error: ")
}

pub(crate) fn noise_alone(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &["ForceCommand printf 'Closed on \\033[1msundays\\n'"]);
    let words = ["the command at far ended without a word of P2", "Closed on \\x1b[1msundays"];
    seen(&refused(env, &sshd, &[], 4, &words), "error: ")
}

pub(crate) fn unknown_host_key(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    std::fs::write(sshd.file("known"), "").expect("written");
    let words = ["the host key of far is not known here", "next: run `ssh far` once"];
    seen(&refused(env, &sshd, &[], 5, &words), "error: ")
}

pub(crate) fn changed_host_key(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    sshd.know("other");
    let words = ["the host key of far is not the one that is known here", "ssh-keygen -R far"];
    seen(&refused(env, &sshd, &[], 5, &words), "error: ")
}

pub(crate) fn wrong_key(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    sshd.authorize(false);
    let words = ["far refused the login: ", "Permission denied (publickey)", "ssh-add"];
    seen(&refused(env, &sshd, &[], 5, &words), "error: ")
}

pub(crate) fn no_program(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let line = ["--remote-p2=~/not here/p2", "--ssh-mode=attach"];
    let words = ["far has no `~/not here/p2`", "--remote-p2 PATH"];
    seen(&refused(env, &sshd, &line, 4, &words), "error: ")
}

pub(crate) fn another_program(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let line = ["--remote-p2=/bin/ls"];
    let words = ["the p2 of far does not know `recv --attach`", "the same version on both sides"];
    seen(&refused(env, &sshd, &line, 5, &words), "error: ")
}

pub(crate) fn no_directory(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let line = ["--remote-dir=/proc/nowhere"];
    let words = ["p2 at far says: ", "the receiver did not start: /proc/nowhere"];
    seen(&refused(env, &sshd, &line, 4, &words), "error: ")
}

pub(crate) fn no_ssh(env: &Env) -> Outcome {
    let line = ["send", "--ssh=far", "--gen=1", "--retry-limit=1"];
    let ended = env.p2(&line).env("PATH", "/nowhere").run().exits(4);
    let words = ["no way to far: ", "cannot start ssh", "next: install the OpenSSH client"];
    seen(&ended.says(&words), "error: ")
}

pub(crate) fn unknown_option(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let line = ["--ssh-arg=-oNonsense=1"];
    let words = ["ssh cannot use its settings: ", "Bad configuration option: nonsense"];
    seen(&refused(env, &sshd, &line, 2, &words), "error: ")
}

pub(crate) fn dash(env: &Env) -> Outcome {
    for host in ["-oProxyCommand=touch pwned", "me@-oProxyCommand=x"] {
        let ended = env.p2(&["send", "--ssh", host, "--gen=1"]).run().exits(2);
        ended.says(&["a host does not begin with a dash", "next: "]);
    }
    // And what looks like a host, but is a command to a shell, is not.
    let ended = env.p2(&["send", "--ssh=a;touch pwned", "--gen=1", "--retry-limit=1"]).run();
    assert_eq!(ended.code, Some(2));
    assert!(!env.path("pwned").exists());
    let ended = env.p2(&["send", "--ssh", "-oProxyCommand=x", "--gen=1"]).run().exits(2);
    seen(&ended, "error: ")
}

pub(crate) fn no_login_storm(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    sshd.authorize(false);
    let began = Instant::now();
    let mut sender = sshd.send(env, &["--gen=1"]).start();
    let said = sender.say("refused the login");
    let line = said.lines().find(|line| line.contains("refused the login")).expect("said");
    assert!(line.contains("next in 60 s") || line.contains("next in 1 m"), "{line}");
    std::thread::sleep(Duration::from_secs(3));
    let log = std::fs::read_to_string(sshd.file("sshd.log")).expect("a log");
    let attempts = log.matches("Connection from").count();
    assert_eq!(attempts, 1, "in {:?}: {log}", began.elapsed());
    // Somebody acts: SIGHUP does not wait for the minute.
    sshd.authorize(true);
    sender.signal(crate::support::Signal::HUP);
    sender.say("connected");
    sender.signal(crate::support::Signal::TERM);
    sender.wait().exits(0);
    Outcome::Passed(format!("1 login in 3 s   {}", line.trim()))
}

//! With a terminal: ssh may ask, and what cannot be cured is the last word.

use std::process::Command;

use crate::support::sshd::{HOST, Sshd};
use crate::support::table::Outcome;
use crate::support::{Ended, Env, Process, Program, eventually, skip};

/// `p2 send` on a terminal made by `script`, which copies its own input to it.
fn on_a_terminal(env: &Env, sshd: &Sshd, arguments: &[&str]) -> Option<Process> {
    if Command::new("script").arg("--version").output().is_err() {
        skip("script", "there is no `script` to make a terminal");
        return None;
    }
    let p2 = env!("CARGO_BIN_EXE_p2");
    let option = sshd.option();
    let line = format!(
        "stty -echo; exec '{p2}' send --ssh={HOST} '--ssh-arg={option}' --session=s \
         --progress=plain {}",
        arguments.join(" ")
    );
    let line = ["-q", "-e", "-f", "-c", &line, "/dev/null"];
    let program = Program::at("script".as_ref(), &env.path(""), line);
    Some(program.env("TERM", "xterm").pipe().start())
}

fn no_script() -> Outcome {
    Outcome::Skipped("there is no `script`".to_owned())
}

fn line_of(ended: &Ended, words: &str) -> String {
    let text = ended.text();
    let found = text.lines().find(|line| line.contains(words)).map(|line| line.trim().to_owned());
    found.unwrap_or_else(|| panic!("no {words:?} in {text}"))
}

pub(crate) fn stops_at_once(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    sshd.authorize(false);
    let Some(mut sender) = on_a_terminal(env, &sshd, &["--gen=1"]) else { return no_script() };
    // The terminal stays open until it has ended.
    let _input = sender.take_stdin();
    eventually("its end", || sender.poll().then_some(()));
    let ended = sender.wait();
    assert_eq!(ended.code, Some(5), "{}", ended.text());
    let line = line_of(&ended, "refused the login");
    Outcome::Passed(format!("exit 5   {line}"))
}

pub(crate) fn asked_once(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    std::fs::write(sshd.file("known"), "").expect("written");
    let line = ["--gen=load=streams=1,count=3,rate=10/s"];
    let Some(mut sender) = on_a_terminal(env, &sshd, &line) else { return no_script() };
    let mut input = sender.take_stdin();
    sender.print("Are you sure you want to continue connecting");
    std::io::Write::write_all(&mut input, b"yes\n").expect("typed");
    sender.until("the end", |process| {
        String::from_utf8_lossy(&process.stdout()).contains("all acknowledged").then_some(())
    });
    let ended = sender.wait().exits(0);
    assert_eq!(ended.text().matches("Are you sure").count(), 1, "{}", ended.text());
    let known = std::fs::read_to_string(sshd.file("known")).expect("a list");
    assert!(known.contains(HOST), "ssh has learnt the key: {known}");
    Outcome::Passed(format!("exit 0   {}", line_of(&ended, "Are you sure")))
}

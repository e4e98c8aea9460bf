//! `p2 status`, `p2 top` and `p2 sessions` look at real processes through their control sockets.

mod support;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use support::{Cut, Ended, Env, Process, Program, Relay, eventually, log, skip};

/// The control sockets of the processes of a test.
fn sockets(env: &Env) -> Vec<PathBuf> {
    let entries = fs::read_dir(env.path("p2/control")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

/// `p2 status --json`, one value a process, the receiver first.
fn statuses(env: &Env) -> Vec<Value> {
    let ended = env.p2(&["status", "--json"]).run();
    let text = ended.text();
    let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"));
    let mut all: Vec<Value> = text.lines().map(read).collect();
    all.sort_by_key(|status| status["roles"][0] != "recv");
    all
}

/// Waits until the process with this role says so.
fn status_with(env: &Env, role: &str, what: &str, check: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || statuses(env).into_iter().find(|one| one["roles"][0] == role && check(one)))
}

fn session(status: &Value) -> &Value {
    &status["sessions"][0]
}

/// A receiver into `out`, a relay, and a sender of a followed file of this many bytes.
fn following(env: &Env, size: usize) -> (Process, Relay, Process) {
    let (receiver, address) = env.recv(&["--dir=out", "--drain-timeout=5s"]);
    let relay = Relay::to(&address, 1);
    env.write("app.log", &log(1, size));
    let line = ["--tail=app=app.log", "--prio=app=high", "--drain-timeout=5s"];
    let sender = env.send(&relay.address(), &line).start();
    status_with(env, "recv", "all of the file", |status| {
        session(status)["raw_bytes"] == size && session(status)["unacked_bytes"] == 0
    });
    (receiver, relay, sender)
}

#[test]
fn both_ends_tell_what_was_sent() {
    let env = Env::new();
    let (_receiver, relay, sender) = following(&env, 300_000);
    let sent = status_with(&env, "send", "all acknowledged", |status| {
        session(status)["unacked_bytes"] == 0 && session(status)["raw_bytes"] == 300_000
    });
    assert_eq!(sent["schema"], 1);
    assert_eq!(sent["pid"], sender.id());
    assert_eq!(sent["healthy"], true);
    assert_eq!(session(&sent)["name"], "s");
    assert_eq!(session(&sent)["peer"], relay.address());
    assert_eq!(session(&sent)["state"], "up");
    let stream = &session(&sent)["streams"][0];
    for (field, value) in [("name", "app"), ("priority", "high"), ("state", "open")] {
        assert_eq!(stream[field], value, "{stream}");
    }
    assert_eq!(stream["acked_bytes"], 300_000);
    assert!(stream["ratio"].as_f64() > Some(2.0), "{stream}");
    assert_eq!(session(&sent)["sources"][0]["backlog_bytes"], 0);

    let all = statuses(&env);
    let received = &all[0];
    assert_eq!(all.len(), 2, "{all:?}");
    assert_eq!(received["listeners"][0]["sessions"], 1);
    assert_eq!(session(received)["streams"][0]["acked_bytes"], 300_000);
    assert_eq!(received["sinks"][0]["kind"], "dir");
    assert_eq!(received["sinks"][0]["bytes"], 300_000);

    let text = env.p2(&["status"]).run().exits(0).text();
    for words in
        ["p2 recv   process ", "p2 send   process ", "session s (#1) to ", "writing to out"]
    {
        assert!(text.contains(words), "{words}: {text}");
    }
    let one = env.p2(&["status", "--json", &sender.id().to_string()]).run().exits(0);
    assert_eq!(one.text().lines().count(), 1);
    for path in sockets(&env) {
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
    let dir = fs::metadata(env.path("p2/control")).expect("there");
    assert_eq!(dir.permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_check_follows_an_outage_and_its_end() {
    let env = Env::new();
    let (_receiver, relay, _sender) = following(&env, 1_000);
    let check = || env.p2(&["status", "--check"]).run();
    let ended = check().exits(0);
    assert_eq!(ended.text(), "", "nothing to say");

    relay.refuse();
    relay.cut(Cut::Rst);
    let down = status_with(&env, "send", "an outage", |one| session(one)["state"] == "down");
    assert_eq!(down["healthy"], false);
    assert!(session(&down)["reason"].is_string() && session(&down)["attempt"].as_u64() > Some(0));
    status_with(&env, "recv", "the other end's view", |one| session(one)["state"] == "down");
    let ended = check().exits(1);
    assert_eq!(ended.text().matches("session s: no link for ").count(), 2, "{}", ended.text());
    let text = env.p2(&["status"]).run().exits(0).text();
    assert!(text.contains("DOWN for ") && text.contains("waiting for the sender"), "{text}");

    relay.heal();
    let up = status_with(&env, "send", "a resume", |one| session(one)["state"] == "up");
    assert!(session(&up)["reconnects"].as_u64() > Some(0));
    status_with(&env, "recv", "the other end's view", |one| one["healthy"] == true);
    check().exits(0);
}

#[test]
fn when_nothing_runs_the_exit_code_says_so() {
    let env = Env::new();
    for line in [&["status"] as &[&str], &["status", "--check"], &["top"], &["sessions", "list"]] {
        env.p2(line).run().exits(4).says(&["no `p2 send` and no `p2 recv` of this user runs"]);
    }
    env.p2(&["status", "1"]).run().exits(4).says(&["process 1 is no `p2 send` or `p2 recv`"]);
    env.p2(&["status", "./nowhere"]).run().exits(4);
}

#[test]
fn a_session_that_is_dropped_ends_in_order() {
    let env = Env::new();
    let (_receiver, _relay, sender) = following(&env, 50_000);
    let list = env.p2(&["sessions", "list"]).run().exits(0).text();
    assert_eq!(list.lines().count(), 3, "headings and two ends: {list}");
    env.p2(&["sessions", "drop", "nobody"]).run().exits(1).says(&["no session nobody"]);
    let own = sender.id().to_string();
    env.p2(&["sessions", "drop", "s", &own]).run().exits(1).says(&["belongs to a sender"]);
    // Of that name on both sides, it is the receiver's.
    let told = env.p2(&["sessions", "drop", "s"]).run().exits(0).text();
    assert_eq!(told, "session s is told to end\n");
    // A followed file has no end: after --drain-timeout it is cut off, and says so.
    let ended = sender.wait();
    assert_ne!(ended.code, Some(0), "{}", ended.stderr);
    assert!(ended.stderr.contains("dropped at the receiver"), "{}", ended.stderr);
    status_with(&env, "recv", "no session", |one| {
        one["sessions"].as_array().is_some_and(Vec::is_empty)
    });
    assert_eq!(fs::read(env.out("app")).expect("delivered").len(), 50_000);
}

#[test]
fn a_dropped_session_may_finish_its_streams() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out"]);
    let mut sender = env.send(&address, &["--stdin=in"]).pipe().start();
    sender.write(b"before\n");
    status_with(&env, "recv", "a stream", |one| session(one)["raw_bytes"] == 7);
    let pid = receiver.id().to_string();
    env.p2(&["sessions", "drop", "s", &pid]).run().exits(0);
    sender.say("takes no new streams");
    sender.write(b"after\n");
    sender.close_stdin();
    sender.wait().receipt();
    receiver.wait().receipt();
    assert_eq!(fs::read(env.out("in")).expect("delivered"), b"before\nafter\n");
}

#[test]
fn what_the_dead_leave_is_removed() {
    let env = Env::new();
    let (mut receiver, _) = env.recv(&[]);
    assert_eq!(sockets(&env).len(), 1);
    receiver.kill();
    assert_eq!(sockets(&env).len(), 1, "it had no time to tidy up");
    env.p2(&["status"]).run().exits(4);
    assert!(sockets(&env).is_empty());
    let (receiver, _) = env.recv(&[]);
    receiver.signal(support::Signal::TERM);
    receiver.wait();
    assert!(sockets(&env).is_empty(), "it tidied up");
}

#[test]
fn the_socket_can_be_elsewhere_or_nowhere_and_never_stops_the_program() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--control=own.sock", "--once"]);
    let text = env.p2(&["status", "./own.sock"]).run().exits(0).text();
    assert!(text.contains(&format!("listening on {address}")), "{text}");
    env.p2(&["status"]).run().exits(4);
    drop(receiver);

    let (quiet, _) = env.recv(&["--control=off"]);
    assert!(!quiet.stderr().contains("control"), "{}", quiet.stderr());
    assert!(sockets(&env).is_empty());

    env.write("taken", b"a file");
    let (receiver, address) = env.recv(&["--once", "--dir=out", "--control=taken"]);
    env.write("in", b"hello");
    let line = ["--file=in", "--control=/nonexistent/dir/socket"];
    let sender = env.send(&address, &line).run().receipt();
    sender.says(&["! no control socket: "]);
    let ended = receiver.wait().receipt();
    assert_eq!(ended.stderr.matches("! no control socket: ").count(), 1, "{}", ended.stderr);
    assert_eq!(fs::read(env.path("taken")).expect("untouched"), b"a file");
}

#[test]
fn a_retry_can_be_asked_for_over_the_socket() {
    let env = Env::new();
    let line = ["send", "127.0.0.1:1", "--gen=1", "--retry-min=1h", "--retry-max=1h"];
    let mut sender = env.p2(&[&line[..], &["--control=c"]].concat()).start();
    let stream = eventually("its socket", || UnixStream::connect(env.path("c")).ok());
    status_of(&env, "c", "a wait", |one| session(one)["attempt"].as_u64() >= Some(2));
    let before = sender.stderr();
    (&stream).write_all(b"{\"request\":\"retry\"}\n").expect("written");
    let mut answer = String::new();
    BufReader::new(&stream).read_line(&mut answer).expect("an answer");
    assert_eq!(answer, "{\"ok\":true,\"message\":\"1 session told to dial now\"}\n");
    status_of(&env, "c", "another attempt", |one| session(one)["attempt"].as_u64() >= Some(3));
    assert!(sender.stderr().len() >= before.len());
    sender.kill();
}

fn status_of(env: &Env, socket: &str, what: &str, check: impl Fn(&Value) -> bool) -> Value {
    eventually(what, || {
        let ended = env.p2(&["status", "--json", &format!("./{socket}")]).run();
        serde_json::from_str(ended.text().trim()).ok().filter(|value| check(value))
    })
}

#[test]
fn top_without_a_terminal_prints_one_table_a_look() {
    let env = Env::new();
    let (_receiver, _relay, _sender) = following(&env, 100_000);
    let text = env.p2(&["top", "--interval=200ms", "--count=3"]).run().exits(0).text();
    assert_eq!(text.matches("p2 top   ").count(), 3, "{text}");
    assert!(!text.contains('\u{1b}'), "{text}");
    let last = text.rsplit("p2 top   ").next().expect("a look");
    assert!(last.contains("2 sessions   2 streams"), "{last}");
    let row = last.lines().find(|line| line.contains(" app ")).expect("a stream");
    for cell in ["high", "open", "97.7 KiB", "0 B/s", "0 s"] {
        assert!(row.contains(cell), "{cell}: {row}");
    }
}

/// `p2 top` on a terminal made by `script`, which copies its own input to it.
fn top_on_a_terminal(env: &Env) -> Option<Process> {
    if Command::new("script").arg("--version").output().is_err() {
        skip("script", "there is no `script` to make a terminal");
        return None;
    }
    let p2 = env!("CARGO_BIN_EXE_p2");
    let line = format!(
        "stty rows 30 cols 160; before=$(stty -g); '{p2}' top --interval 200ms; \
         echo \"exit $?\"; test \"$before\" = \"$(stty -g)\" && echo restored"
    );
    let line = ["-q", "-e", "-f", "-c", &line, "/dev/null"];
    Some(Program::at("script".as_ref(), &env.path(""), line).env("TERM", "xterm").pipe().start())
}

fn keys_end_it(key: &[u8], exit: &str) {
    let env = Env::new();
    let (_receiver, _relay, _sender) = following(&env, 100_000);
    let Some(mut top) = top_on_a_terminal(&env) else { return };
    // Drawn twice on the other screen, from its upper left corner.
    top.until("two looks", |process| {
        let text = String::from_utf8_lossy(&process.stdout()).into_owned();
        (text.matches("\u{1b}[H").count() >= 2 && text.contains(" app ")).then_some(())
    });
    top.write(b"x");
    top.write(key);
    top.print("restored");
    let ended: Ended = top.wait().exits(0);
    let text = ended.text();
    assert!(text.contains(exit), "{text}");
    let (enter, leave) = ("\u{1b}[?1049h\u{1b}[?25l", "\u{1b}[?25h\u{1b}[?1049l");
    assert!(text.find(enter) < text.find(leave) && text.contains(leave), "{text}");
}

#[test]
fn top_on_a_terminal_ends_with_q_and_leaves_it_as_it_was() {
    keys_end_it(b"q", "exit 0");
}

#[test]
fn top_on_a_terminal_ends_with_ctrl_c_and_leaves_it_as_it_was() {
    keys_end_it(&[3], "exit 130");
}

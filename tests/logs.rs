//! What is said while it runs: levels, forms, escaping, and how often the same failure is told.

mod support;

use std::net::TcpListener;

use serde_json::Value;
use support::{Cut, Env, Process, Relay, Signal, eventually};

/// Every line of stderr, each of which must be a JSON object.
#[track_caller]
fn objects(said: &str) -> Vec<Value> {
    let read = |line: &str| {
        let object: Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
        for key in ["timestamp", "level", "message"] {
            assert!(object[key].is_string(), "no {key}: {line}");
        }
        assert!(!line.chars().any(char::is_control), "{line:?}");
        object
    };
    said.lines().map(read).collect()
}

/// A port on which nothing listens yet.
fn free() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").to_string()
}

/// The numbers of the attempts that were told.
fn told(said: &str, begin: &str) -> Vec<u32> {
    let lines = said.lines().filter(|line| line.starts_with(begin));
    let number = |line: &str| {
        let (_, rest) = line.split_once("   attempt ").expect("a number");
        rest.split(',').next().and_then(|n| n.parse().ok()).expect("a number")
    };
    lines.map(number).collect()
}

/// A session with a little traffic that does not end by itself, through a relay.
fn session(env: &Env, flags: &[&str]) -> (Process, Process, Relay) {
    let (receiver, address) = env.recv(&["--format=name"]);
    let relay = Relay::to(&address, 7);
    let mut line = vec!["--gen=load=rate=20/s"];
    line.extend(flags);
    let mut sender = env.send(&relay.address(), &line).start();
    sender.say("connected");
    (sender, receiver, relay)
}

#[test]
fn a_failure_that_repeats_is_told_first_then_every_tenth_time_and_once_when_it_is_over() {
    let env = Env::new();
    let address = free();
    let flags = ["--gen=load=rate=20/s", "--retry-min=1ms", "--retry-max=5ms"];
    let line: Vec<&str> = ["send", &address, "--session=s"].into_iter().chain(flags).collect();
    let mut sender = env.p2(&line).start();
    let said = sender.say("attempt 40,");
    let numbers = told(&said, "! no link yet");
    assert_eq!(&numbers[..5], &[1, 10, 20, 30, 40], "{said}");

    let mut receiver = env.p2(&["recv", &address, "--format=name"]).start();
    let said = sender.say("connected");
    let numbers = told(&said, "! no link yet");
    let tenths = numbers.iter().skip(1).enumerate().all(|(at, n)| *n == 10 * (at as u32 + 1));
    assert!(tenths && said.matches("connected ").count() == 1, "{said}");

    // The same once a session has lost its link: with the outage, and one line when it is over.
    receiver.print("[load] ");
    receiver.kill();
    let said = sender.say("! still no link");
    assert_eq!(said.matches("! link lost").count(), 1, "{said}");
    let numbers = sender.until("the twentieth attempt", |sender| {
        let numbers = told(&sender.stderr(), "! still no link");
        (numbers.last() >= Some(&20)).then_some(numbers)
    });
    assert_eq!(&numbers[..3], &[1, 10, 20]);
}

#[test]
fn an_outage_is_told_with_its_length_and_ends_with_one_line() {
    let env = Env::new();
    let (mut sender, _receiver, relay) = session(&env, &[]);
    relay.refuse();
    relay.cut(Cut::Rst);
    let said = sender.until("an outage of a second", |sender| {
        let said = sender.stderr();
        let lines = said.lines().filter(|line| line.starts_with("! still no link after "));
        (lines.count() > 0).then_some(said)
    });
    let lost = said.matches("! link lost").count();
    relay.heal();
    let said = sender.say("resumed after ");
    assert_eq!((lost, said.matches("resumed after ").count()), (1, 1), "{said}");
    for n in told(&said, "! still no link") {
        assert!(n == 1 || n % 10 == 0, "{said}");
    }
}

#[test]
fn the_level_is_chosen_by_flags_by_a_variable_or_by_a_filter() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--format=name"]);
    let line = ["--gen=load=count=3,rate=1000/s"];
    let said = |flags: &[&str], variable: Option<&str>| {
        let program = env.send(&address, &[&line, flags].concat());
        let program = match variable {
            Some(value) => program.env("P2_LOG", value),
            None => program,
        };
        program.run().exits(0).stderr
    };
    let debugs = |said: &str| said.lines().any(|line| line.contains(" DEBUG "));
    assert!(!debugs(&said(&[], None)));
    assert!(debugs(&said(&["-vv"], None)));
    assert!(debugs(&said(&["--log=debug"], None)));
    assert!(debugs(&said(&[], Some("debug"))));
    assert!(!debugs(&said(&["--log=warning"], Some("debug"))), "a flag goes first");
    assert!(!debugs(&said(&["--log=debug,p2_cli=error,p2_transport=error"], None)));
    let quiet = said(&["-q"], None);
    assert_eq!(quiet, "", "nothing went wrong, so nothing is said");
    env.send(&address, &["--log=loud"]).run().exits(2).says(&["--log loud", "`loud` is no level"]);
}

#[test]
fn the_level_changes_while_it_runs() {
    let env = Env::new();
    let (mut sender, _receiver, relay) = session(&env, &[]);
    let quiet = sender.stderr();
    assert!(!quiet.contains(" DEBUG "), "{quiet}");
    for level in ["info", "debug"] {
        sender.signal(Signal::USR1);
        sender.say(&format!("log level: {level}"));
    }
    relay.cut(Cut::Rst);
    let said = sender.until("a line of the new level", |sender| {
        let said = sender.stderr();
        (said.contains(" DEBUG ") && said.contains("resumed after")).then_some(said)
    });
    for level in ["info", "warn"] {
        sender.signal(Signal::USR2);
        sender.until("less", |sender| {
            let said = sender.stderr();
            let last = said.lines().rfind(|line| line.starts_with("log level: "));
            (last == Some(&format!("log level: {level}"))).then_some(())
        });
    }
    let before = sender.stderr().matches(" DEBUG ").count();
    relay.cut(Cut::Rst);
    sender.until("the second resume", |sender| {
        (sender.stderr().matches("resumed after").count() == 2).then_some(())
    });
    assert_eq!(sender.stderr().matches(" DEBUG ").count(), before, "{said}");
}

#[test]
fn with_json_every_line_is_an_object() {
    let env = Env::new();
    let line = ["recv", "127.0.0.1:0", "--format=name", "--log-format=json", "-vv"];
    let mut receiver = env.p2(&line).start();
    let address = receiver.until("its address", |receiver| {
        let said = receiver.stderr();
        let (_, rest) = said.split_once("listening on ")?;
        Some(rest.split_once('"')?.0.to_owned())
    });
    let relay = Relay::to(&address, 7);
    let name = "se\u{1b}[2Jss\u{9b}\u{202e}ion";
    let session = format!("--session={name}");
    let flags = ["send", "--log-format=json", "--log=debug", "--gen=load=rate=50/s", &session];
    let address = relay.address();
    let mut line: Vec<&str> = flags.to_vec();
    line.extend([address.as_str(), "--retry-min=20ms", "--retry-max=50ms"]);
    let mut sender = env.p2(&line).start();
    sender.say("connected");
    relay.cut(Cut::Rst);
    sender.say("resumed after");
    sender.signal(Signal::TERM);
    let ended = sender.wait();
    let all = objects(&ended.stderr);
    let level = |words: &str| {
        let found = all.iter().find(|one| one["message"].as_str().expect("text").contains(words));
        found.unwrap_or_else(|| panic!("no {words:?} in {}", ended.stderr))["level"].clone()
    };
    assert_eq!(level("! link lost: "), "WARN");
    assert_eq!(level("resumed after "), "INFO");
    assert_eq!(level("link lost"), "DEBUG", "the library's own event");
    let receiver = {
        receiver.signal(Signal::TERM);
        receiver.wait()
    };
    let shown = objects(&receiver.stderr).iter().any(|one| {
        one["message"].as_str().expect("text").contains("session se\\x1b[2Jss\\u{9b}\\u{202e}ion")
    });
    assert!(shown, "the peer's name is shown, escaped:\n{}", receiver.stderr);

    let failed = env.p2(&["send", "--log-format=json", &free(), "--gen=1", "--retry-limit=1"]);
    let failed = failed.run().exits(4);
    let last = objects(&failed.stderr).pop().expect("an error");
    assert_eq!(last["level"], "ERROR");
    assert!(last["message"].as_str().expect("text").contains("next: start the receiver"), "{last}");
}

#[test]
fn a_peers_text_acts_on_no_terminal_in_text_either() {
    let env = Env::new();
    let (mut receiver, address) = env.recv(&["--dir=out", "-vvv"]);
    let name = "--session=\u{1b}]0;owned\u{7}\nforged: line";
    let line = ["send", &address, name, "--file=x=none", "--gen=load=count=2,rate=100/s"];
    env.p2(&line).run().exits(7);
    eventually("the session's end", || {
        receiver.poll();
        receiver.stderr().contains("done   ").then_some(())
    });
    let said = receiver.stderr();
    assert!(said.contains("session \\x1b]0;owned\\x07\\nforged: line"), "{said}");
    assert!(!said.lines().any(|line| line.starts_with("forged")), "{said}");
    assert!(!said.chars().any(|c| c.is_control() && c != '\n'), "{said:?}");
}

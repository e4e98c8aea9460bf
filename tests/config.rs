//! The configuration file: checked, explained, run, and read again while bytes flow.

mod support;

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use support::{Env, Process, Signal, assert_same, eventually, log, random};

/// Appends to a file that is followed.
fn append(path: &Path, bytes: &[u8]) {
    let mut file = OpenOptions::new().append(true).create(true).open(path).expect("the log");
    file.write_all(bytes).expect("appended");
}

/// Waits until a delivered file holds exactly `expected`.
#[track_caller]
fn delivered(path: &Path, expected: &[u8]) {
    eventually(&format!("{} holds {} bytes", path.display(), expected.len()), || {
        fs::read(path).is_ok_and(|found| found.len() >= expected.len()).then_some(())
    });
    assert_same(&path.display().to_string(), &fs::read(path).expect("it is there"), expected);
}

/// Starts `p2 run` on a file of this text.
fn run(env: &Env, text: &str) -> Process {
    env.write("p2.toml", text.as_bytes());
    env.p2(&["run", "--config=p2.toml"]).start()
}

/// Writes the file anew and has it read.
fn reload(env: &Env, process: &Process, text: &str) {
    env.write("p2.toml", text.as_bytes());
    process.signal(Signal::HUP);
}

#[test]
fn the_file_that_init_prints_is_valid_and_says_the_defaults() {
    let env = Env::new();
    let init = env.p2(&["config", "init"]).run().exits(0);
    env.write("p2.toml", &init.stdout);
    let checked = env.p2(&["config", "check", "p2.toml"]).run().exits(0);
    assert_eq!(checked.text(), "p2.toml is valid: no session and no receiver\n");
    let with = env.p2(&["config", "show", "--config=p2.toml"]).run().exits(0);
    let without = env.p2(&["config", "show", "--config=/dev/null"]).run().exits(0);
    assert_eq!(with.text(), without.text(), "nothing but defaults");
    assert!(init.text().contains("heartbeat = \"5s\"\n"), "{}", init.text());
}

#[test]
fn the_file_in_the_readme_is_valid() {
    let env = Env::new();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md"));
    let readme = readme.expect("the README");
    let (_, rest) = readme.split_once("```toml\nheartbeat").expect("a file");
    let (file, _) = rest.split_once("```").expect("its end");
    let token = env.token("token", "0123456789abcdef0123456789abcdef");
    env.write("p2.toml", format!("heartbeat{}", file.replace("/etc/p2/token", &token)).as_bytes());
    let checked = env.p2(&["config", "check", "p2.toml"]).run().exits(0);
    assert_eq!(checked.text(), "p2.toml is valid: web1-logs, from-the-lan\n");
}

#[test]
fn what_is_wrong_with_a_file_is_said_with_its_place() {
    let env = Env::new();
    for (text, words) in [
        ("hartbeat = \"5s\"\n", &["p2.toml:1:1: ", "did you mean `heartbeat`?"] as &[&str]),
        ("a = 1\nb = 2\n", &["p2.toml:1:1: ", "p2.toml:2:1: "]),
        ("heartbeat = 5\n[[recv]]\n", &["p2.toml:1:13: heartbeat: ", "did you mean `5s`?"]),
        ("[[recv]]\nack = \"synced\"\n", &["p2.toml:2:7: --ack synced needs files"]),
        ("[[send]]\n", &["p2.toml:1:1: this session has nothing to send", "[[send.stream]]"]),
        (
            "[[send]]\nheartbeat = \"20s\"\n[[send.stream]]\nfile = \"x\"\n",
            &["p2.toml:2:13: --heartbeat-timeout must be longer than --heartbeat"],
        ),
        (
            "[[send]]\n[[send.stream]]\nname = \"a\"\nfile = \"x\"\nprio = \"first\"\n",
            &["p2.toml:5:8: prio: `first` is no priority"],
        ),
        ("[[recv]]\n[[recv]]\n", &["two [[recv]] are named `127.0.0.1:9000`"]),
        (
            "[[recv]]\n[[recv]]\nlisten = \"127.0.0.1:1\"\n",
            &["two receivers would mix their data on stdout"],
        ),
        ("[[recv]]\nlisten = \"0.0.0.0:1\"\n", &["p2.toml:1:1: ", "--token-file"]),
        ("[doctor]\nheartbeat = \"x\"\n", &["p2.toml:2:13: heartbeat: "]),
        ("x = [\n", &["p2.toml:1:6: unclosed array"]),
    ] {
        env.write("p2.toml", text.as_bytes());
        let ended = env.p2(&["config", "check", "p2.toml"]).run().exits(2).says(words);
        assert!(ended.stdout.is_empty(), "{text}");
    }
    env.p2(&["config", "check", "none.toml"]).run().exits(2).says(&["cannot read none.toml"]);
    env.p2(&["run"]).run().exits(2).says(&["no configuration file", "p2 config init >"]);
}

#[test]
fn show_names_the_origin_of_each_setting_and_prints_a_file() {
    let env = Env::new();
    let text = "buffer = \"8MiB\"\nheartbeat = \"2s\"\n[[recv]]\ndir = \"in\"\nheartbeat = \"3s\"\n\
                [[send]]\nsession = \"web\"\n[[send.stream]]\nname = \"app\"\ntail = \"a.log\"\nid = 7\n";
    env.write("p2.toml", text.as_bytes());
    let line = ["config", "show", "--origin", "--config=p2.toml", "--max-streams=9"];
    let program = env.p2(&line).env("P2_DRAIN_TIMEOUT", "4s").env("P2_BUFFER", "9MiB");
    let shown = program.run().exits(0).text();
    let (top, rest) = shown.split_once("\n[[send]]\n").expect("a session");
    let (send, recv) = rest.split_once("\n[[recv]]\n").expect("a receiver");
    for (part, expected) in [
        (top, "max-streams = 9  # flag\n"),
        (top, "drain-timeout = \"4s\"  # environment P2_DRAIN_TIMEOUT\n"),
        (top, "buffer = \"9MiB\"  # environment P2_BUFFER\n"),
        (top, "heartbeat = \"2s\"  # p2.toml:2\n"),
        (top, "connect-timeout = \"10s\"  # default\n"),
        (top, "#retry-limit =  # default: not set\n"),
        (send, "heartbeat = \"2s\"  # p2.toml:2\n"),
        (send, "max-streams = 9  # flag\n"),
        (send, "tail = [\n  \"app=a.log\",  # p2.toml:10\n]\n"),
        (send, "id = [\n  \"app=7\",  # p2.toml:11\n]\n"),
        (recv, "heartbeat = \"3s\"  # p2.toml:5\n"),
        (recv, "ack = \"written\"  # default\n"),
    ] {
        assert!(part.contains(expected), "no {expected:?} in:\n{shown}");
    }
    // What is shown says the same when it is used as a file.
    let plain = |name: &str| env.p2(&["config", "show", "--config", name]).run().exits(0).text();
    env.write("again.toml", shown.as_bytes());
    let again = plain("again.toml");
    env.write("third.toml", again.as_bytes());
    assert_eq!(plain("third.toml"), again);
    assert!(again.contains("buffer = \"9MiB\"\n") && again.contains("max-streams = 9\n"));
}

#[test]
fn every_setting_of_a_process_obeys_flag_then_environment_then_file_then_default() {
    let env = Env::new();
    env.write("none.toml", b"");
    let show = |config: &str| env.p2(&["config", "show", "--origin", "--config", config]);
    let defaults = show("none.toml").run().exits(0).text();
    let mut tried = 0;
    for line in defaults.lines() {
        let (name, _) = line.trim_start_matches('#').split_once(" =").expect("a setting");
        let (flag, variable, key) = match name {
            "quiet" | "require-codec" | "metrics-public" => ("true", "true", "true"),
            "verbose" => ("1", "2", "3"),
            "codecs" => ("gzip", "none", "gzip"),
            "retry-limit" | "max-streams" => ("3", "4", "5"),
            "progress" => ("plain", "bar", "json"),
            "log-format" => ("json", "json", "json"),
            "log" => ("error", "info", "debug"),
            "buffer" => ("3MiB", "4MiB", "5MiB"),
            "heartbeat-timeout" => ("30s", "40s", "50s"),
            _ if line.contains("s\"  # default") || name.starts_with("retry") => ("3s", "4s", "5s"),
            "stats-interval" => ("3s", "4s", "5s"),
            "metrics" => ("127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3"),
            _ => ("a", "b", "c"),
        };
        let text = if key.parse::<u32>().is_ok() || key == "true" {
            format!("{name} = {key}\n")
        } else {
            format!("{name} = \"{key}\"\n")
        };
        env.write("one.toml", text.as_bytes());
        let from = |shown: String, words: &str| {
            let begin = shown.find(&format!("\n{name} = ")).map_or_else(
                || {
                    assert!(
                        shown.starts_with(&format!("{name} = ")),
                        "{name} is not set:\n{shown}"
                    );
                    0
                },
                |at| at + 1,
            );
            let part = &shown[begin..];
            let end = if part.contains(" = [\n") && part.find("[\n") < part.find('\n') {
                part.find("\n]").unwrap_or(part.len())
            } else {
                part.find('\n').unwrap_or(part.len())
            };
            assert!(part[..end].contains(&format!("# {words}")), "{name}: {}", &part[..end]);
        };
        from(show("one.toml").run().exits(0).text(), "one.toml:1");
        let upper = format!("P2_{}", name.to_uppercase().replace('-', "_"));
        from(
            show("one.toml").env(&upper, variable).run().exits(0).text(),
            &format!("environment {upper}"),
        );
        let given = match name {
            "quiet" | "require-codec" | "metrics-public" | "verbose" => format!("--{name}"),
            _ => format!("--{name}={flag}"),
        };
        let line = ["config", "show", "--origin", "--config", "one.toml", given.as_str()];
        let both = env.p2(&line);
        let both = if name == "verbose" { both } else { both.env(&upper, variable) };
        from(both.run().exits(0).text(), "flag");
        tried += 1;
    }
    assert!(tried >= 18, "{tried} settings:\n{defaults}");
}

#[test]
fn sessions_and_receivers_of_one_file_run_in_one_process() {
    let env = Env::new();
    let (one, two) = (log(1, 300_000), random(2, 200_000));
    env.write("one.bin", &one);
    env.write("two.bin", &two);
    let text = "retry-min = \"20ms\"\nretry-max = \"200ms\"\n\
        [[send]]\nsession = \"s1\"\ntarget = \"unix:a.sock\"\n[[send.stream]]\nname = \"one\"\nfile = \"one.bin\"\n\
        [[send]]\nsession = \"s2\"\ntarget = \"unix:b.sock\"\ncodecs = [\"none\"]\n\
        [[send.stream]]\nname = \"two\"\nfile = \"two.bin\"\nprio = \"high\"\n\
        [[recv]]\nname = \"ra\"\nlisten = \"unix:a.sock\"\ndir = \"in-a\"\nonce = true\n\
        [[recv]]\nname = \"rb\"\nlisten = \"unix:b.sock\"\ndir = \"in-b\"\nonce = true\nack = \"synced\"\n";
    let ended = run(&env, text).wait().exits(0);
    assert_same("one", &fs::read(env.path("in-a/s1/one")).expect("delivered"), &one);
    assert_same("two", &fs::read(env.path("in-b/s2/two")).expect("delivered"), &two);
    for name in ["s1: done   ", "s2: done   ", "ra: listening on unix:", "rb: done   "] {
        assert!(ended.stderr.contains(name), "no {name:?} in\n{}", ended.stderr);
    }
    let quiet = |line: &&str| !["s1: ", "s2: ", "ra: ", "rb: "].iter().any(|n| line.starts_with(n));
    assert_eq!(ended.stderr.lines().find(quiet), None, "each line says of whom it speaks");
}

#[test]
fn one_that_fails_does_not_end_the_others_and_the_worst_code_is_the_answer() {
    let env = Env::new();
    let data = log(3, 100_000);
    env.write("x.bin", &data);
    let text = "[[send]]\nsession = \"lost\"\ntarget = \"unix:nobody.sock\"\nretry-limit = 1\n\
        [[send.stream]]\nname = \"x\"\nfile = \"x.bin\"\n\
        [[send]]\nsession = \"torn\"\ntarget = \"unix:a.sock\"\n[[send.stream]]\nname = \"y\"\nfile = \"none.bin\"\n\
        [[send]]\nsession = \"well\"\ntarget = \"unix:a.sock\"\nretry-min = \"20ms\"\nretry-max = \"200ms\"\n\
        [[send.stream]]\nname = \"x\"\nfile = \"x.bin\"\n";
    env.write("r.toml", b"[[recv]]\nlisten = \"unix:a.sock\"\ndir = \"in\"\n");
    let mut receiver = env.p2(&["run", "--config=r.toml"]).start();
    receiver.say("listening on");
    // 7, a source that failed for good, is graver than 4, no connection.
    let ended = run(&env, text).wait().exits(7);
    ended.says(&["lost: ! ended: ", "well: done   ", "torn: ! y: cannot read none.bin"]);
    assert_same("x", &fs::read(env.path("in/well/x")).expect("delivered"), &data);
}

#[test]
fn send_takes_its_part_of_a_file_and_flags_go_first() {
    let env = Env::new();
    let data = log(4, 50_000);
    env.write("x.bin", &data);
    env.write("y.bin", b"y\n");
    let text = "[[send]]\nsession = \"s1\"\ntarget = \"unix:none.sock\"\n[[send.stream]]\nname = \"x\"\nfile = \"x.bin\"\n\
                [[send]]\nsession = \"s2\"\n[[send.stream]]\nname = \"y\"\nfile = \"y.bin\"\n";
    env.write("p2.toml", text.as_bytes());
    let (_receiver, address) = env.recv(&["--dir=out"]);
    let which = env.p2(&["send", "--config=p2.toml"]).run().exits(2);
    which.says(&["more than one [[send]]", "--session NAME", "`p2 run`"]);
    let line = ["send", &address, "--config=p2.toml", "--session=s1"];
    env.p2(&line).run().receipt();
    assert_same("x", &fs::read(env.path("out/s1/x")).expect("delivered"), &data);
    let line = ["send", &address, "--config=p2.toml", "--session=s1", "--file=z=y.bin"];
    env.p2(&line).run().receipt();
    // Sources of the command line replace the file's.
    assert_same("z", &fs::read(env.path("out/s1/z")).expect("delivered"), b"y\n");
    assert!(!env.path("out/s1/x~2").exists());
}

#[test]
fn the_file_found_in_the_home_gives_defaults_to_send() {
    let env = Env::new();
    env.write(
        ".config/p2/p2.toml",
        b"retry-limit = 1\n[[send]]\nsession = \"not-mine\"\n[[send.stream]]\nexec = \"false\"\n",
    );
    let ended = env.p2(&["send", "unix:none.sock", "--gen=1"]).run().exits(4);
    assert!(!ended.stderr.contains("not-mine"), "{}", ended.stderr);
    env.write(".config/p2/p2.toml", b"retry-limi = 1\n");
    env.p2(&["send", "unix:none.sock"]).run().exits(2).says(&["p2.toml:1:1:", "`retry-limit`?"]);
    env.p2(&["send", "unix:none.sock", "--config=/dev/null", "--retry-limit=1"]).run().exits(4);
}

/// A session with two followed files; `more` is added to it.
fn session(more: &str) -> String {
    format!(
        "events = \"events\"\n[[recv]]\nname = \"r\"\nlisten = \"unix:a.sock\"\ndir = \"in\"\n\
         [[send]]\nsession = \"s\"\ntarget = \"unix:a.sock\"\nretry-min = \"20ms\"\nretry-max = \"200ms\"\n{more}"
    )
}

#[test]
fn a_reload_opens_new_streams_drains_old_ones_and_drops_no_session() {
    let env = Env::new();
    let (bulk, kept) = (env.path("bulk.log"), env.path("kept.log"));
    let bulk_data = log(5, 6 << 20);
    let kept_data = log(6, 100_000);
    append(&bulk, &bulk_data);
    append(&kept, &kept_data);
    let stream = |name: &str, more: &str| {
        format!("[[send.stream]]\nname = \"{name}\"\ntail = \"{name}.log\"\n{more}")
    };
    let before = stream("bulk", "limit = \"100kB/s\"\n") + &stream("kept", "");
    let mut process = run(&env, &session(&before));
    delivered(&env.path("in/s/kept"), &kept_data);
    let bulk_there = env.path("in/s/bulk");
    eventually("some of the bulk", || {
        fs::metadata(&bulk_there).is_ok_and(|m| m.len() > 0).then_some(())
    });

    // While the slow one is under way: it is set free, one goes, one comes, one needs a restart.
    append(&env.path("new.log"), b"from the new stream\n");
    let after =
        format!("heartbeat = \"2s\"\n{}{}", stream("bulk", "prio = \"low\"\n"), stream("new", ""));
    reload(&env, &process, &session(&after));
    let said = process.say("s: ! a restart is needed for: heartbeat");
    assert!(said.contains("s: from the file: limit, prio, tail"), "{said}");
    delivered(&bulk_there, &bulk_data);
    delivered(&env.path("in/s/new"), b"from the new stream\n");

    // The one that was taken out is followed no more, the one that stayed still is.
    let over = "\"event\":\"stream_delivered\",\"session\":\"s\",\"stream\":2,\"name\":\"kept\"";
    eventually("the end of the one taken out", || {
        fs::read_to_string(env.path("events")).is_ok_and(|all| all.contains(over)).then_some(())
    });
    append(&kept, b"nobody follows this any more\n");
    append(&env.path("new.log"), b"and this is followed\n");
    delivered(&env.path("in/s/new"), b"from the new stream\nand this is followed\n");
    assert_same("kept", &fs::read(env.path("in/s/kept")).expect("there"), &kept_data);
    assert_eq!(env.events("events").iter().filter(|e| e["event"] == "link_down").count(), 0);
    process.signal(Signal::TERM);
    let ended = process.wait();
    ended.says(&["lost 0   duplicated 0", "reconnects 0"]);
}

#[test]
fn many_reloads_while_bytes_flow_lose_nothing_and_repeat_nothing() {
    let env = Env::new();
    let (file, piped) = (log(7, 12 << 20), random(8, 4 << 20));
    env.write("file.bin", &file);
    env.write("piped.bin", &piped);
    let text = |round: usize| {
        let (limit, class) = match round % 3 {
            0 => ("400kB/s", "bulk"),
            1 => ("2MiB/s", "high"),
            _ => ("1MiB/s", "realtime"),
        };
        let last = round == usize::MAX;
        let pace = if last { String::new() } else { format!("limit = \"{limit}\"\n") };
        let extra = format!("[[send.stream]]\nname = \"n{round}\"\nexec = \"echo {round}\"\n");
        let extra = if last { "" } else { &extra };
        format!(
            "events = \"events\"\n\
             [[recv]]\nname = \"r\"\nlisten = \"unix:a.sock\"\ndir = \"in\"\nonce = true\n\
             [[send]]\nsession = \"s\"\ntarget = \"unix:a.sock\"\nretry-min = \"20ms\"\n\
             [[send.stream]]\nname = \"file\"\nfile = \"file.bin\"\nprio = \"{class}\"\n{pace}\
             [[send.stream]]\nname = \"piped\"\nexec = \"cat piped.bin\"\n{pace}{extra}"
        )
    };
    let mut process = run(&env, &text(0));
    process.say("s: connected");
    for round in 1..=12 {
        reload(&env, &process, &text(round));
        process.until("the reload", |process| {
            let said = process.stderr();
            (said.matches("s: from the file: ").count() >= round).then_some(())
        });
        delivered(&env.path(format!("in/s/n{round}")), format!("{round}\n").as_bytes());
    }
    reload(&env, &process, &text(usize::MAX));
    let ended = process.wait().exits(0);
    ended.says(&["s: done   ", "r: done   ", "lost 0   duplicated 0", "all acknowledged"]);
    assert_same("file", &fs::read(env.path("in/s/file")).expect("delivered"), &file);
    assert_same("piped", &fs::read(env.path("in/s/piped")).expect("delivered"), &piped);
    assert!(!env.path("in/s/file~2").exists(), "nothing was sent twice");
    assert_eq!(env.events("events").iter().filter(|e| e["event"] == "link_down").count(), 0);
}

#[test]
fn a_file_that_is_wrong_changes_nothing() {
    let env = Env::new();
    let data = env.path("a.log");
    append(&data, b"one\n");
    let good = session("[[send.stream]]\nname = \"a\"\ntail = \"a.log\"\n");
    let mut process = run(&env, &good);
    delivered(&env.path("in/s/a"), b"one\n");
    reload(&env, &process, &good.replace("session =", "sesion ="));
    let said = process.say("! the old settings stay: p2.toml:");
    let line = said.lines().find(|line| line.contains("old settings stay")).expect("one line");
    assert!(
        line.contains("p2.toml:7:1: `sesion` is no setting") && line.contains("`session`"),
        "{line}"
    );
    append(&data, b"two\n");
    delivered(&env.path("in/s/a"), b"one\ntwo\n");
    reload(&env, &process, &good);
    process.say("the file says nothing new");
    process.signal(Signal::TERM);
    process.wait().says(&["s: done   ", "reconnects 0", "lost 0   duplicated 0"]);
}

#[test]
fn sessions_come_and_go_with_the_file() {
    let env = Env::new();
    append(&env.path("a.log"), b"a\n");
    append(&env.path("b.log"), b"b\n");
    let member = |name: &str| {
        format!(
            "[[send]]\nsession = \"{name}\"\ntarget = \"unix:r.sock\"\nretry-min = \"20ms\"\nretry-max = \"200ms\"\n\
             [[send.stream]]\nname = \"{name}\"\ntail = \"{name}.log\"\n"
        )
    };
    let receiver = "[[recv]]\nname = \"r\"\nlisten = \"unix:r.sock\"\ndir = \"in\"\n";
    let mut process = run(&env, &format!("{receiver}{}", member("a")));
    delivered(&env.path("in/a/a"), b"a\n");
    append(&env.path("a.log"), b"last words\n");
    reload(&env, &process, &format!("log = \"info\"\n{receiver}{}", member("b")));
    process.say("a: taken out of the file: draining");
    process.say("log level: info");
    delivered(&env.path("in/b/b"), b"b\n");
    process.say("a: done   ");
    delivered(&env.path("in/a/a"), b"a\nlast words\n");
    process.signal(Signal::TERM);
    process.wait().exits(0).says(&["b: done   "]);
}

#[test]
fn without_a_file_a_hangup_retries_now_and_nothing_else() {
    let env = Env::new();
    let line = [
        "send",
        "unix:later.sock",
        "--gen=load=count=5,rate=1000/s",
        "--session=s",
        "--retry-min=1h",
        "--retry-max=2h",
    ];
    let mut sender = env.p2(&line).start();
    // The first retry is immediate, so the second failure begins the long wait.
    sender.say("attempt 1, next in");
    let mut receiver =
        env.p2(&["recv", "unix:later.sock", "--once", "--format=raw", "--only=load"]).start();
    receiver.say("listening on");
    eventually("the sender to get through", || {
        if !sender.poll() {
            sender.signal(Signal::HUP);
        }
        sender.poll().then_some(())
    });
    sender.wait().receipt();
    receiver.wait().receipt();
}

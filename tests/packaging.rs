//! What a package holds beside the program: completions, manual pages, systemd units.

mod support;

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::{Env, Relay, Signal, eventually, skip};

/// Whether a program is there; else the test is skipped, or fails if `P2_REQUIRE` lists it.
fn have(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    if !found {
        skip(program, &format!("there is no `{program}`"));
    }
    found
}

/// What a program says about a file, both of its streams.
#[track_caller]
fn said(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = [output.stdout, output.stderr].map(|out| String::from_utf8_lossy(&out).into_owned());
    assert!(output.status.success(), "{command:?}: {}", text.concat());
    text.concat()
}

fn completions(env: &Env, shell: &str) -> String {
    let text = env.p2(&["completions", shell]).run().exits(0).text();
    env.write(&format!("p2.{shell}"), text.as_bytes());
    text
}

#[test]
fn bash_completes_commands_flags_and_values() {
    let env = Env::new();
    completions(&env, "bash");
    let complete = |words: &str| {
        let count = words.split(' ').count() - 1;
        let script = format!(
            "source ./p2.bash; COMP_WORDS=({words} ); COMP_CWORD={count}; \
             _p2 p2 \"${{COMP_WORDS[{count}]}}\" \"${{COMP_WORDS[{count}-1]}}\"; \
             printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let mut bash = Command::new("bash");
        said(bash.args(["--norc", "-u", "-c", &script]).current_dir(env.path("")))
    };
    let commands = complete("p2 s");
    for command in ["send", "sessions", "status"] {
        assert!(commands.lines().any(|line| line == command), "{command}: {commands}");
    }
    let flags = complete("p2 send --heartbeat");
    assert!(flags.lines().any(|line| line == "--heartbeat-timeout"), "{flags}");
    let below = complete("p2 sessions d");
    assert!(below.lines().any(|line| line == "drop"), "{below}");
}

#[test]
fn zsh_and_fish_load_their_completions() {
    let env = Env::new();
    if have("zsh") {
        completions(&env, "zsh");
        let script = "autoload -U compinit && compinit -u -d ./dump && source ./p2.zsh && \
                      (( $+functions[_p2] )) && print loaded";
        let text = said(Command::new("zsh").args(["-f", "-c", script]).current_dir(env.path("")));
        assert_eq!(text, "loaded\n");
    }
    if have("fish") {
        completions(&env, "fish");
        let script = "source ./p2.fish; complete -C 'p2 sta'";
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", script]).current_dir(env.path(""));
        let text = said(fish.env("HOME", env.path("")));
        assert!(text.contains("status"), "{text}");
    }
}

#[test]
fn manual_pages_are_rendered_without_a_warning_and_lack_nothing() {
    let env = Env::new();
    env.p2(&["man", "--dir", "man1"]).run().exits(0);
    let pages: Vec<_> = fs::read_dir(env.path("man1")).expect("pages").flatten().collect();
    assert!(pages.len() >= 12, "{pages:?}");
    let one = env.p2(&["man", "sessions", "drop"]).run().exits(0);
    assert_eq!(one.stdout, fs::read(env.path("man1/p2-sessions-drop.1")).expect("the same page"));
    env.p2(&["man", "dance"]).run().exits(2).says(&["there is no command `dance`"]);
    if !have_mandoc() {
        return;
    }
    for page in pages {
        let mut mandoc = Command::new("mandoc");
        let text = said(mandoc.args(["-W", "warning", "-T", "ascii"]).arg(page.path()));
        assert!(!text.contains("mandoc:"), "{text}");
        // Bold and underlined as typewriters did.
        let plain = plain(&text);
        for part in ["NAME", "SYNOPSIS"] {
            assert!(plain.contains(part), "{part}: {plain}");
        }
        if page.file_name() == "p2-send.1" {
            let help = env.p2(&["send", "--help"]).run().exits(0).text();
            for flag in help.split_whitespace().filter(|word| word.starts_with("--")) {
                let flag = flag.trim_end_matches([',', '.', ':', ')', ']']);
                let flag = flag.split(['=', '[']).next().unwrap_or(flag);
                assert!(plain.contains(flag), "{flag} is not in the page");
            }
            assert!(plain.contains("journalctl -f | p2 send --stdin=journal"), "{plain}");
            let timeout = plain.split("--heartbeat-timeout").nth(1).expect("a flag");
            let words = timeout.lines().nth(1).expect("what it means").trim();
            assert!(words.len() > 10, "{words:?}");
        }
    }
}

fn have_mandoc() -> bool {
    // It has no --version.
    let found = Command::new("mandoc").arg("-V").output().is_ok();
    if !found {
        skip("mandoc", "there is no `mandoc`");
    }
    found
}

/// Without overstrikes.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\u{8}' => _ = out.pop(),
            _ => out.push(c),
        }
    }
    out
}

/// A unit of ours.
fn unit(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/systemd").join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn units_are_valid_and_well_confined() {
    if !have("systemd-analyze") {
        return;
    }
    let env = Env::new();
    for name in ["p2-recv.service", "p2-send.service"] {
        // Where the program is here, and without a page that is not installed here.
        let text = unit(name).replace("/usr/bin/p2", env!("CARGO_BIN_EXE_p2"));
        let text: String = text
            .lines()
            .filter(|line| !line.starts_with("Doc"))
            .map(|l| format!("{l}\n"))
            .collect();
        let path = env.write(name, text.as_bytes());
        let analyze = || Command::new("systemd-analyze");
        let text = said(analyze().arg("verify").arg(&path));
        assert!(!text.contains(name), "{text}");
        // Of 10; an unconfined service has 9.6.
        said(analyze().args(["security", "--offline=yes", "--threshold=20"]).arg(&path));
    }
}

#[test]
fn flags_in_units_exist() {
    let env = Env::new();
    let known = ["recv", "send"].map(|name| env.p2(&[name, "--help"]).run().exits(0).text());
    for (name, help) in ["p2-recv.service", "p2-send.service"].into_iter().zip(known) {
        let text = unit(name);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for variable in words.filter(|word| word.starts_with("P2_") && *word != "P2_SEND") {
            let flag = format!("--{}", variable[3..].to_lowercase().replace('_', "-"));
            assert!(help.contains(&flag), "{name}: {variable}");
        }
    }
}

/// Everything that was told to a service manager so far, one message an entry.
struct Manager {
    socket: UnixDatagram,
    told: Vec<String>,
}

impl Manager {
    fn new(env: &Env) -> Self {
        let socket = UnixDatagram::bind(env.path("notify")).expect("a socket");
        socket.set_read_timeout(Some(Duration::from_millis(20))).expect("a timeout");
        Self { socket, told: Vec::new() }
    }

    fn listen(&mut self) {
        let mut message = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut message) {
            self.told.push(String::from_utf8_lossy(&message[..length]).into_owned());
        }
    }

    /// How many messages hold these words.
    fn count(&mut self, words: &str) -> usize {
        self.listen();
        self.told.iter().filter(|one| one.lines().any(|line| line.starts_with(words))).count()
    }

    #[track_caller]
    fn hears(&mut self, words: &str, times: usize) {
        eventually(words, || (self.count(words) >= times).then_some(()));
    }
}

#[test]
fn a_receiver_says_that_it_is_ready_alive_reloading_and_stopping() {
    let env = Env::new();
    let mut manager = Manager::new(&env);
    env.write("p2.toml", b"quiet = false\n");
    let program = env.p2(&["recv", "--listen=127.0.0.1:0", "--config=p2.toml"]);
    let program = program.env("NOTIFY_SOCKET", &env.text("notify")).env("WATCHDOG_USEC", "600000");
    let (receiver, _) = env.listening(program);
    manager.hears("READY=1", 1);
    manager.hears("STATUS=0 sessions", 1);
    manager.hears("WATCHDOG=1", 3);
    receiver.signal(Signal::HUP);
    manager.hears("RELOADING=1", 1);
    manager.hears("MONOTONIC_USEC=", 1);
    manager.hears("READY=1", 2);
    receiver.signal(Signal::TERM);
    receiver.wait().exits(0);
    assert_eq!(manager.count("STOPPING=1"), 1, "{:?}", manager.told);
}

#[test]
fn a_sender_is_ready_without_its_receiver_and_waiting_is_progress() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out"]);
    let relay = Relay::to(&address, 1);
    relay.refuse();
    let mut manager = Manager::new(&env);
    let program = env.send(&relay.address(), &["--gen=load=streams=1,rate=10/s"]);
    let program = program.env("NOTIFY_SOCKET", &env.text("notify")).env("WATCHDOG_USEC", "600000");
    let sender = program.start();
    manager.hears("READY=1", 1);
    manager.hears("STATUS=1 session, 1 without a link", 1);
    manager.hears("WATCHDOG=1", 3);
    relay.heal();
    eventually("a link", || {
        manager.listen();
        let up = |one: &String| one.lines().any(|line| line == "STATUS=1 session");
        manager.told.iter().any(up).then_some(())
    });
    sender.signal(Signal::TERM);
    sender.wait().exits(0);
    assert!(manager.count("STOPPING=1") == 1, "{:?}", manager.told);
}

#[test]
fn without_a_service_manager_nothing_is_said_about_it() {
    let env = Env::new();
    let program = env.p2(&["recv", "--listen=127.0.0.1:0"]);
    let (receiver, _) = env.listening(program.env("NOTIFY_SOCKET", "/nonexistent/socket"));
    receiver.signal(Signal::TERM);
    let ended = receiver.wait().exits(0);
    assert!(!ended.stderr.contains("notify"), "{}", ended.stderr);
}

//! Every example of `--help` is run for real: against a receiver, through a stand-in for ssh.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use support::{Env, Program};

/// Stands in for ssh: the far side is this machine. What it is told before the host is passed over.
const SSH: &str = r#"#!/bin/bash
forward=
while [ $# -gt 0 ] && [ "$1" != -- ]; do
    case "$1" in
        -W) forward="$2"; shift ;;
        -W*) forward="${1#-W}" ;;
    esac
    shift
done
shift 2
if [ -n "$forward" ]; then
    exec 3<>"/dev/tcp/${forward%:*}/${forward##*:}" || exit 255
    cat <&3 &
    cat >&3
    exit 0
fi
exec sh -c "$*"
"#;

/// What examples use beside p2, where the real one is not wanted here.
const STAND_INS: [(&str, &str); 6] = [
    ("ssh", SSH),
    ("jq", "#!/bin/sh\nexec cat\n"),
    ("pg_restore", "#!/bin/sh\nexec cat\n"),
    ("journalctl", "#!/bin/sh\necho a line\n"),
    ("dmesg", "#!/bin/sh\necho a line\n"),
    ("man", "#!/bin/sh\nexec cat\n"),
];

/// The lines of the examples: the words of an explanation stand two spaces or more behind them.
fn examples(help: &str) -> Vec<String> {
    let part = help.split("Examples:\n").nth(1).unwrap_or_default();
    let lines = part.lines().take_while(|line| line.starts_with("  "));
    let line = |line: &str| line.trim_start().split("  ").next().unwrap_or_default().to_owned();
    lines.map(line).filter(|line| line.contains("p2 ")).collect()
}

fn sandbox() -> Env {
    let env = Env::new();
    for (name, text) in STAND_INS {
        let path = env.write(&format!("bin/{name}"), text.as_bytes());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_p2"), env.path("bin/p2")).expect("a link");
    for file in ["var/log/syslog", "var/log/nginx/error.log", "var/backups/db.dump", "db.dump"] {
        env.write(file, b"some lines\nof a file\n");
    }
    for dir in ["run", "etc", "srv", ".local/share/bash-completion/completions", ".zfunc"] {
        fs::create_dir_all(env.path(dir)).expect("made");
    }
    fs::create_dir_all(env.path(".config/fish/completions")).expect("made");
    env.token("etc/p2.token", "0123456789abcdef0123456789abcdef");
    env.token(".p2-token", "0123456789abcdef0123456789abcdef");
    env
}

/// Places of a real machine become places of the sandbox; nothing else is changed.
fn placed(env: &Env, line: &str, open: &str, guarded: &str) -> String {
    let mut line = line.to_owned();
    for place in ["/var/", "/etc/", "/srv/", "/run/"] {
        line = line.replace(place, &format!("{}{place}", env.text("")).replace("//", "/"));
    }
    line.replace("0.0.0.0:9000", "0.0.0.0:0")
        .replace("host:9000", guarded)
        .replace("127.0.0.1:9000", open)
        .replace("127.0.0.1:5140", "127.0.0.1:0")
}

fn run_all(command: &str) {
    let env = sandbox();
    let (_open, address) = env.recv(&["--dir=received"]);
    let (_guarded, guarded) = env.recv(&["--dir=guarded", "--token-file=.p2-token"]);
    let mut senders = Vec::new();
    for name in ["web1", "web2", "web3"] {
        let line = ["send", address.as_str(), "--gen=1", "--session", name];
        let mut sender = env.p2(&line).start();
        sender.say("connected");
        senders.push(sender);
    }
    let help = env.p2(&[command, "--help"]).run().exits(0).text();
    let all = examples(&help);
    assert!(!all.is_empty(), "{command} --help has no examples");
    for line in all {
        let script = format!("set -o pipefail; {}", placed(&env, &line, &address, &guarded));
        let path = format!("{}:{}", env.text("bin"), std::env::var("PATH").expect("a path"));
        // What has no end by itself is ended in order.
        let arguments = ["-k", "60", "-s", "TERM", "6", "bash", "-c", &script];
        let program = Program::at("timeout".as_ref(), &env.path(""), arguments);
        let program = program.env("PATH", &path);
        // The usual port may be somebody else's here.
        let program =
            if line.contains("--ssh") { program } else { program.env("P2_TARGET", &address) };
        let program = match command == "recv" {
            true => program.env("P2_LISTEN", "127.0.0.1:0"),
            false => program.env("P2_ATTACH_LINGER", "1s"),
        };
        let ended = program.run();
        let good = matches!(ended.code, Some(0 | 124));
        if !good || ended.stderr.contains("error:") {
            ended.show();
            panic!("{line}: exit code {:?}", ended.code);
        }
    }
}

#[test]
fn of_recv() {
    run_all("recv");
}

#[test]
fn of_send() {
    run_all("send");
}

#[test]
fn of_demo() {
    run_all("demo");
}

#[test]
fn of_codecs() {
    run_all("codecs");
}

#[test]
fn of_doctor() {
    run_all("doctor");
}

#[test]
fn of_status_top_and_sessions() {
    ["status", "top", "sessions"].into_iter().for_each(run_all);
}

#[test]
fn of_completions_and_man() {
    ["completions", "man"].into_iter().for_each(run_all);
}

//! The receiver that stays behind: one of its kind, private, and gone when nobody needs it.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::seen;
use crate::support::sshd::Sshd;
use crate::support::table::Outcome;
use crate::support::{Env, assert_file, eventually, random};

pub(crate) fn one_for_all(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let data = random(5, 100_000);
    env.write("app", &data);
    let sessions = ["--session=a", "--session=b", "--session=c", "--session=d"];
    // The last name wins; clap takes each flag once, so the common one is left out here.
    let senders: Vec<_> = sessions
        .iter()
        .map(|session| {
            let option = format!("--ssh-arg={}", sshd.option());
            env.p2(&["send", "--ssh=far", &option, session, "--file=app"]).start()
        })
        .collect();
    for sender in senders {
        sender.wait().receipt();
    }
    for session in ["a", "b", "c", "d"] {
        assert_file(&sshd.home().join("p2-received").join(session).join("app"), &data);
    }
    let logs = sshd.logs();
    assert_eq!(logs.matches(" receiving into ").count(), 1, "{logs}");
    Outcome::Passed("4 sessions, 1 receiver started".to_owned())
}

pub(crate) fn one_for_each_directory(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut senders = Vec::new();
    for dir in ["one", "two"] {
        let dir = format!("--remote-dir={}", env.text(dir));
        let mut sender = sshd.send(env, &["--stdin=pipe", &dir]).pipe().start();
        sender.write(dir.as_bytes());
        sender.say("connected");
        senders.push((sender, dir));
    }
    assert_eq!(sshd.receivers().len(), 2, "{}", sshd.logs());
    for (mut sender, _) in senders {
        sender.close_stdin();
        sender.wait().receipt();
    }
    for dir in ["one", "two"] {
        let expected = format!("--remote-dir={}", env.text(dir));
        assert_file(&env.path(dir).join("s/pipe"), expected.as_bytes());
    }
    Outcome::Passed("2 receivers".to_owned())
}

pub(crate) fn leaves_and_comes(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut sender = sshd.send(env, &["--stdin=first"]).pipe().start();
    sender.write(b"first");
    sender.say("connected");
    // Longer than its patience without a session: it has one.
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(sshd.receivers().len(), 1, "it is needed");
    sender.close_stdin();
    sender.wait().receipt();
    eventually("it leaves", || sshd.receivers().is_empty().then_some(()));
    let sockets = || {
        let files = fs::read_dir(sshd.state()).expect("a directory").flatten();
        files.filter(|file| file.path().extension().is_some_and(|end| end == "sock")).count()
    };
    assert_eq!(sockets(), 0, "nothing is left behind");
    let mut sender = sshd.send(env, &["--stdin=second"]).pipe().start();
    sender.write(b"second");
    sender.close_stdin();
    sender.wait().receipt();
    assert_file(&sshd.arrived("first"), b"first");
    assert_file(&sshd.arrived("second"), b"second");
    let logs = sshd.logs();
    assert_eq!(logs.matches(" receiving into ").count(), 2, "{logs}");
    Outcome::Passed("left 3 s after its last session; a second one was started".to_owned())
}

pub(crate) fn private(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut sender = sshd.send(env, &["--stdin=pipe"]).pipe().start();
    sender.say("connected");
    let mode = |path: &std::path::Path| {
        fs::symlink_metadata(path).expect("it is there").permissions().mode() & 0o777
    };
    assert_eq!(mode(&sshd.state()), 0o700);
    let control = sshd.state().join("control");
    assert_eq!(mode(&control), 0o700);
    let mut modes = Vec::new();
    let files = |dir| fs::read_dir(dir).expect("a directory").flatten();
    let all = files(sshd.state()).filter(|file| file.path() != control);
    for file in all.chain(files(control.clone())) {
        assert_eq!(mode(&file.path()), 0o600, "{}", file.path().display());
        modes.push(file.file_name().to_string_lossy().into_owned());
    }
    assert!(modes.iter().any(|name| name.ends_with(".sock")), "{modes:?}");
    // It belongs to no terminal and to no session of a login.
    let receiver = *sshd.receivers().first().expect("one was started");
    let stat = fs::read_to_string(format!("/proc/{receiver}/stat")).expect("it runs");
    let fields: Vec<&str> = stat.rsplit_once(')').expect("a name").1.split_whitespace().collect();
    assert_eq!(fields[3], receiver.to_string(), "a session of its own");
    assert_eq!(fields[4], "0", "no terminal");
    sender.close_stdin();
    sender.wait().receipt();
    Outcome::Passed("directory 0700, socket 0600, a session of its own, no terminal".to_owned())
}

pub(crate) fn unsafe_directory(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    fs::create_dir_all(sshd.state()).expect("made");
    fs::set_permissions(sshd.state(), fs::Permissions::from_mode(0o755)).expect("a mode");
    let ended = sshd.send(env, &["--gen=1", "--retry-limit=1"]).run().exits(4);
    let words = ["p2 at far says: error: cannot use ", "it has mode 0755, and must have 0700"];
    seen(&ended.says(&words), "error: ")
}

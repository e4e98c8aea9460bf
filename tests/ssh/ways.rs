//! The ways that work, and what they bring.

use crate::seen;
use crate::support::sshd::{HOST, Sshd};
use crate::support::table::Outcome;
use crate::support::{Env, Signal, assert_file, eventually, log, random, sshd};

/// Sends one file in the default way, and returns how it ended.
fn send_file(env: &Env, sshd: &Sshd, arguments: &[&str]) -> Outcome {
    let data = log(1, 2 << 20);
    env.write("app", &data);
    let line = [&["--file=app", "--retry-limit=3"], arguments].concat();
    let ended = sshd.send(env, &line).run().receipt();
    assert_file(&sshd.arrived("app"), &data);
    let place = format!("streams become files in {HOST}:{}", sshd.home().display());
    seen(&ended.says(&[&place]), "done ")
}

pub(crate) fn attach(env: &Env) -> Outcome {
    send_file(env, &Sshd::new(env, &[]), &[])
}

pub(crate) fn remote_dir(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let data = random(2, 1 << 20);
    env.write("app", &data);
    let dir = env.text("it's here");
    let line = ["--file=app", "--remote-dir", &dir, "--remote-ack=synced"];
    let ended = sshd.send(env, &line).run().receipt();
    assert_file(&env.path("it's here/s/app"), &data);
    seen(&ended, "streams become files")
}

pub(crate) fn stdin(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let mut sender = sshd.send(env, &["--stdin=pipe"]).pipe().start();
    sender.write(b"one\n");
    eventually("the first line", || {
        std::fs::read(sshd.arrived("pipe")).ok().filter(|bytes| bytes == b"one\n")
    });
    sender.write(b"two\n");
    sender.close_stdin();
    let ended = sender.wait().receipt();
    assert_file(&sshd.arrived("pipe"), b"one\ntwo\n");
    seen(&ended, "done ")
}

pub(crate) fn forward(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let (receiver, address) = env.recv_dir();
    let data = random(3, 1 << 20);
    env.write("app", &data);
    let ended = sshd.send(env, &[address.as_str(), "--file=app"]).run().receipt();
    receiver.wait().exits(0);
    assert_file(&env.out("app"), &data);
    assert!(sshd.receivers().is_empty(), "none was started");
    seen(&ended, "done ")
}

pub(crate) fn hand_made_tunnel(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[]);
    let (receiver, address) = env.recv_dir();
    let port = free_port();
    let tunnel = || {
        let forward = format!("{port}:{address}");
        let line = [&sshd.option(), "-N", "-oExitOnForwardFailure=yes", "-L", &forward, HOST];
        crate::support::Program::at("ssh".as_ref(), &env.path(""), line).start()
    };
    let mut ssh = tunnel();
    let target = format!("127.0.0.1:{port}");
    let mut sender = env.send(&target, &["--stdin=pipe"]).pipe().start();
    sender.say("connected");
    let data = random(4, 8 << 20);
    let (first, second) = data.split_at(4 << 20);
    sender.write(first);
    ssh.kill();
    sender.say("! link lost");
    sender.write(second);
    let _again = tunnel();
    sender.say("resumed after");
    sender.close_stdin();
    let ended = sender.wait().receipt();
    receiver.wait().exits(0);
    assert_file(&env.out("pipe"), &data);
    seen(&ended, "resumed after")
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

pub(crate) fn no_forwarding_attach(env: &Env) -> Outcome {
    send_file(env, &Sshd::new(env, &["AllowTcpForwarding no"]), &[])
}

pub(crate) fn max_sessions_one(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &["MaxSessions 1"]);
    let mut sender = sshd.send(env, &["--stdin=pipe"]).pipe().start();
    sender.say("connected");
    sender.write(b"one\n");
    sshd::kill(sshd::below(&sender, "ssh"), Signal::KILL);
    sender.say("resumed after");
    sender.write(b"two\n");
    sender.close_stdin();
    let ended = sender.wait().receipt();
    assert_file(&sshd.arrived("pipe"), b"one\ntwo\n");
    seen(&ended, "resumed after")
}

pub(crate) fn max_sessions_none(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &["MaxSessions 0"]);
    let (receiver, address) = env.recv_dir();
    let ended = sshd.send(env, &["--ssh-mode=attach", "--gen=1", "--retry-limit=1"]).run();
    let ended = ended.exits(5).says(&["far runs no commands for this user", "next: "]);
    let data = random(6, 1 << 20);
    env.write("app", &data);
    let line = ["--ssh-mode=auto", &address, "--file=app"];
    sshd.send(env, &line).run().receipt();
    receiver.wait().exits(0);
    assert_file(&env.out("app"), &data);
    seen(&ended, "error: ")
}

pub(crate) fn noisy_shell(env: &Env) -> Outcome {
    let sshd = Sshd::new(env, &[&super::refusals::shell("seq 1 1000")]);
    send_file(env, &sshd, &[])
}

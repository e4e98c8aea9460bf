//! Two ends of different preference or build agree on a codec, or say why they cannot.

mod support;

use serde_json::Value;
use support::{Env, Program, Signal, assert_file, codecs, log, other_program};

/// What `p2 codecs ADDRESS` says about the peer.
fn ask(env: &Env, address: &str, arguments: &[&str]) -> Value {
    let line = [&["codecs", address, "--json", "--retry-limit=1"], arguments].concat();
    let ended = env.p2(&line).run().exits(0);
    let answer: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    answer["peer"].clone()
}

#[test]
fn the_senders_preference_chooses_among_what_the_receiver_has() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out"]);
    for codec in codecs() {
        let preference = match codec.as_str() {
            "gzip" => "--codecs=gzip,none".to_owned(),
            codec => format!("--codecs={codec},gzip"),
        };
        let peer = ask(&env, &address, &[&preference]);
        assert_eq!(peer["to_peer"], *codec, "{peer}");
    }
}

#[test]
fn each_direction_has_a_choice_of_its_own() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out", "--codecs=none,gzip"]);
    let peer = ask(&env, &address, &["--codecs=gzip,none"]);
    assert_eq!((&peer["to_peer"], &peer["from_peer"]), (&"gzip".into(), &"none".into()), "{peer}");
}

#[test]
fn asking_for_codecs_disturbs_no_transfer() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--dir=out"]);
    env.write("in", &log(1, 2 << 20));
    let sender = env.send(&address, &["--file=in", "--limit=2MiB/s"]).start();
    for _ in 0..5 {
        assert!(ask(&env, &address, &[])["agent"].as_str().is_some_and(|agent| !agent.is_empty()));
    }
    sender.wait().receipt();
    assert_file(&env.out("in"), &log(1, 2 << 20));
    receiver.signal(Signal::TERM);
    receiver.wait().exits(0);
}

#[test]
fn without_a_common_codec_bytes_go_uncompressed_with_a_warning() {
    let env = Env::new();
    let (receiver, address) = env.recv(&["--once", "--dir=out", "--codecs=none"]);
    env.write("in", &log(1, 500_000));
    let sender = env.send(&address, &["--file=in", "--codecs=gzip"]).run().receipt();
    sender.says(&["no codec in common with the peer: sending uncompressed"]);
    receiver.wait().receipt();
    assert_file(&env.out("in"), &log(1, 500_000));
}

#[test]
fn a_required_codec_that_is_not_common_is_refused_with_both_lists() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out", "--codecs=none"]);
    let line = ["--gen=count=1", "--codecs=gzip", "--require-codec"];
    env.send(&address, &line).run().exits(5).says(&[
        "error: no codec in common with ",
        "this side has gzip",
        "the peer has none",
        "next: leave out --require-codec",
    ]);
}

#[test]
fn a_receiver_can_require_a_codec_too() {
    let env = Env::new();
    let (_receiver, address) = env.recv(&["--dir=out", "--codecs=gzip", "--require-codec"]);
    let ended = env.send(&address, &["--gen=count=1", "--codecs=none"]).run();
    ended.exits(5).says(&["error: ", "codec"]);
}

#[test]
fn a_codec_that_this_build_lacks_is_named_with_its_feature() {
    let have = codecs();
    let env = Env::new();
    for codec in ["zstd", "snappy", "lz4"] {
        if have.iter().any(|name| name == codec) {
            continue;
        }
        let line = ["send", "--gen=count=1", &format!("--codecs={codec}")];
        env.p2(&line).run().exits(2).says(&[codec, "--features"]);
    }
}

#[test]
fn builds_with_different_codecs_understand_each_other_both_ways() {
    let Some(other) = other_program() else { return };
    let this = std::path::Path::new(env!("CARGO_BIN_EXE_p2"));
    for (sender, receiver) in [(this, other.as_path()), (other.as_path(), this)] {
        let env = Env::new();
        let here = env.path(".");
        let line = ["recv", "--listen=127.0.0.1:0", "--once", "--dir=out"];
        let (receiver, address) = env.listening(Program::at(receiver, &here, line));
        env.write("in", &log(1, 2 << 20));
        let line = ["send", &address, "--session=s", "--file=in"];
        let ended = Program::at(sender, &here, line).run().receipt();
        assert!(!ended.stderr.contains("uncompressed"), "gzip is common: {}", ended.stderr);
        receiver.wait().receipt();
        assert_file(&env.out("in"), &log(1, 2 << 20));
    }
}

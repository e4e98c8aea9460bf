//! `p2 bench` measures the build it belongs to, and says so as a table and as JSON.

mod support;

use serde_json::Value;
use support::{Env, codecs};

/// A bench that is over soon: its figures are no measurement.
const SHORT: [&str; 3] = ["bench", "--seconds=0.05", "--streams=1,3"];

fn positive(value: &Value, what: &str) -> f64 {
    let number = value.as_f64().unwrap_or_else(|| panic!("{what} is no number: {value}"));
    assert!(number > 0.0 && number.is_finite(), "{what} is {number}");
    number
}

#[test]
fn json_has_every_codec_with_every_number_of_streams() {
    let env = Env::new();
    let ended = env.p2(&[&SHORT[..], &["--json"]].concat()).run().exits(0);
    let answer: Value = serde_json::from_slice(&ended.stdout).expect("one JSON object");
    assert_eq!(answer["data"], "log");
    assert!(["debug", "release"].contains(&answer["build"].as_str().expect("a word")));
    positive(&answer["cores"], "cores");

    let transfers = answer["transfers"].as_array().expect("a list");
    let all = codecs();
    assert_eq!(transfers.len(), all.len() * 2, "{transfers:?}");
    for codec in &all {
        for streams in [1, 3] {
            let found = transfers.iter().find(|t| t["codec"] == **codec && t["streams"] == streams);
            let found = found.unwrap_or_else(|| panic!("no {codec} with {streams} streams"));
            positive(&found["bytes_per_s"], codec);
            let ratio = positive(&found["ratio"], codec);
            let expected = if codec == "none" { 0.5..1.0 } else { 1.5..30.0 };
            assert!(expected.contains(&ratio), "log lines through {codec}: ratio {ratio}");
        }
    }
    let speeds = answer["codecs"].as_array().expect("a list");
    for codec in all.iter().filter(|codec| *codec != "none") {
        for (data, least) in [("log", 2.0), ("random", 0.9)] {
            let found = speeds.iter().find(|s| s["codec"] == **codec && s["data"] == data);
            let found = found.unwrap_or_else(|| panic!("no {codec} with {data}"));
            positive(&found["encode_bytes_per_s"], codec);
            positive(&found["decode_bytes_per_s"], codec);
            assert!(positive(&found["ratio"], codec) >= least, "{codec} with {data}: {found}");
        }
    }
    positive(&answer["small"]["messages_per_s"], "small messages");
    let echo = answer["echo"].as_array().expect("a list");
    let beside: Vec<&Value> = echo.iter().map(|echo| &echo["bulk_streams"]).collect();
    assert_eq!(beside, [0, 4]);
    for times in echo {
        let (p50, p99) = (positive(&times["p50_s"], "p50"), positive(&times["p99_s"], "p99"));
        assert!(p50 <= p99, "{times}");
        positive(&times["count"], "count");
    }
}

#[test]
fn the_tables_go_to_stdout_and_words_to_stderr() {
    let env = Env::new();
    let ended = env.p2(&[&SHORT[..], &["--codecs=gzip"]].concat()).run().exits(0);
    let text = String::from_utf8_lossy(&ended.stdout);
    assert!(text.starts_with("p2 "), "{text}");
    for words in ["codecs alone", "through a session", "messages of 128 bytes", "echo of 64 bytes"]
    {
        assert!(text.contains(words), "no {words:?} in:\n{text}");
    }
    assert!(ended.stderr.contains("measuring for about "), "{}", ended.stderr);
    let debug = text.contains("debug build");
    assert_eq!(ended.stderr.contains("this is a debug build"), debug, "{}", ended.stderr);
    let quiet = [&SHORT[..], &["--codecs=none", "--quiet"]].concat();
    assert_eq!(env.p2(&quiet).run().exits(0).stderr, "");
}

#[test]
fn a_file_of_ones_own_is_what_is_sent() {
    let env = Env::new();
    env.write("zeros", &[0; 300_000]);
    let line = [&SHORT[..], &["--json", "--codecs=gzip", "--data=zeros"]].concat();
    let ended = env.p2(&line).run().exits(0);
    let answer: Value = serde_json::from_slice(&ended.stdout).expect("JSON");
    assert_eq!(answer["data"], "zeros");
    assert_eq!(answer["codecs"].as_array().map(Vec::len), Some(1));
    assert!(positive(&answer["codecs"][0]["ratio"], "ratio") > 100.0, "{answer}");
    assert!(positive(&answer["transfers"][0]["ratio"], "ratio") > 50.0, "{answer}");
}

#[test]
fn what_cannot_be_measured_is_a_usage_error() {
    let env = Env::new();
    let unknown = env.p2(&["bench", "--codecs=brotli"]).run().exits(2);
    unknown.says(&["there is no codec `brotli`; this build has ", "gzip"]);
    env.p2(&["bench", "--data=missing"]).run().exits(2).says(&["cannot read the sample missing"]);
    env.p2(&["bench", "--streams=0"]).run().exits(2).says(&["--streams"]);
}

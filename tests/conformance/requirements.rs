//! Which requirement of WIRE.md has a test: read from the document, from the cases, and from the
//! list of those that no peer can show.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::Case;

const SPEC: &str = "crates/frame/WIRE.md";

/// Requirements about the inside of an implementation, or about links that a test on one machine
/// does not have: the tests that hold them.
const INSIDE: &[(&str, &str, &str)] = &[
    ("W-2.2", "crates/frame/src/preface.rs", "junk_is_skipped_up_to_the_limit_and_not_beyond"),
    (
        "W-8.1",
        "crates/mux/src/stream/send.rs",
        "bytes_stay_until_acknowledged_and_are_sent_again_from_where_the_peer_stands",
    ),
    ("W-11.3", "crates/mux/src/police.rs", "pings_refill_with_time"),
    ("W-6.6", "crates/mux/src/handshake/proof.rs", "the_construction_is_plain_hmac_sha256"),
];

/// Every numbered requirement and its text.
fn requirements() -> BTreeMap<String, String> {
    let text = read(SPEC);
    let mut found: BTreeMap<String, String> = BTreeMap::new();
    let mut current: Option<String> = None;
    for line in text.lines() {
        if let Some((number, rest)) = line.strip_prefix("- **W-").and_then(|l| l.split_once("**")) {
            let number = format!("W-{number}");
            assert!(!found.contains_key(&number), "{number} stands twice");
            found.insert(number.clone(), rest.to_owned());
            current = Some(number);
        } else if let Some(text) = found_text(&mut found, &current, line) {
            text.push(' ');
            text.push_str(line.trim());
        } else {
            current = None;
        }
    }
    found
}

/// The requirement that this line goes on with.
fn found_text<'a>(
    found: &'a mut BTreeMap<String, String>,
    current: &Option<String>,
    line: &str,
) -> Option<&'a mut String> {
    current.as_ref().filter(|_| line.starts_with("  ")).and_then(|number| found.get_mut(number))
}

/// Lines with MUST that belong to no numbered requirement.
fn unnumbered() -> Vec<String> {
    let numbered: BTreeSet<String> = requirements().into_values().collect();
    let inside = |line: &str| numbered.iter().any(|text| text.contains(line.trim()));
    let text = read(SPEC);
    let lines = text.lines().filter(|line| line.contains("MUST") && !line.starts_with("- **W-"));
    lines.filter(|line| !inside(line) && !line.contains("RFC 2119")).map(str::to_owned).collect()
}

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Prints the count, and fails with every requirement that nothing covers.
pub fn report(cases: &[Case]) -> Result<(), String> {
    let requirements = requirements();
    let mut wrong = Vec::new();
    let mut covered: BTreeSet<&str> = BTreeSet::new();
    for case in cases {
        covered.extend(case.covers);
        if case.covers.is_empty() {
            wrong.push(format!("the case {} covers nothing", case.name));
        }
    }
    for (number, file, test) in INSIDE {
        covered.insert(number);
        if !read(file).contains(&format!("fn {test}(")) {
            wrong.push(format!("{number}: {file} has no test {test}"));
        }
    }
    for number in &covered {
        if !requirements.contains_key(*number) {
            wrong.push(format!("{number} is covered, but {SPEC} does not have it"));
        }
    }
    let mut names: Vec<&str> = cases.iter().map(|case| case.name).collect();
    names.sort_unstable();
    for pair in names.windows(2).filter(|pair| pair[0] == pair[1]) {
        wrong.push(format!("two cases are called {}", pair[0]));
    }
    for line in unnumbered() {
        wrong.push(format!("a MUST without a number: {line}"));
    }
    let musts = requirements.iter().filter(|(_, text)| text.contains("MUST"));
    let musts: Vec<&String> = musts.map(|(number, _)| number).collect();
    let missing = |numbers: &[&String]| -> Vec<String> {
        let bare = numbers.iter().filter(|number| !covered.contains(number.as_str()));
        bare.map(|number| (*number).clone()).collect()
    };
    let bare = missing(&musts);
    let all: Vec<&String> = requirements.keys().collect();
    println!(
        "{} of {} requirements with MUST have a test ({} of all {} that are numbered)",
        musts.len() - bare.len(),
        musts.len(),
        all.len() - missing(&all).len(),
        all.len(),
    );
    for number in missing(&all) {
        println!("  without a test: {number} {}", requirements[&number]);
    }
    wrong.extend(bare.iter().map(|number| format!("{number} has MUST and no test")));
    if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
}

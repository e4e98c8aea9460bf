//! The rules of the house, held by a test: who may know whom, and what every file has.
#![allow(clippy::print_stdout, reason = "what a failed test has to say")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The packages, each of which knows only those before it.
const ORDER: [&str; 5] = ["frame", "codec", "mux", "transport", "cli"];

/// Lines that a file may have without its tests.
const LONGEST: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below these folders, by its path from the root.
fn sources(folders: &[&str]) -> Vec<String> {
    fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                collect(&path, files);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    let mut files = Vec::new();
    folders.iter().for_each(|folder| collect(&root().join(folder), &mut files));
    let mut names: Vec<String> = files
        .iter()
        .filter_map(|path| path.strip_prefix(root()).ok()?.to_str().map(str::to_owned))
        .collect();
    names.sort();
    names
}

const CODE: [&str; 2] = ["src", "crates"];
const EVERYTHING: [&str; 6] =
    ["src", "crates", "tests", "examples", "benches", "fuzz/fuzz_targets"];

/// The dependencies of a package, not those of its tests.
fn dependencies(package: &str) -> BTreeSet<String> {
    let manifest = read(format!("crates/{package}/Cargo.toml"));
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if let Some(table) = line.strip_prefix('[') {
            inside = table.ends_with("dependencies]") && !table.contains("dev-");
        } else if inside {
            let name = line.split(['.', '=', ' ']).next().unwrap_or_default();
            if !name.is_empty() && !name.starts_with('#') {
                found.insert(name.to_owned());
            }
        }
    }
    found
}

/// Fails with every complaint at once.
#[track_caller]
fn none(complaints: Vec<String>) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

/// The part of a file before its unit tests.
fn without_tests(text: &str) -> &str {
    text.find("\n#[cfg(test)]\nmod ").map_or(text, |at| &text[..at])
}

#[test]
fn packages_know_only_those_before_them() {
    let mut wrong = Vec::new();
    for (at, package) in ORDER.iter().enumerate() {
        for later in &ORDER[at..] {
            if dependencies(package).contains(&format!("p2-{later}")) {
                wrong.push(format!("p2-{package} must not depend on p2-{later}"));
            }
        }
    }
    for forbidden in ["p2-mux", "p2-frame"] {
        if dependencies("cli").contains(forbidden) {
            wrong.push(format!("p2-cli must not name {forbidden}"));
        }
    }
    none(wrong);
}

#[test]
fn what_has_no_runtime_stays_without_one() {
    for package in ["frame", "codec", "mux"] {
        for forbidden in ["tokio", "futures", "async-std", "mio", "socket2", "tracing", "anyhow"] {
            let found = dependencies(package).contains(forbidden);
            assert!(!found, "p2-{package} must not depend on {forbidden}");
        }
    }
    for file in sources(&["crates/mux/src"]) {
        for forbidden in ["tokio", "Instant", "SystemTime", "rand::", "std::net", "std::thread"] {
            let text = read(&file);
            let lines = without_tests(&text).lines();
            let mut code = lines.filter(|line| !line.trim_start().starts_with("//"));
            let found = code.any(|line| line.contains(forbidden));
            assert!(!found, "{file}: the session is without I/O, clock and chance: {forbidden}");
        }
    }
}

#[test]
fn only_the_program_knows_anyhow_and_prints() {
    for package in &ORDER[..4] {
        assert!(!dependencies(package).contains("anyhow"), "p2-{package}");
        for file in sources(&[&format!("crates/{package}/src")]) {
            let text = read(&file);
            for (at, line) in without_tests(&text).lines().enumerate() {
                let code = !line.trim_start().starts_with("//");
                let prints = line.contains("println!(");
                assert!(!(code && prints), "{file}:{}: {line}", at + 1);
            }
        }
    }
}

#[test]
fn features_are_named_in_the_registry_alone() {
    let mut wrong = Vec::new();
    for file in sources(&CODE) {
        if file == "crates/codec/src/registry.rs" || file.contains("/tests/") {
            continue;
        }
        let text = read(&file);
        for (at, line) in text.lines().enumerate() {
            let gate = line.contains("cfg(feature")
                || line.contains("cfg_attr(feature")
                || line.contains("cfg!(feature")
                || (line.contains("cfg(") && line.contains("feature = "));
            if gate {
                wrong.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    none(wrong);
}

#[test]
fn bincode_is_known_to_one_file() {
    for package in ORDER {
        assert_eq!(dependencies(package).contains("bincode"), package == "frame", "p2-{package}");
    }
    for file in sources(&["crates/frame/src"]) {
        let text = read(&file);
        let calls = ["bincode::config", "bincode::encode", "bincode::decode"];
        let found = calls.iter().any(|call| text.contains(call));
        assert!(!found || file.ends_with("/body.rs"), "{file}: only body.rs calls bincode");
    }
}

#[test]
fn every_file_says_its_one_idea_first() {
    let wrong = sources(&EVERYTHING)
        .into_iter()
        .filter(|file| !read(file).starts_with("//! "))
        .map(|file| format!("{file}: the first line must be `//! ...`"));
    none(wrong.collect());
}

#[test]
fn every_package_forbids_unsafe_code_and_wants_documentation() {
    let mut files: Vec<String> =
        ORDER.iter().map(|package| format!("crates/{package}/src/lib.rs")).collect();
    files.push("src/lib.rs".to_owned());
    for file in &files {
        let text = read(file);
        assert!(text.contains("#![forbid(unsafe_code)]"), "{file}");
        assert!(text.contains("#![warn(missing_docs)]"), "{file}");
    }
    assert!(read("src/main.rs").contains("#![forbid(unsafe_code)]"), "src/main.rs");
}

#[test]
fn no_file_grows_beyond_one_idea() {
    let mut wrong = Vec::new();
    for file in sources(&CODE) {
        let text = read(&file);
        let test = file.contains("/tests/") || file.contains("/tests.rs");
        let lines = without_tests(&text).lines().count();
        if !test && lines > LONGEST {
            wrong.push(format!("{file}: {lines} lines without its tests, {LONGEST} are allowed"));
        }
    }
    none(wrong);
}

#[test]
fn nothing_is_left_undone() {
    // Spelled in two parts, so that this file does not find itself.
    let forbidden = [
        concat!("todo", "!("),
        concat!("unimplemented", "!("),
        concat!("#[", "ignore"),
        concat!("FIX", "ME"),
        concat!("dbg", "!("),
    ];
    let mut wrong = Vec::new();
    for file in sources(&EVERYTHING) {
        for (at, line) in read(&file).lines().enumerate() {
            if forbidden.iter().any(|word| line.contains(word)) {
                wrong.push(format!("{file}:{}: {}", at + 1, line.trim()));
            }
        }
    }
    none(wrong);
}

#[test]
fn the_wire_specification_names_every_kind_of_frame_and_every_code() {
    let spec = read("crates/frame/WIRE.md");
    let mut missing = Vec::new();
    for (file, what, least) in
        [("kind.rs", "frame", 17), ("code.rs", "code", 20), ("ids.rs", "codec", 5)]
    {
        let names = constants(&read(format!("crates/frame/src/{file}")));
        assert!(names.len() >= least, "{file}: not written as this test expects: {names:?}");
        for name in names {
            let named = spec
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
                .any(|word| word.eq_ignore_ascii_case(&name));
            if !named {
                missing.push(format!("WIRE.md does not name the {what} {name}"));
            }
        }
    }
    none(missing);
}

/// The names in `pub const NAME: Self`, each once.
fn constants(source: &str) -> BTreeSet<String> {
    let parts = source.split("pub const ").skip(1);
    parts
        .filter_map(|rest| Some(rest.split_once(": Self")?.0))
        .filter(is_name)
        .map(str::to_owned)
        .collect()
}

fn is_name(text: &&str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_')
}
/// What `p2 COMMAND --help` says.
fn help(command: &str) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_p2")).args([command, "--help"]).output();
    let output = output.expect("the program runs");
    assert!(output.status.success(), "p2 {command} --help");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The commands of the program, from its own help.
fn commands() -> Vec<String> {
    let output = Command::new(env!("CARGO_BIN_EXE_p2")).arg("-h").output();
    let text = String::from_utf8_lossy(&output.expect("the program runs").stdout).into_owned();
    let list = text.split_once("Commands:\n").map_or("", |(_, rest)| rest);
    let list = list.lines().take_while(|line| line.starts_with("  "));
    list.filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// The words of a document that stand in code: in fences and between backticks.
fn code_of(text: &str) -> Vec<String> {
    let mut code = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if fenced {
            code.push(line.to_owned());
        } else {
            code.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    code
}

#[test]
fn the_readme_names_only_commands_and_flags_that_exist() {
    let commands = commands();
    assert!(["send", "recv"].iter().all(|name| commands.iter().any(|found| found == name)));
    let known: String = commands.iter().map(|command| help(command)).collect();
    let mut wrong = Vec::new();
    for code in code_of(&read("README.md")) {
        // `p2 WORD`: a command of this program, unless it is a flag or a placeholder.
        for part in code.split(['|', ';', '&', '(']) {
            let mut words =
                part.split_whitespace().skip_while(|word| *word != "p2" && *word != "./p2");
            if let (Some(_), Some(word)) = (words.next(), words.next()) {
                let plain = word.bytes().all(|byte| byte.is_ascii_lowercase());
                if plain
                    && part.trim_start().starts_with(['p', '$', '.'])
                    && !commands.iter().any(|name| name == word)
                {
                    wrong.push(format!("README.md: `p2 {word}` does not exist: {code}"));
                }
            }
        }
        // Flags of other programs in the same line are those before `p2` and after a pipe.
        let ours = code.split_whitespace().any(|word| word == "p2");
        let alone = code.starts_with("--") && !code.starts_with("--- ");
        if !(ours || alone) || code.contains("cargo ") || code.starts_with("--features") {
            continue;
        }
        for word in code.split(|c: char| c.is_whitespace() || "[]|,()`".contains(c)) {
            let flag = word.strip_prefix("--").filter(|flag| !flag.starts_with('-'));
            let Some(flag) = flag else { continue };
            let flag: String = flag
                .chars()
                .take_while(|c| c.is_ascii_lowercase() || *c == '-' || c.is_ascii_digit())
                .collect();
            let exists = known.contains(&format!("--{flag} "))
                || known.contains(&format!("--{flag}\n"))
                || known.contains(&format!("--{flag}["))
                || known.contains(&format!("--{flag}="));
            if !flag.is_empty() && !["version", "help"].contains(&flag.as_str()) && !exists {
                wrong.push(format!("README.md: --{flag} does not exist: {code}"));
            }
        }
    }
    none(wrong);
}

#[test]
fn the_readme_tells_how_this_is_tested() {
    let readme = read("README.md");
    let run = read(".ci/run");
    let command = "cargo test --features full";
    assert!(readme.contains(command), "README.md does not say `{command}`");
    assert!(run.contains(command), ".ci/run does not run `{command}`");
}

#[test]
fn links_in_the_documents_lead_somewhere() {
    let mut wrong = Vec::new();
    for document in
        ["README.md", "ARCHITECTURE.md", "BENCHMARKS.md", "CONTRIBUTING.md", "CHANGELOG.md"]
    {
        let Ok(text) = fs::read_to_string(root().join(document)) else {
            wrong.push(format!("{document} is missing"));
            continue;
        };
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap_or_default();
            let elsewhere = path.contains("://") || path.is_empty() || path.contains(' ');
            if !elsewhere && !root().join(path).exists() {
                wrong.push(format!("{document}: {path} does not exist"));
            }
        }
    }
    none(wrong);
}

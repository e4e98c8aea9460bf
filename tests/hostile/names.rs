//! Names of streams and sessions: as files, on a terminal, and in numbers.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use p2_frame::{Fin, Frame};
use rustix::process::Signal;

use crate::raw::{Raw, data, open, stream};
use crate::siege::{Siege, cpu, mib, open_descriptors};
use crate::support::table::Outcome;
use crate::support::{Env, eventually, long_or, peak_memory};

/// Names that want to be elsewhere, or to be something else on a terminal.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        ".",
        "..",
        "...",
        "../x",
        "../../x",
        "..\\x",
        "a/../../x",
        "/x",
        "//x",
        "/etc/passwd",
        "./x",
        "a/b",
        "a//b",
        "a/",
        "/",
        "~",
        "~root",
        "~/x",
        "$HOME",
        "${HOME}",
        "`id`",
        "$(id)",
        "-",
        "--",
        "-rf",
        "--help",
        ".ssh",
        ".bashrc",
        ".git/config",
        "x.",
        "x ",
        " x",
        " ",
        "\t",
        "\n",
        "\r",
        "a\nb",
        "a\r\n[Stream 1] forged",
        "\0",
        "a\0b",
        "x\0/../../y",
        "\u{7}",
        "\u{8}\u{8}\u{8}",
        "\u{1b}[2J",
        "\u{1b}[31mred",
        "\u{1b}]0;title\u{7}",
        "\u{1b}P1$q\u{1b}\\",
        "\u{9b}2J",
        "\u{9d}0;t\u{9c}",
        "\u{7f}",
        "\u{80}",
        "\u{202e}gpj.exe",
        "\u{2066}x\u{2069}",
        "\u{200b}",
        "\u{200f}",
        "\u{feff}",
        "\u{2028}",
        "\u{fffd}",
        "\u{e0041}",
        "\u{10ffff}",
        "CON",
        "con",
        "NUL",
        "nul.txt",
        "COM1",
        "LPT1",
        "aux.log",
        "C:",
        "C:\\x",
        "C:x",
        "x:y",
        "\\\\host\\share",
        "\\\\?\\C:\\x",
        "%2e%2e%2fx",
        "%00",
        "%",
        "*",
        "?",
        "<x>",
        "|",
        "\"",
    ]
    .map(str::to_owned)
    .to_vec();
    names.push("n".repeat(255));
    names.push("/".repeat(255));
    names.push(".".repeat(255));
    names.push("日".repeat(85));
    names.push(format!("{}\u{1f4a9}", "x".repeat(251)));
    names
}

pub fn names_of_files() -> Outcome {
    let siege = Siege::beside(&[]);
    let names = names();
    assert!(names.len() >= 80, "{}", names.len());
    let mark = siege.env.write("mark", b"untouched");
    for (n, name) in names.iter().enumerate() {
        // The session has the name too: it is a directory.
        let mut raw = Raw::open_patiently(&siege.address, name);
        let text = format!("bytes of {n}\n");
        let digest = 0;
        let frames = [
            open(stream(0), name.clone()),
            data(stream(0), 0, text.clone()),
            open(stream(1), "end"),
            Frame::Fin(Fin { stream: stream(1), final_offset: 0, digest }),
        ];
        raw.send(&frames).expect("it listens");
        // The acknowledgement says that the sink has it.
        loop {
            match raw.frame().expect("the link lives") {
                Frame::Credit(credit)
                    if credit.stream == stream(0) && credit.acked == text.len() as u64 =>
                {
                    break;
                }
                _ => {}
            }
        }
        raw.close();
    }
    let root = fs::canonicalize(siege.env.path("out")).expect("the directory");
    let mut found = BTreeSet::new();
    for file in files(&root) {
        let real = fs::canonicalize(&file).expect("a file");
        assert!(real.starts_with(&root), "{} leads to {}", file.display(), real.display());
        let inside: PathBuf = real.strip_prefix(&root).expect("beneath").into();
        let parts: Vec<_> = inside.components().collect();
        assert_eq!(parts.len(), 2, "{}", inside.display());
        let text = inside.to_str().expect("ASCII");
        assert!(text.bytes().all(|b| b.is_ascii_graphic() && b != b'\\'), "{text:?}");
        assert!(!text.starts_with(['.', '-']) && !text.contains("/.") && !text.contains("/-"));
        if let Ok(bytes) = fs::read_to_string(&real) {
            found.extend(bytes.strip_prefix("bytes of ").map(|n| n.trim().to_owned()));
        }
    }
    assert_eq!(found.len(), names.len(), "each name has a file of its own");
    assert_eq!(fs::read(mark).expect("it is there"), b"untouched");
    let outside = fs::read_dir(siege.env.path("")).expect("a directory").flatten();
    // `p2` holds the control socket.
    let outside: Vec<_> = outside.filter(|entry| entry.file_name() != "p2").collect();
    assert_eq!(outside.len(), 2, "{outside:?}");
    // So many sessions in so short a time: their lines are counted in part, and told in part.
    siege.receiver.signal(Signal::TERM);
    let said = siege.receiver.wait().stderr;
    assert!(said.matches("session ").count() >= 20, "{said}");
    quiet(&said);
    Outcome::Passed(format!("{} files, all beneath the directory", found.len()))
}

/// Nothing in `text` acts on a terminal.
#[track_caller]
fn quiet(text: &str) {
    let acts = |c: char| {
        c.is_control() && c != '\n'
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    if let Some(line) = text.lines().find(|line| line.contains(acts)) {
        panic!("{line:?} acts on a terminal");
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a directory").flatten();
    let deeper = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    entries.flat_map(|entry| deeper(entry.path())).collect()
}

pub fn names_and_lines_on_a_terminal() -> Outcome {
    let names = names();
    for format in ["prefix", "name", "json"] {
        let env = Env::new();
        let (mut receiver, address) = env.recv(&["--format", format, "-v"]);
        let mut raw = Raw::open_patiently(&address, "\u{1b}[2J\u{9b}31m\r\nforged");
        raw.ignore();
        for (n, name) in names.iter().enumerate() {
            let id = stream(n as u64);
            // Into a pipe, bytes go as they are; only JSON has to make text of them.
            let line = if format == "json" { format!("{name}|{n}\n") } else { format!("|{n}\n") };
            raw.send(&[open(id, name.clone()), data(id, 0, line)]).expect("it listens");
        }
        (0..names.len()).for_each(|n| receiver.print(&format!("|{n}")));
        raw.close();
        eventually("the session's end", || {
            let said = receiver.stderr();
            (said.contains("done ") || said.contains("ended early")).then_some(())
        });
        quiet(&receiver.stderr());
        let out = String::from_utf8(receiver.stdout()).expect("text");
        let tabs = out.replace('\t', " ");
        quiet(&tabs);
    }
    Outcome::Passed(format!("{} names and lines in 3 formats", names.len()))
}

pub fn one_name_again_and_again() -> Outcome {
    // Files of one name are numbered. What a further one costs must not grow with their number.
    let siege = Siege::new(&[]);
    let (many, more) = (long_or(200_000, 20_000), 20);
    for n in 1..=many {
        let name = if n == 1 { "x".to_owned() } else { format!("x~{n}") };
        siege.env.write(&format!("out/evil/{name}"), b"");
    }
    let before = cpu(&siege.receiver);
    let began = Instant::now();
    for n in 1..=more {
        // One session after the other: nothing is remembered from the one before.
        let mut raw = Raw::open_patiently(&siege.address, "evil");
        raw.send(&[open(stream(0), "x"), data(stream(0), 0, "x")]).expect("it listens");
        let path = siege.env.path(format!("out/evil/x~{}", many + n));
        eventually("its file", || path.exists().then_some(()));
        raw.close();
        while raw.frame().is_some() {}
        let wait = Duration::from_millis(20);
        std::thread::sleep(wait);
    }
    let each = (cpu(&siege.receiver) - before) / f64::from(more);
    let lasted = began.elapsed();
    let figures = format!("{:.1} ms of cpu each beside {many}, {lasted:.1?}", each * 1000.0);
    assert!(each < 0.01, "{figures}");
    Outcome::Passed(figures)
}

pub fn names_without_end() -> Outcome {
    // Empty streams, each with a name of its own: what is remembered of them has to be bounded.
    let siege = Siege::new(&[]);
    let count = long_or(500_000_u64, 20_000);
    let before = (peak_memory(siege.receiver.id()), cpu(&siege.receiver));
    let began = Instant::now();
    let mut raw = Raw::open_patiently(&siege.address, "evil");
    let mut over = 0;
    let mut next = 0;
    while over < count {
        // No more than half of what may be open at once.
        while next < count && next - over < 512 {
            let id = stream(next);
            let end = Fin { stream: id, final_offset: 0, digest: 0x2d06_8005_38d3_94c2 };
            let name = format!("{next:0>240}");
            raw.send(&[open(id, name), Frame::Fin(end)]).expect("it listens");
            next += 1;
        }
        match raw.frame() {
            Some(Frame::Credit(credit)) if credit.acked == 1 => over += 1,
            Some(_) => {}
            None => panic!("the link died after {over} streams: {}", siege.receiver.stderr()),
        }
    }
    let lasted = began.elapsed();
    let after = (peak_memory(siege.receiver.id()), cpu(&siege.receiver));
    let grown = after.0.saturating_sub(before.0);
    let figures = format!(
        "{count} streams in {lasted:.1?}, {} more resident, {} descriptors, cpu {:.1} s",
        mib(grown),
        open_descriptors(&siege.receiver),
        after.1 - before.1
    );
    // 512 live streams, and the 1,024 that a receipt lists: a few MiB, whatever `count` is.
    assert!(grown < 16 << 20, "{figures}");
    assert!(lasted < Duration::from_secs(120), "{figures}");
    Outcome::Passed(figures)
}

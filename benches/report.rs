//! From figures to words: fills in the tables of BENCHMARKS.md and draws its plots, from the JSON that
//! the benches wrote. No figure there is typed by hand.
//!
//! ```text
//! cargo bench --bench report -- --write [--from target/benchmarks]     what benches/run does at its end
//! cargo bench --bench report                                           shows the tables instead
//! ```
//!
//! A table stands between `<!-- table NAME -->` and `<!-- end -->`. One whose file is missing is left
//! as it is, so that a single bench can be repeated.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the tables are the result")]

#[path = "report/document.rs"]
mod document;
#[path = "report/figures.rs"]
mod figures;
#[path = "report/plots.rs"]
mod plots;
#[path = "report/svg.rs"]
mod svg;
#[path = "report/tables.rs"]
mod tables;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use figures::Figures;

fn main() -> ExitCode {
    let (mut write, mut bench, mut from) = (false, false, PathBuf::from("target/benchmarks"));
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--write" => write = true,
            "--bench" => bench = true,
            "--from" => from = arguments.next().map(PathBuf::from).unwrap_or(from),
            // Flags of other benches.
            _ => {}
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !bench {
        return check(root);
    }
    let figures = Figures::read(&root.join(from));
    let tables = tables::all(&figures);
    if !write {
        tables.iter().for_each(|(name, table)| println!("{name}\n\n{table}"));
        return ExitCode::SUCCESS;
    }
    match publish(root, &figures, &tables) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("report: {error}");
            ExitCode::FAILURE
        }
    }
}

fn publish(root: &Path, figures: &Figures, tables: &[(&str, String)]) -> std::io::Result<()> {
    let path = root.join("BENCHMARKS.md");
    let text = document::fill(&std::fs::read_to_string(&path)?, tables)?;
    std::fs::write(&path, text)?;
    let folder = root.join("benches/plots");
    std::fs::create_dir_all(&folder)?;
    for (name, plot) in plots::all(figures) {
        std::fs::write(folder.join(name), plot)?;
        println!("benches/plots/{name}");
    }
    println!("BENCHMARKS.md");
    Ok(())
}

/// As a test: BENCHMARKS.md has a place for every table, shows every plot, and would not change if it
/// were filled in with nothing new.
fn check(root: &Path) -> ExitCode {
    let text = std::fs::read_to_string(root.join("BENCHMARKS.md")).expect("BENCHMARKS.md");
    for name in tables::NAMES {
        assert!(text.contains(&format!("<!-- table {name} -->")), "no place for {name}");
    }
    for name in plots::NAMES {
        assert!(text.contains(&format!("benches/plots/{name}")), "{name} is not shown");
    }
    assert_eq!(document::fill(&text, &[]).expect("whole marks"), text);
    ExitCode::SUCCESS
}

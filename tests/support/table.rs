//! Scenarios that end in a figure, and the table that a run makes of them.

use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use libtest_mimic::{Arguments, Trial};

/// One row: what is done to the program, and what must come of it.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// The name by which the row is chosen on the command line, as `r07_old_link_still_delivers`.
    pub name: &'static str,
    /// What is done, in a few words.
    pub what: &'static str,
    /// Does it; panics if the program does not hold.
    pub run: fn() -> Outcome,
}

/// How a row ended, if it did not panic.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It held; the figures that show it, as `resumed in 31 ms, 9.1 MiB resident`.
    Passed(String),
    /// This machine cannot do it; why.
    Skipped(String),
}

/// Runs the rows that the command line chooses, as a test harness does, and prints the table.
pub fn main(title: &str, rows: &[Row]) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // What a row prints is for whoever looks into a failure: the table says the rest.
    arguments.color.get_or_insert(libtest_mimic::ColorSetting::Never);
    let outcomes: Arc<Mutex<Vec<(usize, Outcome)>>> = Arc::default();
    let begun: Arc<Mutex<Vec<usize>>> = Arc::default();
    let trials = rows.iter().enumerate().map(|(index, row)| {
        let (row, outcomes, started) = (*row, Arc::clone(&outcomes), Arc::clone(&begun));
        Trial::test(row.name, move || {
            started.lock().unwrap_or_else(|held| held.into_inner()).push(index);
            let outcome = (row.run)();
            outcomes.lock().unwrap_or_else(|held| held.into_inner()).push((index, outcome));
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    if arguments.list {
        return conclusion.exit_code();
    }
    let outcomes = outcomes.lock().unwrap_or_else(|held| held.into_inner()).clone();
    let begun = begun.lock().unwrap_or_else(|held| held.into_inner()).clone();
    println!("{title}");
    for (index, row) in rows.iter().enumerate() {
        let (word, figure) = match outcomes.iter().find(|(at, _)| *at == index) {
            Some((_, Outcome::Passed(figure))) => ("pass", figure.as_str()),
            Some((_, Outcome::Skipped(why))) => ("SKIP", why.as_str()),
            None if begun.contains(&index) => ("FAIL", "see above"),
            None => continue,
        };
        println!("  {word}  {:<44} {:<60} {figure}", row.name, row.what);
    }
    let skipped =
        outcomes.iter().filter(|(_, outcome)| matches!(outcome, Outcome::Skipped(_))).count()
            as u64;
    let (passed, failed) = (conclusion.num_passed - skipped, conclusion.num_failed);
    println!("{passed} passed, {failed} failed, {skipped} skipped");
    conclusion.exit_code()
}

//! The program against its wire specification: a peer in raw bytes, and which requirement of
//! WIRE.md has a test.
#![allow(clippy::print_stdout, reason = "the report")]
#![allow(unreachable_pub, reason = "one program")]

#[path = "conformance/mod.rs"]
mod conformance;
#[path = "support/mod.rs"]
mod support;

use std::process::ExitCode;

use libtest_mimic::{Arguments, ColorSetting, Trial};

/// Most cases wait for the program more than they compute.
const AT_ONCE: usize = 6;

fn main() -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.color.get_or_insert(ColorSetting::Never);
    arguments.test_threads.get_or_insert(AT_ONCE);
    let cases = conformance::all();
    let mut trials: Vec<Trial> = cases
        .iter()
        .map(|case| {
            let run = case.run;
            Trial::test(case.name, move || {
                conformance::begin();
                run();
                Ok(())
            })
        })
        .collect();
    let count = cases.len();
    trials.push(Trial::test("every_requirement_with_must_has_a_test", move || {
        conformance::report(&cases).map_err(Into::into)
    }));
    let conclusion = libtest_mimic::run(&arguments, trials);
    let said = conformance::stop();
    if conclusion.num_failed > 0 {
        said.iter().for_each(|said| println!("---- a shared receiver said:\n{said}"));
    }
    println!("{count} cases");
    conclusion.exit_code()
}

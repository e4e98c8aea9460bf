//! The `p2` program: arguments become settings, settings become a run, a run becomes an exit code.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod args;
mod cmd;
mod config;
mod control;
mod dashboard;
mod error;
mod exit;
#[doc(hidden)]
pub mod fuzzing;
mod logging;
mod metrics;
mod own_dir;
mod report;
mod service;
mod settings;
mod signal;
mod sink;
mod source;
mod ssh;
mod status;
mod style;
mod units;

use std::process::ExitCode;

use config::{Invocation, Refusal};
use error::UserError;
use exit::Exit;

/// Runs the program with the process's own arguments and returns its exit code.
pub fn main() -> ExitCode {
    match Invocation::read(std::env::args_os()) {
        Ok(invocation) => run(invocation).into(),
        Err(Refusal::Line(error)) => {
            // Help for a reader that has gone is no error.
            let _ = error.print();
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(Exit::Usage.code()))
        }
        Err(Refusal::Settings(errors)) => {
            errors.iter().for_each(UserError::report);
            errors.first().map_or(Exit::Usage, UserError::exit).into()
        }
    }
}

fn run(invocation: Invocation) -> Exit {
    let outcome = start(invocation);
    outcome.unwrap_or_else(|error| {
        if error::is_broken_pipe(&error) {
            // As after SIGPIPE: whoever closed the pipe wants no words. What was on its way
            // through it has not been delivered.
            return Exit::Endpoint;
        }
        let error = UserError::from(error);
        error.report();
        error.exit()
    })
}

fn start(invocation: Invocation) -> anyhow::Result<Exit> {
    let log = match &invocation.plan {
        Some((_, plan)) => plan.log.clone(),
        None => settings::LogSettings::from_args(&invocation.cli.log),
    };
    logging::start(&log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let outcome = runtime.block_on(cmd::run(invocation));
    // A read of stdin that never returns must not hold the program.
    runtime.shutdown_background();
    outcome
}

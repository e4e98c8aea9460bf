//! One file per command: settings in, exit code out.

mod attach;
mod bench;
mod codecs;
mod columns;
mod config;
mod dashboard;
mod demo;
mod descriptors;
mod doctor;
mod generate;
mod look;
mod process;
mod recv;
mod run;
mod sample;
mod send;
mod session;

pub(crate) use self::process::Process;
pub(crate) use self::run::Reload;

use std::io::{self, Write};

use anyhow::Context;

use crate::args::{Cli, Command};
use crate::config::{Invocation, Member};
use crate::exit::Exit;
use crate::settings::{
    AttachSettings, BenchSettings, CodecsSettings, ConnectionSettings, DemoSettings, DoctorSettings,
};
use crate::style;

/// Runs what the command line asks for.
///
/// # Errors
/// Anything that ends the program early; [`crate::error::UserError`] says it in words.
pub(crate) async fn run(invocation: Invocation) -> anyhow::Result<Exit> {
    let Invocation { cli, plan, given } = invocation;
    if let Some((recipe, plan)) = plan {
        for text in plan.members.iter().flat_map(Member::warnings) {
            warn(text, plan.output.quiet);
        }
        if matches!(cli.command, Command::Send(_)) {
            send::check(&plan)?;
        }
        return run::run(recipe, plan).await;
    }
    let Cli { command, log, config } = cli;
    let log = &log;
    match command {
        Command::Recv(args) => attach::run(AttachSettings::from_args(*args, log)?).await,
        // They have a plan.
        Command::Send(_) | Command::Run(_) => Err(anyhow::anyhow!("there is no plan")),
        Command::Config(args) => config::run(args.action, config, given),
        Command::Demo(args) => demo::run(DemoSettings::from_args(*args, log)?).await,
        Command::Codecs(args) => {
            let settings = CodecsSettings::from_args(*args)?;
            warn_all(&settings.connection, log.quiet);
            codecs::run(settings).await
        }
        Command::Bench(args) => bench::run(BenchSettings::from_args(*args), log.quiet).await,
        Command::Dashboard(args) => dashboard::run(args.what),
        Command::Doctor(args) => {
            let settings = DoctorSettings::from_args(*args)?;
            warn_all(&settings.connection, log.quiet);
            doctor::run(settings).await
        }
        Command::Completions(args) => generate::completions(&args),
        Command::Man(args) => generate::man(&args),
        Command::Status(args) => look::status(args).await,
        Command::Top(args) => look::top(args).await,
        Command::Sessions(args) => look::sessions(args).await,
    }
}

fn warn_all(connection: &ConnectionSettings, quiet: bool) {
    connection.warnings.iter().for_each(|text| warn(text, quiet));
}

fn warn(text: &str, quiet: bool) {
    if !quiet {
        style::warn(text);
    }
}

/// Writes an answer to stdout.
fn answer(text: &str) -> anyhow::Result<Exit> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `p2 codecs | head -1` has its answer.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(Exit::Success),
    }
}

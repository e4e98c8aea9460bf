//! One file per command: settings in, exit code out.

mod attach;
mod bench;
mod codecs;
mod columns;
mod dashboard;
mod demo;
mod descriptors;
mod doctor;
mod process;
mod recv;
mod sample;
mod send;
mod session;

use std::io::{self, Write};

use anyhow::Context;

use crate::args::{Cli, Command};
use crate::exit::Exit;
use crate::settings::{
    AttachSettings, BenchSettings, CodecsSettings, ConnectionSettings, DemoSettings,
    DoctorSettings, RecvSettings, SendSettings, StdinKind,
};
use crate::style;

/// Runs what the command line asks for.
///
/// # Errors
/// Anything that ends the program early; [`crate::error::UserError`] says it in words.
pub(crate) async fn run(cli: Cli) -> anyhow::Result<Exit> {
    let log = &cli.log;
    match cli.command {
        Command::Recv(args) if args.attach => {
            attach::run(AttachSettings::from_args(*args, log)?).await
        }
        Command::Recv(args) => {
            let settings = RecvSettings::from_args(*args, log)?;
            warn(&settings.connection, settings.output.quiet);
            recv::run(settings).await
        }
        Command::Send(args) => {
            let settings = SendSettings::from_args(*args, log, StdinKind::detect())?;
            warn(&settings.connection, settings.output.quiet);
            send::run(settings).await
        }
        Command::Demo(args) => demo::run(DemoSettings::from_args(*args, log)?).await,
        Command::Codecs(args) => {
            let settings = CodecsSettings::from_args(*args)?;
            warn(&settings.connection, log.quiet);
            codecs::run(settings).await
        }
        Command::Bench(args) => bench::run(BenchSettings::from_args(*args), log.quiet).await,
        Command::Dashboard(args) => dashboard::run(args.what),
        Command::Doctor(args) => {
            let settings = DoctorSettings::from_args(*args)?;
            warn(&settings.connection, log.quiet);
            doctor::run(settings).await
        }
    }
}

fn warn(connection: &ConnectionSettings, quiet: bool) {
    if !quiet {
        connection.warnings.iter().for_each(|text| style::warn(text));
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

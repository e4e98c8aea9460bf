//! From the words of a command line to what is run, with the file in between.

use std::ffi::OsString;

use clap::ArgMatches;

use super::keys::{Scope, command_tables, definition};
use super::layers::{Given, choose};
use super::plan::{Plan, Recipe, Source, What, read};
use super::problem::Place;
use crate::args::{Cli, Command};
use crate::error::UserError;
use crate::settings::StdinKind;

/// What the program was asked to do.
#[derive(Debug)]
pub(crate) struct Invocation {
    /// The command; of `send`, `recv` and `run` the plan says the rest.
    pub(crate) cli: Cli,
    /// Sessions and receivers, and how to plan them again.
    pub(crate) plan: Option<(Recipe, Plan)>,
    /// What the command line and the environment say.
    pub(crate) given: Given,
}

/// Why it cannot be run.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// In clap's words; help and version are among them.
    Line(Box<clap::Error>),
    /// Settings, wherever they are from.
    Settings(Vec<UserError>),
}

impl Invocation {
    /// Reads command line, environment and file.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn read(line: impl IntoIterator<Item = OsString>) -> Result<Self, Refusal> {
        let (cli, matches) =
            Cli::read_with_origins(line).map_err(|error| Refusal::Line(Box::new(error)))?;
        crate::logging::form(cli.log.log_format);
        let given = given(&matches);
        let what = match &cli.command {
            Command::Run(_) => Some(What::All),
            Command::Send(_) => Some(What::Send),
            Command::Recv(args) if !args.attach => Some(What::Recv),
            _ => None,
        };
        let outcome = match what {
            Some(what) => planned(cli, what, given),
            None => layered(cli, &matches, given),
        };
        outcome.map_err(Refusal::Settings)
    }
}

fn planned(cli: Cli, what: What, given: Given) -> Result<Invocation, Vec<UserError>> {
    let source = Source::choose(cli.config.clone());
    let recipe = Recipe { what, source, given: given.clone(), stdin: StdinKind::detect() };
    let plan = recipe.plan()?;
    Ok(Invocation { cli, plan: Some((recipe, plan)), given })
}

/// The commands that have a table in the file are read again with it.
fn layered(cli: Cli, matches: &ArgMatches, given: Given) -> Result<Invocation, Vec<UserError>> {
    let name = matches.subcommand_name().unwrap_or_default();
    let attach = matches!(&cli.command, Command::Recv(_));
    let scope = if attach { Scope::Attach } else { Scope::Command(name.to_owned()) };
    if !command_tables().contains(&scope) {
        return Ok(Invocation { cli, plan: None, given });
    }
    let Some(file) = Source::choose(cli.config.clone()).read()? else {
        return Ok(Invocation { cli, plan: None, given });
    };
    let section = file.table(&scope);
    let chosen = choose(&scope, Some(&file), section, &given);
    let place = section.map_or(Place::START, |section| section.place);
    let mut again = read(&scope, Some(&file), place, &chosen).map_err(|error| vec![error])?;
    if let (Command::Recv(again), Command::Recv(before)) = (&mut again.command, &cli.command) {
        again.detached = before.detached;
    }
    Ok(Invocation { cli: again, plan: None, given })
}

/// What was given to the innermost command.
fn given(matches: &ArgMatches) -> Given {
    let (mut command, mut matches) = (definition(), matches);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else { break };
        (command, matches) = (found, inner);
    }
    Given::of(command, matches)
}

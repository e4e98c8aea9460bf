//! `p2 config`: a file printed, checked and explained.

mod init;
mod show;

use std::io::Write;
use std::path::PathBuf;

use crate::args::ConfigAction;
use crate::config::{Given, Member, Recipe, Source, What, nowhere};
use crate::error::UserError;
use crate::exit::Exit;
use crate::settings::StdinKind;
use crate::sink::escape_text;

/// Answers on stdout.
///
/// # Errors
/// A file that is wrong, or none where one is needed.
pub(crate) fn run(
    action: ConfigAction,
    named: Option<PathBuf>,
    given: Given,
) -> anyhow::Result<Exit> {
    match action {
        ConfigAction::Init => print(&init::text()),
        ConfigAction::Check { file } => check(file.or(named)),
        ConfigAction::Show(args) => {
            let source = Source::choose(named);
            match show::text(source, given, args.origin) {
                Ok(text) => print(&text),
                Err(errors) => refused(&errors),
            }
        }
    }
}

/// What the file says by itself, whatever the environment.
fn check(file: Option<PathBuf>) -> anyhow::Result<Exit> {
    let source = Source::choose(file);
    let Some(path) = source.path().map(|path| escape_text(&path.display().to_string())) else {
        return Err(nowhere().into());
    };
    let mut errors = source.check().err().unwrap_or_default();
    let mut names = String::from("no session and no receiver");
    if errors.is_empty() && source.has_sections() {
        let given = Given::default();
        let recipe = Recipe { what: What::All, source, given, stdin: StdinKind::Other };
        match recipe.plan() {
            Ok(plan) => {
                let warnings = plan.members.iter().flat_map(Member::warnings);
                warnings.for_each(|text| crate::style::warn(text));
                let all = plan.members.iter().map(|one| escape_text(&one.name));
                names = all.collect::<Vec<_>>().join(", ");
            }
            Err(found) => errors = found,
        }
    }
    match errors.is_empty() {
        true => print(&format!("{path} is valid: {names}\n")),
        false => refused(&errors),
    }
}

fn refused(errors: &[UserError]) -> anyhow::Result<Exit> {
    errors.iter().for_each(UserError::report);
    Ok(errors.first().map_or(Exit::Usage, UserError::exit))
}

fn print(text: &str) -> anyhow::Result<Exit> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(Exit::Success)
}

//! `p2 completions` and `p2 man`: what the command line says about itself, for shells and for man.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::Command;
use clap_mangen::Man;

use crate::args::{CompletionsArgs, ManArgs, command};
use crate::error::UserError;
use crate::exit::Exit;

/// Prints the completions of one shell.
///
/// # Errors
/// Stdout cannot be written.
pub(crate) fn completions(args: &CompletionsArgs) -> anyhow::Result<Exit> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "p2", &mut text);
    print(&text)
}

/// Prints a page, or writes all of them.
///
/// # Errors
/// There is no such command, or the pages cannot be written.
pub(crate) fn man(args: &ManArgs) -> anyhow::Result<Exit> {
    let pages = pages(&built())?;
    if let Some(dir) = &args.dir {
        write_all(dir, &pages)?;
        return Ok(Exit::Success);
    }
    let mut wanted = vec!["p2".to_owned()];
    wanted.extend(args.command.iter().cloned());
    let wanted = wanted.join("-");
    let page = pages.iter().find(|(name, _)| *name == wanted);
    let (_, page) = page.ok_or_else(|| {
        UserError::usage(format!("there is no command `{}`", args.command.join(" ")))
            .hint("`p2 -h` lists them")
    })?;
    print(page)
}

fn write_all(dir: &Path, pages: &[(String, Vec<u8>)]) -> Result<(), UserError> {
    let failed = |path: &Path, error: &io::Error| {
        UserError::new(Exit::Endpoint, format!("cannot write {}: {error}", path.display()))
    };
    fs::create_dir_all(dir).map_err(|error| failed(dir, &error))?;
    for (name, page) in pages {
        let path = dir.join(format!("{name}.1"));
        fs::write(&path, page).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}

/// Every command's page, with its name.
fn pages(command: &Command) -> io::Result<Vec<(String, Vec<u8>)>> {
    let mut all = vec![(name_of(command).to_owned(), page(command)?)];
    for sub in command.get_subcommands().filter(|sub| !sub.is_hide_set()) {
        all.extend(pages(sub)?);
    }
    Ok(all)
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let name = name_of(command);
    // Pages tell everything, as the long help does.
    let all = command.clone().mut_args(|arg| arg.hide_short_help(false));
    let man = Man::new(all)
        .title(name.to_uppercase())
        .date(DATE)
        .source(concat!("p2 ", env!("CARGO_PKG_VERSION")))
        .manual("P2");
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    man.render_synopsis_section(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    if let Some(more) = command.get_after_long_help() {
        text.extend(verbatim(&more.to_string()).into_bytes());
    }
    if name != "p2" {
        text.extend(b".SH \"SEE ALSO\"\n\\fBp2\\fR(1)\n");
    }
    Ok(text)
}

/// Pages change with the program's version, which they name; a day would tell less.
const DATE: &str = "2026-11-22";

/// The last part of the long help as it is: its examples are lines that can be copied.
fn verbatim(text: &str) -> String {
    let mut page = String::from(".SH NOTES\n.nf\n");
    for line in text.lines() {
        let line = line.replace('\\', "\\e").replace('-', "\\-");
        if line.starts_with(['.', '\'']) {
            page.push_str("\\&");
        }
        page.push_str(&line);
        page.push('\n');
    }
    page.push_str(".fi\n");
    page
}

/// The whole command line, each command under the name of its page: `p2-sessions-drop`.
fn built() -> Command {
    let mut command = command();
    command.build();
    command
}

fn name_of(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

fn print(bytes: &[u8]) -> anyhow::Result<Exit> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_page_with_its_examples() {
        let all = pages(&built()).expect("rendered");
        let names: Vec<&str> = all.iter().map(|(name, _)| name.as_str()).collect();
        for name in ["p2", "p2-send", "p2-recv", "p2-sessions-drop", "p2-man"] {
            assert!(names.contains(&name), "{name}: {names:?}");
        }
        let (_, page) = all.iter().find(|(name, _)| name == "p2-recv").expect("there");
        let page = String::from_utf8(page.clone()).expect("text");
        assert!(page.contains("\\-\\-once"), "{page}");
        assert!(page.contains("\n  p2 recv \\-\\-once \\-\\-format raw"), "{page}");
    }

    #[test]
    fn lines_that_look_like_requests_are_text() {
        let page = verbatim(".SH forged\n'x\na\\b");
        assert_eq!(page, ".SH NOTES\n.nf\n\\&.SH forged\n\\&'x\na\\eb\n.fi\n");
    }
}

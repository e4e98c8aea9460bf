//! `p2 completions` and `p2 man`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

/// Completions for a shell.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsArgs {
    /// bash, zsh, fish, elvish or powershell
    #[arg(value_name = "SHELL", hide_possible_values = true)]
    pub(crate) shell: Shell,
}

/// Manual pages.
#[derive(Debug, Clone, Args)]
pub(crate) struct ManArgs {
    /// A command, as in `send` or `sessions drop`; default: the page of p2 itself
    #[arg(value_name = "COMMAND", conflicts_with = "dir")]
    pub(crate) command: Vec<String>,
    /// Write the pages of all commands there
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

pub(crate) const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  p2 completions bash > ~/.local/share/bash-completion/completions/p2
  p2 completions zsh > ~/.zfunc/_p2
  p2 completions fish > ~/.config/fish/completions/p2.fish

For zsh, ~/.zfunc has to be in fpath before compinit runs.";

pub(crate) const MAN_EXAMPLES: &str = "\
Examples:
  p2 man send | man -l -
  p2 man --dir ~/.local/share/man/man1";

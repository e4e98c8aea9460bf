//! The configuration file, and how it goes together with flags and environment.
//!
//! There is no second list of settings: a file's keys are the flags of the commands. A section is
//! turned into the command line that says the same, and that is read like any other.

mod file;
mod invocation;
mod keys;
mod layers;
mod plan;
mod problem;
mod search;
mod stream;
mod toml;

#[cfg(test)]
pub(crate) use self::file::File;
pub(crate) use self::invocation::{Invocation, Refusal};
pub(crate) use self::keys::{Key, Scope, of_process};
#[cfg(test)]
pub(crate) use self::layers::words;
pub(crate) use self::layers::{Chosen, Given, Origin, choose};
pub(crate) use self::plan::{Member, Plan, Recipe, Source, Task, What, nowhere};
pub(crate) use self::stream::{ATTRIBUTES, SOURCES};

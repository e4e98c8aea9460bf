//! A client and a server of P2 in raw bytes, made from WIRE.md alone: nothing here knows the crates.
//!
//! A case names the numbered requirements that it covers, and shows both that the right thing is
//! accepted and what becomes of the wrong one.

mod body;
mod cases;
mod link;
mod message;
mod receiver;
mod requirements;
mod sender;
mod wire;

pub use cases::all;
pub use receiver::{begin, stop};
pub use requirements::report;

/// One scenario.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The requirements whose breach it would show.
    pub covers: &'static [&'static str],
    /// What holds.
    pub name: &'static str,
    /// Panics if it does not.
    pub run: fn(),
}

const fn case(covers: &'static [&'static str], name: &'static str, run: fn()) -> Case {
    Case { covers, name, run }
}

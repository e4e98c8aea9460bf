//! `p2 dashboard`: prints what Grafana and Prometheus need.

use std::io::{self, Write};

use anyhow::Context;

use crate::dashboard::Asset;
use crate::exit::Exit;

/// Answers on stdout.
///
/// # Errors
/// It cannot be written to.
pub(crate) fn run(what: Asset) -> anyhow::Result<Exit> {
    let text = what.text()?;
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        // `p2 dashboard alerts | head` has its answer.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write to standard output")
        }
        _ => Ok(Exit::Success),
    }
}

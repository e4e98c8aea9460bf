//! `p2 doctor`: tries each step of the way to a receiver, and says what to do about what fails.

mod session;
mod through_ssh;

use std::io::{self, Write};

use crate::error::UserError;
use crate::exit::Exit;
use crate::settings::DoctorSettings;
use crate::sink::escape_text;

/// Answers on stdout, a line for each step.
///
/// # Errors
/// Standard output that cannot be written to.
pub(crate) async fn run(settings: DoctorSettings) -> anyhow::Result<Exit> {
    let mut chart = Chart { exit: Exit::Success };
    examine(&settings, &mut chart).await?;
    Ok(chart.exit)
}

/// Each step needs those before it; what does not stands at the end.
async fn examine(settings: &DoctorSettings, chart: &mut Chart) -> io::Result<()> {
    let way = match &settings.ssh {
        Some(ssh) => through_ssh::examine(ssh, chart).await?,
        None => true,
    };
    if way {
        session::examine(settings, chart).await?;
        if let Some(ssh) = settings.ssh.as_ref().filter(|_| chart.exit == Exit::Success) {
            through_ssh::throughput(ssh, chart).await?;
        }
    }
    session::limits(settings, chart)
}

/// What was found so far.
struct Chart {
    /// Of the first failure.
    exit: Exit,
}

impl Chart {
    fn ok(&mut self, step: &str, found: &str) -> io::Result<()> {
        write("ok  ", step, found, &[])
    }

    fn skip(&mut self, step: &str, why: &str) -> io::Result<()> {
        write("skip", step, why, &[])
    }

    fn warn(&mut self, step: &str, found: &str, next: &str) -> io::Result<()> {
        write("warn", step, found, &[next.to_owned()])
    }

    fn fail(&mut self, step: &str, error: &UserError) -> io::Result<()> {
        if self.exit == Exit::Success {
            self.exit = error.exit();
        }
        write("FAIL", step, &error.to_string(), error.hints())
    }
}

fn write(word: &str, step: &str, text: &str, next: &[String]) -> io::Result<()> {
    let mut lines = format!("{word}  {step:<11} {}\n", escape_text(text));
    for next in next {
        lines.push_str(&format!("{:17} next: {}\n", "", escape_text(next)));
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()
}

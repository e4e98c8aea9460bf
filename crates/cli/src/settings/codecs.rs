//! What `p2 codecs` answers, validated.

use std::path::PathBuf;

use super::{Address, ConnectionSettings, RetrySettings};
use crate::args::CodecsArgs;
use crate::error::UserError;

/// Whom to ask, what to measure with, and the form of the answer.
#[derive(Debug, Clone)]
pub(crate) struct CodecsSettings {
    /// A receiver to compare with.
    pub(crate) target: Option<Address>,
    /// One JSON object instead of a table.
    pub(crate) json: bool,
    /// A file to measure with.
    pub(crate) sample: Option<PathBuf>,
    /// How to connect.
    pub(crate) connection: ConnectionSettings,
    /// How often to try.
    pub(crate) retry: RetrySettings,
}

impl CodecsSettings {
    /// Checks the ranges. A question is asked once: without limits given it is not retried.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2.
    pub(crate) fn from_args(args: CodecsArgs) -> Result<Self, UserError> {
        let mut retry = RetrySettings::from_args(args.retry)?;
        if retry.backoff.limit.is_none() && retry.backoff.total.is_none() {
            retry.backoff.limit = Some(1);
        }
        let connection = ConnectionSettings::from_args(args.connection)?;
        Ok(Self { target: args.target, json: args.json, sample: args.sample, connection, retry })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::args::{Cli, Command};

    fn read(line: &[&str]) -> CodecsSettings {
        let cli = Cli::read([&["p2", "codecs"], line].concat()).expect("valid syntax");
        let Command::Codecs(args) = cli.command else { panic!("not codecs") };
        CodecsSettings::from_args(*args).expect("valid")
    }

    #[test]
    fn a_question_is_asked_once_unless_limits_are_given() {
        assert_eq!(read(&["h:1"]).retry.backoff.limit, Some(1));
        assert_eq!(read(&["--retry-limit=5"]).retry.backoff.limit, Some(5));
        let patient = read(&["--retry-for=1m"]).retry.backoff;
        assert_eq!((patient.limit, patient.total), (None, Some(Duration::from_secs(60))));
        assert_eq!(read(&[]).target, None);
    }
}

//! What `p2 recv --attach` does, validated.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::{ConnectionSettings, ControlPlace, MetricsSettings, RecvSettings};
use crate::args::{LogArgs, RecvArgs};
use crate::error::UserError;
use crate::sink::{Ack, SinkSettings};

/// Where streams go when nothing else is said: in the home directory.
pub(crate) const DEFAULT_DIR: &str = "p2-received";

/// A receiver for those who come in through ssh.
#[derive(Debug, Clone)]
pub(crate) struct AttachSettings {
    /// This is the receiver itself, not a way to it.
    pub(crate) detached: bool,
    /// How long it stays without a session.
    pub(crate) linger: Duration,
    /// How long a session without a link can be resumed.
    pub(crate) session_ttl: Duration,
    /// Sessions at once.
    pub(crate) max_sessions: usize,
    /// An absolute directory.
    pub(crate) dir: PathBuf,
    /// What counts as delivered.
    pub(crate) ack: Ack,
    /// Only this stream.
    pub(crate) only: Option<String>,
    /// The sessions and their links.
    pub(crate) connection: ConnectionSettings,
    /// Where the receiver serves figures, if at all.
    pub(crate) metrics: Option<MetricsSettings>,
    /// Where `p2 status` reaches it.
    pub(crate) control: ControlPlace,
}

impl AttachSettings {
    /// # Errors
    /// [`UserError`] of exit code 2.
    pub(crate) fn from_args(mut args: RecvArgs, log: &LogArgs) -> Result<Self, UserError> {
        if args.connection.token_file.is_some() {
            return Err(UserError::usage("--attach needs no --token-file: ssh proves who comes"));
        }
        let home = std::env::var_os("HOME").map(PathBuf::from);
        let here = std::env::current_dir().ok();
        args.dir = Some(absolute(args.dir, home, here)?);
        let (detached, linger) = (args.detached, args.attach_linger);
        let control = args.output.control.clone();
        let RecvSettings { session_ttl, max_sessions, sink, connection, metrics, .. } =
            RecvSettings::from_args(args, log)?;
        let SinkSettings { dir, ack, only, .. } = sink;
        let dir = dir.unwrap_or_default();
        Ok(Self {
            detached,
            linger,
            session_ttl,
            max_sessions,
            dir,
            ack,
            only,
            connection,
            metrics,
            control,
        })
    }

    /// What one receiver cannot do for two senders that differ in it.
    pub(crate) fn key(&self) -> String {
        format!(
            "{}\0{}\0{}",
            self.dir.display(),
            self.ack,
            self.only.as_deref().unwrap_or_default()
        )
    }
}

fn absolute(
    dir: Option<PathBuf>,
    home: Option<PathBuf>,
    here: Option<PathBuf>,
) -> Result<PathBuf, UserError> {
    let (base, dir) = match dir {
        Some(dir) => (here, dir),
        None => (home, Path::new(DEFAULT_DIR).to_owned()),
    };
    if dir.is_absolute() {
        return Ok(dir);
    }
    let base = base.filter(|base| base.is_absolute());
    let base = base.ok_or_else(|| {
        UserError::usage("there is no home directory to write to").hint("give --dir DIR")
    })?;
    Ok(base.join(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_is_absolute_and_by_default_in_the_home() {
        let dir = |given: Option<&str>| {
            absolute(given.map(Into::into), Some("/home/me".into()), Some("/here".into()))
        };
        assert_eq!(dir(None), Ok("/home/me/p2-received".into()));
        assert_eq!(dir(Some("logs")), Ok("/here/logs".into()));
        assert_eq!(dir(Some("/logs")), Ok("/logs".into()));
        assert!(absolute(None, None, None).is_err());
    }
}

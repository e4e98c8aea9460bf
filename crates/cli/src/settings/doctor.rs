//! What `p2 doctor` looks at, validated.

use super::{Address, ConnectionSettings, RetrySettings, SshSettings};
use crate::args::DoctorArgs;
use crate::error::UserError;

/// Whom to try to reach, and how.
#[derive(Debug, Clone)]
pub(crate) struct DoctorSettings {
    /// A receiver that listens.
    pub(crate) target: Address,
    /// The way through ssh, if that is the way.
    pub(crate) ssh: Option<SshSettings>,
    /// How to connect.
    pub(crate) connection: ConnectionSettings,
    /// How often to try.
    pub(crate) retry: RetrySettings,
}

impl DoctorSettings {
    /// Checks the ranges. Each step is tried once, unless limits are given.
    ///
    /// # Errors
    /// [`UserError`] of exit code 2.
    pub(crate) fn from_args(args: DoctorArgs) -> Result<Self, UserError> {
        let mut retry = RetrySettings::from_args(args.retry)?;
        if retry.backoff.limit.is_none() && retry.backoff.total.is_none() {
            retry.backoff.limit = Some(1);
        }
        let connection = ConnectionSettings::from_args(args.connection)?;
        let ssh = SshSettings::from_args(args.ssh, args.target.as_ref(), &connection, &retry)?;
        let target = args.target.unwrap_or_else(Address::local_default);
        Ok(Self { target, ssh, connection, retry })
    }
}

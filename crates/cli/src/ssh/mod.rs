//! Links through the system's own `ssh`: what it is told, what comes back, and what its failures mean.
//!
//! The user's configuration, agent, jump hosts, hardware keys and known hosts stay in force. No port
//! is opened on either side.

pub(crate) mod arguments;
mod diagnosis;
mod dial;
pub(crate) mod greeting;
mod quote;

pub(crate) use arguments::Asking;
pub(crate) use diagnosis::{SshError, Way, diagnose};
pub(crate) use dial::SshDial;

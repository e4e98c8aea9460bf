//! `p2 doctor [TARGET]`.

use clap::Args;

use super::{ConnectionArgs, RetryArgs, SshArgs};
use crate::settings::Address;

/// What works, step by step, and what to do about the rest.
#[derive(Debug, Clone, Args)]
pub(crate) struct DoctorArgs {
    /// A receiver that listens: HOST:PORT or unix:PATH; default 127.0.0.1:9000, with --ssh none
    #[arg(value_name = "TARGET", env = "P2_TARGET")]
    pub(crate) target: Option<Address>,
    #[command(flatten)]
    pub(crate) ssh: SshArgs,
    #[command(flatten)]
    pub(crate) connection: ConnectionArgs,
    #[command(flatten)]
    pub(crate) retry: RetryArgs,
}

pub(crate) const EXAMPLES: &str = "\
Examples:
  p2 doctor --ssh me@host               ssh, login, p2 there, receiver, handshake, speed
  p2 doctor --ssh host 127.0.0.1:9000   the same with a `p2 recv` that listens at host
  p2 doctor host:9000 --token-file ~/.p2-token

Each step says ok, warn, FAIL with what to do next, or skip. The exit code is that of the first
failure. The session that is made for it carries no stream and leaves no file.";

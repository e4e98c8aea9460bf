//! Flags of the way through ssh.

use clap::Args;

use crate::settings::SshMode;
use crate::sink::Ack;

/// How to go through ssh.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Connection")]
pub(crate) struct SshArgs {
    /// Go through ssh: no port, no tunnel, no receiver started by hand
    #[arg(long, env = "P2_SSH", value_name = "[USER@]HOST", allow_hyphen_values = true)]
    pub(crate) ssh: Option<String>,
    /// attach: to a receiver that P2 starts there; forward: to TARGET, as seen from there; auto:
    /// attach, and where that is not possible, forward [default: auto; with a TARGET forward]
    #[arg(long, env = "P2_SSH_MODE", value_name = "WAY", requires = "ssh", value_parser = mode,
          hide_short_help = true)]
    pub(crate) ssh_mode: Option<SshMode>,
    /// One more argument for ssh, as in `-p2222`; repeatable
    #[arg(
        long,
        env = "P2_SSH_ARG",
        value_name = "ARG",
        requires = "ssh",
        allow_hyphen_values = true,
        hide_short_help = true
    )]
    pub(crate) ssh_arg: Vec<String>,
    /// Where p2 is there, as in `~/bin/p2`; default: p2 in the PATH, ~/.cargo/bin or ~/.local/bin
    #[arg(
        long,
        env = "P2_REMOTE_P2",
        value_name = "PATH",
        requires = "ssh",
        hide_short_help = true
    )]
    pub(crate) remote_p2: Option<String>,
    /// Streams become DIR/SESSION/NAME there; default: p2-received in the home directory
    #[arg(
        long,
        env = "P2_REMOTE_DIR",
        value_name = "DIR",
        requires = "ssh",
        hide_short_help = true
    )]
    pub(crate) remote_dir: Option<String>,
    /// What counts as delivered there: written, or synced to stable storage [default: written]
    #[arg(long, env = "P2_REMOTE_ACK", value_name = "WHEN", requires = "ssh", value_parser = super::recv::ack,
          hide_short_help = true)]
    pub(crate) remote_ack: Option<Ack>,
}

fn mode(text: &str) -> Result<SshMode, String> {
    text.parse().map_err(|_| "write auto, attach or forward".to_owned())
}

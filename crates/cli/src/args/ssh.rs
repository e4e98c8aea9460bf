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
    #[arg(long, env = "P2_SSH_MODE", value_name = "WAY", value_parser = mode,
          hide_short_help = true)]
    pub(crate) ssh_mode: Option<SshMode>,
    /// One more argument for ssh, as in `-p2222`; repeatable
    #[arg(
        long,
        env = "P2_SSH_ARG",
        value_name = "ARG",
        allow_hyphen_values = true,
        hide_short_help = true
    )]
    pub(crate) ssh_arg: Vec<String>,
    /// Where p2 is there, as in `~/bin/p2`; default: p2 in the PATH, ~/.cargo/bin or ~/.local/bin
    #[arg(long, env = "P2_REMOTE_P2", value_name = "PATH", hide_short_help = true)]
    pub(crate) remote_p2: Option<String>,
    /// Streams become DIR/SESSION/NAME there; default: p2-received in the home directory
    #[arg(long, env = "P2_REMOTE_DIR", value_name = "DIR", hide_short_help = true)]
    pub(crate) remote_dir: Option<String>,
    /// What counts as delivered there: written, or synced to stable storage [default: written]
    #[arg(long, env = "P2_REMOTE_ACK", value_name = "WHEN", value_parser = super::recv::ack,
          hide_short_help = true)]
    pub(crate) remote_ack: Option<Ack>,
}

impl SshArgs {
    /// The first flag given of those that are about a way through ssh.
    pub(crate) fn first_given(&self) -> Option<&'static str> {
        let given = [
            (self.ssh_mode.is_some(), "--ssh-mode"),
            (!self.ssh_arg.is_empty(), "--ssh-arg"),
            (self.remote_p2.is_some(), "--remote-p2"),
            (self.remote_dir.is_some(), "--remote-dir"),
            (self.remote_ack.is_some(), "--remote-ack"),
        ];
        given.into_iter().find(|(given, _)| *given).map(|(_, flag)| flag)
    }
}

fn mode(text: &str) -> Result<SshMode, String> {
    text.parse().map_err(|_| "write auto, attach or forward".to_owned())
}

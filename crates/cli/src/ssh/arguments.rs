//! What `ssh` is told, so that it behaves as the carrier of a link.

use std::ffi::OsString;

use super::quote::word;
use crate::settings::{Address, SshSettings};
use crate::sink::Ack;

/// Whether ssh may ask the user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// For a password, a passphrase, or whether a host key is right, on the terminal.
    Allowed,
    /// Nobody is there, or must not be disturbed again: what needs an answer fails.
    Never,
}

/// Finds `p2` where it is installed for one user: the PATH of a command over ssh is short.
const FIND: &str =
    r#"PATH="$PATH:$HOME/.cargo/bin:$HOME/.local/bin:/usr/local/bin"; export PATH; exec p2 "$@""#;

/// `ssh` to a command on the far side that speaks over its standard input and output.
pub(crate) fn command(settings: &SshSettings, asking: Asking, command: &str) -> Vec<OsString> {
    let mut line = common(settings, asking);
    line.extend(["-T", "--", &settings.host, command].map(OsString::from));
    line
}

/// `ssh` to an address as the far side sees it.
pub(crate) fn forward(settings: &SshSettings, asking: Asking, to: &Address) -> Vec<OsString> {
    let mut line = common(settings, asking);
    line.extend(["-T", "-W", &to.to_string(), "--", &settings.host].map(OsString::from));
    line
}

/// The far side's command that speaks P2: `p2 recv --attach`.
pub(crate) fn attach(settings: &SshSettings) -> String {
    let mut words = vec!["recv".to_owned(), "--attach".to_owned()];
    if let Some(dir) = &settings.remote_dir {
        // In one word it could not be told from a flag's value that begins with a dash; a `~` is
        // understood only at the start of a word.
        words.extend(["--dir".to_owned(), dir.clone()]);
    }
    if settings.remote_ack == Ack::Synced {
        words.push("--ack=synced".to_owned());
    }
    remote(settings, &words)
}

/// The far side's `p2` with these words, as a line for its login shell.
pub(crate) fn remote(settings: &SshSettings, words: &[String]) -> String {
    let mut line = match &settings.remote_p2 {
        Some(path) => word(path),
        None => format!("sh -c {} p2", word(FIND)),
    };
    for text in words {
        line.push(' ');
        line.push_str(&word(text));
    }
    line
}

/// Of each option ssh takes the first: the user's own come first and win.
fn common(settings: &SshSettings, asking: Asking) -> Vec<OsString> {
    let mut line: Vec<OsString> = settings.arguments.iter().map(Into::into).collect();
    let seconds = |time: std::time::Duration| time.as_secs().max(1);
    let alive = seconds(settings.heartbeat);
    let silent = seconds(settings.heartbeat_timeout).div_ceil(alive).max(1);
    let connect = seconds(settings.connect_timeout);
    // Nothing of the user's that is meant for a shell or for other tunnels; no connection shared
    // with a master, whose death would not be ours to see; no compression twice.
    line.extend(["-x", "-a"].map(OsString::from));
    let options = [
        "ClearAllForwardings=yes".to_owned(),
        "ControlMaster=no".to_owned(),
        "ControlPath=none".to_owned(),
        "Compression=no".to_owned(),
        "PermitLocalCommand=no".to_owned(),
        "RemoteCommand=none".to_owned(),
        "RequestTTY=no".to_owned(),
        // Quieter, it would not say why it failed.
        "LogLevel=INFO".to_owned(),
        format!("ServerAliveInterval={alive}"),
        format!("ServerAliveCountMax={silent}"),
        format!("ConnectTimeout={connect}"),
    ];
    for option in options {
        line.extend([OsString::from("-o"), option.into()]);
    }
    if asking == Asking::Never {
        line.extend(["-o", "BatchMode=yes"].map(OsString::from));
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(line: &[OsString]) -> String {
        line.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn the_host_comes_after_two_dashes_and_the_users_arguments_first() {
        let mut settings = SshSettings::to("me@host");
        settings.arguments = vec!["-p".into(), "2222".into()];
        let line = text(&command(&settings, Asking::Never, &attach(&settings)));
        assert!(line.starts_with("-p 2222 -x -a -o ClearAllForwardings=yes"), "{line}");
        assert!(line.contains("-o ControlPath=none"), "{line}");
        assert!(line.contains("-o ServerAliveInterval=5 -o ServerAliveCountMax=3"), "{line}");
        assert!(line.contains(" -o BatchMode=yes -T -- me@host sh -c '"), "{line}");
        assert!(line.ends_with("' p2 recv --attach"), "{line}");
        let line = text(&forward(&settings, Asking::Allowed, &Address::local_default()));
        assert!(line.ends_with(" -T -W 127.0.0.1:9000 -- me@host"), "{line}");
        assert!(!line.contains("BatchMode"), "{line}");
    }

    #[test]
    fn what_the_far_side_is_told_is_quoted_for_its_shell() {
        let mut settings = SshSettings::to("host");
        settings.remote_p2 = Some("~/my bin/p2".into());
        settings.remote_dir = Some("~/the logs; rm -r".into());
        settings.remote_ack = Ack::Synced;
        assert_eq!(
            attach(&settings),
            "\"$HOME\"/'my bin/p2' recv --attach --dir \"$HOME\"/'the logs; rm -r' --ack=synced"
        );
    }

    #[test]
    fn a_program_of_one_user_is_found() {
        let home = tempfile::tempdir().expect("a directory");
        let bin = home.path().join(".cargo/bin");
        std::fs::create_dir_all(&bin).expect("made");
        let p2 = bin.join("p2");
        std::fs::write(&p2, "#!/bin/sh\necho \"$0 $@\"\n").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&p2, mode).expect("a mode");
        let line = remote(&SshSettings::to("host"), &["it's".to_owned()]);
        let output = std::process::Command::new("sh")
            .args(["-c", &line])
            .env("HOME", home.path())
            .env("PATH", "/usr/bin:/bin")
            .output()
            .expect("sh runs");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            format!("{} it's\n", p2.display()),
            "{output:?}"
        );
    }
}

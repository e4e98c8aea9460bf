//! A real sshd without a port and without privilege: ssh starts it as its own proxy command, with
//! keys and a home directory that the test has made.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::process::{Process, Program};
use super::{Env, Signal, eventually, skip};

/// Where Debian and others have it.
const SSHD: &str = "/usr/sbin/sshd";

/// What the far side is called.
pub const HOST: &str = "far";

/// Why there is no sshd here, if there is none.
pub fn missing() -> Option<String> {
    let runs = |program: &str, argument: &str| Command::new(program).arg(argument).output().is_ok();
    if !Path::new(SSHD).exists() {
        return Some(format!("there is no {SSHD}"));
    }
    if !runs("ssh", "-V") || !runs("ssh-keygen", "-?") {
        return Some("there is no ssh or no ssh-keygen".to_owned());
    }
    // As root it wants its empty directory for the part without privilege.
    let root = rustix::process::geteuid().is_root();
    if root && fs::create_dir_all("/run/sshd").is_err() {
        return Some("/run/sshd cannot be made".to_owned());
    }
    None
}

/// The far side. Its receivers end with it.
#[derive(Debug)]
pub struct Sshd {
    dir: PathBuf,
}

impl Sshd {
    /// The far side in a directory of its own; these lines come first in its configuration.
    pub fn new(env: &Env, configuration: &[&str]) -> Self {
        let sshd = Self { dir: env.path("far") };
        fs::create_dir_all(sshd.home()).expect("a home");
        for key in ["host", "user", "other"] {
            sshd.key(key);
        }
        fs::copy(sshd.file("user.pub"), sshd.file("authorized")).expect("copied");
        sshd.know("host");
        sshd.configure(configuration, &[]);
        let file = |name| sshd.file(name).display().to_string();
        let client = format!(
            "Host *\n  HostName {HOST}\n  UserKnownHostsFile {}\n  GlobalKnownHostsFile /dev/null\n  \
             IdentityFile {}\n  IdentitiesOnly yes\n  IdentityAgent none\n  ProxyCommand {SSHD} -i -f {} \
             -E {}\n",
            file("known"),
            file("user"),
            file("sshd_config"),
            file("sshd.log"),
        );
        fs::write(sshd.file("ssh_config"), client).expect("written");
        sshd
    }

    /// Writes the server's configuration; `environment` is added to its sessions'.
    pub fn configure(&self, lines: &[&str], environment: &[&str]) {
        let p2 = Path::new(env!("CARGO_BIN_EXE_p2")).parent().expect("a folder");
        let mut text = lines.join("\n");
        text.push_str(&format!(
            "\nHostKey {}\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\nPidFile none\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
             LogLevel VERBOSE\nSetEnv HOME={} PATH={}:/usr/bin:/bin P2_ATTACH_LINGER=3s {}\n",
            self.file("host").display(),
            self.file("authorized").display(),
            self.home().display(),
            p2.display(),
            environment.join(" "),
        ));
        fs::write(self.file("sshd_config"), text).expect("written");
    }

    /// A file of the set-up.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// The home directory over there.
    pub fn home(&self) -> PathBuf {
        self.file("home")
    }

    /// The file of a stream of the session `s` that arrived in the default place.
    pub fn arrived(&self, stream: &str) -> PathBuf {
        self.home().join("p2-received/s").join(stream)
    }

    /// The receiver's directory.
    pub fn state(&self) -> PathBuf {
        self.home().join(".local/state/p2")
    }

    /// From now on this is the known host key.
    pub fn know(&self, key: &str) {
        let public = fs::read_to_string(self.file(&format!("{key}.pub"))).expect("a key");
        fs::write(self.file("known"), format!("{HOST} {public}")).expect("written");
    }

    /// Takes the user's key off the list, or puts it back.
    pub fn authorize(&self, yes: bool) {
        let text = if yes { fs::read(self.file("user.pub")).expect("a key") } else { Vec::new() };
        fs::write(self.file("authorized"), text).expect("written");
    }

    /// The argument that makes `ssh` use all this.
    pub fn option(&self) -> String {
        format!("-F{}", self.file("ssh_config").display())
    }

    /// `p2 send --ssh`, in the session `s`, which dials again quickly.
    pub fn send<S: AsRef<str>>(&self, env: &Env, arguments: &[S]) -> Program {
        let option = format!("--ssh-arg={}", self.option());
        let host = format!("--ssh={HOST}");
        let mut line = vec!["send", &host, &option, "--session=s"];
        line.extend(super::QUICK);
        line.extend(arguments.iter().map(AsRef::as_ref));
        env.p2(&line)
    }

    /// What the receivers said, all together.
    pub fn logs(&self) -> String {
        let files = fs::read_dir(self.state()).into_iter().flatten().flatten();
        let logs = files.filter(|file| file.path().extension().is_some_and(|end| end == "log"));
        logs.map(|log| fs::read_to_string(log.path()).unwrap_or_default()).collect()
    }

    /// The receivers that were started and still run.
    pub fn receivers(&self) -> Vec<u32> {
        let logs = self.logs();
        let numbers = logs.lines().filter(|line| line.contains(" receiving into "));
        let numbers = numbers.filter_map(|line| line.rsplit(' ').next()?.parse().ok());
        // Numbers are used again: it has to be a receiver still.
        numbers.filter(|id| command_line(*id).contains("--detached")).collect()
    }

    fn key(&self, name: &str) {
        let file = self.file(name);
        let made = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f"])
            .arg(&file)
            .status();
        assert!(made.expect("ssh-keygen runs").success());
        fs::set_permissions(file, fs::Permissions::from_mode(0o600)).expect("a mode");
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        for id in self.receivers() {
            kill(id, Signal::KILL);
        }
        if std::thread::panicking() {
            println!("---- receivers over there:\n{}----", self.logs());
            let log = fs::read_to_string(self.file("sshd.log")).unwrap_or_default();
            let from = log.len().saturating_sub(4096);
            println!("---- sshd:\n{}----", log.get(from..).unwrap_or_default());
        }
    }
}

/// Waits for the process called `name` below `process`.
#[track_caller]
pub fn below(process: &Process, name: &str) -> u32 {
    eventually(&format!("{name} below {}", process.id()), || find(process.id(), name))
}

/// The process called `name` below the one with this number.
pub fn find(ancestor: u32, name: &str) -> Option<u32> {
    let all = processes();
    let mut inside = vec![ancestor];
    let mut at = 0;
    while let Some(parent) = inside.get(at).copied() {
        for (id, from, called) in &all {
            if *from == parent && !inside.contains(id) {
                if called == name {
                    return Some(*id);
                }
                inside.push(*id);
            }
        }
        at += 1;
    }
    None
}

/// Sends a signal to a process that may have gone.
pub fn kill(id: u32, signal: Signal) {
    let id = i32::try_from(id).ok().and_then(rustix::process::Pid::from_raw);
    let _ = rustix::process::kill_process(id.expect("a process id"), signal);
}

/// Every process: its number, its parent's, its name.
fn processes() -> Vec<(u32, u32, String)> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(about).collect()
}

fn about(id: u32) -> Option<(u32, u32, String)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    let running = words.next()? != "Z";
    let parent = words.next()?.parse().ok()?;
    running.then(|| (id, parent, name.to_owned()))
}

fn command_line(id: u32) -> String {
    let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&line).replace('\0', " ")
}

/// Says that a row is skipped, or fails where it must not be.
pub fn skipped(why: &str) -> super::table::Outcome {
    skip("sshd", why);
    super::table::Outcome::Skipped(why.to_owned())
}

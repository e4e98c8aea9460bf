//! Where the receiver is found: a socket in a directory that belongs to this user alone.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

use crate::error::UserError;
use crate::exit::Exit;
use crate::own_dir::{self, LONGEST_SOCKET, Unfit};
use crate::settings::AttachSettings;

/// A receiver's files. Who holds the gate may start a receiver, or as a receiver end; who holds the
/// throne is the receiver.
#[derive(Debug, Clone)]
pub(super) struct Place {
    dir: PathBuf,
    name: String,
}

impl Place {
    /// The place of the receiver with these settings; its directory is made and checked.
    pub(super) fn of(settings: &AttachSettings) -> Result<Self, UserError> {
        let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
        // A home can be shared by several machines, a socket cannot.
        let name =
            format!("recv-{:016x}", own_dir::digest(&format!("{machine}\0{}", settings.key())));
        let variable = |name| std::env::var_os(name).map(PathBuf::from);
        let user = geteuid().as_raw();
        let candidates = candidates(
            variable("XDG_STATE_HOME"),
            variable("HOME"),
            variable("XDG_RUNTIME_DIR"),
            user,
        );
        let mut refusal = None;
        for dir in candidates {
            if dir.as_os_str().len() + name.len() + "/.sock".len() > LONGEST_SOCKET {
                continue;
            }
            match own_dir::prepare(&dir, user) {
                Ok(()) => return Ok(Self { dir, name }),
                Err(Unfit::Unsafe(why)) => return Err(refused(&dir, &why)),
                Err(Unfit::Absent(error)) => refusal = Some(refused(&dir, &error.to_string())),
            }
        }
        Err(refusal.unwrap_or_else(|| UserError::new(Exit::Failure, "no place for a socket")))
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.file("sock")
    }

    /// What the receiver says, for whoever wonders.
    pub(super) fn log(&self) -> PathBuf {
        self.file("log")
    }

    /// Waits for the gate.
    pub(super) fn gate(&self) -> io::Result<File> {
        let file = self.lock_file("gate")?;
        loop {
            match flock(&file, FlockOperation::LockExclusive) {
                Ok(()) => return Ok(file),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// The gate, if nobody has it.
    pub(super) fn try_gate(&self) -> io::Result<Option<File>> {
        self.try_lock("gate")
    }

    /// The throne, if nobody has it.
    pub(super) fn try_throne(&self) -> io::Result<Option<File>> {
        self.try_lock("lock")
    }

    fn try_lock(&self, ending: &str) -> io::Result<Option<File>> {
        let file = self.lock_file(ending)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn lock_file(&self, ending: &str) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true).mode(0o600).open(self.file(ending))
    }

    fn file(&self, ending: &str) -> PathBuf {
        self.dir.join(format!("{}.{ending}", self.name))
    }
}

/// Where the directory may be, best first. Not first in `XDG_RUNTIME_DIR`: that is taken away when a
/// user's last connection ends, which is just when the receiver has to be found again.
fn candidates(
    state: Option<PathBuf>,
    home: Option<PathBuf>,
    runtime: Option<PathBuf>,
    user: u32,
) -> Vec<PathBuf> {
    let state = state.or_else(|| home.map(|home| home.join(".local/state")));
    let shared = std::env::temp_dir().join(format!("p2-{user}"));
    let own = [state, runtime].into_iter().flatten().map(|dir| dir.join("p2"));
    own.chain([shared]).filter(|dir| dir.is_absolute()).collect()
}

fn refused(dir: &Path, why: &str) -> UserError {
    UserError::new(Exit::Failure, format!("cannot use {}: {why}", dir.display()))
        .hint("it has to be a directory of this user with mode 0700")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> (tempfile::TempDir, Place) {
        let dir = tempfile::tempdir().expect("a directory");
        let place = Place { dir: dir.path().into(), name: "recv".into() };
        (dir, place)
    }

    #[test]
    fn a_place_outlives_the_connection_if_it_can() {
        let all = candidates(None, Some("/home/me".into()), Some("/run/user/7".into()), 7);
        let shared = std::env::temp_dir().join("p2-7");
        assert_eq!(
            all,
            [Path::new("/home/me/.local/state/p2"), Path::new("/run/user/7/p2"), &shared]
        );
        assert_eq!(candidates(Some("relative".into()), None, None, 7), [shared]);
    }

    #[test]
    fn one_at_a_time_holds_a_lock() {
        let (_dir, place) = place();
        let held = place.gate().expect("free");
        assert!(place.try_gate().expect("no error").is_none());
        assert!(place.try_throne().expect("no error").is_some(), "they are two");
        drop(held);
        assert!(place.try_gate().expect("no error").is_some());
    }
}

//! Where control sockets are: which directories, which names, and what is left of the dead.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rustix::process::geteuid;
use tokio::net::{UnixListener, UnixStream};

use crate::own_dir::{self, LONGEST_SOCKET, Unfit};

/// A socket that this process made; removed when dropped.
#[derive(Debug)]
pub(super) struct Made {
    pub(super) listener: UnixListener,
    pub(super) path: PathBuf,
}

impl Drop for Made {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// Makes this process's socket: at `path` if there is one, else in the first directory that can be
/// used.
pub(super) async fn make(path: Option<&Path>) -> io::Result<Made> {
    if let Some(path) = path {
        return bind(path).await;
    }
    let user = geteuid().as_raw();
    let mut last = io::Error::other("there is no directory for it");
    for dir in directories(user) {
        let path = dir.join(name(std::process::id()));
        if path.as_os_str().len() > LONGEST_SOCKET {
            continue;
        }
        match prepare(&dir, user) {
            Ok(()) => match bind(&path).await {
                Ok(made) => return Ok(made),
                Err(error) => last = explain(&path, &error),
            },
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// The sockets that may be answered by a process of this user. Those that nobody listens on any more
/// are removed.
pub(super) async fn all() -> Vec<(u32, PathBuf)> {
    let user = geteuid().as_raw();
    let mut found = Vec::new();
    for dir in directories(user) {
        if own_dir::check(&dir, user).is_err() {
            continue;
        }
        for entry in fs::read_dir(&dir).into_iter().flatten().flatten() {
            let path = entry.path();
            let Some(pid) = pid_of(&entry.file_name().to_string_lossy()) else { continue };
            match UnixStream::connect(&path).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                    // A socket gets its name only once somebody listens on it: this one is dead.
                    let _ = fs::remove_file(&path);
                }
                _ => found.push((pid, path)),
            }
        }
    }
    found.sort();
    found
}

/// Listens under another name first: whoever sees the real one can connect, and nobody else could.
async fn bind(path: &Path) -> io::Result<Made> {
    if UnixStream::connect(path).await.is_ok() {
        return Err(io::Error::other("another process answers there"));
    }
    if fs::symlink_metadata(path).is_ok_and(|about| !is_socket(&about)) {
        return Err(io::Error::other("there is a file that is no socket"));
    }
    let mut early = path.as_os_str().to_owned();
    early.push(".new");
    let early = PathBuf::from(early);
    let _ = fs::remove_file(&early);
    let listener = UnixListener::bind(&early)?;
    let named = fs::set_permissions(&early, fs::Permissions::from_mode(0o600))
        .and_then(|()| fs::rename(&early, path));
    if let Err(error) = named {
        let _ = fs::remove_file(&early);
        return Err(error);
    }
    Ok(Made { listener, path: path.to_owned() })
}

fn is_socket(about: &fs::Metadata) -> bool {
    use std::os::unix::fs::FileTypeExt;
    about.file_type().is_socket()
}

/// The directory and the one above it, which would let another user change it.
fn prepare(dir: &Path, user: u32) -> io::Result<()> {
    for dir in [dir.parent().unwrap_or(dir), dir] {
        own_dir::prepare(dir, user).map_err(|error| match error {
            Unfit::Absent(error) => explain(dir, &error),
            Unfit::Unsafe(why) => io::Error::other(format!("{}: {why}", dir.display())),
        })?;
    }
    Ok(())
}

fn explain(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

/// Where sockets may be, best first. The first goes away when the last login of the user ends; a
/// process that lives on moves to the next.
fn directories(user: u32) -> Vec<PathBuf> {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    candidates(
        variable("XDG_RUNTIME_DIR").or_else(|| Some(format!("/run/user/{user}").into())),
        variable("XDG_STATE_HOME"),
        variable("HOME"),
        user,
    )
}

fn candidates(
    runtime: Option<PathBuf>,
    state: Option<PathBuf>,
    home: Option<PathBuf>,
    user: u32,
) -> Vec<PathBuf> {
    let state = state.or_else(|| home.map(|home| home.join(".local/state")));
    let own = [runtime.filter(|dir| dir.is_dir()), state];
    let own = own.into_iter().flatten().map(|dir| dir.join("p2"));
    let shared = std::env::temp_dir().join(format!("p2-{user}"));
    let all = own.chain([shared]).filter(|dir| dir.is_absolute());
    all.map(|dir| dir.join("control")).collect()
}

/// A home can be shared by several machines, whose processes have the same numbers.
fn name(pid: u32) -> String {
    format!("{pid}-{:08x}.sock", machine())
}

fn pid_of(name: &str) -> Option<u32> {
    let (pid, machine_of) = name.strip_suffix(".sock")?.split_once('-')?;
    (u32::from_str_radix(machine_of, 16).ok()? == machine()).then(|| pid.parse().ok())?
}

fn machine() -> u32 {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let digest = own_dir::digest(&name);
    u32::try_from(digest & u64::from(u32::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_the_process_and_the_machine() {
        assert_eq!(pid_of(&name(1234)), Some(1234));
        let elsewhere = format!("1234-{:08x}.sock", machine() ^ 1);
        for other in [elsewhere.as_str(), "1234.sock", "x-1.sock", "1234-zz.sock", &name(7)[1..]] {
            assert_eq!(pid_of(other), None, "{other}");
        }
    }

    #[test]
    fn the_runtime_directory_comes_first_if_it_is_there() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |text: &str| Some(PathBuf::from(text));
        let shared = std::env::temp_dir().join("p2-7/control");
        let all = candidates(Some(dir.path().into()), None, at("/home/me"), 7);
        let state = PathBuf::from("/home/me/.local/state/p2/control");
        assert_eq!(all, [dir.path().join("p2/control"), state.clone(), shared.clone()]);
        assert_eq!(
            candidates(at("/nonexistent"), None, at("/home/me"), 7),
            [state, shared.clone()]
        );
        assert_eq!(candidates(None, at("relative"), None, 7), [shared]);
    }

    #[tokio::test]
    async fn a_socket_is_private_and_goes_with_its_process() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("p2.sock");
        let made = make(Some(&path)).await.expect("made");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let again = make(Some(&path)).await.expect_err("taken");
        assert_eq!(again.to_string(), "another process answers there");
        drop(made);
        assert!(!path.exists());
        fs::write(&path, "precious").expect("written");
        assert!(make(Some(&path)).await.is_err());
        assert_eq!(fs::read(&path).expect("still there"), b"precious");
    }
}

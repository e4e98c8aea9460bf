//! A directory that belongs to this user alone, for sockets that nobody else may reach.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;

/// The longest path of a Unix socket that every system takes.
pub(crate) const LONGEST_SOCKET: usize = 100;

/// Why a directory is not used.
#[derive(Debug)]
pub(crate) enum Unfit {
    /// It cannot be used; another may do.
    Absent(io::Error),
    /// Somebody else has a hand in it: nothing else is tried.
    Unsafe(String),
}

/// Makes `dir` if it is missing, with mode 0700, and checks it.
pub(crate) fn prepare(dir: &Path, user: u32) -> Result<(), Unfit> {
    if let Err(error) = DirBuilder::new().recursive(true).mode(0o700).create(dir) {
        if fs::symlink_metadata(dir).is_err() {
            return Err(Unfit::Absent(error));
        }
    }
    check(dir, user)
}

/// Whether `dir` is a directory, and this user's alone.
pub(crate) fn check(dir: &Path, user: u32) -> Result<(), Unfit> {
    let about = fs::symlink_metadata(dir).map_err(Unfit::Absent)?;
    if !about.is_dir() {
        return Err(Unfit::Unsafe("it is not a directory".into()));
    }
    if about.uid() != user {
        return Err(Unfit::Unsafe(format!("it belongs to user {}", about.uid())));
    }
    match about.mode() & 0o777 {
        mode if mode & 0o077 == 0 => Ok(()),
        mode => Err(Unfit::Unsafe(format!("it has mode {mode:04o}, and must have 0700"))),
    }
}

/// FNV-1a: the same in every version of the program.
pub(crate) fn digest(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use rustix::process::geteuid;

    use super::*;

    #[test]
    fn a_directory_that_others_can_enter_is_refused() {
        let dir = tempfile::tempdir().expect("a directory");
        let user = geteuid().as_raw();
        let path = dir.path().join("a/p2");
        assert!(matches!(check(&path, user), Err(Unfit::Absent(_))));
        assert!(prepare(&path, user).is_ok());
        assert_eq!(fs::metadata(&path).expect("made").mode() & 0o777, 0o700);
        for mode in [0o755, 0o710, 0o702] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("a mode");
            assert!(matches!(prepare(&path, user), Err(Unfit::Unsafe(_))), "{mode:o}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).expect("a mode");
        assert!(matches!(prepare(&path, user + 1), Err(Unfit::Unsafe(_))));
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("a link");
        assert!(matches!(prepare(&link, user), Err(Unfit::Unsafe(_))));
    }

    #[test]
    fn the_digest_is_the_same_in_every_version() {
        assert_eq!(digest("a"), 0xaf63_dc4c_8601_ec8c);
    }
}

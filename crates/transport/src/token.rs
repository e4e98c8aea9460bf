//! A shared secret from a file that nobody else can read.

use std::{
    fmt,
    io::{self, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The fewest bytes that count as a secret.
const SHORTEST: usize = 16;
/// The most bytes read from a token file.
const LONGEST: u64 = 4096;

/// A shared secret that both sides prove to know. Its `Debug` form does not show it.
///
/// ```no_run
/// # fn main() -> Result<(), p2_transport::TokenError> {
/// let token = p2_transport::Token::from_file("/etc/p2/token")?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Token(Arc<[u8]>);

impl Token {
    /// Reads the token from `path`, without white space at either end.
    ///
    /// # Errors
    /// The file cannot be read, is not a regular file, is open to others (any mode wider than
    /// 0600), is empty, shorter than 16 bytes or longer than 4 KiB.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self, TokenError> {
        let path = path.as_ref();
        let read = |source| TokenError::Read { path: path.into(), source };
        let file = std::fs::File::open(path).map_err(read)?;
        // Asked of the open file, so that nobody can swap it between the check and the read.
        let about = file.metadata().map_err(read)?;
        if !about.is_file() {
            return Err(TokenError::NotAFile { path: path.into() });
        }
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o7777;
        if mode & 0o177 != 0 {
            return Err(TokenError::Exposed { path: path.into(), mode });
        }
        let mut bytes = Vec::new();
        file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(read)?;
        if bytes.len() as u64 > LONGEST {
            return Err(TokenError::Long { path: path.into() });
        }
        let secret = bytes.trim_ascii();
        match secret.len() {
            0 => Err(TokenError::Empty { path: path.into() }),
            length if length < SHORTEST => Err(TokenError::Short { path: path.into(), length }),
            _ => Ok(Self(secret.into())),
        }
    }

    /// A token from bytes in memory.
    ///
    /// # Errors
    /// [`TokenError::Weak`] for fewer than 16 bytes.
    ///
    /// ```
    /// assert!(p2_transport::Token::from_bytes(b"sixteen bytes ok").is_ok());
    /// assert!(p2_transport::Token::from_bytes(b"short").is_err());
    /// ```
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TokenError> {
        if bytes.len() < SHORTEST {
            return Err(TokenError::Weak { length: bytes.len() });
        }
        Ok(Self(bytes.into()))
    }

    pub(crate) fn secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(hidden)")
    }
}

/// Why a token file was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The file cannot be opened or read.
    #[error("cannot read the token file {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A directory, a pipe or a device.
    #[error("the token file {} is not a regular file", path.display())]
    NotAFile {
        /// The file.
        path: PathBuf,
    },
    /// Others on this machine may read or run it.
    #[error(
        "the token file {path} has mode {mode:04o}, others could read it; fix it with: chmod 600 {path}",
        path = path.display()
    )]
    Exposed {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// Nothing in it.
    #[error(
        "the token file {path} is empty; make one with: (umask 077; head -c 32 /dev/urandom | base64 > {path})",
        path = path.display()
    )]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Too little to be a secret.
    #[error("the token in {} has {length} bytes; at least 16 are needed", path.display())]
    Short {
        /// The file.
        path: PathBuf,
        /// Bytes without surrounding white space.
        length: usize,
    },
    /// More than a token.
    #[error("the token file {} is longer than 4 KiB; is it the right file?", path.display())]
    Long {
        /// The file.
        path: PathBuf,
    },
    /// Bytes given in memory are too few.
    #[error("the token has {length} bytes; at least 16 are needed")]
    Weak {
        /// Bytes given.
        length: usize,
    },
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use super::*;

    fn token_file(content: &[u8], mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("token");
        fs::write(&path, content).expect("the file is written");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("the mode is set");
        (dir, path)
    }

    #[test]
    fn a_private_file_gives_its_secret_without_the_newline() {
        for mode in [0o600, 0o400] {
            let (_dir, path) = token_file(b"0123456789abcdef\n", mode);
            let token = Token::from_file(&path).expect("a good token");
            assert_eq!(token.secret(), b"0123456789abcdef");
            assert_eq!(format!("{token:?}"), "Token(hidden)");
        }
    }

    #[test]
    fn every_wider_mode_is_refused_with_the_cure() {
        for mode in [0o640, 0o604, 0o644, 0o620, 0o700, 0o660] {
            let (_dir, path) = token_file(b"0123456789abcdef\n", mode);
            let error = Token::from_file(&path).expect_err("others can use it").to_string();
            assert!(error.contains(&format!("{mode:04o}")), "{error}");
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn too_little_and_too_much_are_refused() {
        let (_a, empty) = token_file(b" \n", 0o600);
        assert!(matches!(Token::from_file(empty), Err(TokenError::Empty { .. })));
        let (_b, short) = token_file(b"0123456789abcde\n", 0o600);
        assert!(matches!(Token::from_file(short), Err(TokenError::Short { length: 15, .. })));
        let (_c, long) = token_file(&[b'x'; 4097], 0o600);
        assert!(matches!(Token::from_file(long), Err(TokenError::Long { .. })));
        let (dir, _path) = token_file(b"", 0o600);
        assert!(matches!(Token::from_file(dir.path()), Err(TokenError::NotAFile { .. })));
        assert!(matches!(Token::from_file("/nowhere/at/all"), Err(TokenError::Read { .. })));
    }
}

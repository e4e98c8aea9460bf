//! Which file is sent under which path, so that a rotated file is never sent a second time.

use std::collections::HashMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// A file, whatever it is called. The time of birth tells a new file from an old one whose inode
/// number it got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct FileId {
    device: u64,
    inode: u64,
    born: Option<SystemTime>,
}

impl FileId {
    pub(super) fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino(), born: metadata.created().ok() }
    }
}

/// Scans that miss a file before it is forgotten: a listing may miss a file that is renamed
/// meanwhile.
const MISSES: u8 = 3;

#[derive(Debug)]
struct Claim {
    owner: PathBuf,
    /// The owner has it open.
    held: bool,
    /// Where the owner stopped reading.
    offset: u64,
    misses: u8,
}

/// The files of one tail source.
#[derive(Debug, Clone, Default)]
pub(super) struct Claims(Arc<Mutex<HashMap<FileId, Claim>>>);

impl Claims {
    /// Takes `file` for `path` and says from which offset to read; `None` while it is another's.
    pub(super) fn take(&self, file: FileId, path: &Path) -> Option<u64> {
        let mut claims = self.lock();
        match claims.get_mut(&file) {
            None => {
                claims.insert(
                    file,
                    Claim { owner: path.to_owned(), held: true, offset: 0, misses: 0 },
                );
                Some(0)
            }
            Some(claim) if !claim.held && claim.owner == path => {
                claim.held = true;
                Some(claim.offset)
            }
            Some(_) => None,
        }
    }

    /// The owner has closed `file` after reading `offset` bytes.
    pub(super) fn release(&self, file: FileId, offset: u64) {
        let mut claims = self.lock();
        if file.born.is_none() {
            // It could not be told from a later file with its number: rather twice than never.
            claims.remove(&file);
        } else if let Some(claim) = claims.get_mut(&file) {
            claim.held = false;
            claim.offset = offset;
        }
    }

    /// Whether some path sends or has sent `file`.
    pub(super) fn knows(&self, file: FileId) -> bool {
        self.lock().contains_key(&file)
    }

    /// Forgets closed files that several scans in a row did not see.
    pub(super) fn scanned(&self, seen: &[FileId]) {
        self.lock().retain(|file, claim| {
            claim.misses = if claim.held || seen.contains(file) { 0 } else { claim.misses + 1 };
            claim.misses < MISSES
        });
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<FileId, Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(inode: u64, born: Option<SystemTime>) -> FileId {
        FileId { device: 1, inode, born }
    }

    #[test]
    fn a_file_has_one_owner_and_goes_on_where_it_was() {
        let claims = Claims::default();
        let (a, b) = (Path::new("/a"), Path::new("/b"));
        let one = file(1, Some(SystemTime::UNIX_EPOCH));
        assert_eq!(claims.take(one, a), Some(0));
        assert_eq!(claims.take(one, b), None);
        claims.release(one, 42);
        assert_eq!(claims.take(one, b), None);
        assert_eq!(claims.take(one, a), Some(42));
    }

    #[test]
    fn a_file_that_is_gone_is_forgotten_after_several_scans() {
        let claims = Claims::default();
        let one = file(1, Some(SystemTime::UNIX_EPOCH));
        claims.take(one, Path::new("/a"));
        for _ in 0..5 {
            claims.scanned(&[]);
        }
        assert!(claims.knows(one), "still open");
        claims.release(one, 9);
        claims.scanned(&[]);
        claims.scanned(&[one]);
        claims.scanned(&[]);
        claims.scanned(&[]);
        assert!(claims.knows(one), "seen in between");
        claims.scanned(&[]);
        assert!(!claims.knows(one));
    }

    #[test]
    fn without_a_time_of_birth_nothing_is_remembered() {
        let claims = Claims::default();
        let one = file(1, None);
        claims.take(one, Path::new("/a"));
        claims.release(one, 5);
        assert_eq!(claims.take(one, Path::new("/b")), Some(0));
    }
}

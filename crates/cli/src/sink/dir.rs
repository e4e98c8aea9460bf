//! `DIR/SESSION/NAME`: directories and files made beneath handles, so that no link leads away.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use tokio::sync::Semaphore;

use super::file::FileSink;
use super::name::{component, numbered};
use super::number;
use super::{Ack, SinkError, StreamInfo};

/// Files kept open between writes; the others are opened for each batch. Far below the usual
/// limit of 1,024 descriptors, so that ten thousand streams can be ten thousand files.
const KEPT_OPEN: usize = 256;

/// File operations at once: enough to keep a disk busy, few enough for the blocking threads.
const AT_ONCE: usize = 8;

/// Those of one session: however many streams it has, the next one's turn comes soon.
const SHARE: usize = 4;

const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The directory that holds every session.
#[derive(Debug)]
pub(crate) struct Dir {
    root: Arc<Root>,
    pool: Arc<Pool>,
}

#[derive(Debug)]
struct Root {
    fd: OwnedFd,
    path: PathBuf,
    ack: Ack,
    sessions: Mutex<HashMap<String, Weak<SessionDir>>>,
}

/// Bounds on open files and on operations at once.
#[derive(Debug)]
pub(crate) struct Pool {
    /// One permit for each file that stays open.
    pub(crate) kept: Arc<Semaphore>,
    /// One permit for each operation.
    pub(crate) turns: Semaphore,
}

/// One session's directory.
#[derive(Debug)]
struct SessionDir {
    fd: OwnedFd,
    path: PathBuf,
    /// One permit for each of its operations, asked for before the pool's.
    turns: Semaphore,
    /// Names of files that are being written.
    claimed: Mutex<HashSet<String>>,
}

/// The name of a file that is being written. Nothing else remembers a name, and for as long no
/// other stream gets it, even if somebody removes the file.
#[derive(Debug)]
pub(crate) struct Claim {
    session: Arc<SessionDir>,
    name: String,
}

/// Which file it is, whatever its name points to later.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity(u64, u64);

impl Dir {
    /// Opens `path`, which is created with mode 0700 when it is missing. It is the user's own
    /// choice and may be a link; nothing beneath it may.
    pub(crate) async fn open(path: PathBuf, ack: Ack) -> Result<Self, SinkError> {
        let shown = path.display().to_string();
        let root = blocking(move || {
            std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
            let fd = rustix::fs::open(&path, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
            Ok(Root { fd, path, ack, sessions: Mutex::default() })
        });
        Ok(Self {
            root: Arc::new(root.await.map_err(|e| SinkError::new(shown, &e))?),
            pool: Arc::new(Pool {
                kept: Arc::new(Semaphore::new(KEPT_OPEN)),
                turns: Semaphore::new(AT_ONCE),
            }),
        })
    }

    /// Makes the file of one stream. A file that exists is left alone: the stream gets the next
    /// number of its name.
    pub(crate) async fn create(&self, stream: &StreamInfo) -> Result<FileSink, SinkError> {
        let (session, name) = (component(&stream.session), component(&stream.name));
        let shown = self.root.path.join(&session).join(&name).display().to_string();
        let root = Arc::clone(&self.root);
        let made = blocking(move || {
            let session = root.session(session)?;
            let (file, claim) = session.create(&name)?;
            if root.ack == Ack::Synced {
                rustix::fs::fsync(&session.fd)?;
            }
            let identity = identity(&file)?;
            Ok((file, claim, identity))
        });
        let (file, claim, identity) = made.await.map_err(|e| SinkError::new(shown, &e))?;
        Ok(FileSink::new(claim, file, identity, Arc::clone(&self.pool)))
    }
}

impl Root {
    fn session(&self, name: String) -> io::Result<Arc<SessionDir>> {
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = sessions.get(&name).and_then(Weak::upgrade) {
            return Ok(session);
        }
        match rustix::fs::mkdirat(&self.fd, &name, Mode::RWXU) {
            Ok(()) if self.ack == Ack::Synced => rustix::fs::fsync(&self.fd)?,
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let session = Arc::new(SessionDir {
            fd: rustix::fs::openat(&self.fd, &name, flags, Mode::empty())?,
            path: self.path.join(&name),
            turns: Semaphore::new(SHARE),
            claimed: Mutex::default(),
        });
        sessions.retain(|_, session| session.strong_count() > 0);
        sessions.insert(name, Arc::downgrade(&session));
        Ok(session)
    }
}

impl SessionDir {
    /// Makes a file that is nobody's yet: `name`, or `name` with the next number.
    fn create(self: &Arc<Self>, name: &str) -> io::Result<(File, Claim)> {
        // O_EXCL never follows a link: whatever has the name already is passed over.
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        number::make_next(
            |number| self.exists(&numbered(name, number)),
            |number| {
                let Some(claim) = Claim::new(self, numbered(name, number)) else {
                    return Ok(None);
                };
                match rustix::fs::openat(&self.fd, &claim.name, flags, FILE_MODE) {
                    Ok(fd) => Ok(Some((fd.into(), claim))),
                    Err(Errno::EXIST) => Ok(None),
                    Err(error) => Err(error.into()),
                }
            },
        )
    }

    fn exists(&self, name: &str) -> io::Result<bool> {
        if self.claimed().contains(name) {
            return Ok(true);
        }
        match rustix::fs::statat(&self.fd, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(_) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn claimed(&self) -> MutexGuard<'_, HashSet<String>> {
        self.claimed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Claim {
    fn new(session: &Arc<SessionDir>, name: String) -> Option<Self> {
        let new = session.claimed().insert(name.clone());
        new.then(|| Self { session: Arc::clone(session), name })
    }

    /// The file's path, for people.
    pub(crate) fn path(&self) -> PathBuf {
        self.session.path.join(&self.name)
    }

    /// How many there are in its session.
    #[cfg(test)]
    pub(crate) fn claims(&self) -> usize {
        self.session.claimed().len()
    }

    /// One permit for each operation on files of its session.
    pub(crate) fn turns(&self) -> &Semaphore {
        &self.session.turns
    }

    /// Opens the file again; anything else in its place is an error.
    pub(crate) fn reopen(&self, expected: Identity) -> io::Result<File> {
        // O_NONBLOCK: a FIFO put in its place must not hang the thread.
        let flags = OFlags::WRONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(&self.session.fd, &self.name, flags, Mode::empty())?;
        let file = File::from(fd);
        if identity(&file)? == expected { Ok(file) } else { Err(Errno::LOOP.into()) }
    }

    /// Opens the file that records its gaps, to append to it.
    pub(crate) fn gaps(&self) -> io::Result<File> {
        let flags = OFlags::WRONLY
            | OFlags::APPEND
            | OFlags::CREATE
            | OFlags::NOFOLLOW
            | OFlags::NONBLOCK
            | OFlags::CLOEXEC;
        let name = format!("{}~gaps", self.name);
        let file = File::from(rustix::fs::openat(&self.session.fd, name, flags, FILE_MODE)?);
        identity(&file)?;
        Ok(file)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.session.claimed().remove(&self.name);
    }
}

/// The identity of a regular file with one name; ELOOP for anything else.
fn identity(file: &impl AsFd) -> io::Result<Identity> {
    let stat = rustix::fs::fstat(file)?;
    if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile || stat.st_nlink > 1 {
        return Err(Errno::LOOP.into());
    }
    #[allow(clippy::useless_conversion, clippy::unnecessary_cast)] // widths differ by platform
    Ok(Identity(stat.st_dev as u64, stat.st_ino as u64))
}

/// Runs `work` where it may block.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

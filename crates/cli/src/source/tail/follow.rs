//! One path followed step by step: growth, truncation, rename, deletion, re-creation.

use super::claims::{Claims, FileId};
use crate::status::SourceCounters;
use bytes::Bytes;
use rustix::fs::OFlags;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// One read.
const CHUNK: u64 = 64 * 1024;

/// Polls during which a renamed file has to stay silent before the new one is read: its writer may
/// go on with the old one for a while.
const SILENT_POLLS: u32 = 3;

/// What a step found.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// More bytes; there may be still more.
    Data(Bytes),
    /// Nothing now.
    Idle,
    /// Nothing more, because the program drains.
    Ended,
}

/// The state of one followed path. Every call of [`Follow::step`] does blocking file work.
#[derive(Debug)]
pub(super) struct Follow {
    path: PathBuf,
    claims: Claims,
    current: Option<Current>,
    silent: u32,
    /// The last trouble told, so that it is told once.
    trouble: Option<String>,
    notes: Vec<String>,
    progress: Progress,
}

/// How far it is, for whoever counts and whoever asks.
#[derive(Debug, Default)]
struct Progress {
    counters: Option<Arc<SourceCounters>>,
    position: Arc<Mutex<Option<Position>>>,
}

/// Which file is read, and how far.
#[derive(Debug, Clone, Copy)]
struct Position {
    id: FileId,
    offset: u64,
}

#[derive(Debug)]
struct Current {
    file: File,
    id: FileId,
    offset: u64,
    /// While draining: where to stop, so that a file that keeps growing ends.
    end: Option<u64>,
}

impl Follow {
    /// Begins at the start of the file, so that nothing of it is missing.
    pub(super) fn new(path: PathBuf, claims: Claims) -> Self {
        Self {
            path,
            claims,
            current: None,
            silent: 0,
            trouble: None,
            notes: Vec::new(),
            progress: Progress::default(),
        }
    }

    /// Counts rotations there from now on, and lets it ask how far the file is ahead.
    pub(super) fn counted_by(&mut self, counters: Arc<SourceCounters>) {
        let (path, position) = (self.path.clone(), Arc::clone(&self.progress.position));
        counters.set_backlog(Box::new(move |_| {
            let position = (*position.lock().unwrap_or_else(PoisonError::into_inner))?;
            let metadata = path.metadata().ok()?;
            // After a rotation the rest of the old file is unknown, and the new one is all ahead.
            let read = if FileId::of(&metadata) == position.id { position.offset } else { 0 };
            Some(metadata.len().saturating_sub(read))
        }));
        self.progress.counters = Some(counters);
    }

    /// Opens the file if it is there; says whether it is.
    pub(super) fn open(&mut self) -> io::Result<bool> {
        // Without waiting, lest a named pipe at that path block for ever.
        let flags = OFlags::NONBLOCK.bits() as i32;
        let mut file = match File::options().read(true).custom_flags(flags).open(&self.path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.note_once("does not exist yet; waiting for it".to_owned());
                return Ok(false);
            }
            Err(error) => {
                let why = format!("cannot be read: {error}; trying again");
                self.note_once(why);
                return Err(error);
            }
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            self.note_once("is not a regular file; only those can be followed".to_owned());
            return Err(io::Error::other("not a regular file"));
        }
        let id = FileId::of(&metadata);
        let Some(offset) = self.claims.take(id, &self.path) else {
            return Ok(false);
        };
        let offset = if offset <= metadata.len() { offset } else { 0 };
        file.seek(SeekFrom::Start(offset))?;
        self.trouble = None;
        self.silent = 0;
        self.current = Some(Current { file, id, offset, end: None });
        if self.progress.at(id, offset).is_some() {
            self.progress.rotated();
        }
        Ok(true)
    }

    /// Reads on, or finds out why there is nothing to read.
    pub(super) fn step(&mut self, draining: bool) -> io::Result<Step> {
        loop {
            let Some(current) = &mut self.current else {
                match self.open() {
                    Ok(true) => continue,
                    Ok(false) if draining => return Ok(Step::Ended),
                    Err(error) if draining => {
                        return Err(io::Error::new(
                            error.kind(),
                            format!("cannot read {}: {error}", self.path.display()),
                        ));
                    }
                    Ok(false) | Err(_) => return Ok(Step::Idle),
                }
            };
            let length = current.file.metadata()?.len();
            if length < current.offset {
                let lost = current.offset;
                current.file.seek(SeekFrom::Start(0))?;
                (current.offset, current.end) = (0, None);
                self.progress.at(current.id, 0);
                self.progress.rotated();
                self.notes.push(format!(
                    "was truncated from {lost} to {length} bytes; reading it from its start"
                ));
            }
            let end = if draining { *current.end.get_or_insert(length) } else { length };
            let want = end.saturating_sub(current.offset).min(CHUNK);
            if want > 0 {
                let mut data = Vec::with_capacity(want as usize);
                (&current.file).take(want).read_to_end(&mut data)?;
                if !data.is_empty() {
                    current.offset += data.len() as u64;
                    self.progress.at(current.id, current.offset);
                    self.silent = 0;
                    return Ok(Step::Data(Bytes::from(data)));
                }
            }
            // All read. Does the path still lead here?
            let id = current.id;
            let there = identity(&self.path);
            if there == Some(id) {
                self.silent = 0;
                return Ok(if draining { Step::Ended } else { Step::Idle });
            }
            if !draining && self.silent < SILENT_POLLS {
                self.silent += 1;
                return Ok(Step::Idle);
            }
            self.leave();
            if there.is_none() && draining {
                return Ok(Step::Ended);
            }
        }
    }

    /// Whether no file is open: there is none at the path, or it is another's.
    pub(super) fn absent(&self) -> bool {
        self.current.is_none()
    }

    /// What happened since the last call and is worth telling.
    pub(super) fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn leave(&mut self) {
        if let Some(current) = self.current.take() {
            self.claims.release(current.id, current.offset);
        }
    }

    fn note_once(&mut self, text: String) {
        if self.trouble.as_ref() != Some(&text) {
            self.notes.push(text.clone());
            self.trouble = Some(text);
        }
    }
}

impl Progress {
    /// Notes where the next read begins; returns where it would have begun before.
    fn at(&self, id: FileId, offset: u64) -> Option<Position> {
        let mut place = self.position.lock().unwrap_or_else(PoisonError::into_inner);
        place.replace(Position { id, offset })
    }

    fn rotated(&self) {
        if let Some(counters) = &self.counters {
            counters.rotated();
        }
    }
}

impl Drop for Follow {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The regular file at `path`, links followed.
pub(super) fn identity(path: &Path) -> Option<FileId> {
    path.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| FileId::of(&metadata))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Write as _;

    fn append(path: &Path, text: &str) {
        let mut file = File::options().append(true).create(true).open(path).expect("open");
        file.write_all(text.as_bytes()).expect("write");
    }

    /// Steps until nothing has come for more polls than a rotation takes.
    fn read(follow: &mut Follow) -> String {
        let (mut text, mut idle) = (String::new(), 0);
        while idle < 2 * SILENT_POLLS + 2 {
            match follow.step(false).expect("step") {
                Step::Data(data) => {
                    text.push_str(std::str::from_utf8(&data).expect("text"));
                    idle = 0;
                }
                Step::Idle => idle += 1,
                Step::Ended => panic!("ended without a drain"),
            }
        }
        text
    }

    fn drain(follow: &mut Follow) -> String {
        let mut text = String::new();
        while let Step::Data(data) = follow.step(true).expect("step") {
            text.push_str(std::str::from_utf8(&data).expect("text"));
        }
        text
    }

    fn setup() -> (tempfile::TempDir, PathBuf, Follow) {
        let dir = tempfile::tempdir().expect("temp dir");
        let path = dir.path().join("app.log");
        let follow = Follow::new(path.clone(), Claims::default());
        (dir, path, follow)
    }

    #[test]
    fn growth_is_read_from_the_beginning_partial_lines_too() {
        let (_dir, path, mut follow) = setup();
        assert_eq!(read(&mut follow), "");
        assert_eq!(follow.take_notes(), ["does not exist yet; waiting for it"]);
        append(&path, "one\ntw");
        assert_eq!(read(&mut follow), "one\ntw");
        append(&path, "o\n");
        assert_eq!(read(&mut follow), "o\n");
        let large = "x".repeat(CHUNK as usize * 3 + 17);
        append(&path, &large);
        assert!(read(&mut follow) == large);
    }

    #[test]
    fn a_renamed_file_is_read_to_its_end_before_the_new_one() {
        let (dir, path, mut follow) = setup();
        append(&path, "old 1\n");
        assert_eq!(read(&mut follow), "old 1\n");
        let moved = dir.path().join("app.log.1");
        fs::rename(&path, &moved).expect("rename");
        append(&path, "new 1\n");
        append(&moved, "old 2\n");
        assert_eq!(follow.step(false).expect("step"), Step::Data("old 2\n".into()));
        assert_eq!(follow.step(false).expect("step"), Step::Idle);
        append(&moved, "old 3\n");
        assert_eq!(read(&mut follow), "old 3\nnew 1\n");
    }

    #[test]
    fn a_truncated_file_is_read_again_from_its_start_and_that_is_told() {
        let (_dir, path, mut follow) = setup();
        append(&path, "a long line\n");
        assert_eq!(read(&mut follow), "a long line\n");
        File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("truncate");
        append(&path, "b\n");
        assert_eq!(read(&mut follow), "b\n");
        let notes = follow.take_notes();
        assert!(notes.iter().any(|note| note.starts_with("was truncated from 12")), "{notes:?}");
    }

    #[test]
    fn deletion_and_re_creation() {
        let (_dir, path, mut follow) = setup();
        append(&path, "one\n");
        assert_eq!(read(&mut follow), "one\n");
        fs::remove_file(&path).expect("remove");
        assert_eq!(read(&mut follow), "");
        append(&path, "two\n");
        assert_eq!(read(&mut follow), "two\n");
    }

    #[test]
    fn a_drain_reads_what_is_there_and_ends_even_across_a_rename() {
        let (dir, path, mut follow) = setup();
        append(&path, "one\n");
        assert_eq!(read(&mut follow), "one\n");
        append(&path, "two\n");
        fs::rename(&path, dir.path().join("app.log.1")).expect("rename");
        append(&path, "three\n");
        assert_eq!(drain(&mut follow), "two\nthree\n");
        assert_eq!(follow.step(true).expect("step"), Step::Ended);
    }

    #[test]
    fn a_drain_of_a_growing_file_ends() {
        let (_dir, path, mut follow) = setup();
        append(&path, "0123456789");
        let Step::Data(first) = follow.step(true).expect("step") else { panic!("no data") };
        append(&path, "more");
        assert_eq!(&first[..], b"0123456789");
        assert_eq!(follow.step(true).expect("step"), Step::Ended);
    }

    #[test]
    fn a_directory_or_pipe_in_the_way_blocks_nothing() {
        let (_dir, path, mut follow) = setup();
        fs::create_dir(&path).expect("mkdir");
        assert_eq!(read(&mut follow), "");
        assert!(follow.step(true).is_err());
        fs::remove_dir(&path).expect("rmdir");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, 0o600.into(), 0)
            .expect("fifo");
        assert_eq!(read(&mut follow), "");
        fs::remove_file(&path).expect("remove");
        append(&path, "a file\n");
        assert_eq!(read(&mut follow), "a file\n");
    }
}

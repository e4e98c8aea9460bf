//! Why a sink failed, named so that a person knows what to do next.

use std::io;

/// A sink that failed for good: its stream stops, the others go on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}: {problem}{}", hint(*.problem))]
pub(crate) struct SinkError {
    /// The sink in words: a path, or "standard output".
    pub(crate) what: String,
    /// The named reason.
    pub(crate) problem: Problem,
}

/// The reasons that a person can act on, and the rest in the system's own words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Problem {
    /// No space left on the file system.
    DiskFull,
    /// The user's quota is used up.
    QuotaExceeded,
    /// The reader of standard output has gone.
    ReaderGone,
    /// Not allowed to write there.
    Denied,
    /// The file system is mounted read-only.
    ReadOnly,
    /// The file system or a limit forbids a file this large.
    FileTooLarge,
    /// A symbolic link or something else than a file or directory is in the way.
    NotOurs,
    /// Any other failure.
    Other(io::ErrorKind),
}

impl SinkError {
    /// Names the failure of `what`.
    pub(crate) fn new(what: impl Into<String>, error: &io::Error) -> Self {
        Self { what: what.into(), problem: Problem::of(error) }
    }

    /// True when the reader of a pipe went away, as after `| head`.
    pub(crate) fn is_reader_gone(&self) -> bool {
        self.problem == Problem::ReaderGone
    }
}

impl Problem {
    /// Every word that there is.
    pub(crate) const WORDS: [&str; 8] = [
        "disk_full",
        "quota",
        "reader_gone",
        "denied",
        "read_only",
        "file_too_large",
        "not_ours",
        "other",
    ];

    /// One word for it.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::DiskFull => "disk_full",
            Self::QuotaExceeded => "quota",
            Self::ReaderGone => "reader_gone",
            Self::Denied => "denied",
            Self::ReadOnly => "read_only",
            Self::FileTooLarge => "file_too_large",
            Self::NotOurs => "not_ours",
            Self::Other(_) => "other",
        }
    }

    fn of(error: &io::Error) -> Self {
        // ELOOP has no stable `ErrorKind`, so it is told by its number.
        if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) {
            return Self::NotOurs;
        }
        match error.kind() {
            io::ErrorKind::StorageFull => Self::DiskFull,
            io::ErrorKind::QuotaExceeded => Self::QuotaExceeded,
            io::ErrorKind::BrokenPipe => Self::ReaderGone,
            io::ErrorKind::PermissionDenied => Self::Denied,
            io::ErrorKind::ReadOnlyFilesystem => Self::ReadOnly,
            io::ErrorKind::FileTooLarge => Self::FileTooLarge,
            io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => Self::NotOurs,
            kind => Self::Other(kind),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::DiskFull => f.write_str("disk full"),
            Self::QuotaExceeded => f.write_str("disk quota exceeded"),
            Self::ReaderGone => f.write_str("its reader has gone"),
            Self::Denied => f.write_str("permission denied"),
            Self::ReadOnly => f.write_str("read-only file system"),
            Self::FileTooLarge => f.write_str("file too large"),
            Self::NotOurs => f.write_str("a symbolic link or another kind of file is in the way"),
            Self::Other(kind) => write!(f, "{kind}"),
        }
    }
}

fn hint(problem: Problem) -> &'static str {
    match problem {
        Problem::DiskFull | Problem::QuotaExceeded => {
            "; what was acknowledged is written; free some space and send the stream again"
        }
        Problem::Denied | Problem::ReadOnly => "; choose another --dir or change its mode",
        Problem::NotOurs => "; nothing is written through it; move it away",
        Problem::ReaderGone | Problem::FileTooLarge | Problem::Other(_) => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_and_says_what_next() {
        let error = io::Error::from_raw_os_error(rustix::io::Errno::NOSPC.raw_os_error());
        assert_eq!(
            SinkError::new("out/s/app", &error).to_string(),
            "out/s/app: disk full; what was acknowledged is written; \
             free some space and send the stream again"
        );
    }

    #[test]
    fn a_symbolic_link_is_told_from_other_failures() {
        let error = io::Error::from_raw_os_error(rustix::io::Errno::LOOP.raw_os_error());
        assert_eq!(SinkError::new("x", &error).problem, Problem::NotOurs);
        let gone = SinkError::new("standard output", &io::ErrorKind::BrokenPipe.into());
        assert!(gone.is_reader_gone());
        assert_eq!(gone.to_string(), "standard output: its reader has gone");
    }
}

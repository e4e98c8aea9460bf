//! The exit codes, a contract with scripts.

use std::process::ExitCode;

/// How the program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub(crate) enum Exit {
    /// Everything was delivered and acknowledged.
    Success = 0,
    /// Something else went wrong.
    Failure = 1,
    /// The command line, the environment or a file it names is wrong.
    Usage = 2,
    /// Stopped with unacknowledged data; resumable, and the words on stderr say how.
    Unacknowledged = 3,
    /// No connection within the given limits.
    NoConnection = 4,
    /// Refused: token, host key, version, no common codec, limits.
    Refused = 5,
    /// An integrity failure that a resume did not heal.
    Integrity = 6,
    /// A source or a sink failed for good.
    Endpoint = 7,
    /// Ended by Ctrl-C.
    Interrupted = 130,
    /// Ended by SIGTERM.
    Terminated = 143,
}

impl Exit {
    /// Every code.
    pub(crate) const ALL: [Self; 10] = [
        Self::Success,
        Self::Failure,
        Self::Usage,
        Self::Unacknowledged,
        Self::NoConnection,
        Self::Refused,
        Self::Integrity,
        Self::Endpoint,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number the shell sees.
    #[must_use]
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What the number means, in one line.
    #[must_use]
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Success => "everything was delivered and acknowledged",
            Self::Failure => "something else went wrong",
            Self::Usage => "usage or configuration",
            Self::Unacknowledged => "stopped with unacknowledged data (resumable; stderr says how)",
            Self::NoConnection => "could not connect within the given limits",
            Self::Refused => "refused: token, login, host key, version, no common codec, limits",
            Self::Integrity => "integrity failure that a resume did not heal",
            Self::Endpoint => "a source or a sink failed for good",
            Self::Interrupted => "ended by Ctrl-C",
            Self::Terminated => "ended by SIGTERM",
        }
    }

    /// Of two outcomes the one to report: success only if both are, else what needs the user most.
    #[must_use]
    pub(crate) const fn worse(self, other: Self) -> Self {
        if self.gravity() >= other.gravity() { self } else { other }
    }

    const fn gravity(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Failure => 1,
            Self::NoConnection => 2,
            Self::Endpoint => 3,
            Self::Unacknowledged => 4,
            Self::Refused => 5,
            Self::Integrity => 6,
            Self::Interrupted => 7,
            Self::Terminated => 8,
            Self::Usage => 9,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_codes_are_the_ones_scripts_rely_on() {
        let codes = Exit::ALL.map(Exit::code);
        assert_eq!(codes, [0, 1, 2, 3, 4, 5, 6, 7, 130, 143]);
    }

    #[test]
    fn every_code_has_a_meaning_of_one_line() {
        for exit in Exit::ALL {
            let meaning = exit.meaning();
            assert!(!meaning.is_empty() && meaning.len() < 70 && !meaning.contains('\n'));
        }
    }

    #[test]
    fn the_worse_of_two_does_not_depend_on_their_order() {
        for a in Exit::ALL {
            assert_eq!(a.worse(a), a);
            assert_eq!(a.worse(Exit::Success), a);
            for b in Exit::ALL {
                assert_eq!(a.worse(b), b.worse(a));
            }
        }
    }
}

//! The line with which the far side's receiver says that it is there: all before it is the noise of
//! a login shell.

use serde::{Deserialize, Serialize};

/// What the line begins with. The zero byte is in no text that a login shell prints.
const MARK: &[u8] = b"\0p2 attached ";

/// More noise than this before the line is no login banner any more.
pub(crate) const MOST_NOISE: usize = 64 * 1024;

/// The longest line.
const LONGEST: usize = 8 * 1024;

/// What the receiver tells about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Greeting {
    /// Program and version.
    pub(crate) agent: String,
    /// Where it writes streams.
    pub(crate) dir: String,
    /// Its process id.
    pub(crate) process: u32,
}

/// What stands at the front of the bytes read so far.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Scan {
    /// The line is not whole yet.
    More,
    /// It is too late for it to come, or it makes no sense.
    Never,
    /// It is there.
    Found {
        /// What it says.
        greeting: Greeting,
        /// The noise before it.
        noise: usize,
        /// Where what follows begins.
        rest: usize,
    },
}

impl Greeting {
    /// The line.
    pub(crate) fn to_line(&self) -> Vec<u8> {
        let mut line = MARK.to_vec();
        line.extend(serde_json::to_vec(self).unwrap_or_default());
        line.push(b'\n');
        line
    }

    /// Looks for the line in what has been read so far.
    pub(crate) fn scan(bytes: &[u8]) -> Scan {
        let Some(noise) = bytes.windows(MARK.len()).position(|part| part == MARK) else {
            return if bytes.len() > MOST_NOISE { Scan::Never } else { Scan::More };
        };
        if noise > MOST_NOISE {
            return Scan::Never;
        }
        let said = bytes.get(noise + MARK.len()..).unwrap_or_default();
        let Some(length) = said.iter().position(|byte| *byte == b'\n') else {
            return if said.len() > LONGEST { Scan::Never } else { Scan::More };
        };
        match serde_json::from_slice(said.get(..length).unwrap_or_default()) {
            Ok(greeting) => Scan::Found { greeting, noise, rest: noise + MARK.len() + length + 1 },
            Err(_) => Scan::Never,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn greeting() -> Greeting {
        Greeting { agent: "p2/1".into(), dir: "/a b\n".into(), process: 7 }
    }

    #[test]
    fn the_line_is_found_behind_noise_wherever_the_bytes_were_cut() {
        let noise = b"Welcome!\nYou have \0 new mail\n\0p2 at";
        let bytes = [noise, greeting().to_line().as_slice(), b"more"].concat();
        let rest = bytes.len() - 4;
        for cut in 0..rest {
            assert_eq!(Greeting::scan(&bytes[..cut]), Scan::More, "{cut}");
        }
        let found = Scan::Found { greeting: greeting(), noise: noise.len(), rest };
        assert_eq!(Greeting::scan(&bytes), found);
    }

    #[test]
    fn noise_has_a_bound() {
        let mut bytes = vec![b'x'; MOST_NOISE];
        assert_eq!(Greeting::scan(&bytes), Scan::More);
        bytes.extend(greeting().to_line());
        assert!(matches!(Greeting::scan(&bytes), Scan::Found { noise: MOST_NOISE, .. }));
        bytes.insert(0, b'x');
        assert_eq!(Greeting::scan(&bytes), Scan::Never);
        let endless = [MARK, &vec![b'x'; LONGEST + 1]].concat();
        assert_eq!(Greeting::scan(&endless), Scan::Never);
        assert_eq!(Greeting::scan(&[MARK, b"{}\n"].concat()), Scan::Never);
    }
}

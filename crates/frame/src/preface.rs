//! The first sixteen bytes of a link: is this P2, unmangled, in a version both know?

use thiserror::Error;

/// The protocol version that this crate implements.
pub const VERSION: u8 = 1;

/// What each side sends before anything else: a magic that shows what a channel does to bytes,
/// and the versions it speaks.
///
/// ```
/// use p2_frame::{Preface, PrefaceScan};
/// let bytes = Preface::default().encode();
/// let scan = Preface::scan(&bytes, 0);
/// assert_eq!(scan, PrefaceScan::Found { preface: Preface::default(), skipped: 0, consumed: 16 });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preface {
    /// The lowest version spoken, at least 1.
    pub min_version: u8,
    /// The highest version spoken, at least `min_version`.
    pub max_version: u8,
}

/// What [`Preface::scan`] has found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PrefaceScan {
    /// The preface.
    Found {
        /// What it says.
        preface: Preface,
        /// Bytes of junk before it.
        skipped: usize,
        /// All bytes up to its end: `skipped` and 16.
        consumed: usize,
    },
    /// It may still come.
    NeedMore {
        /// Bytes at the front that are junk for certain. Whoever drops them lowers the next
        /// call's `skip_limit` by as many; then the whole search costs linear time.
        skippable: usize,
    },
    /// It will not come.
    Mangled(Mangled),
}

/// What came instead of the preface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Mangled {
    /// An HTTP request or answer.
    #[error("the peer speaks HTTP, not P2: check the port")]
    Http,
    /// A TLS handshake or alert.
    #[error("the peer speaks TLS, not P2: check the port")]
    Tls,
    /// An SSH banner.
    #[error("the peer speaks SSH, not P2: check the port, or forward one through it with ssh -L")]
    Ssh,
    /// Line ends were rewritten.
    #[error("the channel rewrites line ends: it must carry bytes as they are (no terminal)")]
    CrLfTranslated,
    /// NUL bytes were removed.
    #[error("the channel removes NUL bytes: it must carry bytes as they are")]
    NulStripped,
    /// The top bit was cleared.
    #[error("the channel carries seven bits a byte: it must carry bytes as they are")]
    HighBitStripped,
    /// 0xFF was doubled or removed.
    #[error("the channel treats 0xFF as a command (telnet): it must carry bytes as they are")]
    TelnetEscaped,
    /// Bytes from 0x80 on were re-coded as text.
    #[error("the channel re-codes text: it must carry bytes as they are")]
    Transcoded,
    /// The magic is right and what follows is not.
    #[error("the preface is damaged: versions {min} to {max}, or reserved bytes that are not 0")]
    Fields {
        /// The lowest version it names.
        min: u8,
        /// The highest version it names.
        max: u8,
    },
    /// Something else.
    #[error("the peer does not speak P2: check the address, and that p2 runs at the far end")]
    Unknown,
}

/// Two sides without a common version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error(
    "no common protocol version: this side speaks {} to {}, the peer {} to {}; update the older one",
    .ours.min_version, .ours.max_version, .theirs.min_version, .theirs.max_version
)]
pub struct VersionMismatch {
    /// What this side speaks.
    pub ours: Preface,
    /// What the peer speaks.
    pub theirs: Preface,
}

impl Default for Preface {
    fn default() -> Self {
        Self { min_version: VERSION, max_version: VERSION }
    }
}

impl Preface {
    /// Its length in bytes.
    pub const LEN: usize = 16;

    /// The bytes on the wire.
    pub const fn encode(&self) -> [u8; Self::LEN] {
        let [a, b, c, d, e, f, g, h] = MAGIC;
        [a, b, c, d, e, f, g, h, self.min_version, self.max_version, 0, 0, 0, 0, 0, 0]
    }

    /// Looks for a preface with at most `skip_limit` bytes of junk before it.
    ///
    /// With a limit of 0 the first byte that does not fit ends the search.
    pub fn scan(buf: &[u8], skip_limit: usize) -> PrefaceScan {
        let mut skipped = 0_usize;
        for candidate in suffixes(buf) {
            if skipped > skip_limit {
                return PrefaceScan::Mangled(foreign(buf));
            }
            if is_start_of_magic(candidate) {
                return match candidate.first_chunk() {
                    Some(bytes) => Self::judge(bytes, skipped),
                    None => PrefaceScan::NeedMore { skippable: skipped },
                };
            }
            if let Some(reason) = mangled_magic(candidate) {
                return PrefaceScan::Mangled(reason);
            }
            if may_become_mangled_magic(candidate) {
                return PrefaceScan::NeedMore { skippable: skipped };
            }
            skipped = skipped.saturating_add(1);
        }
        if skipped > skip_limit {
            return PrefaceScan::Mangled(foreign(buf));
        }
        PrefaceScan::NeedMore { skippable: skipped }
    }

    /// The highest version that both speak.
    ///
    /// # Errors
    ///
    /// [`VersionMismatch`] if there is none.
    ///
    /// ```
    /// use p2_frame::Preface;
    /// let old = Preface { min_version: 1, max_version: 1 };
    /// let new = Preface { min_version: 1, max_version: 3 };
    /// assert_eq!(old.agree(&new), Ok(1));
    /// assert!(old.agree(&Preface { min_version: 2, max_version: 3 }).is_err());
    /// ```
    pub fn agree(&self, peer: &Self) -> Result<u8, VersionMismatch> {
        let version = self.max_version.min(peer.max_version);
        if version < self.min_version.max(peer.min_version) {
            return Err(VersionMismatch { ours: *self, theirs: *peer });
        }
        Ok(version)
    }

    fn judge(bytes: &[u8; Self::LEN], skipped: usize) -> PrefaceScan {
        let [.., min, max, r0, r1, r2, r3, r4, r5] = *bytes;
        if min == 0 || max < min || [r0, r1, r2, r3, r4, r5] != [0; 6] {
            return PrefaceScan::Mangled(Mangled::Fields { min, max });
        }
        PrefaceScan::Found {
            preface: Self { min_version: min, max_version: max },
            skipped,
            consumed: skipped.saturating_add(Self::LEN),
        }
    }
}

/// Not text, then everything that channels are known to change: CR LF, NUL, 0xFF, LF.
const MAGIC: [u8; 8] = *b"\x89P2\r\n\0\xff\n";

/// What common damage makes of the magic; each differs from it and from the others.
const DAMAGE: [(&[u8], Mangled); 9] = [
    (b"\x89P2\n", Mangled::CrLfTranslated),
    (b"\x89P2\r\r", Mangled::CrLfTranslated),
    (b"\x89P2\r\0", Mangled::CrLfTranslated),
    (b"\x89P2\r\n\0\xff\r", Mangled::CrLfTranslated),
    (b"\x89P2\r\n\xff", Mangled::NulStripped),
    (b"\x89P2\r\n\0\xff\xff", Mangled::TelnetEscaped),
    (b"\x89P2\r\n\0\n", Mangled::TelnetEscaped),
    (b"\x09P2\r\n", Mangled::HighBitStripped),
    // Long enough not to be the end of some junk and the true magic.
    (b"\xc2\x89P2\r\n\0\xc3", Mangled::Transcoded),
];

fn suffixes(buf: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::successors(Some(buf), |rest| rest.split_first().map(|(_, rest)| rest))
        .take_while(|rest| !rest.is_empty())
}

/// Whether the bytes are the magic, as far as both go.
fn is_start_of_magic(bytes: &[u8]) -> bool {
    bytes.iter().zip(&MAGIC).all(|(byte, magic)| byte == magic)
}

fn mangled_magic(bytes: &[u8]) -> Option<Mangled> {
    let damage = DAMAGE.iter().find(|(damaged, _)| bytes.starts_with(damaged));
    damage.map(|(_, reason)| *reason)
}

/// Whether the bytes are too few to tell, so that they must not be skipped yet.
fn may_become_mangled_magic(bytes: &[u8]) -> bool {
    DAMAGE.iter().any(|(damaged, _)| damaged.len() > bytes.len() && damaged.starts_with(bytes))
}

/// Which other protocol begins like this.
fn foreign(bytes: &[u8]) -> Mangled {
    const HTTP: [&[u8]; 10] = [
        b"HTTP/",
        b"GET ",
        b"HEAD ",
        b"POST ",
        b"PUT ",
        b"DELETE ",
        b"OPTIONS ",
        b"CONNECT ",
        b"PATCH ",
        b"PRI * ",
    ];
    if HTTP.iter().any(|start| bytes.starts_with(start)) {
        Mangled::Http
    } else if bytes.starts_with(b"\x16\x03") || bytes.starts_with(b"\x15\x03") {
        Mangled::Tls
    } else if bytes.starts_with(b"SSH-") {
        Mangled::Ssh
    } else {
        Mangled::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(skipped: usize) -> PrefaceScan {
        PrefaceScan::Found { preface: Preface::default(), skipped, consumed: skipped + 16 }
    }

    #[test]
    fn the_preface_is_sixteen_known_bytes() {
        assert_eq!(
            Preface { min_version: 1, max_version: 3 }.encode(),
            *b"\x89P2\r\n\0\xff\n\x01\x03\0\0\0\0\0\0"
        );
    }

    #[test]
    fn every_prefix_needs_more() {
        let bytes = Preface::default().encode();
        for cut in 0..bytes.len() {
            let scan = Preface::scan(&bytes[..cut], 0);
            assert_eq!(scan, PrefaceScan::NeedMore { skippable: 0 }, "{cut}");
        }
    }

    #[test]
    fn junk_is_skipped_up_to_the_limit_and_not_beyond() {
        let bytes = [b"Last login: today\r\n".as_slice(), &Preface::default().encode()].concat();
        assert_eq!(Preface::scan(&bytes, 19), found(19));
        assert_eq!(Preface::scan(&bytes, 18), PrefaceScan::Mangled(Mangled::Unknown));
        assert_eq!(Preface::scan(&bytes[..17], 19), PrefaceScan::NeedMore { skippable: 17 });
        assert_eq!(Preface::scan(&bytes[..22], 19), PrefaceScan::NeedMore { skippable: 19 });
    }

    #[test]
    fn junk_that_ends_like_the_magic_begins_is_no_obstacle() {
        let bytes = [b"\x89\x89P\x89P2\x89P2\r".as_slice(), &Preface::default().encode()].concat();
        assert_eq!(Preface::scan(&bytes, 64), found(10));
    }

    #[test]
    fn dropping_what_is_skippable_finds_the_same_preface() {
        let bytes = [vec![b'x'; 40], Preface::default().encode().to_vec()].concat();
        assert_eq!(scan_bytewise(&bytes), found(0));
        let ends_like_damage = [b"caf\xc3\xc2".as_slice(), &Preface::default().encode()].concat();
        assert_eq!(scan_bytewise(&ends_like_damage), found(0));
        assert_eq!(Preface::scan(&ends_like_damage, 64), found(5));
    }

    /// The last word on bytes that come one by one, with the skippable ones dropped.
    fn scan_bytewise(bytes: &[u8]) -> PrefaceScan {
        let (mut buf, mut dropped) = (Vec::new(), 0);
        for byte in bytes {
            buf.push(*byte);
            match Preface::scan(&buf, 64 - dropped) {
                PrefaceScan::NeedMore { skippable } => {
                    buf.drain(..skippable);
                    dropped += skippable;
                }
                scan => return scan,
            }
        }
        PrefaceScan::NeedMore { skippable: 0 }
    }

    #[test]
    fn other_protocols_are_named() {
        for (bytes, reason) in [
            (b"GET / HTTP/1.1\r\n".as_slice(), Mangled::Http),
            (b"HTTP/1.1 400 Bad Request\r\n", Mangled::Http),
            (b"\x16\x03\x01\x02\0\x01", Mangled::Tls),
            (b"\x15\x03\x03\0\x02\x02", Mangled::Tls),
            (b"SSH-2.0-OpenSSH_9.9\r\n", Mangled::Ssh),
            (b"\0\0\0\0", Mangled::Unknown),
            (b"\x89PNG\r\n\x1a\n", Mangled::Unknown),
        ] {
            assert_eq!(Preface::scan(bytes, 0), PrefaceScan::Mangled(reason));
        }
    }

    #[test]
    fn what_a_channel_does_to_bytes_is_named_even_behind_junk() {
        let good = Preface::default().encode().to_vec();
        let replace = |from: u8, to: &[u8]| -> Vec<u8> {
            good.iter().flat_map(|&b| if b == from { to.to_vec() } else { vec![b] }).collect()
        };
        for (bytes, reason) in [
            (replace(b'\r', b""), Mangled::CrLfTranslated),
            (replace(b'\n', b"\r\n"), Mangled::CrLfTranslated),
            (replace(b'\n', b"\r"), Mangled::CrLfTranslated),
            (replace(b'\r', b"\n"), Mangled::CrLfTranslated),
            (replace(0, b""), Mangled::NulStripped),
            (replace(0xff, b"\xff\xff"), Mangled::TelnetEscaped),
            (replace(0xff, b""), Mangled::TelnetEscaped),
            (good.iter().map(|b| b & 0x7f).collect(), Mangled::HighBitStripped),
            (
                good.iter().flat_map(|&b| char::from(b).to_string().into_bytes()).collect(),
                Mangled::Transcoded,
            ),
        ] {
            assert_eq!(Preface::scan(&bytes, 64), PrefaceScan::Mangled(reason), "{bytes:x?}");
            let behind_junk = [b"Welcome!\n".as_slice(), &bytes].concat();
            assert_eq!(Preface::scan(&behind_junk, 64), PrefaceScan::Mangled(reason));
        }
    }

    #[test]
    fn versions_and_reserved_bytes_are_checked() {
        for (at, value) in [(8, 0), (8, 2), (9, 0), (10, 1), (15, 1)] {
            let mut bytes = Preface::default().encode();
            bytes[at] = value;
            let reason = Mangled::Fields { min: bytes[8], max: bytes[9] };
            assert_eq!(Preface::scan(&bytes, 0), PrefaceScan::Mangled(reason));
        }
    }

    #[test]
    fn the_highest_common_version_wins() {
        let range = |min_version, max_version| Preface { min_version, max_version };
        assert_eq!(range(1, 4).agree(&range(2, 3)), Ok(3));
        assert_eq!(range(3, 4).agree(&range(1, 3)), Ok(3));
        let error = range(1, 1).agree(&range(2, 3)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no common protocol version: this side speaks 1 to 1, the peer 2 to 3; \
             update the older one"
        );
    }
}

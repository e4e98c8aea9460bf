//! The rolling digest of one direction of a stream: XXH3-64, seed 0.

use twox_hash::XxHash3_64;

/// XXH3 hashes up to this many bytes in one go: until then the bytes themselves are less than the
/// state of a hasher, and most streams that are idle have carried little.
const SHORT: usize = 240;
/// So few need no memory of their own.
const FEW: usize = 14;

/// Digest of all bytes so far.
pub(crate) enum Digest {
    /// All of them, the first `len` of these.
    Few {
        len: u8,
        bytes: [u8; FEW],
    },
    Short(Box<Short>),
    Long(Box<XxHash3_64>),
}

/// All of them, as long as they are not many.
pub(crate) struct Short {
    bytes: Vec<u8>,
}

impl Digest {
    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Few { len, bytes } => {
                let start = usize::from(*len);
                let end = start.saturating_add(data.len());
                if let Some(place) = bytes.get_mut(start..end) {
                    place.copy_from_slice(data);
                    *len = u8::try_from(end).unwrap_or(u8::MAX);
                } else {
                    *self = Self::of(bytes.get(..start).unwrap_or_default(), data);
                }
            }
            Self::Short(short) if short.bytes.len().saturating_add(data.len()) <= SHORT => {
                short.bytes.extend_from_slice(data);
            }
            Self::Short(short) => *self = Self::of(&short.bytes, data),
            Self::Long(hasher) => hasher.write(data),
        }
    }

    pub(crate) fn value(&self) -> u64 {
        match self {
            Self::Few { len, bytes } => {
                XxHash3_64::oneshot(bytes.get(..usize::from(*len)).unwrap_or_default())
            }
            Self::Short(short) => XxHash3_64::oneshot(&short.bytes),
            Self::Long(hasher) => hasher.finish(),
        }
    }

    /// More than fits in place.
    fn of(first: &[u8], then: &[u8]) -> Self {
        if first.len().saturating_add(then.len()) <= SHORT {
            return Self::Short(Box::new(Short { bytes: [first, then].concat() }));
        }
        let mut hasher = Box::new(XxHash3_64::with_seed(0));
        hasher.write(first);
        hasher.write(then);
        Self::Long(hasher)
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::Few { len: 0, bytes: [0; FEW] }
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Digest({:016x})", self.value())
    }
}

use std::hash::Hasher as _;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_does_not_depend_on_how_the_bytes_were_cut() {
        let data: Vec<u8> = (0..10_000u32).map(|i| (i * 31 % 251) as u8).collect();
        let mut whole = Digest::default();
        whole.update(&data);
        for len in [1, 7, 14, 15, 239, 240, 241, 500, 4_000] {
            let mut parts = Digest::default();
            data.chunks(len).for_each(|part| parts.update(part));
            assert_eq!(whole.value(), parts.value(), "in parts of {len}");
            let mut start = Digest::default();
            start.update(&data[..len]);
            assert_eq!(start.value(), XxHash3_64::oneshot(&data[..len]), "the first {len}");
        }
        assert_eq!(Digest::default().value(), 0x2d06_8005_38d3_94c2, "XXH3-64 of no bytes");
    }
}

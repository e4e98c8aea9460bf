//! The rolling digest of one direction of a stream: XXH3-64, seed 0.

use twox_hash::XxHash3_64;

/// XXH3 hashes up to this many bytes in one go: until then the bytes themselves are less than the
/// state of a hasher, and most streams that are idle have carried little.
const SHORT: usize = 240;

/// Digest of all bytes so far.
pub(crate) enum Digest {
    /// All of them.
    Short(Vec<u8>),
    Long(Box<XxHash3_64>),
}

impl Digest {
    pub(crate) fn update(&mut self, data: &[u8]) {
        match self {
            Self::Short(bytes) if bytes.len().saturating_add(data.len()) <= SHORT => {
                bytes.extend_from_slice(data);
            }
            Self::Short(bytes) => {
                let mut hasher = Box::new(XxHash3_64::with_seed(0));
                hasher.write(bytes);
                hasher.write(data);
                *self = Self::Long(hasher);
            }
            Self::Long(hasher) => hasher.write(data),
        }
    }

    pub(crate) fn value(&self) -> u64 {
        match self {
            Self::Short(bytes) => XxHash3_64::oneshot(bytes),
            Self::Long(hasher) => hasher.finish(),
        }
    }
}

impl Default for Digest {
    fn default() -> Self {
        Self::Short(Vec::new())
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
        for len in [1, 7, 239, 240, 241, 500, 4_000] {
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

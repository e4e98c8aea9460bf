//! The rolling digest of one direction of a stream: XXH3-64, seed 0.

use twox_hash::XxHash3_64;

/// Digest of all bytes so far. The hasher is made with the first byte, so idle streams hold none.
#[derive(Default)]
pub(crate) struct Digest(Option<Box<XxHash3_64>>);

impl Digest {
    pub(crate) fn update(&mut self, data: &[u8]) {
        if !data.is_empty() {
            self.0.get_or_insert_with(|| Box::new(XxHash3_64::with_seed(0))).write(data);
        }
    }

    pub(crate) fn value(&self) -> u64 {
        self.0.as_ref().map_or_else(|| XxHash3_64::oneshot(&[]), |hasher| hasher.finish())
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
        let mut parts = Digest::default();
        data.chunks(7).for_each(|part| parts.update(part));
        assert_eq!(whole.value(), parts.value());
        assert_eq!(Digest::default().value(), 0x2d06_8005_38d3_94c2, "XXH3-64 of no bytes");
    }
}

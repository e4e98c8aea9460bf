//! Takes a fuzzer's bytes apart: numbers and pieces off the front, zeros once there are no more.

#[derive(Debug, Clone)]
pub(crate) struct Input<'a>(&'a [u8]);

#[allow(dead_code, reason = "not every target takes everything")]
impl<'a> Input<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        let Some((byte, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *byte
    }

    pub(crate) fn u16(&mut self) -> u16 {
        u16::from_le_bytes([self.byte(), self.byte()])
    }

    /// Mostly small; two values of the first byte lead to every number there is.
    pub(crate) fn number(&mut self) -> u64 {
        match self.byte() {
            byte @ 0..=0xef => byte.into(),
            byte @ 0xf0..=0xfd => u64::from(byte & 15) << 8 | u64::from(self.byte()),
            0xfe => u64::MAX >> (self.byte() & 63),
            0xff => {
                let mut bytes = [0; 8];
                bytes.fill_with(|| self.byte());
                u64::from_le_bytes(bytes)
            }
        }
    }

    /// `honest`, or now and then something else.
    pub(crate) fn about(&mut self, honest: u64) -> u64 {
        match self.byte() {
            0..=0xbf => honest,
            byte @ 0xc0..=0xcf => honest.wrapping_add(u64::from(byte & 15) + 1),
            byte @ 0xd0..=0xdf => honest.wrapping_sub(u64::from(byte & 15) + 1),
            0xe0..=0xef => honest / 2,
            _ => self.number(),
        }
    }

    /// At most `len` bytes; fewer at the end.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}

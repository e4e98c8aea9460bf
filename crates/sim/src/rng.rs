//! The only source of chance: SplitMix64 (Steele, Lea, Flood 2014), one word of state.

#[derive(Debug, Clone)]
pub(crate) struct Rng {
    word: u64,
    /// What is drawn before the generator takes over: a fuzzer's bytes.
    tape: std::vec::IntoIter<u8>,
}

impl Rng {
    pub(crate) fn new(seed: u64) -> Self {
        Self { word: seed, tape: Vec::new().into_iter() }
    }

    /// Draws from `tape` first, as few bytes at a time as the choice needs.
    pub(crate) fn from_tape(tape: &[u8]) -> Self {
        Self { word: tape.len() as u64, tape: Vec::from(tape).into_iter() }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.draw(8)
    }

    /// A number below `n`, which is not zero.
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        let bytes = match n {
            0..=0x100 => 1,
            0x101..=0x1_0000 => 2,
            0x1_0001..=0x1_0000_0000 => 4,
            _ => 8,
        };
        ((u128::from(self.draw(bytes)) * u128::from(n)) >> 64) as u64
    }

    /// From `low` to `high`, both included.
    pub(crate) fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// Small values as likely as large ones: uniform in the logarithm.
    pub(crate) fn spread(&mut self, low: u64, high: u64) -> u64 {
        let bits = u64::from((high / low.max(1)).max(1).ilog2());
        let top = low.max(1) << self.range(0, bits);
        self.range(low, top.clamp(low, high))
    }

    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn percent(&mut self, p: u64) -> bool {
        self.below(100) < p
    }

    pub(crate) fn fork(&mut self) -> Self {
        Self::new(self.next())
    }

    /// A word whose upper `bytes` bytes come from the tape while it lasts.
    fn draw(&mut self, bytes: u32) -> u64 {
        if self.tape.as_slice().is_empty() {
            self.word = self.word.wrapping_add(0x9e37_79b9_7f4a_7c15);
            return mix(self.word);
        }
        let taken = self.tape.by_ref().take(bytes as usize);
        let (word, len) =
            taken.fold((0, 0), |(word, len), byte| (word << 8 | u64::from(byte), len + 8));
        word << (64 - len)
    }

    pub(crate) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        for chunk in out.chunks_mut(8) {
            let word = self.next().to_le_bytes();
            chunk.copy_from_slice(&word[..chunk.len()]);
        }
        out
    }

    pub(crate) fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        &of[self.below(of.len() as u64) as usize]
    }
}

pub(crate) const fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

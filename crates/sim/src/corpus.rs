//! What streams carry: a function of (stream, offset), so that nobody has to remember it.

use std::sync::OnceLock;

use bytes::Bytes;

use crate::rng::Rng;

/// No two places within this are alike, so a shift by any number of bytes shows.
const LEN: u64 = (1 << 20) - 3;
/// The longest slice.
pub(crate) const LONGEST: usize = 128 << 10;

/// Bytes `[offset, offset + len)` of the stream with this key, without a copy.
pub(crate) fn slice(key: u64, offset: u64, len: usize) -> Bytes {
    let from = (place(key) + offset % LEN) % LEN;
    all().slice(from as usize..from as usize + len.min(LONGEST))
}

/// Whether `data` is what the stream has at `offset`.
pub(crate) fn matches(key: u64, mut offset: u64, mut data: &[u8]) -> bool {
    while !data.is_empty() {
        let (now, later) = data.split_at(data.len().min(LONGEST));
        let from = ((place(key) + offset % LEN) % LEN) as usize;
        if &all()[from..from + now.len()] != now {
            return false;
        }
        offset += now.len() as u64;
        data = later;
    }
    true
}

const fn place(key: u64) -> u64 {
    crate::rng::mix(key) % LEN
}

/// Log lines with counters, hexadecimal and, every so often, bytes that no codec can shrink.
fn all() -> &'static Bytes {
    static ALL: OnceLock<Bytes> = OnceLock::new();
    ALL.get_or_init(|| {
        let mut rng = Rng::new(0x0c02_5095);
        let mut bytes = Vec::with_capacity(LEN as usize + LONGEST);
        let mut line = 0u32;
        while (bytes.len() as u64) < LEN {
            if line % 37 == 36 {
                for _ in 0..rng.range(16, 160) {
                    bytes.extend_from_slice(&rng.next().to_le_bytes());
                }
            }
            let words = ["accepted", "replayed", "held", "cut", "resumed", "read"];
            let text = format!(
                "{line:07} INFO {} id={:016x} took={}us\n",
                rng.pick(&words),
                rng.next(),
                rng.below(5000)
            );
            bytes.extend_from_slice(text.as_bytes());
            line += 1;
        }
        bytes.truncate(LEN as usize);
        bytes.extend_from_within(..LONGEST);
        Bytes::from(bytes)
    })
}

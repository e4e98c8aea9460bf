//! The bytes a sending half retains: appended at the end, cut off at the front once acknowledged,
//! readable from any offset in between, without a copy unless there are only a few.

use std::collections::VecDeque;

use bytes::{Buf, BufMut, Bytes, BytesMut};

/// Writes shorter than this are gathered into blocks; longer chunks are kept as they are.
const GATHER_BELOW: usize = 4 << 10;
/// First and largest size of a gathering block, and how many times as large as what is held already
/// it may be: a stream of single lines should not hold 64 KiB however long it goes on, and ten
/// thousand that each say a word should not hold a page each.
const FIRST_BLOCK: usize = 64;
const LAST_BLOCK: usize = 64 << 10;
const GROWTH: usize = 4;
/// No more than this, all there is, is copied when it is read: a word costs less that way than a
/// block with two owners and a place in a list.
const WORD: usize = 128;

/// Retained bytes of one stream, `[start, end)` in stream offsets.
#[derive(Debug, Default)]
pub(crate) struct SendBuffer {
    /// Offset after the last byte, gathered ones included.
    end: u64,
    /// The bytes; a stream without any holds nothing.
    held: Option<Box<Held>>,
}

#[derive(Debug)]
struct Held {
    segments: VecDeque<Bytes>,
    /// Offset of the first byte held: of `segments`, or of `gathering` where there are none.
    start: u64,
    /// Small writes since the last segment was made, whether sent or not.
    gathering: BytesMut,
    /// Where the last read ended, as (segment, its first offset), to find the next one at once.
    cursor: Option<(usize, u64)>,
}

impl SendBuffer {
    pub(crate) const fn end(&self) -> u64 {
        self.end
    }

    /// Bytes held.
    pub(crate) fn len(&self) -> u64 {
        self.held.as_ref().map_or(0, |held| self.end.saturating_sub(held.start))
    }

    pub(crate) fn append(&mut self, data: &[u8]) {
        if !data.is_empty() {
            let len = self.len();
            self.held().gather(data, usize::try_from(len).unwrap_or(usize::MAX));
            self.end = self.end.saturating_add(data.len() as u64);
        }
    }

    pub(crate) fn append_chunk(&mut self, data: Bytes) {
        if data.len() < GATHER_BELOW {
            self.append(&data);
        } else {
            let len = data.len() as u64;
            let held = self.held();
            held.seal();
            held.segments.push_back(data);
            self.end = self.end.saturating_add(len);
        }
    }

    /// Pushes up to `max` bytes from `offset` on to `out`, in order; returns how many.
    pub(crate) fn read(&mut self, offset: u64, max: usize, out: &mut Vec<Bytes>) -> usize {
        self.held.as_mut().map_or(0, |held| held.read(offset, max, out))
    }

    /// Forgets everything below `offset`.
    pub(crate) fn release(&mut self, offset: u64) {
        if offset >= self.end {
            self.clear();
        } else if let Some(held) = &mut self.held {
            held.release(offset);
        }
    }

    /// Forgets everything, keeping the offsets.
    pub(crate) fn clear(&mut self) {
        self.held = None;
    }

    fn held(&mut self) -> &mut Held {
        let start = self.end;
        self.held.get_or_insert_with(|| {
            let (segments, gathering) = (VecDeque::new(), BytesMut::new());
            Box::new(Held { segments, start, gathering, cursor: None })
        })
    }
}

impl Held {
    /// Appends `data` to the `len` bytes that are held.
    fn gather(&mut self, mut data: &[u8], mut len: usize) {
        while !data.is_empty() {
            if self.gathering.capacity() == self.gathering.len() {
                self.seal();
                let block = len.saturating_mul(GROWTH).max(data.len());
                self.gathering = BytesMut::with_capacity(block.clamp(FIRST_BLOCK, LAST_BLOCK));
            }
            let room = self.gathering.capacity().saturating_sub(self.gathering.len());
            let (now, later) = data.split_at(room.min(data.len()));
            self.gathering.put_slice(now);
            len = len.saturating_add(now.len());
            data = later;
        }
    }

    fn read(&mut self, offset: u64, max: usize, out: &mut Vec<Bytes>) -> usize {
        if self.segments.is_empty() && self.gathering.len() <= WORD {
            let from = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX);
            let word = self.gathering.get(from..).unwrap_or_default();
            let word = word.get(..max).unwrap_or(word);
            if !word.is_empty() {
                out.push(Bytes::copy_from_slice(word));
            }
            return word.len();
        }
        self.seal();
        let (mut index, mut first) = match self.cursor {
            Some((index, first)) if first <= offset => (index, first),
            _ => (0, self.start),
        };
        let mut taken = 0usize;
        while taken < max {
            let Some(segment) = self.segments.get(index) else {
                break;
            };
            let wanted = offset.saturating_add(taken as u64);
            let after = first.saturating_add(segment.len() as u64);
            if wanted >= after {
                index = index.saturating_add(1);
                first = after;
                continue;
            }
            let from = usize::try_from(wanted.saturating_sub(first)).unwrap_or(usize::MAX);
            let room = max.saturating_sub(taken);
            let to = segment.len().min(from.saturating_add(room));
            out.push(segment.slice(from..to));
            taken = taken.saturating_add(to.saturating_sub(from));
        }
        self.cursor = Some((index, first));
        taken
    }

    fn release(&mut self, offset: u64) {
        let mut popped = 0usize;
        while let Some(segment) = self.segments.front() {
            let after = self.start.saturating_add(segment.len() as u64);
            if after > offset {
                break;
            }
            self.start = after;
            self.segments.pop_front();
            popped = popped.saturating_add(1);
        }
        self.cursor = match self.cursor {
            Some((index, first)) if index >= popped => Some((index.saturating_sub(popped), first)),
            _ => None,
        };
        // A part of the first segment may be free as well; slicing it off keeps `start` exact.
        let extra = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(0);
        if extra > 0 {
            if let Some(segment) = self.segments.front_mut() {
                let cut = extra.min(segment.len());
                *segment = segment.slice(cut..);
                if let Some((0, first)) = &mut self.cursor {
                    *first = first.saturating_add(cut as u64);
                }
                self.start = self.start.saturating_add(cut as u64);
            } else {
                let cut = extra.min(self.gathering.len());
                self.gathering.advance(cut);
                self.start = self.start.saturating_add(cut as u64);
                self.cursor = None;
            }
        }
    }

    fn seal(&mut self) {
        if !self.gathering.is_empty() {
            self.segments.push_back(self.gathering.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(buffer: &mut SendBuffer, offset: u64, max: usize) -> Vec<u8> {
        let mut out = Vec::new();
        buffer.read(offset, max, &mut out);
        out.concat()
    }

    /// Bytes of memory in gathering blocks.
    fn blocks(buffer: &SendBuffer) -> usize {
        buffer.held.as_ref().map_or(0, |held| held.gathering.capacity())
    }

    #[test]
    fn a_stream_of_lines_holds_little_more_than_what_is_not_acknowledged() {
        let mut buffer = SendBuffer::default();
        for line in 1..100_000_u64 {
            buffer.append(&[b'x'; 30]);
            assert_eq!(all(&mut buffer, (line - 1) * 30, 100).len(), 30);
            // One is always on its way.
            buffer.release((line - 1) * 30);
            assert!(blocks(&buffer) <= 1_024, "{} bytes after {line} lines", blocks(&buffer));
        }
        let mut fast = SendBuffer::default();
        (0..100_000).for_each(|_| fast.append(&[b'x'; 30]));
        let segments = fast.held.as_ref().map_or(0, |held| held.segments.len());
        assert!(segments < 60, "{segments} blocks for 3 MB");
    }

    #[test]
    fn any_offset_between_the_acknowledged_and_the_last_byte_can_be_read() {
        for seed in 0..400 {
            let mut rng = fastrand::Rng::with_seed(seed);
            // Every other time next to nothing is held.
            let few = seed % 2 == 1;
            let (small, chunk, most) = if few { (60, 200, 160) } else { (300, 20_000, 40_000) };
            let mut buffer = SendBuffer::default();
            let mut model: Vec<u8> = Vec::new();
            let mut released = 0usize;
            for _ in 0..60 {
                match rng.u8(0..4) {
                    0 => {
                        let data: Vec<u8> = (0..rng.usize(0..small)).map(|_| rng.u8(..)).collect();
                        model.extend(&data);
                        buffer.append(&data);
                    }
                    1 => {
                        let chunk = if rng.u8(0..8) == 0 { 20_000 } else { chunk };
                        let data: Vec<u8> = (0..rng.usize(0..chunk)).map(|_| rng.u8(..)).collect();
                        model.extend(&data);
                        buffer.append_chunk(Bytes::from(data));
                    }
                    2 => {
                        let all = few && rng.u8(0..3) == 0;
                        released =
                            rng.usize(if all { model.len() } else { released }..=model.len());
                        buffer.release(released as u64);
                    }
                    _ => {
                        let from = rng.usize(released..=model.len());
                        let max = rng.usize(0..most);
                        let to = model.len().min(from + max);
                        let got = all(&mut buffer, from as u64, max);
                        assert!(got == model[from..to], "seed {seed}, {from}..{to}");
                    }
                }
                assert_eq!(buffer.len(), (model.len() - released) as u64, "seed {seed}");
                assert_eq!(buffer.end(), model.len() as u64, "seed {seed}");
            }
        }
    }
}

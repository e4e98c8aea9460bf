//! A bounded buffer that drops its oldest whole lines when it is full, and counts them.

use bytes::Bytes;
use std::collections::VecDeque;

/// Bytes between a source and its stream when no policy other than dropping is acceptable.
pub(super) const DEFAULT_CAPACITY: usize = 1024 * 1024;

/// The largest piece handed out at once.
const PIECE: usize = 64 * 1024;

/// Bytes in the order `head`, gap, `data`.
///
/// A line whose beginning is already sent keeps its end: it moves to `head`, and lines after it are
/// dropped, so that the output never glues halves of two lines together.
#[derive(Debug)]
pub(super) struct Ring {
    capacity: usize,
    head: Vec<u8>,
    gap: u64,
    data: VecDeque<u8>,
    /// The last byte handed out was inside a line.
    mid_line: bool,
    /// The beginning of the current line was dropped, so its end is dropped too: bytes still to
    /// give that up after, for input without lines.
    skip: usize,
}

/// What is next: first record `gap` dropped bytes, then send `data`.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Popped {
    pub(super) gap: u64,
    pub(super) data: Bytes,
}

impl Ring {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            head: Vec::new(),
            gap: 0,
            data: VecDeque::new(),
            mid_line: false,
            skip: 0,
        }
    }

    /// Takes all of `chunk`; returns how many bytes, old or new, were dropped for it.
    pub(super) fn push(&mut self, chunk: &[u8]) -> u64 {
        let before = self.gap;
        // In pieces, so that a chunk larger than the ring never needs room for all of it.
        for piece in chunk.chunks(self.capacity.clamp(1, PIECE)) {
            let piece = self.skip_line(piece);
            let room = self.capacity.saturating_sub(self.len());
            if piece.len() > room {
                self.drop_oldest(piece.len() - room);
            }
            // Dropping may have found that `piece` goes on with a line that is gone.
            let piece = self.skip_line(piece);
            self.data.extend(piece);
        }
        self.gap - before
    }

    /// The next piece, whole lines where there are any.
    pub(super) fn pop(&mut self) -> Option<Popped> {
        if !self.head.is_empty() {
            self.mid_line = false;
            let data = Bytes::from(std::mem::take(&mut self.head));
            return Some(Popped { gap: 0, data });
        }
        if self.data.is_empty() {
            return None;
        }
        let window = self.data.len().min(PIECE);
        let take = self
            .data
            .iter()
            .take(window)
            .rposition(|byte| *byte == b'\n')
            .map_or(window, |at| at + 1);
        let data: Vec<u8> = self.data.drain(..take).collect();
        self.mid_line = data.last() != Some(&b'\n');
        Some(Popped { gap: self.take_gap(), data: Bytes::from(data) })
    }

    /// Dropped bytes that no piece has reported yet.
    pub(super) fn take_gap(&mut self) -> u64 {
        std::mem::take(&mut self.gap)
    }

    /// Bytes that wait in it.
    pub(super) fn len(&self) -> usize {
        self.head.len() + self.data.len()
    }

    fn drop_oldest(&mut self, needed: usize) {
        if self.mid_line && self.head.is_empty() && self.gap == 0 {
            if let Some(end) = self.data.iter().position(|byte| *byte == b'\n') {
                self.head = self.data.drain(..=end).collect();
            }
        }
        let cut = needed.min(self.data.len());
        let end = if cut == 0 {
            0
        } else {
            self.data
                .iter()
                .skip(cut - 1)
                .position(|byte| *byte == b'\n')
                .map_or(self.data.len(), |at| cut + at)
        };
        let whole_lines = end > 0 && self.data.get(end - 1) == Some(&b'\n');
        self.data.drain(..end);
        self.gap += end as u64;
        if self.data.is_empty() && end > 0 && !whole_lines {
            self.skip = self.capacity;
        }
        if self.data.is_empty() && end < needed {
            // Only the protected end of a line is in the way.
            self.gap += self.head.len() as u64;
            self.head.clear();
        }
    }

    /// Drops the rest of a line whose beginning is gone.
    fn skip_line<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        if self.skip == 0 {
            return piece;
        }
        let window = piece.len().min(self.skip);
        let dropped = match piece[..window].iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                self.skip = 0;
                end + 1
            }
            None => {
                self.skip -= window;
                window
            }
        };
        self.gap += dropped as u64;
        &piece[dropped..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pop(ring: &mut Ring) -> (u64, String) {
        let popped = ring.pop().expect("a piece");
        (popped.gap, String::from_utf8(popped.data.to_vec()).expect("text"))
    }

    #[test]
    fn what_fits_comes_out_unchanged() {
        let mut ring = Ring::new(16);
        assert_eq!(ring.push(b"one\ntwo\n"), 0);
        assert_eq!(ring.push(b"partial"), 0);
        assert_eq!(pop(&mut ring), (0, "one\ntwo\n".into()));
        assert_eq!(pop(&mut ring), (0, "partial".into()));
        assert_eq!(ring.pop(), None);
    }

    #[test]
    fn the_oldest_whole_lines_go_first() {
        let mut ring = Ring::new(12);
        ring.push(b"one\ntwo\nsix\n");
        assert_eq!(ring.push(b"x\n"), 4);
        assert_eq!(pop(&mut ring), (4, "two\nsix\nx\n".into()));
    }

    #[test]
    fn a_line_already_begun_keeps_its_end() {
        let mut ring = Ring::new(12);
        ring.push(b"begin");
        assert_eq!(pop(&mut ring), (0, "begin".into()));
        ring.push(b"-end\nold\n");
        assert_eq!(ring.push(b"newer\n"), 4);
        assert_eq!(pop(&mut ring), (0, "-end\n".into()));
        assert_eq!(pop(&mut ring), (4, "newer\n".into()));
    }

    #[test]
    fn a_line_larger_than_the_ring_is_dropped_to_its_end() {
        let mut ring = Ring::new(8);
        assert_eq!(ring.push(b"0123456789abc\nok\n"), 14);
        assert_eq!(pop(&mut ring), (14, "ok\n".into()));
        assert_eq!(ring.pop(), None);
    }

    #[test]
    fn input_without_lines_still_moves_on() {
        let mut ring = Ring::new(4);
        let (mut sent, mut gaps) = (0, 0);
        for _ in 0..30 {
            for _ in 0..5 {
                ring.push(b"xyz");
            }
            if let Some(popped) = ring.pop() {
                sent += popped.data.len() as u64;
                gaps += popped.gap;
            }
        }
        gaps += ring.take_gap();
        assert_eq!(sent + gaps + ring.len() as u64, 30 * 15);
        assert!(sent > 0);
    }

    #[test]
    fn every_byte_is_sent_or_counted() {
        let seed = fastrand::u64(..);
        let mut rng = fastrand::Rng::with_seed(seed);
        for round in 0..500 {
            let mut ring = Ring::new(rng.usize(1..64));
            let capacity = ring.capacity;
            let (mut pushed, mut sent, mut gaps) = (0u64, 0u64, 0u64);
            for _ in 0..100 {
                if rng.bool() {
                    let chunk: Vec<u8> = (0..rng.usize(0..40))
                        .map(|_| if rng.u8(..) < 40 { b'\n' } else { b'a' })
                        .collect();
                    pushed += chunk.len() as u64;
                    ring.push(&chunk);
                } else if let Some(popped) = ring.pop() {
                    gaps += popped.gap;
                    sent += popped.data.len() as u64;
                }
                assert!(ring.len() <= capacity, "seed {seed} round {round}: over its bound");
            }
            while let Some(popped) = ring.pop() {
                gaps += popped.gap;
                sent += popped.data.len() as u64;
            }
            gaps += ring.take_gap();
            assert_eq!(pushed, sent + gaps, "seed {seed} round {round}");
        }
    }
}

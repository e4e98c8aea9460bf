//! The memory that a link reads into: blocks that are used again once nobody holds a slice of them.
//!
//! A busy link reads into large blocks, which stay in the processor's cache; a quiet one holds a
//! small one.

use bytes::BytesMut;

/// Room of a block for a busy link.
const LARGE: usize = 256 << 10;
/// Room of a block for a quiet link: heartbeats, keystrokes.
const SMALL: usize = 4 << 10;
/// Blocks kept to be used again.
const SPARES: usize = 4;
/// Reads of less than [`SMALL`] bytes after which a link is quiet.
const QUIET_AFTER: u32 = 16;
/// With less room than this a busy link takes another block if little has to move there.
const TIGHT: usize = 64 << 10;
/// With less room than this it takes another block in any case.
const FULL: usize = 16 << 10;

#[derive(Debug)]
pub(super) struct Blocks {
    busy: bool,
    /// The block in use is a large one.
    large: bool,
    small_reads: u32,
    spares: Vec<BytesMut>,
}

impl Blocks {
    pub(super) const fn new() -> Self {
        Self { busy: false, large: false, small_reads: 0, spares: Vec::new() }
    }

    /// Makes room behind what `input` holds, for one read.
    pub(super) fn make_room(&mut self, input: &mut BytesMut) {
        let held = input.len();
        let room = input.capacity().saturating_sub(held);
        let enough = match (self.busy, self.large) {
            (true, true) => room >= TIGHT || (room >= FULL && held > SMALL),
            (true, false) => false,
            (false, true) => held > 0 && room >= FULL,
            (false, false) => room >= SMALL / 2,
        };
        if enough {
            return;
        }
        let mut block = if self.busy {
            self.spare().unwrap_or_else(|| BytesMut::with_capacity(LARGE))
        } else {
            self.spares = Vec::new();
            BytesMut::with_capacity(held.saturating_add(SMALL))
        };
        block.extend_from_slice(input);
        let mut old = std::mem::replace(input, block);
        if self.large && self.busy {
            old.clear();
            if self.spares.len() >= SPARES {
                // Somebody holds it for long.
                self.spares.remove(0);
            }
            self.spares.push(old);
        }
        self.large = self.busy;
    }

    /// Learns from a read of `read` bytes that had room for `room`.
    pub(super) fn learn(&mut self, read: usize, room: usize) {
        if read >= SMALL.min(room) {
            self.busy = true;
            self.small_reads = 0;
        } else {
            self.small_reads = self.small_reads.saturating_add(1);
            self.busy &= self.small_reads < QUIET_AFTER;
        }
    }

    /// A block of which nobody holds a slice any more.
    fn spare(&mut self) -> Option<BytesMut> {
        let free = self.spares.iter_mut().position(|spare| spare.try_reclaim(LARGE))?;
        Some(self.spares.remove(free))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(blocks: &mut Blocks, input: &mut BytesMut, bytes: usize) {
        blocks.make_room(input);
        let room = input.capacity() - input.len();
        let read = bytes.min(room);
        input.resize(input.len() + read, 7);
        blocks.learn(read, room);
    }

    #[test]
    fn a_busy_link_reads_into_the_same_blocks_again_and_again() {
        let (mut blocks, mut input) = (Blocks::new(), BytesMut::new());
        let mut seen = std::collections::BTreeSet::new();
        let mut held = std::collections::VecDeque::new();
        for _ in 0..1_000 {
            fill(&mut blocks, &mut input, LARGE);
            seen.insert(input.as_ptr() as usize / LARGE);
            held.push_back(input.split_to(input.len() - input.len() / 8).freeze());
            if held.len() > 2 {
                held.pop_front();
            }
        }
        assert!(seen.len() < 16, "{} places", seen.len());
    }

    #[test]
    fn a_block_that_somebody_holds_is_left_alone() {
        let (mut blocks, mut input) = (Blocks::new(), BytesMut::new());
        let mut held = Vec::new();
        for round in 0..20_u8 {
            fill(&mut blocks, &mut input, LARGE);
            input.iter_mut().for_each(|byte| *byte = round);
            held.push(input.split().freeze());
        }
        for (round, slice) in held.iter().enumerate() {
            assert!(slice.iter().all(|byte| usize::from(*byte) == round));
        }
        assert!(blocks.spares.len() <= SPARES);
    }

    #[test]
    fn a_link_that_has_grown_quiet_holds_a_small_block() {
        let (mut blocks, mut input) = (Blocks::new(), BytesMut::new());
        for _ in 0..4 {
            fill(&mut blocks, &mut input, LARGE);
            input.clear();
        }
        assert!(blocks.large);
        for _ in 0..=QUIET_AFTER {
            fill(&mut blocks, &mut input, 40);
            drop(input.split());
        }
        blocks.make_room(&mut input);
        assert!(input.capacity() <= SMALL && blocks.spares.is_empty() && !blocks.large);
    }

    #[test]
    fn what_is_half_read_moves_along() {
        let (mut blocks, mut input) = (Blocks::new(), BytesMut::new());
        let mut next = 0_u8;
        let mut expected = 0_u8;
        for step in 0..5_000_usize {
            blocks.make_room(&mut input);
            let room = input.capacity() - input.len();
            assert!(room > 0);
            let read = (step * 7_919 % 70_000).clamp(1, room);
            for _ in 0..read {
                input.extend_from_slice(&[next]);
                next = next.wrapping_add(1);
            }
            blocks.learn(read, room);
            let taken = input.len() - step % 3 * (input.len() / 4);
            for byte in input.split_to(taken) {
                assert_eq!(byte, expected);
                expected = expected.wrapping_add(1);
            }
        }
    }
}

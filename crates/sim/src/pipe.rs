//! One direction of a link: bytes that take their time, in pieces, until they do not come at all.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

use crate::rng::Rng;

pub(crate) const NEVER: u64 = u64::MAX;

/// What the far end gets.
#[derive(Debug, Clone)]
pub(crate) enum Arrival {
    Data(Bytes),
    /// The writer closed in order.
    Eof,
    /// The connection is gone.
    Reset,
}

/// How a direction behaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Quality {
    /// Nanoseconds from end to end.
    pub(crate) latency: u64,
    /// Up to this much more, without reordering.
    pub(crate) jitter: u64,
    /// Bytes per second.
    pub(crate) rate: u64,
    /// Bytes it holds before its writer has to wait.
    pub(crate) capacity: usize,
    /// The longest piece that arrives at once.
    pub(crate) segment: usize,
}

#[derive(Debug)]
pub(crate) struct Pipe {
    quality: Quality,
    queue: VecDeque<(u64, Arrival)>,
    held: usize,
    last_at: u64,
    free_at: u64,
    /// Takes bytes and delivers none.
    hole: bool,
    closed: bool,
}

impl Pipe {
    pub(crate) const fn new(quality: Quality) -> Self {
        Self {
            quality,
            queue: VecDeque::new(),
            held: 0,
            last_at: 0,
            free_at: 0,
            hole: false,
            closed: false,
        }
    }

    pub(crate) const fn room(&self) -> usize {
        if self.closed { 0 } else { self.quality.capacity.saturating_sub(self.held) }
    }

    /// Takes as much off `data` as there is room for.
    pub(crate) fn write(&mut self, now: u64, data: &mut BytesMut, rng: &mut Rng) {
        let mut taken = data.split_to(self.room().min(data.len())).freeze();
        self.held += taken.len();
        while !taken.is_empty() {
            let longest = self.quality.segment.min(taken.len()) as u64;
            let piece = taken.split_to(rng.range(1, longest) as usize);
            let busy = piece.len() as u64 * 1_000_000_000 / self.quality.rate.max(1);
            self.free_at = self.free_at.max(now) + busy;
            let late = if self.quality.jitter == 0 { 0 } else { rng.below(self.quality.jitter) };
            self.last_at = self.last_at.max(self.free_at + self.quality.latency + late);
            let at = if self.hole { NEVER } else { self.last_at };
            self.queue.push_back((at, Arrival::Data(piece)));
        }
    }

    /// The writer closes: in order after its bytes, or at once by a reset that overtakes some.
    pub(crate) fn close(&mut self, now: u64, reset: bool, rng: &mut Rng) {
        if std::mem::replace(&mut self.closed, true) || self.hole {
            return;
        }
        if reset {
            let keep = rng.below(self.queue.len() as u64 + 1) as usize;
            self.queue.truncate(keep);
            if let Some((_, Arrival::Data(piece))) = self.queue.back_mut() {
                *piece = piece.slice(..rng.below(piece.len() as u64 + 1) as usize);
            }
        }
        let at = self.queue.back().map_or(now, |(at, _)| *at).max(now + self.quality.latency);
        let what = if reset { Arrival::Reset } else { Arrival::Eof };
        self.queue.push_back((at, what));
    }

    /// From now on nothing comes out, and nobody is told.
    pub(crate) fn swallow(&mut self) {
        self.hole = true;
        self.queue.clear();
        self.held = 0;
    }

    /// Everything on its way takes this much longer.
    pub(crate) fn stall(&mut self, span: u64) {
        for (at, _) in &mut self.queue {
            *at = at.saturating_add(span);
        }
        self.last_at = self.last_at.saturating_add(span);
        self.free_at = self.free_at.saturating_add(span);
    }

    pub(crate) fn next_at(&self) -> u64 {
        self.queue.front().map_or(NEVER, |(at, _)| *at)
    }

    pub(crate) fn take(&mut self, now: u64) -> Option<Arrival> {
        if self.next_at() > now {
            return None;
        }
        let (_, arrival) = self.queue.pop_front()?;
        if let Arrival::Data(piece) = &arrival {
            self.held -= piece.len().min(self.held);
        }
        Some(arrival)
    }
}

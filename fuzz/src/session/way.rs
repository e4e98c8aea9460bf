//! What each stream may do next, as both its ends know it.

use std::hash::Hasher;
use std::ops::Range;

use bytes::Bytes;
use p2_mux::StreamId;

/// After so many bytes the content of a stream repeats.
const PERIOD: usize = 4_096;
const LEN: usize = PERIOD + (64 << 10) + 256;

static PATTERN: [u8; LEN] = {
    let mut bytes = [0; LEN];
    let mut at = 0;
    while at < LEN {
        bytes[at] = ((at % PERIOD).wrapping_mul(0x9e37_79b1) >> 11) as u8;
        at += 1;
    }
    bytes
};

/// The bytes that every stream carries at these offsets, in either direction. At most 64 KiB.
pub(super) fn content(id: StreamId, at: Range<u64>) -> &'static [u8] {
    let shift = id.to_wire() % 16 * 251;
    let from = ((at.start % PERIOD as u64 + shift) % PERIOD as u64) as usize;
    &PATTERN[from..from + (at.end - at.start) as usize]
}

pub(super) fn chunk(id: StreamId, at: Range<u64>) -> Bytes {
    Bytes::from_static(content(id, at))
}

/// XXH3-64 of a stream's first `len` bytes.
pub(super) fn digest(id: StreamId, len: u64) -> u64 {
    let mut hasher = twox_hash::XxHash3_64::new();
    let mut at = 0;
    while at < len {
        let end = len.min(at + (64 << 10));
        hasher.write(content(id, at..end));
        at = end;
    }
    hasher.finish()
}

#[derive(Debug, Default)]
pub(super) struct Way {
    /// Written by the application, ever sent, next to send on this link.
    pub(super) written: u64,
    pub(super) sent: u64,
    pub(super) next: u64,
    /// What the peer has granted and acknowledged.
    pub(super) limit: u64,
    pub(super) acked: u64,
    /// Taken on this link, delivered, read.
    pub(super) expected: u64,
    /// Where this link stands, once it has brought any.
    pub(super) on_link: Option<u64>,
    pub(super) delivered: u64,
    pub(super) read: u64,
    /// What the peer was told: granted, acknowledged.
    pub(super) granted: u64,
    pub(super) told: u64,
    /// The end that the peer has named.
    pub(super) end: Option<u64>,
    /// Acknowledged by the peer and here, when last looked at.
    pub(super) looked: (u64, u64),
    /// The session has forgotten it.
    pub(super) gone: bool,
}

/// All streams that ever were.
#[derive(Debug, Default)]
pub(super) struct Ways(Vec<(StreamId, Way)>);

impl Ways {
    pub(super) fn add(&mut self, id: StreamId, limit: u64, granted: u64) {
        assert!(self.get(id).is_none(), "{id} is opened twice");
        self.0.push((id, Way { limit, granted, ..Way::default() }));
    }

    pub(super) fn get(&mut self, id: StreamId) -> Option<&mut Way> {
        // The latest are asked for most.
        self.0.iter_mut().rev().find(|(of, _)| *of == id).map(|(_, way)| way)
    }

    /// One of the latest eight.
    pub(super) fn nth(&self, n: u8) -> Option<StreamId> {
        let from = self.0.len().saturating_sub(8);
        let latest = &self.0[from..];
        latest.get(usize::from(n) % latest.len().max(1)).map(|(id, _)| *id)
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut (StreamId, Way)> {
        self.0.iter_mut()
    }
}

//! Received bytes that wait for their reader.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// Payloads below this size are gathered while their reader is behind, into chunks of this much.
const SMALL: usize = 1 << 10;
const GATHERED: usize = 16 << 10;

/// A queue of bytes. A reader that is behind costs little more than its bytes, however small the
/// frames were that brought them.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    queue: Option<Box<Queue>>,
}

#[derive(Debug)]
struct Queue {
    /// Comes before all others: a reader that keeps up needs no more than this.
    front: Bytes,
    later: Option<Box<Later>>,
}

#[derive(Debug, Default)]
struct Later {
    chunks: VecDeque<Bytes>,
    /// Small payloads that came while others waited; they come after all chunks.
    tail: BytesMut,
}

impl Inbox {
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.as_ref().is_none_or(|queue| queue.front.is_empty())
    }

    pub(crate) fn push(&mut self, data: Bytes) {
        match &mut self.queue {
            Some(queue) => queue.push(data),
            None => self.queue = Some(Box::new(Queue { front: data, later: None })),
        }
    }

    /// The next bytes, at most `max` of them.
    pub(crate) fn pop(&mut self, max: usize) -> Option<Bytes> {
        self.queue.as_mut()?.pop(max)
    }

    /// Gives back what an empty queue holds: no more is expected soon.
    pub(crate) fn rest(&mut self) {
        if self.is_empty() {
            self.queue = None;
        }
    }
}

impl Queue {
    fn push(&mut self, data: Bytes) {
        if self.front.is_empty() {
            self.front = data;
        } else {
            self.later.get_or_insert_default().push(data);
        }
    }

    fn pop(&mut self, max: usize) -> Option<Bytes> {
        if self.front.is_empty() {
            return None;
        }
        if self.front.len() > max {
            return Some(self.front.split_to(max));
        }
        let next = self.later.as_mut().and_then(|later| later.pop());
        if next.is_none() {
            // There may be no more soon: only the place is kept.
            self.later = None;
        }
        Some(std::mem::replace(&mut self.front, next.unwrap_or_default()))
    }
}

impl Later {
    fn push(&mut self, data: Bytes) {
        let gather = data.len() < SMALL;
        if !gather || self.tail.len() >= GATHERED {
            self.seal();
        }
        if gather {
            self.tail.extend_from_slice(&data);
        } else {
            self.chunks.push_back(data);
        }
    }

    fn pop(&mut self) -> Option<Bytes> {
        if self.chunks.is_empty() {
            self.seal();
        }
        self.chunks.pop_front()
    }

    fn seal(&mut self) {
        if !self.tail.is_empty() {
            self.chunks.push_back(self.tail.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_payloads_that_wait_are_gathered_and_come_out_in_order() {
        let mut inbox = Inbox::default();
        let mut sent = Vec::new();
        for index in 0..50_000_u32 {
            let byte = [index as u8];
            inbox.push(Bytes::copy_from_slice(&byte));
            if index % 10_000 == 0 {
                let large = vec![index as u8; 5_000];
                sent.extend_from_slice(&byte);
                sent.extend_from_slice(&large);
                inbox.push(Bytes::from(large));
            } else {
                sent.push(byte[0]);
            }
        }
        let later = inbox.queue.as_ref().and_then(|queue| queue.later.as_ref());
        let chunks = later.map_or(0, |later| later.chunks.len());
        assert!((1..30).contains(&chunks), "{chunks} chunks");
        let mut got = Vec::new();
        while let Some(data) = inbox.pop(7_000) {
            assert!(!data.is_empty() && data.len() <= 7_000);
            got.extend_from_slice(&data);
        }
        assert!(got == sent);
        assert!(inbox.is_empty());
        inbox.rest();
        assert!(inbox.queue.is_none());
    }
}

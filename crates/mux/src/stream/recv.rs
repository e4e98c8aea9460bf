//! The receiving half of a stream: takes exactly the next byte, hands it on, says what it has.

use std::time::Duration;

use bytes::Bytes;
use p2_frame::ErrorCode;

use super::digest::Digest;
use super::gaps::GapsIn;
use super::inbox::Inbox;
use super::read::Read;
pub(crate) use super::recv_state::RecvEnd;
pub use super::recv_state::RecvState;
use crate::budget::Budget;
use crate::error::StreamError;
use crate::flow::Window;
use crate::limits;
use crate::time::Time;

#[derive(Debug)]
pub(crate) struct RecvHalf {
    pub(crate) window: Window,
    inbox: Inbox,
    digest: Digest,
    /// Validated; decoding may still be under way above `delivered`.
    expected: u64,
    delivered: u64,
    read: u64,
    acked: u64,
    /// The `acked` the peer was last told.
    told: u64,
    /// The end as the digest judged it.
    verified: Option<bool>,
    end_read: bool,
    /// RESET came, be it after a FIN that counts: nothing more will answer a STOP.
    reset_heard: bool,
    over: bool,
    manual: bool,
    /// This link has brought bytes: a sender never goes back on a link.
    on_link: bool,
    /// Something was delivered since idleness was last looked at.
    pub(crate) stirred: bool,
    /// The application knows that there is something to read.
    pub(crate) readable_told: bool,
    /// What most streams have at their end at most.
    rare: Option<Box<Rare>>,
}

#[derive(Debug, Default)]
struct Rare {
    end: Option<RecvEnd>,
    stopped: Option<ErrorCode>,
    /// How far below `expected` this link is: it brings again what was here before.
    behind: u64,
    gaps: GapsIn,
    duplicates: u64,
}

impl RecvHalf {
    pub(crate) fn new(initial_window: u64) -> Self {
        Self {
            window: Window::new(initial_window),
            inbox: Inbox::default(),
            digest: Digest::default(),
            expected: 0,
            delivered: 0,
            read: 0,
            acked: 0,
            told: 0,
            verified: None,
            end_read: false,
            reset_heard: false,
            over: false,
            manual: false,
            on_link: false,
            stirred: false,
            readable_told: false,
            rare: None,
        }
    }

    pub(crate) fn state(&self) -> RecvState {
        match (self.over, self.stopped(), self.end()) {
            (true, _, _) => RecvState::Over,
            (_, Some(_), _) => RecvState::Stopped,
            (_, _, Some(RecvEnd::Reset { .. })) => RecvState::Reset,
            (_, _, Some(RecvEnd::Fin { .. })) => RecvState::Ending,
            (_, _, None) => RecvState::Open,
        }
    }

    pub(crate) const fn delivered(&self) -> u64 {
        self.delivered
    }

    pub(crate) const fn acked(&self) -> u64 {
        self.acked
    }

    pub(crate) fn duplicates(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.duplicates)
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.gaps.dropped())
    }

    pub(crate) const fn verified(&self) -> Option<bool> {
        self.verified
    }

    pub(crate) fn end(&self) -> Option<RecvEnd> {
        self.rare.as_ref().and_then(|rare| rare.end)
    }

    pub(crate) const fn is_over(&self) -> bool {
        self.over
    }

    pub(crate) fn stopped(&self) -> Option<ErrorCode> {
        self.rare.as_ref().and_then(|rare| rare.stopped)
    }

    fn is_stopped(&self) -> bool {
        self.stopped().is_some()
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Bytes that arrived and nobody has read.
    pub(crate) const fn unread(&self) -> u64 {
        self.delivered.saturating_sub(self.read)
    }

    pub(crate) const fn set_manual(&mut self, manual: bool) {
        self.manual = manual;
    }

    /// Checks a DATA frame before it is decoded. `Ok(false)`: everything in it was here before.
    pub(crate) fn expect(&mut self, offset: u64, len: u32) -> Result<bool, &'static str> {
        let after = offset.checked_add(u64::from(len)).ok_or("offset overflows")?;
        if after > self.window.limit() {
            return Err("data beyond the granted credit");
        }
        if self.end().is_some_and(|end| after > end.final_offset()) {
            return Err("data beyond the final offset");
        }
        let behind = self.rare.as_ref().map_or(0, |rare| rare.behind);
        let next = self.expected.saturating_sub(behind);
        if offset > next {
            return Err("an offset was skipped");
        }
        // What costs no credit would cost the decoder all the same.
        if self.on_link && offset < next {
            return Err("bytes were sent a second time on the same link");
        }
        if offset < self.expected && after > self.expected {
            return Err("data overlaps what was received");
        }
        self.on_link = true;
        let new = offset == self.expected;
        // What is not new is decoded all the same, because the codec context has to follow.
        self.expected = self.expected.max(after);
        let behind_now = self.expected.saturating_sub(after);
        if behind_now != behind {
            self.rare().behind = behind_now;
        }
        Ok(new)
    }

    /// Takes decoded bytes over. Returns whether they were new.
    pub(crate) fn deliver(&mut self, offset: u64, data: Bytes) -> bool {
        if self.over {
            return false;
        }
        if offset != self.delivered {
            let rare = self.rare();
            rare.duplicates = rare.duplicates.saturating_add(data.len() as u64);
            return false;
        }
        self.stirred = true;
        self.delivered = self.delivered.saturating_add(data.len() as u64);
        self.digest.update(&data);
        if self.is_stopped() {
            self.read = self.delivered;
        } else {
            self.inbox.push(data);
        }
        self.verify();
        true
    }

    /// Takes a FIN or RESET. Identical repeats are ignored.
    pub(crate) fn ended(&mut self, end: RecvEnd) -> Result<(), &'static str> {
        let last = end.final_offset();
        match (self.end(), end) {
            (Some(known), _) if known == end => return Ok(()),
            // RESET after FIN gives the stream up after all: in answer to STOP, or because the bytes
            // that FIN covers were lost with a link and are not sent again.
            (Some(RecvEnd::Fin { final_offset, .. }), RecvEnd::Reset { .. })
                if final_offset == last =>
            {
                self.reset_heard = true;
                if self.is_stopped() {
                    self.conclude();
                } else if self.expected < last {
                    self.rare().end = Some(end);
                }
                return Ok(());
            }
            (Some(_), _) => return Err("a second, different end"),
            (None, _) => {}
        }
        if last < self.expected || last > limits::MAX_OFFSET {
            return Err("a final offset below what was received");
        }
        if matches!(end, RecvEnd::Fin { .. }) && last != self.expected {
            return Err("FIN before all bytes it covers");
        }
        self.rare().end = Some(end);
        self.verify();
        // Whoever sent STOP waits for the RESET that answers it, whatever else is under way.
        if self.is_stopped() && matches!(end, RecvEnd::Reset { .. }) {
            self.conclude();
        }
        Ok(())
    }

    pub(crate) fn gap(&mut self, offset: u64, dropped: u64) -> Result<(), &'static str> {
        if dropped <= self.dropped() {
            return Ok(());
        }
        if offset > self.expected {
            return Err("a gap beyond what was received");
        }
        let rare = self.rare();
        rare.gaps.heard(offset, dropped, rare.stopped.is_none());
        Ok(())
    }

    /// Whether [`RecvHalf::read`] would return something other than `Blocked`.
    pub(crate) fn readable(&self) -> bool {
        self.is_stopped()
            || !self.inbox.is_empty()
            || self.next_gap().is_some_and(|at| at <= self.read)
            || self.end_reached()
    }

    pub(crate) fn read(&mut self, max: usize) -> Result<Read, StreamError> {
        if self.is_stopped() && self.verified != Some(false) {
            return Err(StreamError::Ended);
        }
        let until_gap = self.next_gap().unwrap_or(u64::MAX);
        if until_gap <= self.read {
            return Ok(Read::Gap { offset: self.read, dropped: self.rare().gaps.take() });
        }
        let room = usize::try_from(until_gap.saturating_sub(self.read)).unwrap_or(usize::MAX);
        if let Some(data) = self.inbox.pop(max.min(room)) {
            let offset = self.read;
            self.read = offset.saturating_add(data.len() as u64);
            if !self.manual {
                self.acked = self.read;
            }
            return Ok(Read::Data { offset, data });
        }
        match self.end().filter(|_| self.end_reached()) {
            None => Ok(Read::Blocked),
            Some(RecvEnd::Reset { code, .. }) => {
                self.conclude();
                Err(StreamError::Reset(code))
            }
            Some(RecvEnd::Fin { final_offset, digest }) => {
                if self.verified == Some(false) {
                    let found = self.digest.value();
                    let received = final_offset;
                    return Err(StreamError::Digest { received, found, announced: digest });
                }
                self.end_read = true;
                if !self.manual {
                    self.conclude();
                }
                Ok(Read::Finished)
            }
        }
    }

    /// Bytes below `offset` are the reader's responsibility now; the end too, if it was read.
    pub(crate) fn acknowledge(&mut self, offset: u64) {
        self.acked = self.acked.max(offset.min(self.read));
        if self.end_read && self.acked == self.read {
            self.conclude();
        }
    }

    /// This side wants no more. Returns whether the peer has to be told: a FIN that is known is not
    /// acknowledged by this, so that nobody takes what was thrown away for delivered.
    pub(crate) fn stop(&mut self, code: ErrorCode) -> bool {
        if self.over || self.is_stopped() {
            return false;
        }
        let rare = self.rare();
        rare.stopped = Some(code);
        rare.gaps.clear();
        self.inbox = Inbox::default();
        self.read = self.delivered;
        let reset = self.reset_heard || matches!(self.end(), Some(RecvEnd::Reset { .. }));
        if reset {
            self.conclude();
        }
        !reset
    }

    /// The peer waits for credit beyond `offset`.
    pub(crate) fn blocked(&mut self, offset: u64) -> Result<(), &'static str> {
        if offset > self.window.limit() {
            return Err("waits at an offset beyond the granted credit");
        }
        if self.stopped().is_none() && self.end().is_none() {
            self.window.blocked(offset);
        }
        Ok(())
    }

    /// Grows the window if the peer waited for it and the reader keeps up.
    pub(crate) fn grow_if_earned(
        &mut self,
        now: Time,
        rtt: Duration,
        max: u64,
        budget: &mut Budget,
    ) {
        let (received, unread) = (self.delivered, self.unread());
        self.window.grow_if_earned(now, rtt, max, received, unread, budget);
    }

    /// What CREDIT and RESUME say of this half: (acknowledged, limit).
    pub(crate) fn claim(&mut self) -> (u64, u64) {
        let limit = self.window.advance(self.acked);
        self.told = self.claimed();
        self.inbox.rest();
        (self.told, limit)
    }

    /// Whether the peer has not yet heard what this half would claim.
    pub(crate) fn news(&self) -> bool {
        self.claimed() != self.told || self.window.target(self.acked) != self.window.limit()
    }

    /// Whether the news should not wait for company.
    pub(crate) fn urgent_news(&self) -> bool {
        (self.over && self.claimed() != self.told) || self.window.worth_telling(self.acked)
    }

    /// A new link begins: only what was delivered counts.
    pub(crate) fn rewind(&mut self) {
        self.expected = self.delivered;
        self.on_link = false;
        if let Some(rare) = &mut self.rare {
            rare.behind = 0;
        }
    }

    /// Where the next gap is.
    fn next_gap(&self) -> Option<u64> {
        self.rare.as_ref().and_then(|rare| rare.gaps.next())
    }

    fn claimed(&self) -> u64 {
        match self.end() {
            Some(end) if self.over => end.final_offset().saturating_add(1),
            _ => self.acked,
        }
    }

    fn end_reached(&self) -> bool {
        match self.end() {
            Some(RecvEnd::Fin { final_offset, .. }) => {
                self.inbox.is_empty() && self.delivered == final_offset
            }
            // What is still being decoded was sent before the reset and will be delivered.
            Some(RecvEnd::Reset { .. }) => self.inbox.is_empty() && self.delivered == self.expected,
            None => false,
        }
    }

    fn verify(&mut self) {
        if let Some(RecvEnd::Fin { final_offset, digest }) = self.end() {
            if self.delivered == final_offset && self.verified.is_none() {
                self.verified = Some(self.digest.value() == digest);
            }
        }
    }

    const fn conclude(&mut self) {
        self.over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(data: &[u8]) -> u64 {
        let mut digest = Digest::default();
        digest.update(data);
        digest.value()
    }

    fn feed(half: &mut RecvHalf, offset: u64, data: &'static [u8]) {
        half.expect(offset, data.len() as u32).unwrap();
        half.deliver(offset, Bytes::from_static(data));
    }

    #[test]
    fn a_stream_is_read_to_its_verified_end() {
        let mut half = RecvHalf::new(100);
        feed(&mut half, 0, b"hello ");
        feed(&mut half, 6, b"world");
        half.ended(RecvEnd::Fin { final_offset: 11, digest: digest(b"hello world") }).unwrap();
        assert_eq!(
            half.read(6).unwrap(),
            Read::Data { offset: 0, data: Bytes::from_static(b"hello ") }
        );
        assert_eq!(half.claim().0, 6);
        half.read(100).unwrap();
        assert_eq!(half.read(1).unwrap(), Read::Finished);
        assert_eq!(half.claim().0, 12, "the end is acknowledged like a byte");
    }

    #[test]
    fn a_wrong_digest_is_an_error_and_never_acknowledged() {
        let mut half = RecvHalf::new(100);
        feed(&mut half, 0, b"hellp");
        half.ended(RecvEnd::Fin { final_offset: 5, digest: digest(b"hello") }).unwrap();
        half.read(100).unwrap();
        assert!(matches!(half.read(1), Err(StreamError::Digest { received: 5, .. })));
        assert_eq!(half.claim().0, 5);
    }

    #[test]
    fn only_the_next_offset_is_taken() {
        let mut half = RecvHalf::new(10);
        feed(&mut half, 0, b"abc");
        assert_eq!(half.expect(4, 1), Err("an offset was skipped"));
        assert_eq!(half.expect(2, 1), Err("bytes were sent a second time on the same link"));
        assert_eq!(half.expect(3, 8), Err("data beyond the granted credit"));
        assert_eq!(half.expect(u64::MAX, 2), Err("offset overflows"));
        half.rewind();
        assert_eq!(half.expect(4, 1), Err("an offset was skipped"));
        assert_eq!(half.expect(2, 2), Err("data overlaps what was received"));
        assert_eq!(half.expect(0, 3), Ok(false), "on another link it may have to come again");
        half.deliver(0, Bytes::from_static(b"abc"));
        assert_eq!((half.duplicates(), half.delivered()), (3, 3));
    }

    #[test]
    fn with_manual_acknowledgement_reading_is_not_acknowledging() {
        let mut half = RecvHalf::new(100);
        half.set_manual(true);
        feed(&mut half, 0, b"abc");
        half.ended(RecvEnd::Fin { final_offset: 3, digest: digest(b"abc") }).unwrap();
        half.read(100).unwrap();
        assert_eq!(half.claim().0, 0);
        half.acknowledge(99);
        assert_eq!(half.claim().0, 3, "never more than was read");
        assert_eq!(half.read(1).unwrap(), Read::Finished);
        assert_eq!(half.claim().0, 3, "the sink may still be flushing");
        half.acknowledge(3);
        assert_eq!(half.claim().0, 4);
    }

    #[test]
    fn bytes_that_came_before_a_reset_can_still_be_read() {
        let mut half = RecvHalf::new(100);
        feed(&mut half, 0, b"abc");
        half.ended(RecvEnd::Reset { final_offset: 50, code: ErrorCode::SOURCE_FAILED }).unwrap();
        assert!(matches!(half.read(100), Ok(Read::Data { .. })));
        assert_eq!(half.read(1), Err(StreamError::Reset(ErrorCode::SOURCE_FAILED)));
        assert_eq!(half.claim().0, 51);
    }

    #[test]
    fn a_gap_is_read_at_its_place_and_only_once() {
        let mut half = RecvHalf::new(100);
        feed(&mut half, 0, b"ab");
        half.gap(2, 7).unwrap();
        half.gap(2, 7).unwrap();
        feed(&mut half, 2, b"cd");
        assert!(matches!(half.read(100).unwrap(), Read::Data { offset: 0, .. }));
        assert_eq!(half.read(100).unwrap(), Read::Gap { offset: 2, dropped: 7 });
        assert!(matches!(half.read(100).unwrap(), Read::Data { offset: 2, .. }));
    }

    #[test]
    fn a_stop_never_acknowledges_an_end_that_was_not_taken() {
        let fin = RecvEnd::Fin { final_offset: 3, digest: digest(b"abc") };
        for read_first in [false, true] {
            let mut half = RecvHalf::new(100);
            half.set_manual(true);
            feed(&mut half, 0, b"abc");
            half.ended(fin).unwrap();
            if read_first {
                half.read(100).unwrap();
                assert_eq!(half.read(1).unwrap(), Read::Finished);
            }
            assert!(half.stop(ErrorCode::SINK_FAILED), "the peer has to be told");
            assert_eq!((half.is_over(), half.claim().0), (false, 0));
            half.ended(RecvEnd::Reset { final_offset: 3, code: ErrorCode::SINK_FAILED }).unwrap();
            assert_eq!((half.is_over(), half.claim().0), (true, 4));
        }
    }

    #[test]
    fn a_fin_that_crosses_a_stop_does_not_conclude_it() {
        let mut half = RecvHalf::new(100);
        feed(&mut half, 0, b"abc");
        assert!(half.stop(ErrorCode::CANCELLED));
        half.ended(RecvEnd::Fin { final_offset: 3, digest: digest(b"abc") }).unwrap();
        assert!(!half.is_over());
    }

    #[test]
    fn a_stop_after_fin_and_reset_waits_for_nothing_more() {
        let mut half = RecvHalf::new(100);
        half.expect(0, 3).unwrap();
        half.ended(RecvEnd::Fin { final_offset: 3, digest: digest(b"abc") }).unwrap();
        half.ended(RecvEnd::Reset { final_offset: 3, code: ErrorCode::CANCELLED }).unwrap();
        assert!(!half.stop(ErrorCode::CANCELLED));
        assert!(half.is_over());
    }

    #[test]
    fn a_reset_instead_of_bytes_that_fin_covered_ends_the_wait_for_them() {
        let mut half = RecvHalf::new(100);
        half.expect(0, 3).unwrap();
        half.ended(RecvEnd::Fin { final_offset: 3, digest: digest(b"abc") }).unwrap();
        half.rewind();
        half.ended(RecvEnd::Reset { final_offset: 3, code: ErrorCode::CANCELLED }).unwrap();
        assert_eq!(half.read(1), Err(StreamError::Reset(ErrorCode::CANCELLED)));
    }

    #[test]
    fn a_second_different_end_is_refused() {
        let mut half = RecvHalf::new(100);
        let fin = RecvEnd::Fin { final_offset: 0, digest: digest(b"") };
        half.ended(fin).unwrap();
        half.ended(fin).unwrap();
        assert!(half.ended(RecvEnd::Fin { final_offset: 0, digest: 1 }).is_err());
        assert!(
            half.ended(RecvEnd::Reset { final_offset: 9, code: ErrorCode::CANCELLED }).is_err()
        );
    }
}

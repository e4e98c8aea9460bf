//! The sending half of a stream: retains every byte until the peer has acknowledged it.

use bytes::Bytes;
use p2_frame::ErrorCode;

use super::buffer::SendBuffer;
use super::digest::Digest;
use super::send_rare::Rare;
pub use super::send_state::SendState;
pub(crate) use super::send_state::{Credited, Outgoing};
use crate::error::StreamError;
use crate::limits;
use crate::time::Time;

#[derive(Debug)]
pub(crate) struct SendHalf {
    buffer: SendBuffer,
    digest: Digest,
    acked: u64,
    /// The next offset to transmit on the present link.
    next: u64,
    /// The highest offset ever transmitted; the digest covers exactly these bytes.
    sent: u64,
    limit: u64,
    state: SendState,
    end_on_link: bool,
    end_ever_sent: bool,
    pub(crate) writer_waits: bool,
    /// In the session's list of writers that wait for its send buffer.
    pub(crate) crowded: bool,
    /// The application knows how it ended.
    pub(crate) end_told: bool,
    /// What most streams never need.
    rare: Option<Box<Rare>>,
}

impl SendHalf {
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            buffer: SendBuffer::default(),
            digest: Digest::default(),
            acked: 0,
            next: 0,
            sent: 0,
            limit,
            state: SendState::Open,
            end_on_link: false,
            end_ever_sent: false,
            writer_waits: false,
            crowded: false,
            end_told: false,
            rare: None,
        }
    }

    pub(crate) const fn state(&self) -> SendState {
        self.state
    }

    pub(crate) const fn acked(&self) -> u64 {
        self.acked
    }

    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    pub(crate) const fn written(&self) -> u64 {
        self.buffer.end()
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.rare.as_ref().map_or(0, |rare| rare.gaps.dropped())
    }

    /// Bytes held until their acknowledgement.
    pub(crate) fn retained(&self) -> u64 {
        self.buffer.len()
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.value()
    }

    /// Why it was abandoned, if it was.
    pub(crate) fn reset_code(&self) -> Option<ErrorCode> {
        self.rare.as_ref().and_then(|rare| rare.reset)
    }

    /// Why the peer wants no more, if it said so.
    fn stopped(&self) -> Option<ErrorCode> {
        self.rare.as_ref().and_then(|rare| rare.stopped)
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// The offset the stream ends at, once that is decided.
    pub(crate) const fn final_offset(&self) -> Option<u64> {
        match self.state {
            SendState::Open => None,
            SendState::Finished => Some(self.buffer.end()),
            SendState::Reset | SendState::Over => Some(self.sent),
        }
    }

    /// Fails when this half takes no more bytes.
    pub(crate) fn writable(&self) -> Result<(), StreamError> {
        match (self.stopped(), self.state) {
            (Some(code), _) => Err(StreamError::Stopped(code)),
            (None, SendState::Open) => Ok(()),
            (None, _) => Err(StreamError::Ended),
        }
    }

    /// How the half ended: `None` while it has not.
    pub(crate) fn outcome(&self) -> Option<Result<(), StreamError>> {
        match (self.stopped(), self.state) {
            (Some(code), _) => Some(Err(StreamError::Stopped(code))),
            (None, SendState::Reset) => Some(Err(StreamError::Ended)),
            (None, SendState::Over) if self.reset_code().is_some() => Some(Err(StreamError::Ended)),
            (None, SendState::Over) => Some(Ok(())),
            (None, SendState::Open | SendState::Finished) => None,
        }
    }

    /// Takes bytes over; the caller has checked the room.
    pub(crate) fn append(&mut self, data: &[u8]) {
        self.buffer.append(data);
    }

    pub(crate) fn append_chunk(&mut self, data: Bytes) {
        self.buffer.append_chunk(data);
    }

    /// Bytes until the offset limit of any stream.
    pub(crate) const fn length_left(&self) -> u64 {
        limits::MAX_OFFSET.saturating_sub(self.buffer.end())
    }

    /// Somebody waits for credit: the peer shall hear of it once per limit.
    pub(crate) fn note_blocked(&mut self) -> bool {
        let at = self.limit;
        let rare = self.rare();
        let news = rare.blocked_told != Some(at) && rare.blocked_at != Some(at);
        if news {
            rare.blocked_at = Some(at);
        }
        news
    }

    /// Whether somebody waits at the limit and all bytes below it have gone: BLOCKED says nothing to
    /// a receiver before it has them.
    pub(crate) fn blocked_due(&self) -> bool {
        let at = self.rare.as_ref().and_then(|rare| rare.blocked_at);
        at == Some(self.limit) && (self.waiting() == 0 || self.starved())
    }

    pub(crate) fn take_blocked(&mut self) -> Option<u64> {
        let rare = self.rare.as_mut()?;
        let at = rare.blocked_at.take().filter(|at| *at == self.limit)?;
        rare.blocked_told = Some(at);
        Some(at)
    }

    /// A writer waits for nothing but the peer's credit.
    pub(crate) fn waits_since(&mut self, now: Time) {
        self.rare().blocked_since = Some(now);
    }

    pub(crate) fn blocked_since(&self) -> Option<Time> {
        self.rare.as_ref().and_then(|rare| rare.blocked_since)
    }

    /// It does not wait any more: since when it did.
    pub(crate) fn take_blocked_since(&mut self) -> Option<Time> {
        self.rare.as_mut().and_then(|rare| rare.blocked_since.take())
    }

    /// Marks that the source dropped `bytes` here, before the next byte written.
    pub(crate) fn record_gap(&mut self, bytes: u64) {
        let offset = self.buffer.end();
        self.rare().gaps.record(offset, bytes);
    }

    pub(crate) fn finish(&mut self) -> Result<(), StreamError> {
        match self.state {
            SendState::Finished => Ok(()),
            _ => self.writable().map(|()| self.state = SendState::Finished),
        }
    }

    /// Abandons the half; whether there is something to tell the peer. Returns the bytes freed.
    pub(crate) fn reset(&mut self, code: ErrorCode) -> Option<u64> {
        if !matches!(self.state, SendState::Open | SendState::Finished) {
            return None;
        }
        self.state = SendState::Reset;
        self.end_on_link = false;
        let freed = self.buffer.len();
        self.buffer.clear();
        let rare = self.rare();
        rare.reset = Some(code);
        rare.gaps.clear();
        Some(freed)
    }

    /// The peer asked to stop.
    pub(crate) fn stop(&mut self, code: ErrorCode) -> Option<u64> {
        let freed = self.reset(code)?;
        self.rare().stopped = Some(code);
        Some(freed)
    }

    /// Whether bytes, a gap or the FIN could go out now.
    pub(crate) fn ready(&self) -> bool {
        match self.state {
            SendState::Open => self.has_bytes() || self.gap_due().is_some(),
            SendState::Finished => self.has_bytes() || self.gap_due().is_some() || self.fin_due(),
            SendState::Reset | SendState::Over => false,
        }
    }

    /// Bytes that were not sent on this link.
    pub(crate) const fn waiting(&self) -> u64 {
        self.buffer.end().saturating_sub(self.next)
    }

    /// Whether bytes wait for nothing but credit.
    pub(crate) fn starved(&self) -> bool {
        self.next >= self.limit && self.next < self.buffer.end()
    }

    /// Whether a RESET has to be sent on this link.
    pub(crate) fn take_reset(&mut self) -> bool {
        let due = self.state == SendState::Reset && !self.end_on_link;
        if due {
            self.end_on_link = true;
            self.end_ever_sent = true;
        }
        due
    }

    /// The next frame, of at most `max` raw bytes.
    pub(crate) fn take(&mut self, max: u32) -> Option<Outgoing> {
        if !matches!(self.state, SendState::Open | SendState::Finished) {
            return None;
        }
        if let Some((offset, dropped)) = self.gap_due() {
            self.rare().gaps.took();
            return Some(Outgoing::Gap { offset, dropped });
        }
        if self.has_bytes() {
            let until_gap = self.next_gap().map_or(u64::MAX, |gap| gap.0);
            let end = self.limit.min(until_gap);
            let room = end.saturating_sub(self.next).min(u64::from(max));
            let mut chunks = Vec::with_capacity(1);
            let room = usize::try_from(room).unwrap_or(usize::MAX);
            let taken = self.buffer.read(self.next, room, &mut chunks);
            let offset = self.next;
            self.next = offset.saturating_add(taken as u64);
            self.cover(offset, &chunks);
            let raw_len = u32::try_from(taken).unwrap_or(u32::MAX);
            return Some(Outgoing::Data { offset, chunks, raw_len });
        }
        if self.fin_due() {
            self.end_on_link = true;
            self.end_ever_sent = true;
            let final_offset = self.buffer.end();
            return Some(Outgoing::Fin { final_offset, digest: self.digest.value() });
        }
        None
    }

    /// Applies a CREDIT. Stale values change nothing; impossible ones are the peer's error.
    pub(crate) fn credit(&mut self, acked: u64, limit: u64) -> Result<Credited, &'static str> {
        if limit > limits::MAX_OFFSET {
            return Err("limit above 2^62");
        }
        if !self.may_acknowledge(acked) {
            return Err("acknowledges bytes that were not sent");
        }
        let ends = acked > self.sent;
        let before = self.retained();
        let mut credited = Credited { raised: limit > self.limit, ..Credited::default() };
        self.limit = self.limit.max(limit);
        if self.state == SendState::Over {
            return Ok(credited);
        }
        if ends {
            self.acked = self.sent;
            self.state = SendState::Over;
            self.buffer.clear();
            if let Some(rare) = &mut self.rare {
                rare.gaps.clear();
            }
            credited.over = true;
        } else if acked > self.acked {
            self.acked = acked;
            // Acknowledged before it was sent again on this link: it never is.
            self.next = self.next.max(acked);
            self.buffer.release(acked);
            if let Some(rare) = &mut self.rare {
                rare.gaps.acknowledged(acked);
            }
        }
        credited.freed = before.saturating_sub(self.retained());
        credited.emptied = credited.freed > 0 && self.retained() == 0;
        if self.rare.as_ref().is_some_and(|rare| rare.is_over(self.limit)) {
            self.rare = None;
        }
        Ok(credited)
    }

    /// Whether FIN or RESET went out on some link.
    pub(crate) const fn end_was_sent(&self) -> bool {
        self.end_ever_sent
    }

    /// Whether the peer can know enough to acknowledge up to `acked`.
    pub(crate) fn may_acknowledge(&self, acked: u64) -> bool {
        let end = self.final_offset().and_then(|offset| offset.checked_add(1));
        acked <= self.sent || (self.end_ever_sent && Some(acked) == end)
    }

    /// The peer has forgotten the stream, so it has everything. Returns the bytes freed.
    pub(crate) fn end_confirmed(&mut self) -> u64 {
        let end = self.final_offset().unwrap_or(self.sent).saturating_add(1);
        self.credit(end, self.limit).map_or(0, |credited| credited.freed)
    }

    /// A new link begins where the peer stands; returns the bytes to be sent again.
    pub(crate) fn rewind(&mut self, received: u64) -> u64 {
        let replay = self.sent.saturating_sub(received);
        self.next = received;
        self.end_on_link = false;
        if let Some(rare) = &mut self.rare {
            rare.blocked_at = None;
            rare.blocked_told = None;
            rare.gaps.rewind(received);
        }
        if matches!(self.state, SendState::Open | SendState::Finished) { replay } else { 0 }
    }

    fn has_bytes(&self) -> bool {
        self.next < self.buffer.end() && self.next < self.limit
    }

    /// The first gap that is not on the link.
    fn next_gap(&self) -> Option<(u64, u64)> {
        self.rare.as_ref().and_then(|rare| rare.gaps.next())
    }

    fn gap_due(&self) -> Option<(u64, u64)> {
        self.next_gap().filter(|gap| gap.0 <= self.next)
    }

    fn fin_due(&self) -> bool {
        self.state == SendState::Finished && self.next == self.buffer.end() && !self.end_on_link
    }

    /// Digests what is sent for the first time.
    fn cover(&mut self, offset: u64, chunks: &[Bytes]) {
        let mut at = offset;
        for chunk in chunks {
            let after = at.saturating_add(chunk.len() as u64);
            if after > self.sent {
                let known = usize::try_from(self.sent.saturating_sub(at)).unwrap_or(0);
                self.digest.update(chunk.get(known..).unwrap_or_default());
                self.sent = after;
            }
            at = after;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(outgoing: Option<Outgoing>) -> (u64, Vec<u8>) {
        match outgoing {
            Some(Outgoing::Data { offset, chunks, .. }) => (offset, chunks.concat()),
            other => panic!("expected data, got {other:?}"),
        }
    }

    #[test]
    fn bytes_stay_until_acknowledged_and_are_sent_again_from_where_the_peer_stands() {
        let mut half = SendHalf::new(100);
        half.append(b"hello world");
        assert_eq!(bytes(half.take(5)), (0, b"hello".to_vec()));
        assert_eq!(bytes(half.take(50)), (5, b" world".to_vec()));
        assert_eq!(half.credit(3, 100).unwrap().freed, 3);
        assert_eq!(half.rewind(4), 7);
        assert_eq!(bytes(half.take(50)), (4, b"o world".to_vec()));
        let mut once = Digest::default();
        once.update(b"hello world");
        assert_eq!(half.digest(), once.value(), "replayed bytes are not digested twice");
    }

    #[test]
    fn fin_is_acknowledged_like_one_more_byte() {
        let mut half = SendHalf::new(100);
        half.append(b"abc");
        half.finish().unwrap();
        assert_eq!(half.credit(4, 100), Err("acknowledges bytes that were not sent"));
        half.take(10);
        assert!(matches!(half.take(10), Some(Outgoing::Fin { final_offset: 3, .. })));
        assert!(!half.credit(3, 100).unwrap().over);
        assert_eq!(half.outcome(), None);
        assert!(half.credit(4, 100).unwrap().over);
        assert_eq!(half.outcome(), Some(Ok(())));
    }

    #[test]
    fn fin_goes_again_over_the_next_link() {
        let mut half = SendHalf::new(100);
        half.finish().unwrap();
        assert!(matches!(half.take(10), Some(Outgoing::Fin { .. })));
        assert!(half.take(10).is_none());
        half.rewind(0);
        assert!(matches!(half.take(10), Some(Outgoing::Fin { .. })));
    }

    #[test]
    fn credit_never_falls_and_never_exceeds_what_was_sent() {
        let mut half = SendHalf::new(4);
        half.append(b"abcdef");
        half.take(10);
        assert!(half.starved());
        assert_eq!(half.credit(5, 10), Err("acknowledges bytes that were not sent"));
        assert!(half.credit(2, 6).unwrap().raised);
        assert_eq!(half.credit(1, 5).unwrap(), Credited::default());
        assert_eq!((half.acked(), half.limit()), (2, 6));
        assert_eq!(half.credit(2, u64::MAX), Err("limit above 2^62"));
    }

    #[test]
    fn a_gap_is_told_at_its_offset_and_again_after_a_resume() {
        let mut half = SendHalf::new(100);
        half.append(b"ab");
        half.record_gap(7);
        half.append(b"cd");
        assert_eq!(bytes(half.take(100)), (0, b"ab".to_vec()));
        assert!(matches!(half.take(100), Some(Outgoing::Gap { offset: 2, dropped: 7 })));
        assert_eq!(bytes(half.take(100)), (2, b"cd".to_vec()));
        half.rewind(2);
        assert!(matches!(half.take(100), Some(Outgoing::Gap { offset: 2, dropped: 7 })));
        half.rewind(3);
        assert_eq!(bytes(half.take(100)), (3, b"d".to_vec()));
    }

    #[test]
    fn every_state_answers_every_event_as_its_table_says() {
        use SendState::{Finished, Open, Over, Reset};
        let make = |state| {
            let mut half = SendHalf::new(100);
            half.append(b"x");
            half.take(10);
            match state {
                Open => {}
                Finished => half.finish().unwrap(),
                Reset => assert!(half.reset(ErrorCode::CANCELLED).is_some()),
                Over => {
                    half.finish().unwrap();
                    half.take(10);
                    half.credit(2, 100).unwrap();
                }
            }
            assert_eq!(half.state(), state);
            half
        };
        for (state, write, fin, reset) in [
            (Open, true, (true, Finished), Reset),
            (Finished, false, (true, Finished), Reset),
            (Reset, false, (false, Reset), Reset),
            (Over, false, (false, Over), Over),
        ] {
            assert_eq!(make(state).writable().is_ok(), write, "{state} write");
            let mut half = make(state);
            assert_eq!((half.finish().is_ok(), half.state()), fin, "{state} fin");
            let mut half = make(state);
            half.reset(ErrorCode::CANCELLED);
            assert_eq!(half.state(), reset, "{state} reset");
        }
    }
}

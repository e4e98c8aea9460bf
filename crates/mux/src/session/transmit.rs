//! What goes out: control frames first, then bytes by class and turn, framed only when the link
//! can take them.

use bytes::Bytes;
use p2_codec::Offer;
use p2_frame::{
    Blocked, CodecId, Credit, ErrorCode, Fin, Frame, Gap, Ping, Pong, Receipt, Reset, Stop,
    StreamId,
};

use super::{Phase, Session};
use crate::event::Event;
use crate::limits;
use crate::stream::Owed;
use crate::stream::send::Outgoing;
use crate::time::Time;

/// One item of a batch, in the order it has to go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transmit {
    /// A frame as it is.
    Control(Frame),
    /// Bytes to be encoded and framed.
    Data(DataJob),
}

/// Bytes to be encoded outside the session, in order per stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataJob {
    /// The stream they belong to.
    pub stream: StreamId,
    /// Offset of the first byte.
    pub offset: u64,
    /// The bytes.
    pub chunks: Vec<Bytes>,
    /// How many there are together: at most the peer's frame limit.
    pub raw_len: u32,
    /// What to encode with; the encoder may send raw bytes instead.
    pub codec: CodecId,
    /// The codec's level, or its default.
    pub level: Option<i32>,
    /// The largest window the peer decodes, as a base-2 logarithm of bytes; 0 where it names none.
    pub window_log: u8,
}

/// What a [`DataJob`] became.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentFrame {
    /// The stream.
    pub stream: StreamId,
    /// Raw bytes.
    pub raw_len: u32,
    /// Bytes of the whole frame.
    pub wire: u64,
    /// The codec used in the end.
    pub codec: CodecId,
}

/// Bytes of a DATA frame around its payload, for the scheduler.
const OVERHEAD: usize = 28;

impl Session {
    /// Whether [`Session::poll_transmit`] may have something to hand out.
    pub fn wants_transmit(&self) -> bool {
        let Some(link) = &self.link else { return false };
        let close = match &self.phase {
            Phase::Open => false,
            Phase::Draining(_) => {
                !link.close_sent && (!link.goaway_sent || self.streams.all_over())
            }
            Phase::Ended(_) => !link.close_sent,
        };
        link.pong.is_some()
            || link.ping_due
            || link.receipt_due()
            || link.close_ack_due
            || close
            || !self.owing.is_empty()
            || (link.flight.room() > 0 && !self.scheduler.is_empty())
            || self.scheduler.first().is_some_and(|id| self.may_pass(id))
    }

    /// Whether the link could take a short message now, if there was one.
    pub fn has_room(&self) -> bool {
        let Some(link) = &self.link else { return false };
        let short = || self.scheduler.first().is_none_or(|id| self.is_message(id));
        link.flight.room() > 0 || (link.flight.beyond() > 0 && short())
    }

    /// Appends the next batch for the link: at most [`limits::CONTROL_BATCH`] control frames and
    /// about [`limits::BATCH`] raw bytes, fewer when the link is full. Write the whole batch and
    /// report it by [`Session::sent`] before asking for another.
    pub fn poll_transmit(&mut self, now: Time, out: &mut Vec<Transmit>) {
        self.link_control(now, out);
        self.stream_control(now, out);
        self.data_frames(now, out);
        // What the data turned up, BLOCKED for example, needs no later call.
        self.stream_control(now, out);
        if let Some(frame) = self.closing_frame() {
            out.push(Transmit::Control(frame));
        }
    }

    /// How many raw bytes of a batch may go through a codec: as many as it encodes in little time,
    /// for nothing can overtake a batch. One frame of them goes out in any case, also with 0. Until
    /// this is called, [`limits::ENCODED_BATCH`].
    pub const fn limit_encoding(&mut self, bytes: usize) {
        self.encoded_batch = if bytes == 0 { 1 } else { bytes };
    }

    /// The last batch was encoded to `wire` bytes in `frames` frames, of which `data` carried
    /// stream bytes. Call it before the next [`Session::poll_transmit`].
    pub fn sent(&mut self, now: Time, wire: u64, frames: u64, data: &[SentFrame]) {
        self.totals.wire_sent = self.totals.wire_sent.saturating_add(wire);
        self.totals.frames_sent = self.totals.frames_sent.saturating_add(frames);
        let limited = self.scheduler.is_empty();
        if let Some(link) = &mut self.link {
            link.flight.sent(now, wire, limited);
        }
        for frame in data {
            let raw = u64::from(frame.raw_len);
            self.totals.raw_sent = self.totals.raw_sent.saturating_add(raw);
            let Some(stream) = self.streams.get_mut(frame.stream) else {
                continue;
            };
            let counters = &mut stream.counters;
            let charged = guess(counters.shrink, frame.raw_len);
            counters.sent(frame.wire, frame.codec);
            let ratio = frame.wire.saturating_mul(256).checked_div(raw).unwrap_or(256);
            let ratio = u32::try_from(ratio).unwrap_or(u32::MAX).min(1 << 16);
            // An exponential mean over about four frames.
            counters.shrink = match counters.shrink {
                0 => ratio,
                old => (old.saturating_mul(3).saturating_add(ratio)) / 4,
            };
            let wire = usize::try_from(frame.wire).unwrap_or(usize::MAX);
            self.scheduler.correct(frame.stream, charged, wire);
        }
    }

    fn link_control(&mut self, now: Time, out: &mut Vec<Transmit>) {
        let Some(link) = &mut self.link else { return };
        if let Some(Ping { id, time }) = link.pong.take() {
            out.push(Transmit::Control(Frame::Pong(Pong { id, time })));
        }
        if std::mem::take(&mut link.ping_due) {
            let id = link.keepalive.next_ping();
            out.push(Transmit::Control(Frame::Ping(Ping { id, time: now.as_nanos() })));
            self.totals.pings_sent = self.totals.pings_sent.saturating_add(1);
            self.events.push_back(Event::HeartbeatSent);
        }
        if link.receipt_due() {
            let received = link.take_receipt();
            out.push(Transmit::Control(Frame::Receipt(Receipt { received })));
        }
    }

    fn stream_control(&mut self, now: Time, out: &mut Vec<Transmit>) {
        if self.link.is_none() {
            return;
        }
        let mut frames = 0usize;
        while frames < limits::CONTROL_BATCH {
            let Some(id) = self.owing.pop_front() else {
                return;
            };
            let Some(stream) = self.streams.get_mut(id) else {
                continue;
            };
            if stream.owed.has(Owed::RESET) || stream.owed.has(Owed::STOP) {
                let link = self.link.as_mut();
                if !link.is_some_and(|link| link.resets_sent.take(now, 2)) {
                    // It stays listed, and comes back when the pause is over.
                    self.paced.push_back(id);
                    self.paced_at.get_or_insert(now + limits::RESET_PAUSE);
                    continue;
                }
            }
            stream.listed = false;
            let before = out.len();
            if stream.owed.take(Owed::OPEN) {
                out.push(Transmit::Control(Frame::Open(stream.open_frame(id))));
            }
            if let Some(send) = &mut stream.send {
                if stream.owed.take(Owed::RESET) && send.take_reset() {
                    let code = send.reset_code().unwrap_or(ErrorCode::NO_ERROR);
                    let final_offset = send.sent();
                    out.push(Transmit::Control(Frame::Reset(Reset {
                        stream: id,
                        code,
                        final_offset,
                    })));
                }
                if stream.owed.take(Owed::BLOCKED) {
                    if let Some(offset) = send.take_blocked() {
                        out.push(Transmit::Control(Frame::Blocked(Blocked { stream: id, offset })));
                    }
                }
            }
            if let Some(recv) = &mut stream.recv {
                if stream.owed.take(Owed::STOP) {
                    if let Some(code) = recv.stopped().filter(|_| !recv.is_over()) {
                        out.push(Transmit::Control(Frame::Stop(Stop { stream: id, code })));
                    }
                }
                if stream.owed.take(Owed::CREDIT) {
                    let (acked, limit) = recv.claim();
                    out.push(Transmit::Control(Frame::Credit(Credit { stream: id, acked, limit })));
                }
            }
            frames = frames.saturating_add(out.len().saturating_sub(before));
            self.refresh(now, id);
        }
    }

    fn data_frames(&mut self, now: Time, out: &mut Vec<Transmit>) {
        let Some(link) = &self.link else { return };
        let mut room = usize::try_from(link.flight.room()).unwrap_or(usize::MAX);
        let batch = if link.flight.is_brisk() { limits::BRISK_BATCH } else { limits::BATCH };
        let mut encoded = 0usize;
        let mut raw = 0usize;
        let alone = limits::MAX_FRAME.min(self.peer.max_frame);
        let turn = link.flight.frame().min(alone);
        self.scheduler.set_quantum(turn);
        while raw < batch && encoded < self.encoded_batch {
            let next = match room {
                0 => self.scheduler.next_urgent().filter(|id| self.may_pass(*id)),
                _ => self.scheduler.next(now),
            };
            let Some(id) = next else { return };
            let competing = self.scheduler.competing();
            let (codec, offer) = self.codec_for(id);
            let window_log = offer.map_or(0, |offer| offer.window_log);
            let Some(stream) = self.streams.get_mut(id) else {
                self.scheduler.remove(id);
                continue;
            };
            let max =
                if competing { raw_in(turn, stream.counters.shrink).min(alone) } else { alone };
            let max = offer.map_or(max, |offer| max.min(offer.max_raw.max(1)));
            let Some(send) = &mut stream.send else {
                self.scheduler.idle(id);
                continue;
            };
            let mut message = false;
            let wire = match send.take(max) {
                Some(Outgoing::Data { offset, chunks, raw_len }) => {
                    message = raw_len <= limits::MESSAGE && !send.ready();
                    let level = stream.options.level;
                    let job =
                        DataJob { stream: id, offset, chunks, raw_len, codec, level, window_log };
                    out.push(Transmit::Data(job));
                    let length = usize::try_from(raw_len).unwrap_or(usize::MAX);
                    raw = raw.saturating_add(length);
                    if codec != CodecId::NONE {
                        encoded = encoded.saturating_add(length);
                    }
                    guess(stream.counters.shrink, raw_len)
                }
                Some(Outgoing::Gap { offset, dropped }) => {
                    out.push(Transmit::Control(Frame::Gap(Gap { stream: id, offset, dropped })));
                    OVERHEAD
                }
                Some(Outgoing::Fin { final_offset, digest }) => {
                    let fin = Fin { stream: id, final_offset, digest };
                    out.push(Transmit::Control(Frame::Fin(fin)));
                    OVERHEAD
                }
                None if send.starved() => {
                    self.scheduler.park(id);
                    send.note_blocked();
                    if send.blocked_due() {
                        stream.owed.add(Owed::BLOCKED);
                    }
                    self.refresh(now, id);
                    continue;
                }
                None => {
                    self.scheduler.idle(id);
                    continue;
                }
            };
            let blocked = send.blocked_due();
            if blocked {
                stream.owed.add(Owed::BLOCKED);
            }
            self.scheduler.sent(now, id, wire);
            if let Some(link) = &mut self.link {
                if room == 0 {
                    link.flight.pass(wire as u64);
                }
                if message {
                    link.flight.message(now);
                }
            }
            room = room.saturating_sub(wire);
            if blocked {
                self.refresh(now, id);
            }
        }
    }

    /// Whether a stream may send though the link is full.
    fn may_pass(&self, id: StreamId) -> bool {
        self.link.as_ref().is_some_and(|link| link.flight.beyond() > 0) && self.is_message(id)
    }

    /// Whether all that a stream has to say is short: somebody may wait for it.
    fn is_message(&self, id: StreamId) -> bool {
        let send = self.streams.get(id).and_then(|stream| stream.send.as_ref());
        send.is_some_and(|send| send.waiting() <= u64::from(limits::MESSAGE))
    }

    /// What a stream's bytes are encoded with, and what the peer can do with it.
    fn codec_for(&self, id: StreamId) -> (CodecId, Option<Offer>) {
        let Some(link) = &self.link else { return (CodecId::NONE, None) };
        let wish = self.streams.get(id).and_then(|stream| stream.options.codec);
        let codec = link.codec_for(wish);
        (codec, link.offers.iter().find(|offer| offer.id == codec).copied())
    }
}

/// Raw bytes that probably take `wire` bytes, and no fewer than those: a turn is time on the link, and
/// every frame costs its codec something.
fn raw_in(wire: u32, shrink: u32) -> u32 {
    let raw = u64::from(wire).saturating_mul(256).checked_div(u64::from(shrink));
    raw.map_or(wire, |raw| u32::try_from(raw).unwrap_or(u32::MAX).max(wire))
}

/// Wire bytes that `raw_len` bytes will probably take.
fn guess(shrink: u32, raw_len: u32) -> usize {
    let per_256 = if shrink == 0 { 256 } else { u64::from(shrink) };
    let wire = u64::from(raw_len).saturating_mul(per_256) / 256;
    usize::try_from(wire).unwrap_or(usize::MAX).saturating_add(OVERHEAD)
}

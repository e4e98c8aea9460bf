//! The peer's frames: near to what an honest one would send, or anything else.

use bytes::Bytes;
use p2_frame::{
    Blocked, Close, Credit, Data, Fin, Frame, Gap, GoAway, Open, Ping, Pong, Receipt, Refuse,
    RefuseCode, Reset, Stop,
};
use p2_mux::{CodecId, ErrorCode, Received, RecvState, SendState, StreamStats};

use super::way::{chunk, digest};
use super::*;

impl Stage {
    /// A frame arrives; a broken rule has a name and ends the link.
    fn frame(&mut self, frame: Frame) -> Option<Received> {
        let attached = self.session.is_attached();
        match self.session.receive(self.now, frame, 64) {
            Ok(received) => {
                assert!(attached, "a frame without a link");
                Some(received)
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                assert_eq!(attached, error != LinkError::Fenced, "{error}");
                if attached {
                    self.reached.broken += 1;
                    self.detach();
                }
                None
            }
        }
    }

    pub(super) fn peer_opens(&mut self, input: &mut Input<'_>) {
        let how = input.byte();
        let index = if how & 0x70 == 0x70 { input.number() } else { self.opens_taken };
        let by = if how & 0x80 == 0 { self.role.peer() } else { self.role };
        let Some(stream) = StreamId::new(by, index) else { return };
        let open = Frame::Open(Open {
            stream,
            label: 1,
            name: String::new(),
            priority: how >> 1 & 7,
            unidirectional: how & 1 != 0,
            metadata: Vec::new(),
            ext: Vec::new(),
        });
        let over = self.session.ended().is_some();
        if self.frame(open).is_some() && !over {
            assert_eq!((by, index), (self.role.peer(), self.opens_taken), "opened out of order");
            self.opens_taken += 1;
            let granted = self.session.config().initial_window;
            self.ways.add(stream, self.peer.initial_window, granted);
        }
    }

    pub(super) fn peer_sends(&mut self, input: &mut Input<'_>) {
        let stream = pick(&self.ways, input);
        let how = input.byte();
        let expected = self.ways.get(stream).map_or(0, |way| way.expected);
        let offset = if how & 0xc0 == 0xc0 { input.about(expected) } else { expected };
        let raw_len = match how & 0x30 {
            0x30 => (input.number() & 0x1_ffff) as u32,
            _ => u32::from(input.byte()) << (how & 3),
        };
        let times = if how & 0xf == 0xf { usize::from(input.byte() & 0x7f) } else { 1 };
        for _ in 0..times {
            // A length that no frame may have comes without its bytes.
            let end = offset.checked_add(raw_len.into()).filter(|_| raw_len <= 64 << 10);
            let payload = end.map_or(Bytes::new(), |end| chunk(stream, offset..end));
            let data =
                Data { stream, offset, codec: CodecId::NONE, restart: false, raw_len, payload };
            let Some(received) = self.frame(Frame::Data(data)) else { return };
            let Received::Decode(job) = received else { continue };
            let way = self.ways.get(stream).expect("only open streams receive");
            let end = offset + u64::from(raw_len);
            assert!(raw_len <= 64 << 10 && end <= way.granted, "{stream}: beyond the credit");
            assert!(way.end.is_none_or(|last| end <= last), "{stream}: beyond its end");
            assert!(offset == way.expected || end <= way.expected, "{stream}: out of place");
            assert!(way.on_link.is_none_or(|next| offset == next), "{stream}: back on one link");
            way.on_link = Some(end);
            way.expected = way.expected.max(end);
            self.pending.push_back(job);
            if how & 0x40 == 0 || self.pending.len() > 8 {
                while !self.pending.is_empty() {
                    self.deliver();
                }
            }
        }
    }

    /// A stream whose frames are judged: those for one that is over may be ignored (W-7.12).
    fn stats(&self, stream: StreamId) -> Option<StreamStats> {
        self.session.stream_stats(stream).filter(|stats| {
            let receiving = |state| state != RecvState::Over;
            stats.send_state.is_some_and(|state| state != SendState::Over)
                || stats.recv_state.is_some_and(receiving)
        })
    }

    pub(super) fn peer_credits(&mut self, input: &mut Input<'_>) {
        let stream = pick(&self.ways, input);
        let (sent, limit) = self.ways.get(stream).map_or((0, 0), |way| (way.sent, way.limit));
        let acked = input.about(sent);
        let more = u64::from(input.byte()) << 4;
        let limit = input.about(limit.saturating_add(more));
        let over = self.session.ended().is_some();
        let sends = self.stats(stream).is_some_and(|s| s.send_state.is_some());
        let taken = self.frame(Frame::Credit(Credit { stream, acked, limit })).is_some();
        if !taken || over || !sends {
            return;
        }
        assert!(acked <= sent + 1 && limit <= 1 << 62, "{stream}: {acked} of {sent}, {limit}");
        let way = self.ways.get(stream).expect("only open streams have credit");
        way.limit = way.limit.max(limit);
        way.acked = way.acked.max(acked.min(sent));
        // What is acknowledged is never sent again, even if this link has not got there yet.
        way.next = way.next.max(way.acked);
    }

    pub(super) fn peer_ends(&mut self, input: &mut Input<'_>) {
        let stream = pick(&self.ways, input);
        let how = input.byte();
        let expected = self.ways.get(stream).map_or(0, |way| way.expected);
        let final_offset = input.about(expected);
        let frame = if how & 1 == 0 {
            let right = if final_offset <= 1 << 20 { digest(stream, final_offset) } else { 0 };
            let digest = if how & 0xe == 0xe { input.number() } else { right };
            Frame::Fin(Fin { stream, final_offset, digest })
        } else {
            Frame::Reset(Reset { stream, code: ErrorCode::CANCELLED, final_offset })
        };
        let over = self.session.ended().is_some();
        let receives = self.stats(stream).is_some_and(|s| s.recv_state.is_some());
        if self.frame(frame).is_none() || over || !receives {
            return;
        }
        let way = self.ways.get(stream).expect("only open streams end");
        assert!(way.end.is_none_or(|end| end == final_offset), "{stream} has two ends");
        assert!(final_offset >= way.expected && final_offset <= 1 << 62, "{stream}");
        way.end = Some(final_offset);
    }

    pub(super) fn peer_stops(&mut self, input: &mut Input<'_>) {
        let stream = pick(&self.ways, input);
        self.frame(Frame::Stop(Stop { stream, code: ErrorCode::SINK_FAILED }));
    }

    pub(super) fn peer_pings(&mut self, input: &mut Input<'_>) {
        let how = input.byte();
        let frame = match how & 3 {
            0 => Frame::Ping(Ping { id: input.number(), time: 0 }),
            1 => Frame::Pong(Pong { id: input.number(), time: input.about(self.now.as_nanos()) }),
            _ => {
                let received = input.about(self.wire);
                let taken = self.frame(Frame::Receipt(Receipt { received })).is_some();
                let over = self.session.ended().is_some();
                assert!(!taken || over || received <= self.wire, "more was read than was sent");
                return;
            }
        };
        let times = if how & 0xf0 == 0xf0 { 101 } else { 1 };
        for _ in 0..times {
            self.frame(frame.clone());
        }
    }

    pub(super) fn peer_marks(&mut self, input: &mut Input<'_>) {
        let stream = pick(&self.ways, input);
        let expected = self.ways.get(stream).map_or(0, |way| way.expected);
        let offset = input.about(expected);
        self.frame(if input.byte() & 1 == 0 {
            Frame::Gap(Gap { stream, offset, dropped: input.number() })
        } else {
            Frame::Blocked(Blocked { stream, offset })
        });
    }

    pub(super) fn peer_says(&mut self, input: &mut Input<'_>) {
        let (code, ext) = (ErrorCode::NO_ERROR, Vec::new());
        let reason = String::from("enough");
        let frame = match input.byte() {
            0..=0x1f => {
                let (last_stream, deadline_ms) = (input.number(), input.number());
                Frame::GoAway(GoAway { code, last_stream, deadline_ms, reason, ext })
            }
            byte @ 0x20..=0x3f => Frame::Close(Close { code, reason, ack: byte & 1 == 0, ext }),
            0x40..=0x5f => Frame::Skipped { kind: 99, len: input.byte().into() },
            0x60..=0x7f => Frame::Refuse(Refuse {
                code: RefuseCode::BUSY,
                retry_after_ms: 0,
                boot_id: [0; 16],
                epoch: 0,
                reason,
                ext,
            }),
            _ => return,
        };
        self.frame(frame);
    }
}

//! What arrives: each frame is checked against everything known before it changes anything.

use bytes::Bytes;
use p2_frame::{
    Blocked, CodecId, Credit, Data, Fin, Frame, FrameKind, Gap, Open, Ping, Reset, Stop, StreamId,
};

use super::{Phase, Session};
use crate::error::LinkError;
use crate::event::Event;
use crate::limits;
use crate::stream::recv::{RecvEnd, RecvHalf};
use crate::stream::send::SendHalf;
use crate::stream::{OpenOptions, Owed, Stream};
use crate::time::Time;

/// What became of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Received {
    /// It is dealt with.
    Done,
    /// It carries bytes to be decoded and given to [`Session::deliver`], in order per stream.
    Decode(DecodeJob),
}

/// Bytes to be decoded outside the session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeJob {
    /// The link it came over; its decoders die with it.
    pub epoch: u64,
    /// The stream it belongs to.
    pub stream: StreamId,
    /// Offset of the first raw byte.
    pub offset: u64,
    /// What it was encoded with.
    pub codec: CodecId,
    /// The codec's context starts afresh with this payload.
    pub restart: bool,
    /// Raw bytes it must decode to; checked against credit and the frame limit already.
    pub raw_len: u32,
    /// The encoded bytes.
    pub payload: Bytes,
    /// A frame's worth of this stream waits for its reader already: memory that the payload shares
    /// with others would be held for long.
    pub behind: bool,
}

impl Session {
    /// A frame of `wire` bytes arrived on the attached link.
    ///
    /// # Errors
    /// [`LinkError`] when the peer broke a rule: drop the link. The session is unharmed.
    pub fn receive(&mut self, now: Time, frame: Frame, wire: u64) -> Result<Received, LinkError> {
        let Some(link) = &mut self.link else {
            return Err(LinkError::Fenced);
        };
        link.keepalive.heard(now);
        link.received(wire);
        self.totals.wire_received = self.totals.wire_received.saturating_add(wire);
        self.totals.frames_received = self.totals.frames_received.saturating_add(1);
        if matches!(self.phase, Phase::Ended(_)) && !matches!(frame, Frame::Close(_)) {
            return Ok(Received::Done);
        }
        match frame {
            Frame::Data(data) => return self.data(now, data, wire),
            Frame::Credit(credit) => self.credit(now, credit)?,
            Frame::Open(open) => self.opened(now, open)?,
            Frame::Fin(fin) => self.fin(now, fin)?,
            Frame::Reset(reset) => self.peer_reset(now, reset)?,
            Frame::Stop(stop) => self.peer_stop(now, stop)?,
            Frame::Blocked(blocked) => self.blocked(now, blocked)?,
            Frame::Gap(gap) => self.gap(now, gap)?,
            Frame::Ping(ping) => self.ping(now, ping)?,
            Frame::Pong(pong) => self.pong(now, pong.id, pong.time),
            Frame::Receipt(receipt) => self.receipt(now, receipt.received)?,
            Frame::GoAway(goaway) => self.received_goaway(&goaway),
            Frame::Close(close) => self.received_close(close),
            Frame::Skipped { .. } => {}
            frame @ (Frame::Hello(_) | Frame::Proof(_) | Frame::Resume(_) | Frame::Refuse(_)) => {
                return Err(protocol(frame.kind(), None, "belongs into the handshake"));
            }
        }
        Ok(Received::Done)
    }

    /// Bytes of a [`DecodeJob`] were decoded. Late ones of a replaced link are ignored.
    pub fn deliver(&mut self, now: Time, epoch: u64, stream: StreamId, offset: u64, data: Bytes) {
        if epoch != self.epoch || self.link.is_none() || matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        let len = data.len() as u64;
        let Some(recv) = self.streams.get_mut(stream).and_then(|s| s.recv.as_mut()) else {
            return;
        };
        if recv.deliver(offset, data) {
            self.progress = self.progress.saturating_add(len);
        } else {
            let discarded = &mut self.totals.duplicates_discarded;
            *discarded = discarded.saturating_add(len);
        }
        self.refresh(now, stream);
    }

    fn data(&mut self, now: Time, data: Data, wire: u64) -> Result<Received, LinkError> {
        const KIND: FrameKind = FrameKind::DATA;
        let id = data.stream;
        if let Some(link) = &mut self.link {
            link.police.data(now, data.raw_len)?;
        }
        if data.raw_len > limits::MAX_FRAME {
            return Err(protocol(KIND, Some(id), "more raw bytes than a frame may hold"));
        }
        let epoch = self.epoch;
        let Some((counters, recv)) = self.receiving(KIND, id)? else {
            return Ok(Received::Done);
        };
        if recv.is_over() {
            return Ok(Received::Done);
        }
        let behind = recv.unread() >= u64::from(limits::MAX_FRAME);
        recv.expect(data.offset, data.raw_len).map_err(|what| protocol(KIND, Some(id), what))?;
        counters.received(wire, data.codec);
        let raw = u64::from(data.raw_len);
        self.totals.raw_received = self.totals.raw_received.saturating_add(raw);
        Ok(Received::Decode(DecodeJob {
            epoch,
            stream: id,
            offset: data.offset,
            codec: data.codec,
            restart: data.restart,
            raw_len: data.raw_len,
            payload: data.payload,
            behind,
        }))
    }

    fn credit(&mut self, now: Time, credit: Credit) -> Result<(), LinkError> {
        const KIND: FrameKind = FrameKind::CREDIT;
        let Some(send) = self.sending(KIND, credit.stream)? else {
            return Ok(());
        };
        let credited = send
            .credit(credit.acked, credit.limit)
            .map_err(|what| protocol(KIND, Some(credit.stream), what))?;
        self.progress = self.progress.saturating_add(credited.freed);
        self.freed(credited.freed);
        if credited.raised || credited.freed > 0 {
            self.wake_writer(credit.stream);
        }
        if credited.emptied {
            self.events.push_back(Event::Acknowledged(credit.stream));
        }
        self.refresh(now, credit.stream);
        Ok(())
    }

    fn opened(&mut self, now: Time, open: Open) -> Result<(), LinkError> {
        let id = open.stream;
        let fail = |what| Err(protocol(FrameKind::OPEN, Some(id), what));
        if self.streams.is_own(id) {
            return fail("opens a stream that only this side may open");
        }
        if id.index() != self.streams.seen {
            return fail("does not open the next stream in order");
        }
        if self.streams.peer_live() >= self.config.max_streams {
            let limit = self.config.max_streams;
            return Err(LinkError::Abuse { what: "streams open at once", limit });
        }
        let options = OpenOptions::of_peer(open);
        let mut stream = Stream::new(self.streams.shared(id, options));
        stream.recv = Some(RecvHalf::new(self.config.initial_window));
        if !stream.options.unidirectional {
            stream.send = Some(SendHalf::new(self.peer.initial_window));
        }
        self.streams.insert_peer(id, stream);
        self.totals.streams_accepted = self.totals.streams_accepted.saturating_add(1);
        if self.phase == Phase::Open {
            self.events.push_back(Event::Incoming);
        } else {
            self.refuse(now, id);
        }
        self.refresh(now, id);
        Ok(())
    }

    fn fin(&mut self, now: Time, fin: Fin) -> Result<(), LinkError> {
        let end = RecvEnd::Fin { final_offset: fin.final_offset, digest: fin.digest };
        self.half_ended(now, FrameKind::FIN, fin.stream, end)
    }

    fn peer_reset(&mut self, now: Time, reset: Reset) -> Result<(), LinkError> {
        let id = reset.stream;
        let recv = self.streams.get(id).and_then(|stream| stream.recv.as_ref());
        // What a resume repeats was counted the first time.
        if recv.is_some_and(|recv| recv.end().is_none()) {
            self.police_reset(now)?;
        }
        let end = RecvEnd::Reset { final_offset: reset.final_offset, code: reset.code };
        self.half_ended(now, FrameKind::RESET, id, end)?;
        if self.streams.get(id).is_some_and(|stream| !stream.accepted) {
            // Taken back before anybody saw it.
            self.streams.withdraw(id);
            self.release(now, id);
        }
        Ok(())
    }

    fn half_ended(
        &mut self,
        now: Time,
        kind: FrameKind,
        id: StreamId,
        end: RecvEnd,
    ) -> Result<(), LinkError> {
        let Some((_, recv)) = self.receiving(kind, id)? else {
            return Ok(());
        };
        recv.ended(end).map_err(|what| protocol(kind, Some(id), what))?;
        self.refresh(now, id);
        Ok(())
    }

    fn peer_stop(&mut self, now: Time, stop: Stop) -> Result<(), LinkError> {
        let Some(send) = self.sending(FrameKind::STOP, stop.stream)? else {
            return Ok(());
        };
        if send.outcome().is_none() {
            self.police_reset(now)?;
        }
        let Some(stream) = self.streams.get_mut(stop.stream) else { return Ok(()) };
        if let Some(freed) = stream.send.as_mut().and_then(|send| send.stop(stop.code)) {
            stream.owed.add(Owed::RESET);
            self.freed(freed);
        }
        self.wake_writer(stop.stream);
        self.refresh(now, stop.stream);
        Ok(())
    }

    fn blocked(&mut self, now: Time, blocked: Blocked) -> Result<(), LinkError> {
        const KIND: FrameKind = FrameKind::BLOCKED;
        if let Some((_, recv)) = self.receiving(KIND, blocked.stream)? {
            recv.blocked(blocked.offset)
                .map_err(|what| protocol(KIND, Some(blocked.stream), what))?;
        }
        self.refresh(now, blocked.stream);
        Ok(())
    }

    fn gap(&mut self, now: Time, gap: Gap) -> Result<(), LinkError> {
        const KIND: FrameKind = FrameKind::GAP;
        let Some((_, recv)) = self.receiving(KIND, gap.stream)? else {
            return Ok(());
        };
        recv.gap(gap.offset, gap.dropped).map_err(|what| protocol(KIND, Some(gap.stream), what))?;
        self.refresh(now, gap.stream);
        Ok(())
    }

    fn ping(&mut self, now: Time, ping: Ping) -> Result<(), LinkError> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        link.police.ping(now)?;
        link.pong = Some(ping);
        self.totals.pings_received = self.totals.pings_received.saturating_add(1);
        self.events.push_back(Event::HeartbeatReceived);
        Ok(())
    }

    fn pong(&mut self, now: Time, id: u64, time: u64) {
        let Some(link) = &mut self.link else { return };
        if link.keepalive.answered(id) {
            let rtt = now.since(Time::from_nanos(time));
            link.rtt = Some(rtt);
            link.min_rtt = Some(link.min_rtt.map_or(rtt, |min| min.min(rtt)));
            self.totals.pings_answered = self.totals.pings_answered.saturating_add(1);
            self.events.push_back(Event::HeartbeatAnswered { rtt });
        }
    }

    fn receipt(&mut self, now: Time, received: u64) -> Result<(), LinkError> {
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        if link.flight.receipt(now, received) {
            return Ok(());
        }
        Err(protocol(FrameKind::RECEIPT, None, "more bytes received than were sent"))
    }

    fn police_reset(&mut self, now: Time) -> Result<(), LinkError> {
        self.link.as_mut().map_or(Ok(()), |link| link.police.reset(now))
    }

    /// The receiving half a frame is for; `None` when the stream is gone for good.
    #[allow(clippy::type_complexity, reason = "two borrows of one stream")]
    fn receiving(
        &mut self,
        kind: FrameKind,
        id: StreamId,
    ) -> Result<Option<(&mut crate::stats::Counters, &mut RecvHalf)>, LinkError> {
        self.check_existed(kind, id)?;
        let Some(stream) = self.streams.get_mut(id).filter(|stream| !stream.is_settled()) else {
            return Ok(None);
        };
        match &mut stream.recv {
            Some(recv) => Ok(Some((&mut stream.counters, recv))),
            None => Err(protocol(kind, Some(id), "the stream has no half in this direction")),
        }
    }

    /// The sending half a frame is for; `None` when the stream is gone for good.
    fn sending(
        &mut self,
        kind: FrameKind,
        id: StreamId,
    ) -> Result<Option<&mut SendHalf>, LinkError> {
        self.check_existed(kind, id)?;
        let Some(stream) = self.streams.get_mut(id).filter(|stream| !stream.is_settled()) else {
            return Ok(None);
        };
        match &mut stream.send {
            Some(send) => Ok(Some(send)),
            None => Err(protocol(kind, Some(id), "the stream has no half in this direction")),
        }
    }

    fn check_existed(&self, kind: FrameKind, id: StreamId) -> Result<(), LinkError> {
        if self.streams.existed(id) {
            return Ok(());
        }
        Err(protocol(kind, Some(id), "the stream was never opened"))
    }
}

const fn protocol(kind: FrameKind, stream: Option<StreamId>, what: &'static str) -> LinkError {
    LinkError::Protocol { kind, stream, what }
}

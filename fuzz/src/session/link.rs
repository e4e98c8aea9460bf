//! Links: what goes out on them, and taking over from one to the next by lists that may lie.

use p2_frame::{Frame, Resume, ResumeStream, StreamEnd};
use p2_mux::{Attachment, CodecId, DataJob, RecvState};

use super::way::{content, digest};
use super::*;

/// What a DATA frame has around its payload.
const OVERHEAD: u64 = 28;

impl Stage {
    /// Whatever the session has for the link, one batch of it.
    pub(super) fn transmit(&mut self) {
        let wanted = self.session.wants_transmit();
        let mut batch = std::mem::take(&mut self.batch);
        self.session.poll_transmit(self.now, &mut batch);
        assert!(wanted || batch.is_empty(), "an unannounced batch: {batch:?}");
        assert!(self.session.is_attached() || batch.is_empty(), "frames without a link");
        let (mut wire, mut control, frames) = (0, 0, batch.len() as u64);
        self.sent.clear();
        for item in batch.drain(..) {
            match item {
                Transmit::Control(frame) => {
                    control += 1;
                    self.scratch.clear();
                    let encoded = frame.encode(&mut self.scratch, false);
                    assert_eq!(encoded, Ok(()), "a frame that cannot be encoded: {frame:?}");
                    wire += self.scratch.len() as u64;
                    self.control(&frame);
                }
                Transmit::Data(job) => {
                    let bytes = OVERHEAD + u64::from(job.raw_len);
                    wire += bytes;
                    self.data(&job);
                    let DataJob { stream, raw_len, codec, .. } = job;
                    self.sent.push(SentFrame { stream, raw_len, wire: bytes, codec });
                }
            }
        }
        assert!(control <= p2_mux::limits::CONTROL_BATCH + 64, "{control} frames");
        self.batch = batch;
        if frames > 0 {
            self.wire += wire;
            self.session.sent(self.now, wire, frames, &self.sent);
        }
    }

    fn data(&mut self, job: &DataJob) {
        let id = job.stream;
        self.is_open(id);
        let way = self.ways.get(id).expect("only open streams send");
        let end = job.offset + u64::from(job.raw_len);
        assert_eq!(job.offset, way.next, "{id}: not the next byte");
        assert!(job.raw_len > 0 && job.raw_len <= self.peer.max_frame, "{id}: {}", job.raw_len);
        assert!(job.offset >= way.acked, "{id}: acknowledged bytes are sent again");
        assert!(end <= way.limit && end <= way.written, "{id}: beyond the credit");
        let mut at = job.offset;
        for chunk in &job.chunks {
            let after = at + chunk.len() as u64;
            assert_eq!(chunk[..], *content(id, at..after), "{id}: other bytes than were written");
            at = after;
        }
        assert_eq!(at, end);
        way.next = end;
        self.reached.sent += end.saturating_sub(way.sent);
        way.sent = way.sent.max(end);
    }

    fn control(&mut self, frame: &Frame) {
        match frame {
            Frame::Open(open) => {
                let next = StreamId::new(self.role, self.opens_sent);
                assert_eq!(Some(open.stream), next, "streams are opened in order");
                self.opens_sent += 1;
            }
            Frame::Fin(fin) => {
                let id = fin.stream;
                self.is_open(id);
                let way = self.ways.get(id).expect("only open streams end");
                assert_eq!((fin.final_offset, way.next), (way.written, way.written), "{id}");
                assert_eq!(fin.digest, digest(id, way.written), "{id}");
            }
            Frame::Reset(reset) => {
                self.is_open(reset.stream);
                let way = self.ways.get(reset.stream).expect("only open streams are reset");
                assert_eq!(reset.final_offset, way.sent, "{}", reset.stream);
            }
            Frame::Credit(credit) => {
                self.is_open(credit.stream);
                self.grants(credit.stream, credit.acked, credit.limit);
            }
            Frame::Stop(stop) => self.is_open(stop.stream),
            Frame::Blocked(blocked) => self.is_open(blocked.stream),
            Frame::Gap(gap) => self.is_open(gap.stream),
            _ => {}
        }
    }

    /// The peer must have heard of a stream before anything else about it.
    fn is_open(&self, id: StreamId) {
        let count = if id.initiator() == self.role { self.opens_sent } else { self.opens_taken };
        assert!(id.index() < count, "{id}: the peer has not heard of it");
    }

    /// This side acknowledges and grants: never less than before, never what was not read.
    fn grants(&mut self, id: StreamId, acked: u64, limit: u64) {
        let window = self.session.config().max_window.max(self.session.config().initial_window);
        let state = self.session.stream_stats(id).and_then(|stats| stats.recv_state);
        let Some(way) = self.ways.get(id) else { return };
        let end = way.end.map(|end| end + 1);
        assert!(acked >= way.told && limit >= way.granted, "{id}: a promise is taken back");
        // What was thrown away may be acknowledged if the application asks for it, but not its end.
        let thrown = !matches!(state, Some(RecvState::Open | RecvState::Ending | RecvState::Reset));
        let taken = if thrown { way.delivered } else { way.read };
        assert!(acked <= taken || Some(acked) == end, "{id}: {acked} of {taken} taken");
        assert!(limit <= way.granted.max(way.delivered + window), "{id}: {limit} is granted");
        (way.told, way.granted) = (acked, limit);
    }

    /// What was decoded reaches the session, on whatever link by now.
    pub(super) fn deliver(&mut self) {
        let Some(job) = self.pending.pop_front() else { return };
        let (id, offset) = (job.stream, job.offset);
        let current = job.epoch == self.session.epoch() && self.session.is_attached();
        let before = self.session.stream_stats(id);
        let len = u64::from(job.raw_len);
        self.session.deliver(self.now, job.epoch, id, offset, job.payload);
        let after = self.session.stream_stats(id);
        let received = |stats: Option<p2_mux::StreamStats>| stats.map_or(0, |s| s.bytes_received);
        let (before, after) = (received(before), received(after));
        if !current {
            assert!(after <= before, "{id}: a replaced link still delivers");
        }
        if after > before {
            let way = self.ways.get(id).expect("only open streams receive");
            assert_eq!((offset, after), (way.delivered, way.delivered + len), "{id}");
            way.delivered = after;
            self.reached.received += len;
        } else if let Some(way) = self.ways.get(id).filter(|_| before > 0 && after > 0) {
            assert_eq!(after, way.delivered, "{id}");
        }
    }

    pub(super) fn detach(&mut self) {
        self.session.detach(self.now);
        self.wire = 0;
        for (_, way) in self.ways.iter_mut() {
            way.expected = way.delivered;
            way.on_link = None;
        }
        assert!(!self.session.is_attached() && self.session.timeout().is_none());
    }

    pub(super) fn attach_first(&mut self) {
        let link = Attachment { peer: self.peer, ..Attachment::new(1, CodecId::NONE) };
        let attached = self.session.attach(self.now, link);
        assert_eq!(attached.is_ok(), self.session.ended().is_none());
        self.linked_before |= attached.is_ok();
    }

    /// The next link, with the peer's list: true, or with one thing changed.
    pub(super) fn attach(&mut self, input: &mut Input<'_>) {
        let lie = input.byte();
        if !self.linked_before {
            return self.attach_first();
        }
        self.detach();
        for part in self.session.resume_parts() {
            for entry in part.streams {
                self.grants(entry.stream, entry.acked, entry.limit);
            }
        }
        let epoch = self.session.epoch();
        let seen = if lie & 1 == 0 { self.opens_sent } else { input.about(self.opens_sent) };
        let opened = if lie & 2 == 0 { self.opens_taken } else { input.about(self.opens_taken) };
        let list = self.peers_list(lie, seen, input);
        let resume = vec![Resume {
            streams: list.clone(),
            local_opened: opened,
            peer_opened: seen,
            last: true,
            ext: Vec::new(),
        }];
        let link =
            Attachment { peer: self.peer, resume, ..Attachment::new(epoch + 1, CodecId::NONE) };
        let stats = self.session.stats().streams;
        if let Err(error) = self.session.attach(self.now, link) {
            assert!(!error.to_string().is_empty());
            assert!(!self.session.is_attached() && self.session.epoch() == epoch);
            assert_eq!(self.session.stats().streams, stats, "a refused list changes nothing");
            self.reached.broken += 1;
            return;
        }
        let own = stats.iter().filter(|stream| stream.opened_here);
        let opened_here = own.map(|stream| stream.id.index() + 1).max().unwrap_or(0);
        let seen_at_most = self.opens_sent.max(opened_here);
        assert!(seen <= seen_at_most && opened >= self.opens_taken, "counts that cannot be");
        self.reached.resumed += 1;
        self.opens_sent = seen;
        for stream in &stats {
            let id = stream.id;
            let way = self.ways.get(id).expect("only open streams live");
            let Some(claim) = list.iter().find(|entry| entry.stream == id) else {
                way.next = 0;
                continue;
            };
            let sends = stream.send_state.is_some_and(|state| state != SendState::Over);
            if sends {
                assert!(claim.received <= way.sent && claim.received >= way.acked, "{id}");
                assert!(claim.acked <= way.sent + 1 && claim.acked >= way.acked, "{id}");
            }
            let live = stream.recv_state.is_some_and(|state| state != RecvState::Over);
            assert!(!live || claim.sent >= way.delivered, "{id}: less than arrived");
            way.next = claim.received;
            way.limit = way.limit.max(claim.limit);
            way.acked = way.acked.max(claim.acked.min(way.sent));
        }
    }

    fn peers_list(&mut self, lie: u8, seen: u64, input: &mut Input<'_>) -> Vec<ResumeStream> {
        let mut list = Vec::new();
        let lies = lie & 4 != 0;
        for stream in self.session.stats().streams {
            let id = stream.id;
            let own = id.initiator() == self.role;
            let over = stream.send_state.is_none_or(|state| state == SendState::Over)
                && stream.recv_state.is_none_or(|state| state == RecvState::Over);
            if over || (own && id.index() >= seen) {
                continue;
            }
            let Some(way) = self.ways.get(id) else { continue };
            let received = if lie & 8 == 0 { way.sent } else { way.acked };
            let mut about = |honest| if lies { input.about(honest) } else { honest };
            list.push(ResumeStream {
                stream: id,
                received: about(received),
                acked: about(way.acked),
                limit: about(way.limit),
                sent: about(way.expected.max(way.end.unwrap_or(0))),
                end: if way.end.is_some() { StreamEnd::Fin } else { StreamEnd::Open },
                stop: lie & 16 != 0,
                recv_end: lie & 32 != 0,
            });
        }
        match lie >> 6 {
            2 if !list.is_empty() => list.truncate(list.len() - 1),
            3 => list.extend(list.first().copied()),
            _ => {}
        }
        list
    }
}

//! Links come and go: the session's list for RESUME, and taking over where the peer stands.

use std::collections::BTreeMap;

use p2_frame::{Resume, ResumeStream, StreamEnd, StreamId};

use super::{Phase, Session};
use crate::error::ResumeError;
use crate::event::Event;
use crate::limits;
use crate::link::{Attachment, Link};
use crate::stream::send::SendState;
use crate::stream::{Owed, Stream};
use crate::time::Time;

impl Session {
    /// This side's list of live streams, in parts that fit a frame each. Make it after the old
    /// link was detached and before the new one is attached.
    pub fn resume_parts(&mut self) -> Vec<Resume> {
        let mut entries = Vec::new();
        for id in self.streams.ids() {
            if let Some(stream) = self.streams.get_mut(id).filter(|stream| !stream.is_over()) {
                entries.push(describe(id, stream));
            }
        }
        let part = |streams: &[ResumeStream], last| Resume {
            streams: streams.to_vec(),
            local_opened: self.streams.opened,
            peer_opened: self.streams.seen,
            last,
            ext: Vec::new(),
        };
        let mut parts: Vec<Resume> =
            entries.chunks(limits::RESUME_PART).map(|chunk| part(chunk, false)).collect();
        match parts.last_mut() {
            Some(part) => part.last = true,
            None => parts.push(part(&[], true)),
        }
        parts
    }

    /// A link is ready: the handshake has succeeded and, on a resume, the peer's list is complete.
    /// An attached link is replaced.
    ///
    /// # Errors
    /// [`ResumeError`] when the peer's list contradicts what this side knows. Nothing has changed
    /// then; the session cannot be continued with this peer.
    pub fn attach(&mut self, now: Time, attachment: Attachment) -> Result<(), ResumeError> {
        if let Phase::Ended(ended) = &self.phase {
            return Err(ResumeError::SessionEnded(ended.clone()));
        }
        let resumed = !attachment.resume.is_empty();
        let claims = if resumed { self.check(&attachment.resume)? } else { Claims::default() };
        self.detach(now);
        self.epoch = attachment.epoch;
        if !resumed {
            self.peer = attachment.peer;
            if std::mem::take(&mut self.open_refused) {
                self.events.push_back(Event::CanOpen);
            }
        }
        self.link = Some(Link::new(now, &self.config, &attachment));
        self.totals.links = self.totals.links.saturating_add(1);
        self.idle_check_at = now;
        let (mut replay, mut replaying) = (0u64, 0u64);
        for id in self.streams.ids() {
            let bytes = self.take_over(now, id, &claims, resumed);
            replay = replay.saturating_add(bytes);
            replaying = replaying.saturating_add(u64::from(bytes > 0));
        }
        if resumed {
            self.totals.resumes = self.totals.resumes.saturating_add(1);
            self.totals.replayed = self.totals.replayed.saturating_add(replay);
            self.events.push_back(Event::Resumed { replay, streams: replaying });
        }
        Ok(())
    }

    /// The link is gone. Streams live on; sources may go on filling the send buffer.
    pub fn detach(&mut self, now: Time) {
        if self.link.take().is_none() {
            return;
        }
        self.scheduler.clear();
        self.owing.clear();
        self.lazy.clear();
        self.lazy_at = None;
        self.paced.clear();
        self.paced_at = None;
        for id in self.streams.ids() {
            if let Some(stream) = self.streams.get_mut(id) {
                stream.listed = false;
                stream.lazy = false;
                let open = stream.owed.has(Owed::OPEN);
                stream.owed = Owed::default();
                if open {
                    stream.owed.add(Owed::OPEN);
                }
                if let Some(recv) = &mut stream.recv {
                    recv.rewind();
                }
            }
            self.wake_writer(id);
            self.refresh(now, id);
        }
    }

    /// Compares the peer's list with this side's before anything changes.
    fn check(&self, parts: &[Resume]) -> Result<Claims, ResumeError> {
        let Some(first) = parts.first() else {
            return Ok(Claims::default());
        };
        let mut claims = Claims {
            opened_by_peer: first.local_opened,
            seen_by_peer: first.peer_opened,
            streams: BTreeMap::new(),
        };
        for part in parts {
            if (part.local_opened, part.peer_opened) != (first.local_opened, first.peer_opened) {
                return Err(ResumeError::Malformed("its parts differ in their counts"));
            }
            for entry in &part.streams {
                if claims.streams.insert(entry.stream.to_wire(), *entry).is_some() {
                    return Err(ResumeError::Malformed("a stream is listed twice"));
                }
            }
        }
        let counts = |claimed, known| ResumeError::Counts { claimed, known };
        if claims.opened_by_peer < self.streams.seen {
            return Err(counts(claims.opened_by_peer, self.streams.seen));
        }
        if claims.seen_by_peer > self.streams.opened {
            return Err(counts(claims.seen_by_peer, self.streams.opened));
        }
        // What it has not seen it cannot have ended: all of that must still be alive here, or the
        // streams behind it would be opened out of order.
        let unseen = self.streams.ids().into_iter().filter(|id| {
            let alive = self.streams.get(*id).is_some_and(|stream| !stream.is_over());
            alive && self.streams.is_own(*id) && id.index() >= claims.seen_by_peer
        });
        if claims.seen_by_peer.saturating_add(unseen.count() as u64) != self.streams.opened {
            return Err(counts(claims.seen_by_peer, self.streams.opened));
        }
        for entry in claims.streams.values() {
            let own = self.streams.is_own(entry.stream);
            let count = if own { claims.seen_by_peer } else { claims.opened_by_peer };
            if entry.stream.index() >= count {
                return Err(ResumeError::Malformed("a stream beyond the count of opened ones"));
            }
            if entry.limit > limits::MAX_OFFSET {
                return Err(ResumeError::Malformed("a limit above 2^62"));
            }
        }
        for id in self.streams.ids() {
            if let Some(stream) = self.streams.get(id).filter(|stream| !stream.is_over()) {
                self.check_stream(id, stream, &claims)?;
            }
        }
        Ok(claims)
    }

    fn check_stream(
        &self,
        id: StreamId,
        stream: &Stream,
        claims: &Claims,
    ) -> Result<(), ResumeError> {
        let send = stream.send.as_ref();
        let recv = stream.recv.as_ref();
        let Some(claim) = claims.streams.get(&id.to_wire()) else {
            if self.streams.is_own(id) && id.index() >= claims.seen_by_peer {
                // Its OPEN never arrived.
                return match send.map_or(0, |half| half.acked()) {
                    0 => Ok(()),
                    acked => Err(ResumeError::ClaimsLess { stream: id, claimed: 0, acked }),
                };
            }
            // The peer is done with it: it knows our end, and that we know its own.
            let sent = send.is_none_or(|half| half.end_was_sent());
            let received = recv.is_none_or(|half| half.is_over());
            return if sent && received { Ok(()) } else { Err(ResumeError::Forgotten(id)) };
        };
        if let Some(half) = send.filter(|half| half.state() != SendState::Over) {
            let (claimed, sent, acked) = (claim.received, half.sent(), half.acked());
            if claimed > sent || !half.may_acknowledge(claim.acked) {
                let claimed = claimed.max(claim.acked);
                return Err(ResumeError::ClaimsMore { stream: id, claimed, sent });
            }
            // An acknowledged end is above all bytes, whatever of them was received.
            if claimed < acked
                || claim.acked < acked
                || (claim.acked <= sent && claimed < claim.acked)
            {
                return Err(ResumeError::ClaimsLess { stream: id, claimed, acked });
            }
        }
        if let Some(half) = recv.filter(|half| !half.is_over()) {
            let received = half.delivered();
            if claim.sent < received {
                return Err(ResumeError::SentLess { stream: id, sent: claim.sent, received });
            }
        }
        Ok(())
    }

    /// Sets one stream to where the peer stands; returns the bytes that go out again.
    fn take_over(&mut self, now: Time, id: StreamId, claims: &Claims, resumed: bool) -> u64 {
        let own = self.streams.is_own(id);
        let Some(stream) = self.streams.get_mut(id) else {
            return 0;
        };
        let claim = claims.streams.get(&id.to_wire());
        let unopened = own && (!resumed || id.index() >= claims.seen_by_peer);
        if unopened {
            stream.owed.add(Owed::OPEN);
        } else {
            stream.owed.take(Owed::OPEN);
        }
        let (mut replay, mut freed, mut emptied) = (0, 0, false);
        if let Some(send) = &mut stream.send {
            match claim {
                Some(claim) => {
                    if let Ok(credited) = send.credit(claim.acked, claim.limit) {
                        freed = credited.freed;
                        emptied = credited.emptied;
                    }
                    replay = send.rewind(claim.received);
                }
                None if unopened => replay = send.rewind(0),
                None => freed = send.end_confirmed(),
            }
            if send.state() == SendState::Reset {
                stream.owed.add(Owed::RESET);
            }
        }
        if let Some(recv) = &mut stream.recv {
            if recv.stopped().is_some() && !recv.is_over() {
                stream.owed.add(Owed::STOP);
            }
            recv.rewind();
            // The list said it once; whoever had no list to read hears it by CREDIT.
            if recv.is_over() && claim.is_some() {
                stream.owed.add(Owed::CREDIT);
            }
        }
        stream.counters.replayed(replay);
        self.progress = self.progress.saturating_add(freed);
        self.freed(freed);
        self.wake_writer(id);
        if emptied {
            self.events.push_back(Event::Acknowledged(id));
        }
        self.refresh(now, id);
        replay
    }
}

/// The peer's list.
#[derive(Debug, Default)]
struct Claims {
    opened_by_peer: u64,
    seen_by_peer: u64,
    streams: BTreeMap<u64, ResumeStream>,
}

fn describe(id: StreamId, stream: &mut Stream) -> ResumeStream {
    let (sent, end) = stream.send.as_ref().map_or((0, StreamEnd::Open), |half| {
        let end = match half.state() {
            SendState::Open => StreamEnd::Open,
            SendState::Finished => StreamEnd::Fin,
            SendState::Reset => StreamEnd::Reset,
            SendState::Over if half.reset_code().is_none() => StreamEnd::Fin,
            SendState::Over => StreamEnd::Reset,
        };
        (half.sent(), end)
    });
    let (received, acked, limit, stop, known) = match &mut stream.recv {
        Some(half) => {
            let received = half.delivered();
            let (acked, limit) = half.claim();
            (received, acked, limit, half.stopped().is_some(), half.end().is_some())
        }
        None => (0, 0, 0, false, false),
    };
    ResumeStream { stream: id, received, acked, limit, sent, end, stop, recv_end: known }
}

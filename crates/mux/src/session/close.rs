//! The session's end: in order, at once, or by the peer.

use p2_frame::{Close, ErrorCode, GoAway, StreamId};

use super::{Phase, Session};
use crate::error::Ended;
use crate::event::Event;
use crate::stream::Owed;
use crate::time::Time;

impl Session {
    /// Ends the session in order: no new streams, and CLOSE once every stream is over.
    /// [`Event::Ended`] follows when the peer has confirmed.
    pub fn close(&mut self, reason: &str) {
        if self.phase == Phase::Open {
            self.phase = Phase::Draining(reason.to_owned());
        }
    }

    /// Ends the session at once. What was not acknowledged is lost, and every stream fails.
    pub fn abort(&mut self, code: ErrorCode, reason: &str) {
        self.end(Ended { code, reason: reason.to_owned(), by_peer: false });
    }

    /// The peer is known to have ended the session in order (it keeps a tombstone): if this side
    /// was only waiting for that, it is over. Returns whether everything had been acknowledged.
    pub fn confirm_closed(&mut self) -> bool {
        let complete = matches!(self.phase, Phase::Draining(_)) && self.streams.all_over();
        let code = if complete { ErrorCode::NO_ERROR } else { ErrorCode::CANCELLED };
        self.end(Ended { code, reason: String::new(), by_peer: !complete });
        complete
    }

    /// Whether the session has ended and its last frame has been handed out.
    pub fn is_drained(&self) -> bool {
        let owed = self.link.as_ref().is_some_and(|link| link.close_ack_due || !link.close_sent);
        matches!(self.phase, Phase::Ended(_)) && !owed
    }

    pub(super) fn end(&mut self, ended: Ended) {
        if matches!(self.phase, Phase::Ended(_)) {
            return;
        }
        self.phase = Phase::Ended(ended.clone());
        self.scheduler.clear();
        self.owing.clear();
        self.lazy.clear();
        self.lazy_at = None;
        self.paced.clear();
        self.paced_at = None;
        for id in self.streams.ids() {
            self.tell_all(id);
        }
        self.events.push_back(Event::Ended(ended));
    }

    /// The CLOSE, GOAWAY or acknowledgement that is due now.
    pub(super) fn closing_frame(&mut self) -> Option<p2_frame::Frame> {
        let link = self.link.as_mut()?;
        if std::mem::take(&mut link.close_ack_due) {
            link.close_sent = true;
            return Some(close_frame(ErrorCode::NO_ERROR, "", true));
        }
        if link.close_sent {
            return None;
        }
        match &self.phase {
            Phase::Open => None,
            Phase::Draining(reason) if self.streams.all_over() && self.owing.is_empty() => {
                link.close_sent = true;
                Some(close_frame(ErrorCode::NO_ERROR, reason, false))
            }
            Phase::Draining(reason) => {
                if std::mem::replace(&mut link.goaway_sent, true) {
                    return None;
                }
                Some(p2_frame::Frame::GoAway(GoAway {
                    code: ErrorCode::NO_ERROR,
                    last_stream: self.streams.seen,
                    deadline_ms: 0,
                    reason: reason.clone(),
                    ext: Vec::new(),
                }))
            }
            Phase::Ended(ended) => {
                link.close_sent = true;
                Some(close_frame(ended.code, &ended.reason, false))
            }
        }
    }

    pub(super) fn received_close(&mut self, close: Close) {
        if close.ack {
            if let Phase::Draining(reason) = &self.phase {
                let (code, reason) = (ErrorCode::NO_ERROR, reason.clone());
                self.end(Ended { code, reason, by_peer: false });
            }
            return;
        }
        if let Some(link) = &mut self.link {
            link.close_ack_due = true;
        }
        self.end(Ended { code: close.code, reason: close.reason, by_peer: true });
    }

    pub(super) fn received_goaway(&mut self, goaway: &GoAway) {
        // Said again, it is no news.
        if self.peer_going_away.replace(goaway.code).is_none() {
            self.events.push_back(Event::GoingAway);
        }
    }

    /// A stream the peer opened after it was told not to.
    pub(super) fn refuse(&mut self, now: Time, id: StreamId) {
        self.streams.withdraw(id);
        if let Some(stream) = self.streams.get_mut(id) {
            if stream
                .send
                .as_mut()
                .is_some_and(|half| half.reset(ErrorCode::REFUSED_STREAM).is_some())
            {
                stream.owed.add(Owed::RESET);
            }
        }
        self.stop(now, id, ErrorCode::REFUSED_STREAM);
    }

    fn tell_all(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        if let Some(recv) = &mut stream.recv {
            recv.window.close(&mut self.budget);
            recv.readable_told = true;
        }
        if let Some(send) = &mut stream.send {
            send.writer_waits = false;
        }
        self.events.push_back(Event::Readable(id));
        self.events.push_back(Event::Writable(id));
        self.events.push_back(Event::SendEnded(id));
    }
}

fn close_frame(code: ErrorCode, reason: &str, ack: bool) -> p2_frame::Frame {
    // The reason is ours and short, but a reason too long for its frame must not cost the CLOSE.
    let reason = reason.chars().take(60).collect();
    p2_frame::Frame::Close(Close { code, reason, ack, ext: Vec::new() })
}

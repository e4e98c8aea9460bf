//! What a session's lock protects: the session itself, and what is known of it beside.

mod effects;
mod figures;

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use p2_mux::{self as mux, Ended, ErrorCode, Event, Session, StreamId, Time};

pub(crate) use effects::{Effects, Owing, Told};

use crate::wakers::{Waiting, Wakers};
use crate::{
    HalfState, Negotiated, PeerInfo, SessionError, SessionEvent, SessionId, StreamError,
    Unacknowledged, clock,
    ledger::{Frame, Ledger},
    shared::Outcome,
    tally::Tally,
};

/// Times one offset may fail to decode before its stream is given up: a damaged link heals by
/// resuming, damaged content does not.
const DECODE_ATTEMPTS: u32 = 3;

/// What the lock protects.
pub(crate) struct State {
    pub(crate) session: Session,
    pub(crate) id: SessionId,
    pub(crate) name: String,
    pub(crate) peer: PeerInfo,
    pub(crate) codecs: Negotiated,
    /// When the writer will look again by itself; `None` while it is at work.
    pub(crate) armed: Option<Time>,
    pub(crate) handshakes_sent: u64,
    pub(crate) handshakes_received: u64,
    waiting: Waiting,
    ledger: Ledger,
    /// Why the session was ended here; says more than the session itself knows.
    failure: Option<Arc<SessionError>>,
    /// Why the peer ended it: made once, for it lists every stream, and every stream asks.
    closed_by_peer: OnceLock<Arc<SessionError>>,
    failed_offsets: HashMap<StreamId, (u64, u32)>,
    /// Streams that were given up here, and why.
    broken: HashMap<StreamId, StreamError>,
    pub(crate) tally: Tally,
    pub(crate) first_up: Option<Time>,
    /// CLOSE has left.
    pub(crate) farewell_sent: bool,
    /// Whoever waits for room to open a stream has to ask again: there will be none.
    closing: bool,
    down_since: Option<Time>,
    /// The outage that the present link ended.
    bridged: Duration,
    outage: Duration,
}

impl State {
    pub(crate) fn new(session: Session, name: String) -> Self {
        Self {
            session,
            id: SessionId::default(),
            name,
            peer: PeerInfo::default(),
            codecs: Negotiated::default(),
            armed: None,
            handshakes_sent: 0,
            handshakes_received: 0,
            first_up: None,
            waiting: Waiting::default(),
            ledger: Ledger::default(),
            failure: None,
            closed_by_peer: OnceLock::new(),
            failed_offsets: HashMap::new(),
            broken: HashMap::new(),
            farewell_sent: false,
            closing: false,
            tally: Tally::default(),
            down_since: None,
            bridged: Duration::ZERO,
            outage: Duration::ZERO,
        }
    }

    /// Where tasks wait for a stream.
    pub(crate) fn wakers(&mut self, id: StreamId) -> &mut Wakers {
        self.waiting.join(id)
    }

    /// The application has let go of a stream.
    pub(crate) fn release(&mut self, now: Time, id: StreamId) {
        self.waiting.remove(id);
        self.forget(id);
        self.session.release(now, id);
    }

    /// Forgets what made a stream an unusual one.
    fn forget(&mut self, id: StreamId) {
        if !self.failed_offsets.is_empty() {
            self.failed_offsets.remove(&id);
        }
        if !self.broken.is_empty() {
            self.broken.remove(&id);
        }
    }

    /// Whether this link still carries the session.
    pub(crate) fn carries(&self, epoch: u64) -> bool {
        self.session.is_attached() && self.session.epoch() == epoch
    }

    /// A link was attached, over `peer`.
    pub(crate) fn link_up(&mut self, now: Time, peer: PeerInfo, codecs: Negotiated) {
        self.first_up.get_or_insert(now);
        self.bridged = self.last_outage(now);
        if self.down_since.is_some() {
            self.tally.outages.observe(self.bridged);
        }
        self.down_since = None;
        self.outage = self.outage.saturating_add(self.bridged);
        (self.peer, self.codecs) = (peer, codecs);
    }

    /// Closes in order. A session without a link so far has nothing to say goodbye to.
    pub(crate) fn close(&mut self, reason: &str) {
        self.session.close(reason);
        self.closing = true;
        if self.first_up.is_none() && self.session.stats().streams.is_empty() {
            self.session.confirm_closed();
        }
    }

    /// Nobody holds the session or any of its streams any more: closes it, and turns away what
    /// nobody will accept.
    pub(crate) fn orphaned(&mut self, now: Time) {
        self.close("");
        while let Some(id) = self.session.accept() {
            self.session.reset(now, id, ErrorCode::REFUSED_STREAM);
            self.session.stop(now, id, ErrorCode::REFUSED_STREAM);
            self.session.release(now, id);
        }
    }

    /// The peer has no such session any more. If only the farewell was missing, that is as good.
    pub(crate) fn forgotten(&mut self, why: impl FnOnce(Vec<Unacknowledged>) -> SessionError) {
        if self.session.ended().is_none() {
            self.failure = Some(Arc::new(why(self.unacknowledged())));
            if self.session.confirm_closed() {
                self.failure = None;
            }
        }
    }

    /// Whether the peer, which has no link, owes nothing but the answer to CLOSE.
    pub(crate) fn awaits_farewell(&self) -> bool {
        let alone = !self.session.is_attached() && self.session.ended().is_none();
        alone && self.farewell_sent && self.session.live() == 0
    }

    /// The answer to CLOSE will not come any more: nothing is missing without it.
    pub(crate) fn presume_farewell(&mut self) {
        if self.awaits_farewell() {
            self.session.confirm_closed();
        }
    }

    /// The link of `epoch` is gone, if it still was the session's.
    pub(crate) fn link_down(&mut self, now: Time, epoch: u64) -> bool {
        let current = self.carries(epoch);
        if current {
            self.session.detach(now);
            self.armed = None;
            self.down_since = Some(now);
        }
        current
    }

    /// Ends the session for a reason that it does not know itself.
    pub(crate) fn fail(&mut self, error: SessionError, code: ErrorCode, reason: &str) {
        self.failure = Some(Arc::new(error));
        self.session.abort(code, reason);
    }

    /// A payload did not decode. Three times at one place are no accident of the link.
    pub(crate) fn decode_failed(&mut self, now: Time, stream: StreamId, offset: u64) {
        self.tally.payload_damaged();
        let entry = self.failed_offsets.entry(stream).or_insert((offset, 0));
        if entry.0 != offset {
            *entry = (offset, 0);
        }
        entry.1 = entry.1.saturating_add(1);
        if entry.1 >= DECODE_ATTEMPTS {
            self.failed_offsets.remove(&stream);
            self.give_up(now, stream, ErrorCode::INTEGRITY, StreamError::Integrity);
        }
    }

    /// There is no room for what decoding a stream takes.
    pub(crate) fn starved(&mut self, now: Time, stream: StreamId, error: &p2_codec::CodecError) {
        tracing::warn!(%error, %stream, "a stream is reset");
        self.give_up(now, stream, ErrorCode::LIMIT, StreamError::TooMany(error.to_string()));
    }

    /// Ends both halves of a stream that can no longer be what it should.
    fn give_up(&mut self, now: Time, stream: StreamId, code: ErrorCode, why: StreamError) {
        if self.session.options(stream).is_some() {
            self.broken.insert(stream, why);
            self.session.stop(now, stream, code);
            self.session.reset(now, stream, code);
        }
    }

    /// The session's error in the words of the application.
    pub(crate) fn stream_error(&self, id: StreamId, error: mux::StreamError) -> StreamError {
        if let Some(why) = self.broken.get(&id) {
            return why.clone();
        }
        match error {
            mux::StreamError::Reset(ErrorCode::INTEGRITY)
            | mux::StreamError::Stopped(ErrorCode::INTEGRITY)
            | mux::StreamError::Digest { .. } => StreamError::Integrity,
            mux::StreamError::Reset(code) => StreamError::Reset(code),
            mux::StreamError::Stopped(code) => StreamError::Stopped(code),
            mux::StreamError::Unidirectional => StreamError::Direction,
            mux::StreamError::SessionEnded(ended) => {
                StreamError::Session(self.session_error(&ended))
            }
            _ => StreamError::Ended,
        }
    }

    /// Why the session is over, for whoever still wants something of it.
    pub(crate) fn session_error(&self, ended: &Ended) -> Arc<SessionError> {
        if let Some(failure) = &self.failure {
            return failure.clone();
        }
        let (code, reason) = (ended.code, ended.reason.clone());
        match (ended.by_peer, code) {
            (false, ErrorCode::NO_ERROR) => Arc::new(SessionError::Closed),
            (false, _) => Arc::new(SessionError::Aborted { code, reason }),
            (true, _) => {
                let made = self.closed_by_peer.get_or_init(|| {
                    let unacknowledged = self.unacknowledged();
                    Arc::new(SessionError::ClosedByPeer { code, reason, unacknowledged })
                });
                made.clone()
            }
        }
    }

    /// Streams with bytes that the peer has not acknowledged.
    pub(crate) fn unacknowledged(&self) -> Vec<Unacknowledged> {
        let stats = self.session.stats();
        let open = |stream: &&mux::StreamStats| {
            let [half, _] = HalfState::both(stream);
            let pending = matches!(half, HalfState::Open | HalfState::Ending);
            // An unfinished stream is not complete, even if nothing of it is held.
            pending && (stream.opened_here || stream.bytes_written > stream.acked_by_peer)
        };
        let describe = |stream: &mux::StreamStats| Unacknowledged {
            id: stream.id,
            label: stream.label,
            name: stream.name.clone(),
            acknowledged: stream.acked_by_peer,
            bytes: stream.bytes_written.saturating_sub(stream.acked_by_peer),
        };
        stats.streams.iter().filter(open).map(describe).collect()
    }

    /// Takes what the session has to tell, for after the lock.
    /// `observed` tells whether anybody listens to events.
    pub(crate) fn drain(&mut self, effects: &mut Effects, observed: impl Fn() -> bool) {
        while let Some(event) = self.session.poll_event() {
            self.take(event, effects, &observed);
        }
        let earlier = |armed: Time| self.session.timeout().is_some_and(|at| at < armed);
        let sooner = self.armed.is_some_and(earlier);
        effects.openings |= std::mem::take(&mut self.closing);
        // A session that has said everything hangs up; it need not wait for the peer to do so.
        let over = self.session.is_attached() && self.session.is_drained();
        if sooner || over || self.session.wants_transmit() {
            effects.owing = Some(Owing::Transmit);
        }
    }

    fn take(&mut self, event: Event, effects: &mut Effects, observed: &impl Fn() -> bool) {
        match event {
            Event::Incoming => effects.arrivals = effects.arrivals.saturating_add(1),
            Event::Readable(id) => self.waiting.of(id, |wakers| effects.wake(wakers.read.take())),
            Event::Writable(id) => self.waiting.of(id, |wakers| effects.wake(wakers.write.take())),
            Event::Acknowledged(id) => self.waiting.of(id, Wakers::written),
            Event::SendEnded(id) => self.waiting.of(id, |wakers| {
                wakers.send_ended();
                effects.wake(wakers.write.take());
                effects.wake(wakers.end.take());
            }),
            Event::Forgotten(stats) => {
                let id = stats.id;
                self.ledger.enter(*stats);
                self.forget(id);
                if observed() {
                    effects.event(SessionEvent::StreamClosed { id });
                }
            }
            Event::CanOpen => effects.openings = true,
            Event::HeartbeatSent => effects.event(SessionEvent::HeartbeatSent),
            Event::HeartbeatReceived => effects.event(SessionEvent::HeartbeatReceived),
            Event::HeartbeatAnswered { rtt } => {
                self.tally.round_trips.observe(rtt);
                effects.told().rtt = Some(rtt);
                effects.event(SessionEvent::HeartbeatAnswered { rtt });
            }
            Event::HeartbeatMissed => effects.event(SessionEvent::HeartbeatMissed),
            Event::Resumed { replay, streams } => effects.event(SessionEvent::Resumed {
                outage: self.bridged,
                replayed: replay,
                streams: usize::try_from(streams).unwrap_or(usize::MAX),
            }),
            Event::GoingAway => {
                effects.openings = true;
                effects.event(SessionEvent::GoingAway);
            }
            Event::Ended(ended) => {
                let now = clock::now();
                effects.told().outcome = Some(self.outcome(now, &ended));
                self.tally.credit_blocked = Some(self.session.credit_blocked(now));
                // Whoever waits for a stream learns of the end by asking again.
                for wakers in self.waiting.all() {
                    wakers.send_ended();
                    let all = [wakers.read.take(), wakers.write.take(), wakers.end.take()];
                    effects.wakers.extend(all.into_iter().flatten());
                }
            }
            _ => {}
        }
    }

    /// How long there has been no link.
    fn last_outage(&self, now: Time) -> Duration {
        self.down_since.map_or(Duration::ZERO, |since| now.since(since))
    }

    fn outcome(&self, now: Time, ended: &Ended) -> Outcome {
        let in_order = self.failure.is_none() && ended.code == ErrorCode::NO_ERROR;
        if !in_order || !self.unacknowledged().is_empty() {
            return Err(SessionError::clone(&self.session_error(ended)));
        }
        let without = self.last_outage(now);
        let frame = Frame {
            name: self.name.clone(),
            id: self.id,
            lasted: self.first_up.map_or(Duration::ZERO, |up| now.since(up)),
            outage: self.outage.saturating_add(without),
            handshakes_sent: self.handshakes_sent,
            handshakes_received: self.handshakes_received,
        };
        Ok(Arc::new(self.ledger.summary(&self.session.stats(), frame)))
    }
}

#[cfg(test)]
mod tests {
    use p2_mux::{Attachment, CodecId, Config, OpenOptions, ProcessBudget, Role};

    use super::*;

    #[test]
    fn three_failures_at_one_offset_are_the_streams_fault() {
        let now = clock::now();
        let mut session = Session::new(Config::new(Role::Client), ProcessBudget::default());
        session.attach(now, Attachment::new(1, CodecId::NONE)).expect("a first link");
        session.detach(now);
        let mut state = State::new(session, String::new());
        let id = state.session.open(now, OpenOptions::named("app")).expect("room");
        for offset in [0, 100, 0, 0] {
            state.decode_failed(now, id, offset);
            assert!(state.session.write(now, id, b"x").is_ok(), "accidents of the link");
        }
        state.decode_failed(now, id, 0);
        let error = state.session.read(now, id, 1).expect_err("given up");
        assert!(matches!(state.stream_error(id, error), StreamError::Integrity));
        let error = state.session.write(now, id, b"x").expect_err("given up");
        assert!(matches!(state.stream_error(id, error), StreamError::Integrity));
        assert_eq!(state.stats(now).decode_errors, 5);
    }

    #[test]
    fn the_error_of_a_forgotten_session_names_what_was_not_acknowledged() {
        let now = clock::now();
        let mut session = Session::new(Config::new(Role::Client), ProcessBudget::default());
        session.attach(now, Attachment::new(1, CodecId::NONE)).expect("a first link");
        session.detach(now);
        let mut state = State::new(session, String::new());
        let id = state.session.open(now, OpenOptions::named("app")).expect("room");
        state.session.write(now, id, b"hello").expect("room");
        state.forgotten(|unacknowledged| SessionError::PeerRestarted { unacknowledged });
        let mut effects = Effects::default();
        state.drain(&mut effects, || false);
        match effects.told().outcome.take() {
            Some(Err(SessionError::PeerRestarted { unacknowledged })) => {
                let one = &unacknowledged[0];
                assert_eq!((one.name.as_str(), one.acknowledged, one.bytes), ("app", 0, 5));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_farewell_that_was_all_that_was_missing_is_an_end_in_order() {
        let session = Session::new(Config::new(Role::Client), ProcessBudget::default());
        let mut state = State::new(session, String::new());
        state.close("");
        state.forgotten(|unacknowledged| SessionError::PeerRestarted { unacknowledged });
        let mut effects = Effects::default();
        state.drain(&mut effects, || false);
        assert!(matches!(effects.told().outcome, Some(Ok(_))));
    }
}

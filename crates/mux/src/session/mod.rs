//! The session: everything that survives a link.

mod application;
mod attach;
mod close;
mod receive;
mod transmit;

use std::collections::VecDeque;
use std::time::Duration;

use p2_frame::{ErrorCode, PeerLimits, StreamId};

use crate::budget::{Budget, ProcessBudget};
use crate::config::Config;
use crate::error::{Ended, LinkError, StreamError};
use crate::event::Event;
use crate::limits;
use crate::link::{Link, default_limits};
use crate::schedule::Scheduler;
use crate::stats::{SessionStats, StreamStats, Totals};
use crate::stream::{Owed, Stream};
use crate::streams::Streams;
use crate::time::Time;

pub use receive::{DecodeJob, Received};
pub use transmit::{DataJob, SentFrame, Transmit};

/// A multiplexed session that outlives its links, without I/O, clock or randomness.
///
/// # Driving it
///
/// The driver owns the bytes, the time and the waiting; the session owns the decisions.
///
/// * **Application half**: [`open`](Self::open), [`accept`](Self::accept), [`write`](Self::write),
///   [`write_chunk`](Self::write_chunk), [`read`](Self::read), [`acknowledge`](Self::acknowledge),
///   [`finish`](Self::finish), [`reset`](Self::reset), [`stop`](Self::stop),
///   [`release`](Self::release), [`close`](Self::close), [`abort`](Self::abort). None of them
///   waits; what cannot be done now is announced by an event later.
/// * **Link half**: [`attach`](Self::attach) once the handshake has succeeded, then
///   [`receive`](Self::receive) for each frame and [`deliver`](Self::deliver) for each decoded
///   payload, [`poll_transmit`](Self::poll_transmit) and [`sent`](Self::sent) whenever the link
///   can take more, [`handle_timeout`](Self::handle_timeout) at [`timeout`](Self::timeout), and
///   [`detach`](Self::detach) when the link is gone.
/// * After any call, drain [`poll_event`](Self::poll_event), and wake the writer if
///   [`wants_transmit`](Self::wants_transmit).
///
/// Encoding and decoding happen outside: `poll_transmit` hands out [`DataJob`]s and `receive`
/// [`DecodeJob`]s, which the driver may run in parallel over streams, in order within one.
///
/// `now` must never go backwards from one call to the next.
///
/// ```
/// use p2_mux::{Attachment, CodecId, Config, OpenOptions, ProcessBudget, Role, Session, Time, Transmit};
/// let now = Time::default();
/// let mut session = Session::new(Config::new(Role::Client), ProcessBudget::default());
/// session.attach(now, Attachment::new(1, CodecId::NONE)).unwrap();
/// let id = session.open(now, OpenOptions::named("app")).unwrap();
/// assert_eq!(session.write(now, id, b"hello").unwrap(), 5);
/// let mut batch = Vec::new();
/// session.poll_transmit(now, &mut batch);
/// assert!(batch.iter().any(|item| matches!(item, Transmit::Data(job) if job.raw_len == 5)));
/// ```
#[derive(Debug)]
pub struct Session {
    config: Config,
    peer: PeerLimits,
    streams: Streams,
    scheduler: Scheduler,
    budget: Budget,
    link: Option<Link>,
    epoch: u64,
    phase: Phase,
    peer_going_away: Option<ErrorCode>,
    /// Streams with frames owed to the link, each listed once.
    owing: VecDeque<StreamId>,
    /// Streams whose acknowledgement may wait until `lazy_at`.
    lazy: VecDeque<StreamId>,
    lazy_at: Option<Time>,
    /// Writers that wait for the session's send buffer.
    crowded: VecDeque<StreamId>,
    retained: u64,
    /// Streams whose RESET or STOP is held back until `paced_at`.
    paced: VecDeque<StreamId>,
    paced_at: Option<Time>,
    progress: u64,
    totals: Totals,
    /// What writers have waited for credit, without those that still wait.
    credit_blocked: Duration,
    events: VecDeque<Event>,
    idle_check_at: Time,
    open_refused: bool,
    /// Raw bytes of a batch that may go through a codec.
    encoded_batch: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Phase {
    Open,
    /// Closing in order: CLOSE goes out when the last stream is over.
    Draining(String),
    Ended(Ended),
}

impl Session {
    /// A session without a link. Streams can be opened from the first link on.
    pub fn new(config: Config, process: ProcessBudget) -> Self {
        Self {
            // Nothing can be opened until the peer has said what it allows.
            peer: PeerLimits { max_streams: 0, ..default_limits() },
            streams: Streams::new(config.role),
            scheduler: Scheduler::default(),
            budget: Budget::new(config.receive_buffer, process),
            link: None,
            epoch: 0,
            phase: Phase::Open,
            peer_going_away: None,
            owing: VecDeque::new(),
            lazy: VecDeque::new(),
            lazy_at: None,
            crowded: VecDeque::new(),
            retained: 0,
            paced: VecDeque::new(),
            paced_at: None,
            progress: 0,
            totals: Totals::default(),
            credit_blocked: Duration::ZERO,
            events: VecDeque::new(),
            idle_check_at: Time::default(),
            open_refused: false,
            encoded_batch: limits::ENCODED_BATCH,
            config,
        }
    }

    /// The settings it was made with.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// The number of the last link attached; 0 before the first.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// Whether a link is attached.
    pub const fn is_attached(&self) -> bool {
        self.link.is_some()
    }

    /// How the session ended, if it has.
    pub const fn ended(&self) -> Option<&Ended> {
        match &self.phase {
            Phase::Ended(ended) => Some(ended),
            Phase::Open | Phase::Draining(_) => None,
        }
    }

    /// Raw bytes retained until the peer acknowledges them.
    pub const fn retained(&self) -> u64 {
        self.retained
    }

    /// Bytes arrived that complete no frame yet: the peer is alive.
    pub fn heard(&mut self, now: Time) {
        if let Some(link) = &mut self.link {
            link.keepalive.heard(now);
        }
    }

    /// Raw bytes the peer acknowledged and raw bytes delivered here, together. It only rises; a
    /// link during which it did not was of no use.
    pub const fn progress(&self) -> u64 {
        self.progress
    }

    /// Streams that are not over, of both sides.
    pub const fn live(&self) -> u64 {
        self.streams.own_live().saturating_add(self.streams.peer_live())
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`Session::handle_timeout`] has to be called next; `None` while no link is attached.
    pub fn timeout(&self) -> Option<Time> {
        let link = self.link.as_ref()?;
        let others = [self.lazy_at, self.paced_at].into_iter().flatten();
        Some(others.fold(link.keepalive.deadline(), Time::min))
    }

    /// Time has passed.
    ///
    /// # Errors
    /// [`LinkError::Dead`] when the peer was silent for too long: drop the link and
    /// [`detach`](Self::detach).
    pub fn handle_timeout(&mut self, now: Time) -> Result<(), LinkError> {
        if self.lazy_at.is_some_and(|at| now >= at) {
            self.flush_lazy();
        }
        if self.paced_at.is_some_and(|at| now >= at) {
            self.paced_at = None;
            self.owing.append(&mut self.paced);
        }
        let Some(link) = &mut self.link else {
            return Ok(());
        };
        let due = link.keepalive.timeout(now);
        if let Some(silence) = due.dead {
            return Err(LinkError::Dead(silence));
        }
        if due.missed {
            self.totals.pings_missed = self.totals.pings_missed.saturating_add(1);
            self.events.push_back(Event::HeartbeatMissed);
        }
        link.ping_due |= due.ping;
        if due.ping && now.since(self.idle_check_at) >= self.config.heartbeat {
            self.idle_check_at = now;
            self.shrink_idle_windows();
        }
        Ok(())
    }

    /// Snapshot of every figure.
    pub fn stats(&self) -> SessionStats {
        let streams = self.streams.ids().into_iter();
        let link = self.link.as_ref();
        SessionStats {
            totals: self.totals.clone(),
            attached: link.is_some(),
            epoch: self.epoch,
            rtt: link.and_then(|link| link.rtt),
            min_rtt: link.and_then(|link| link.min_rtt),
            in_flight: link.map_or(0, |link| link.flight.in_flight()),
            retained: self.retained,
            retained_limit: self.config.send_buffer,
            waits: self.scheduler.waits().to_vec(),
            streams: streams.filter_map(|id| self.stream_stats(id)).collect(),
        }
    }

    /// Snapshot of one stream.
    pub fn stream_stats(&self, id: StreamId) -> Option<StreamStats> {
        let stream = self.streams.get(id)?;
        Some(StreamStats { opened_here: self.streams.is_own(id), ..stream.stats(id) })
    }

    fn stream(&mut self, id: StreamId) -> Result<&mut Stream, StreamError> {
        if let Phase::Ended(ended) = &self.phase {
            return Err(StreamError::SessionEnded(ended.clone()));
        }
        self.streams.get_mut(id).ok_or(StreamError::Unknown)
    }

    /// After anything that concerns a stream: tells the application, the link and the scheduler
    /// what follows from its new state.
    fn refresh(&mut self, now: Time, id: StreamId) {
        let attached = self.link.is_some();
        let rtt = self.link.as_ref().map(Link::round_trip);
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        if let Some(send) = &mut stream.send {
            if attached && !stream.owed.has(Owed::OPEN) && send.ready() {
                self.scheduler.activate(now, id, stream.options.priority);
            }
            if !send.end_told && send.outcome().is_some() {
                send.end_told = true;
                self.events.push_back(Event::SendEnded(id));
            }
        }
        if let Some(recv) = &mut stream.recv {
            if !recv.readable_told && recv.readable() {
                recv.readable_told = true;
                self.events.push_back(Event::Readable(id));
            }
            if let Some(rtt) = rtt {
                recv.grow_if_earned(now, rtt, self.config.max_window, &mut self.budget);
            }
            if attached && recv.news() {
                if recv.urgent_news() {
                    stream.owed.add(Owed::CREDIT);
                } else if !stream.lazy && !stream.owed.has(Owed::CREDIT) {
                    stream.lazy = true;
                    self.lazy.push_back(id);
                    self.lazy_at.get_or_insert(now + limits::ACK_DELAY);
                }
            }
        }
        if attached && !stream.owed.is_empty() && !stream.listed {
            stream.listed = true;
            self.owing.push_back(id);
        }
        if stream.is_over() {
            self.settle(id);
        }
    }

    /// Counts a stream out once it is over, and forgets it once nobody needs it.
    fn settle(&mut self, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        if !stream.is_over() {
            return;
        }
        if let Some(recv) = &mut stream.recv {
            recv.window.close(&mut self.budget);
        }
        // Without a link the peer may not know yet that it is over, and the list that is made for
        // the next link may have named it already.
        let ended = matches!(self.phase, Phase::Ended(_));
        let told = ended || (stream.owed.is_empty() && self.link.is_some());
        let done = told && !stream.held && (stream.accepted || self.streams.is_own(id));
        if self.streams.retire(id) && self.streams.is_own(id) && self.open_refused {
            self.open_refused = false;
            self.events.push_back(Event::CanOpen);
        }
        if !done {
            return;
        }
        let opened_here = self.streams.is_own(id);
        self.scheduler.remove(id);
        if let Some(stream) = self.streams.remove(id) {
            let stats = StreamStats { opened_here, ..stream.stats(id) };
            self.totals.streams_forgotten = self.totals.streams_forgotten.saturating_add(1);
            self.events.push_back(Event::Forgotten(Box::new(stats)));
        }
    }

    fn freed(&mut self, bytes: u64) {
        if bytes == 0 {
            return;
        }
        self.retained = self.retained.saturating_sub(bytes);
        // Each one woken may take a window; the others follow when that is used up.
        let room = self.config.send_buffer.saturating_sub(self.retained);
        let share = self.config.send_buffer / 2;
        let mut places = if room > share { u64::MAX } else { room / limits::INITIAL_WINDOW };
        while places > 0 {
            let Some(id) = self.crowded.pop_front() else { return };
            places = places.saturating_sub(1);
            if let Some(send) = self.streams.get_mut(id).and_then(|stream| stream.send.as_mut()) {
                send.crowded = false;
            }
            self.wake_writer(id);
        }
    }

    fn wake_writer(&mut self, id: StreamId) {
        if let Some(send) = self.streams.get_mut(id).and_then(|stream| stream.send.as_mut()) {
            if std::mem::take(&mut send.writer_waits) {
                self.events.push_back(Event::Writable(id));
            }
        }
    }

    fn flush_lazy(&mut self) {
        self.lazy_at = None;
        for id in std::mem::take(&mut self.lazy) {
            let Some(stream) = self.streams.get_mut(id) else {
                continue;
            };
            stream.lazy = false;
            if stream.recv.as_ref().is_some_and(|recv| recv.news()) {
                stream.owed.add(Owed::CREDIT);
                if !stream.listed {
                    stream.listed = true;
                    self.owing.push_back(id);
                }
            }
        }
    }

    fn shrink_idle_windows(&mut self) {
        for id in self.streams.ids() {
            let Some(stream) = self.streams.get_mut(id) else {
                continue;
            };
            let Some(recv) = &mut stream.recv else {
                continue;
            };
            if !std::mem::take(&mut recv.stirred) {
                let acked = recv.acked();
                recv.window.shrink(acked, &mut self.budget);
            }
        }
    }
}

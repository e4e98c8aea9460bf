//! The application of one side. It acts on events alone, so that an event that never comes is a
//! run that never ends.

use std::collections::{BTreeMap, VecDeque};

use p2_mux::{
    Ended, ErrorCode, Event, OpenError, Read, Role, Session, StreamError, StreamId, Time,
};

use crate::Failure;
use crate::log::Log;
use crate::model::{Model, Seen};
use crate::pipe::NEVER;
use crate::plan::{SinkPlan, SourceEnd, SourcePlan, Taste, options};
use crate::rng::Rng;

/// Turns an application takes before others have theirs.
const TURN: usize = 64;

/// The moment, on both clocks.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Now {
    pub(crate) true_time: u64,
    pub(crate) local: Time,
}

#[derive(Debug)]
pub(crate) struct App {
    role: Role,
    rng: Rng,
    taste: Taste,
    tasks: BTreeMap<u64, Task>,
    /// Moments at which streams are to be opened, the latest first.
    openings: Vec<u64>,
    /// Waits for [`Event::CanOpen`].
    crowded: bool,
    incoming: bool,
    pub(crate) going_away: bool,
    pub(crate) ended: Option<Ended>,
    /// Something may be possible that was not before.
    dirty: bool,
    pub(crate) forgotten: Vec<u64>,
}

#[derive(Debug)]
struct Task {
    id: StreamId,
    source: Option<Source>,
    sink: Option<Sink>,
}

#[derive(Debug)]
struct Source {
    plan: SourcePlan,
    next_at: u64,
    burst: u64,
    chunks: u64,
    /// Waits for [`Event::Writable`].
    waiting: bool,
    ended: bool,
    /// For the second thoughts of [`SourceEnd::FinishThenReset`].
    second: bool,
    done: bool,
}

#[derive(Debug)]
struct Sink {
    plan: SinkPlan,
    next_at: u64,
    burst: u64,
    ready: bool,
    /// (when, up to where): acknowledgements that are due later.
    unacked: VecDeque<(u64, u64)>,
    done: bool,
}

impl App {
    pub(crate) fn new(role: Role, mut rng: Rng, taste: Taste, mut openings: Vec<u64>) -> Self {
        openings.sort_unstable_by(|a, b| b.cmp(a));
        let rng = rng.fork();
        Self {
            role,
            rng,
            taste,
            tasks: BTreeMap::new(),
            openings,
            crowded: false,
            incoming: true,
            going_away: false,
            ended: None,
            dirty: true,
            forgotten: Vec::new(),
        }
    }

    /// Whether it wants nothing more of the session than to close it.
    pub(crate) fn is_done(&self) -> bool {
        self.openings.is_empty() && self.tasks.is_empty()
    }

    pub(crate) fn on_event(
        &mut self,
        event: Event,
        now: Now,
        session: &Session,
        model: &mut Model,
        log: &mut Log,
    ) -> Result<(), Failure> {
        let (at, who) = (now.true_time, crate::model::side(self.role) as u64);
        self.dirty = true;
        match event {
            Event::Incoming => self.incoming = true,
            Event::Readable(id) => {
                log.note(at, "readable", who, id.to_wire());
                if let Some(sink) = self.sink(id) {
                    sink.ready = true;
                }
            }
            Event::Writable(id) => {
                log.note(at, "writable", who, id.to_wire());
                if let Some(source) = self.source(id) {
                    source.waiting = false;
                }
            }
            Event::SendEnded(id) => {
                log.note(at, "send ended", who, id.to_wire());
                let Some(source) = self.source(id) else { return Ok(()) };
                let outcome = session.send_outcome(id).ok_or("SendEnded without an outcome")?;
                source.done = true;
                model.progress += 1;
                if self.ended.is_none() && session.ended().is_none() {
                    model.way(id, self.role)?.outcome = Some(outcome);
                }
            }
            Event::Forgotten(stats) => {
                log.note(at, "forgotten", who, stats.id.to_wire());
                if stats.retained != 0 {
                    return Err(format!("{} is forgotten with bytes retained", stats.id));
                }
                if self.tasks.contains_key(&stats.id.to_wire()) {
                    return Err(format!("{} is forgotten while it is held", stats.id));
                }
                model.forgot(stats.id, self.role)?;
                self.forgotten.push(stats.id.to_wire());
            }
            Event::CanOpen => self.crowded = false,
            Event::GoingAway => self.going_away = true,
            Event::Resumed { replay, streams } => log.note(at, "resumed", replay, streams),
            Event::Ended(ended) => {
                log.tell(at, || format!("{:?} ended: {ended}", self.role));
                log.note(at, "ended", who, ended.code.get().into());
                if self.ended.replace(ended).is_some() {
                    return Err("the session ended twice".into());
                }
                self.tasks.clear();
                self.openings.clear();
            }
            _ => {}
        }
        Ok(())
    }

    /// Does what can be done now; whether anything was.
    pub(crate) fn run(
        &mut self,
        now: Now,
        session: &mut Session,
        model: &mut Model,
        log: &mut Log,
    ) -> Result<bool, Failure> {
        if self.ended.is_some() || (!self.dirty && self.next_wake() > now.true_time) {
            return Ok(false);
        }
        self.dirty = false;
        let mut any = self.open_due(now, session, model, log)?;
        if std::mem::take(&mut self.incoming) {
            while let Some(id) = session.accept() {
                any = true;
                log.note(now.true_time, "accept", id.to_wire(), 0);
                let unidirectional = session.options(id).is_some_and(|o| o.unidirectional);
                self.take_up(now, session, id, !unidirectional, true);
            }
        }
        let keys: Vec<u64> = self.tasks.keys().copied().collect();
        for key in keys {
            any |= self.work(now, key, session, model, log)?;
        }
        Ok(any)
    }

    /// The next moment at which it wants to do something by itself.
    pub(crate) fn next_wake(&self) -> u64 {
        if self.ended.is_some() {
            return NEVER;
        }
        let opening = match self.openings.last() {
            Some(at) if !self.crowded => *at,
            _ => NEVER,
        };
        let tasks = self.tasks.values().map(Task::next_wake).min().unwrap_or(NEVER);
        opening.min(tasks)
    }

    fn open_due(
        &mut self,
        now: Now,
        session: &mut Session,
        model: &mut Model,
        log: &mut Log,
    ) -> Result<bool, Failure> {
        let mut any = false;
        while !self.crowded && self.openings.last().is_some_and(|at| *at <= now.true_time) {
            let options = options(&mut self.rng, &self.taste);
            let unidirectional = options.unidirectional;
            match session.open(now.local, options) {
                Ok(id) => {
                    self.openings.pop();
                    any = true;
                    log.note(now.true_time, "open", id.to_wire(), unidirectional.into());
                    model.opened(id, unidirectional)?;
                    self.take_up(now, session, id, true, !unidirectional);
                }
                Err(OpenError::TooMany(_)) => self.crowded = true,
                Err(OpenError::GoingAway(_)) => self.openings.clear(),
                Err(error) => return Err(format!("a stream cannot be opened: {error}")),
            }
        }
        Ok(any)
    }

    fn take_up(&mut self, now: Now, session: &mut Session, id: StreamId, send: bool, recv: bool) {
        let rng = &mut self.rng;
        let source = send.then(|| Source {
            plan: SourcePlan::draw(rng, &self.taste),
            next_at: now.true_time,
            burst: 0,
            chunks: 0,
            waiting: false,
            ended: false,
            second: false,
            done: false,
        });
        let sink = recv.then(|| Sink {
            plan: SinkPlan::draw(rng, &self.taste),
            next_at: now.true_time,
            burst: 0,
            ready: true,
            unacked: VecDeque::new(),
            done: false,
        });
        if sink.as_ref().is_some_and(|sink| sink.plan.manual.is_some()) {
            session.set_manual_ack(id, true);
        }
        self.tasks.insert(id.to_wire(), Task { id, source, sink });
    }

    fn work(
        &mut self,
        now: Now,
        key: u64,
        session: &mut Session,
        model: &mut Model,
        log: &mut Log,
    ) -> Result<bool, Failure> {
        let Some(task) = self.tasks.get_mut(&key) else { return Ok(false) };
        let id = task.id;
        let peer = self.role.peer();
        let mut any = false;
        let mut dropped = false;
        if let Some(source) = &mut task.source {
            let way = model.way(id, self.role)?;
            any |= source.run(now, id, session, way, &mut self.rng, log)?;
            dropped = source.ended && source.plan.end == SourceEnd::Drop && !source.done;
        }
        if let Some(sink) = &mut task.sink {
            let way = model.way(id, peer)?;
            let before = way.read;
            any |= sink.run(now, id, session, way, log)?;
            let news = way.read - before;
            model.progress += news;
        }
        self.dirty |= any;
        let sent = task.source.as_ref().is_none_or(|source| source.done);
        let read = task.sink.as_ref().is_none_or(|sink| sink.done && sink.unacked.is_empty());
        if dropped || (sent && read) {
            let source = self.tasks.remove(&key).and_then(|task| task.source);
            if source.is_some() {
                let way = model.way(id, self.role)?;
                way.unwatched = way.outcome.is_none();
                if !way.finished {
                    way.reset.get_or_insert(ErrorCode::CANCELLED);
                }
            }
            let way = model.way(id, peer)?;
            if way.exists && way.seen.is_none() {
                way.stopped.get_or_insert(ErrorCode::CANCELLED);
            }
            log.note(now.true_time, "release", id.to_wire(), dropped.into());
            session.release(now.local, id);
            any = true;
        }
        Ok(any)
    }

    fn source(&mut self, id: StreamId) -> Option<&mut Source> {
        self.tasks.get_mut(&id.to_wire())?.source.as_mut()
    }

    fn sink(&mut self, id: StreamId) -> Option<&mut Sink> {
        self.tasks.get_mut(&id.to_wire())?.sink.as_mut()
    }
}

impl Task {
    fn next_wake(&self) -> u64 {
        let source = self.source.as_ref().map_or(NEVER, |source| {
            let second = matches!(source.plan.end, SourceEnd::FinishThenReset(_)) && !source.second;
            let waits = source.done || source.waiting || (source.ended && !second);
            if waits { NEVER } else { source.next_at }
        });
        let sink = self.sink.as_ref().map_or(NEVER, |sink| {
            let acks = sink.unacked.front().map_or(NEVER, |ack| ack.0);
            let read = if sink.done || !sink.ready { NEVER } else { sink.next_at };
            acks.min(read)
        });
        source.min(sink)
    }
}

impl Source {
    fn run(
        &mut self,
        now: Now,
        id: StreamId,
        session: &mut Session,
        way: &mut crate::model::Way,
        rng: &mut Rng,
        log: &mut Log,
    ) -> Result<bool, Failure> {
        let mut any = false;
        for _ in 0..TURN {
            if self.done || self.waiting || self.next_at > now.true_time {
                break;
            }
            if self.ended {
                if let (SourceEnd::FinishThenReset(code), false) = (self.plan.end, self.second) {
                    self.second = true;
                    way.reset = Some(code);
                    log.note(now.true_time, "second thoughts", id.to_wire(), 0);
                    session.reset(now.local, id, code);
                    any = true;
                }
                break;
            }
            any = true;
            let left = self.plan.total - way.written.min(self.plan.total);
            if left == 0 {
                self.end(now, id, session, way, log)?;
                continue;
            }
            if self.plan.gap_every.is_some_and(|every| rng.one_in(every)) {
                let bytes = rng.range(1, 1000);
                match session.record_gap(now.local, id, bytes) {
                    Ok(()) => way.dropped(bytes),
                    Err(StreamError::Stopped(_)) => {}
                    Err(error) => return Err(format!("{id}: no gap: {error}")),
                }
            }
            let want = left.min(self.plan.chunk).min(crate::corpus::LONGEST as u64) as usize;
            let mut chunk = way.chunk(want);
            self.chunks += 1;
            let taken = if self.chunks % 2 == 0 {
                session.write(now.local, id, &chunk)
            } else {
                session.write_chunk(now.local, id, &mut chunk)
            };
            match taken {
                Ok(taken) => {
                    log.note(now.true_time, "write", id.to_wire(), taken as u64);
                    way.written += taken as u64;
                    self.burst += taken as u64;
                    self.waiting = taken < want;
                    if self.burst >= self.plan.burst {
                        self.burst = 0;
                        self.next_at = now.true_time + self.plan.rest;
                    }
                }
                Err(StreamError::Stopped(_)) => self.ended = true,
                Err(error) => return Err(format!("{id}: cannot write: {error}")),
            }
        }
        Ok(any)
    }

    fn end(
        &mut self,
        now: Now,
        id: StreamId,
        session: &mut Session,
        way: &mut crate::model::Way,
        log: &mut Log,
    ) -> Result<(), Failure> {
        if self.plan.linger > 0 {
            self.next_at = now.true_time + std::mem::take(&mut self.plan.linger);
            return Ok(());
        }
        self.ended = true;
        log.note(now.true_time, "source ends", id.to_wire(), way.written);
        match self.plan.end {
            SourceEnd::Finish | SourceEnd::FinishThenReset(_) => {
                match session.finish(now.local, id) {
                    Ok(()) => way.finished = true,
                    Err(StreamError::Stopped(_)) => {}
                    Err(error) => return Err(format!("{id}: cannot finish: {error}")),
                }
                self.next_at = now.true_time + self.plan.rest;
            }
            SourceEnd::Reset(code) => {
                way.reset = Some(code);
                session.reset(now.local, id, code);
            }
            SourceEnd::Drop => {}
        }
        Ok(())
    }
}

impl Sink {
    fn run(
        &mut self,
        now: Now,
        id: StreamId,
        session: &mut Session,
        way: &mut crate::model::Way,
        log: &mut Log,
    ) -> Result<bool, Failure> {
        let mut any = false;
        while self.unacked.front().is_some_and(|ack| ack.0 <= now.true_time) {
            if let Some((_, offset)) = self.unacked.pop_front() {
                session.acknowledge(now.local, id, offset);
                any = true;
            }
        }
        for _ in 0..TURN {
            if self.done || !self.ready || self.next_at > now.true_time {
                break;
            }
            any = true;
            if let Some((_, code)) = self.plan.stop_at.filter(|(at, _)| way.read >= *at) {
                log.note(now.true_time, "stop", id.to_wire(), way.read);
                way.stopped = Some(code);
                self.done = true;
                self.unacked.clear();
                session.stop(now.local, id, code);
                break;
            }
            match session.read(now.local, id, self.plan.max) {
                Ok(Read::Data { offset, data }) => {
                    log.note(now.true_time, "read", id.to_wire(), data.len() as u64);
                    way.got(offset, &data).map_err(|why| format!("{id}: {why}"))?;
                    self.burst += data.len() as u64;
                    self.ack_later(now, way.read);
                    if self.burst >= self.plan.burst {
                        self.burst = 0;
                        self.next_at = now.true_time + self.plan.rest;
                    }
                }
                Ok(Read::Gap { offset, dropped }) => {
                    way.got_gap(offset, dropped).map_err(|why| format!("{id}: {why}"))?;
                }
                Ok(Read::Finished) => {
                    log.note(now.true_time, "finished", id.to_wire(), way.read);
                    way.came_to(Seen::Finished).map_err(|why| format!("{id}: {why}"))?;
                    let stats = session.stream_stats(id);
                    if stats.and_then(|stats| stats.digest_verified) != Some(true) {
                        return Err(format!("{id}: ended without a verified digest"));
                    }
                    self.done = true;
                    self.ack_later(now, way.read);
                }
                Ok(Read::Blocked) => self.ready = false,
                Err(StreamError::Reset(code)) => {
                    log.note(now.true_time, "reset", id.to_wire(), code.get().into());
                    way.came_to(Seen::Reset(code)).map_err(|why| format!("{id}: {why}"))?;
                    self.done = true;
                    self.unacked.clear();
                }
                Err(error) => return Err(format!("{id}: cannot read: {error}")),
            }
        }
        Ok(any)
    }

    fn ack_later(&mut self, now: Now, offset: u64) {
        if let Some(span) = self.plan.manual {
            let last = self.unacked.back().map_or(0, |ack| ack.0);
            self.unacked.push_back((last.max(now.true_time + span), offset));
        }
    }
}

//! The application of one side. It acts on events alone, so that an event that never comes is a
//! run that never ends.

mod sink;
mod source;

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
use sink::Sink;
use source::Source;

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
    asleep: bool,
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
            asleep: false,
            going_away: false,
            ended: None,
            dirty: true,
            forgotten: Vec::new(),
        }
    }

    /// Does nothing until it is woken.
    pub(crate) const fn rest(&mut self) {
        self.asleep = true;
    }

    pub(crate) fn wake(&mut self, mut openings: Vec<u64>) {
        openings.sort_unstable_by(|a, b| b.cmp(a));
        self.openings = openings;
        self.asleep = false;
        self.dirty = true;
    }

    pub(crate) fn has_opened_all(&self) -> bool {
        self.openings.is_empty()
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
                if !matches!(outcome, Err(StreamError::SessionEnded(_))) {
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
        if self.asleep || (!self.dirty && self.next_wake() > now.true_time) {
            return Ok(false);
        }
        if self.ended.is_some() {
            return self.let_go(now, session, model);
        }
        self.dirty = false;
        let mut any = self.open_due(now, session, model, log)?;
        if std::mem::take(&mut self.incoming) {
            while let Some(id) = session.accept() {
                any = true;
                log.note(now.true_time, "accept", id.to_wire(), 0);
                model.accepted(id)?;
                let unidirectional = session.options(id).is_some_and(|o| o.unidirectional);
                self.take_up(now, session, id, !unidirectional, true);
                // What happened before it was taken had nobody to be told.
                if let (false, Some(outcome)) = (unidirectional, session.send_outcome(id)) {
                    model.way(id, self.role)?.outcome = Some(outcome);
                    if let Some(source) = self.source(id) {
                        source.done = true;
                    }
                }
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
        if self.asleep || self.ended.is_some() {
            return NEVER;
        }
        let opening = match self.openings.last() {
            Some(at) if !self.crowded => *at,
            _ => NEVER,
        };
        let tasks = self.tasks.values().map(Task::next_wake).min().unwrap_or(NEVER);
        opening.min(tasks)
    }

    /// The session has ended: nothing more can be read, written or told.
    fn let_go(
        &mut self,
        now: Now,
        session: &mut Session,
        model: &mut Model,
    ) -> Result<bool, Failure> {
        let tasks = std::mem::take(&mut self.tasks);
        for task in tasks.values() {
            if task.source.is_some() {
                let way = model.way(task.id, self.role)?;
                way.unwatched = way.outcome.is_none();
            }
            session.release(now.local, task.id);
        }
        Ok(!tasks.is_empty())
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
            gaps: 0,
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
            let before = model.way(id, peer)?.read;
            any |= sink.run(now, id, session, model, peer, log)?;
            model.progress += model.way(id, peer)?.read - before;
        }
        self.dirty |= any;
        let sent = task.source.as_ref().is_none_or(|source| source.done);
        let read = task.sink.as_ref().is_none_or(|sink| sink.done && sink.unacked.is_empty());
        if dropped || (sent && read) {
            let task = self.tasks.remove(&key);
            // To let go of what was read but not acknowledged is to stop it as well.
            let unacked = task.as_ref().and_then(|task| task.sink.as_ref());
            let unacked = unacked.is_some_and(|sink| !sink.unacked.is_empty());
            if task.is_some_and(|task| task.source.is_some()) {
                let way = model.way(id, self.role)?;
                way.unwatched = way.outcome.is_none();
                if !way.finished {
                    way.reset.get_or_insert(ErrorCode::CANCELLED);
                }
            }
            let way = model.way(id, peer)?;
            if way.exists && (way.seen.is_none() || unacked) {
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

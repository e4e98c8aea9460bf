//! One side: its session, its application, its link if it has one, and what must always hold.

use std::collections::BTreeMap;

use bytes::BytesMut;
use p2_frame::Resume;
use p2_mux::handshake::Established;
use p2_mux::{Attachment, Config, LinkError, PeerLimits, ProcessBudget, Role, Session};

use crate::Failure;
use crate::app::{App, Now};
use crate::carrier::{Carrier, Codecs, Late, Remains};
use crate::clock::Clock;
use crate::flaw::{Flaw, flaw};
use crate::log::Log;
use crate::model::{Model, side};
use crate::pipe::NEVER;
use crate::rng::Rng;

/// Events one call may cause before something must be spinning.
const EVENTS: usize = 20_000;

/// What both sides and the world share while they run.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) now: u64,
    pub(crate) rng: Rng,
    pub(crate) model: Model,
    pub(crate) log: Log,
}

#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) role: Role,
    pub(crate) session: Session,
    pub(crate) app: App,
    pub(crate) clock: Clock,
    pub(crate) carrier: Option<Carrier>,
    codecs: Codecs,
    process: ProcessBudget,
    lateness: u64,
    late: Vec<Late>,
    remains: Option<Remains>,
    /// (acknowledged by the peer, acknowledged here) of each stream when last looked at.
    marks: BTreeMap<u64, (u64, u64)>,
    /// The epoch and the time the clock showed when last looked at.
    last: (u64, u64),
}

impl Endpoint {
    pub(crate) fn new(config: Config, app: App, clock: Clock, codecs: Codecs, late: u64) -> Self {
        let process = ProcessBudget::new(1 << 30);
        Self {
            role: config.role,
            session: Session::new(config, process.clone()),
            app,
            clock,
            carrier: None,
            codecs,
            process,
            lateness: late,
            late: Vec::new(),
            remains: None,
            marks: BTreeMap::new(),
            last: (0, 0),
        }
    }

    pub(crate) fn now(&self, stage: &Stage) -> Now {
        Now { true_time: stage.now, local: self.clock.read(stage.now) }
    }

    pub(crate) fn limits(config: &Config, max_frame: u32) -> PeerLimits {
        PeerLimits {
            max_frame,
            initial_window: config.initial_window,
            max_streams: config.max_streams,
        }
    }

    /// The list for a resume, made when no link is left.
    pub(crate) fn list(&mut self, stage: &mut Stage) -> Result<Vec<Resume>, Failure> {
        self.lose_link(stage, "replaced")?;
        Ok(self.session.resume_parts())
    }

    /// Takes a link whose handshake has succeeded; `unused` came behind the handshake.
    pub(crate) fn attach(
        &mut self,
        stage: &mut Stage,
        established: &Established,
        unused: BytesMut,
    ) -> Result<(), Failure> {
        let now = self.now(stage);
        let attachment: Attachment = established.attachment.clone();
        let epoch = attachment.epoch;
        stage.log.note(stage.now, "attach", side(self.role) as u64, epoch);
        self.session
            .attach(now.local, attachment)
            .map_err(|error| format!("an honest peer's list was refused: {error}"))?;
        let mut carrier = Carrier::new(epoch, established.crc, self.codecs.clone(), self.lateness);
        carrier.inherit(self.remains.take());
        carrier.input.unsplit(unused);
        self.carrier = Some(carrier);
        self.drain(stage)?;
        self.feed(stage, &[])
    }

    /// The link is gone, as far as this side knows.
    pub(crate) fn lose_link(
        &mut self,
        stage: &mut Stage,
        why: &'static str,
    ) -> Result<(), Failure> {
        if let Some(carrier) = self.carrier.take() {
            stage.log.note(stage.now, why, side(self.role) as u64, carrier.epoch);
            let (late, remains) = carrier.wreck(&mut stage.rng);
            self.late.extend(late);
            self.remains = flaw().map(|_| remains);
        }
        let now = self.now(stage);
        self.session.detach(now.local);
        self.drain(stage)
    }

    /// Bytes arrived on the link.
    pub(crate) fn feed(&mut self, stage: &mut Stage, data: &[u8]) -> Result<(), Failure> {
        let now = self.now(stage);
        let Some(carrier) = &mut self.carrier else { return Ok(()) };
        carrier.input.extend_from_slice(data);
        carrier.feed(&mut self.session, stage.now, now.local, &mut stage.rng)?;
        self.drain(stage)
    }

    /// Fills the link's output; whether anything was added.
    pub(crate) fn fill(&mut self, stage: &mut Stage) -> Result<bool, Failure> {
        let now = self.now(stage);
        let Some(carrier) = &mut self.carrier else { return Ok(false) };
        let any = carrier.fill(&mut self.session, now.local)?;
        if any {
            self.drain(stage)?;
        }
        Ok(any)
    }

    /// Time has passed: decoders finish, timers fire, the application acts. `Ok(false)`: the link
    /// has to go.
    pub(crate) fn tick(&mut self, stage: &mut Stage) -> Result<bool, Failure> {
        let now = self.now(stage);
        self.deliver_late(stage)?;
        if let Some(carrier) = &mut self.carrier {
            if carrier.deliver(&mut self.session, stage.now, now.local)? {
                self.drain(stage)?;
            }
        }
        let mut alive = true;
        if self.session.timeout().is_some_and(|at| at <= now.local) {
            match self.session.handle_timeout(now.local) {
                Ok(()) => {}
                Err(LinkError::Dead(_)) => alive = false,
                Err(error) => return Err(format!("a timer broke the link: {error}")),
            }
            self.drain(stage)?;
        }
        self.run_app(stage)?;
        Ok(alive)
    }

    /// Lets the application do all it can.
    pub(crate) fn run_app(&mut self, stage: &mut Stage) -> Result<bool, Failure> {
        let now = self.now(stage);
        let mut any = false;
        for _ in 0..10_000 {
            let Stage { model, log, .. } = stage;
            if !self.app.run(now, &mut self.session, model, log)? {
                return Ok(any);
            }
            any = true;
            self.drain(stage)?;
        }
        Err("the application never comes to rest".into())
    }

    /// Whether it would write something if its link could take it.
    pub(crate) fn next_wake(&self) -> u64 {
        let timer = self.session.timeout().map_or(NEVER, |at| self.clock.when(at));
        let decoder = self.carrier.as_ref().map_or(NEVER, Carrier::next_delivery);
        let late = self.late.iter().map(|late| late.due).min().unwrap_or(NEVER);
        timer.min(decoder).min(late).min(self.app.next_wake())
    }

    /// Hands over all events.
    pub(crate) fn drain(&mut self, stage: &mut Stage) -> Result<(), Failure> {
        let now = self.now(stage);
        for _ in 0..EVENTS {
            let Some(event) = self.session.poll_event() else {
                while let Some(stream) = self.app.forgotten.pop() {
                    self.marks.remove(&stream);
                    if let Some(carrier) = &mut self.carrier {
                        carrier.forget(stream);
                    }
                }
                return Ok(());
            };
            let Stage { model, log, .. } = stage;
            self.app.on_event(event, now, &self.session, model, log)?;
        }
        Err("events without end".into())
    }

    /// What holds after every step.
    pub(crate) fn check(&mut self, stage: &Stage) -> Result<(), Failure> {
        let shown = self.clock.read(stage.now).as_nanos();
        let epoch = self.session.epoch();
        if epoch < self.last.0 || shown < self.last.1 {
            return Err(format!("epoch {epoch} after {}", self.last.0));
        }
        self.last = (epoch, shown);
        let carried = self.carrier.as_ref().map(|carrier| carrier.epoch);
        if self.session.is_attached() != carried.is_some() || carried.is_some_and(|e| e != epoch) {
            return Err(format!("attached at epoch {epoch}, carried at {carried:?}"));
        }
        if self.session.ended().is_some() {
            return Ok(());
        }
        let stats = self.session.stats();
        let config = self.session.config();
        let mut retained = 0;
        for stream in &stats.streams {
            let id = stream.id;
            retained += stream.retained;
            let mark = (stream.acked_by_peer, stream.acknowledged);
            let before = self.marks.insert(id.to_wire(), mark).unwrap_or_default();
            if mark.0 < before.0 || mark.1 < before.1 {
                return Err(format!("{id}: acknowledgements went from {before:?} to {mark:?}"));
            }
            if !stage.model.may_be_acknowledged(id, self.role, stream.acked_by_peer) {
                return Err(format!("{id}: acknowledged before the sink took it"));
            }
            if stream.unread > config.max_window.max(config.initial_window) {
                return Err(format!("{id}: {} bytes unread", stream.unread));
            }
            if stream.bytes_received - stream.acknowledged.min(stream.bytes_received)
                > config.max_window.max(config.initial_window)
            {
                return Err(format!("{id}: more received than any window allows"));
            }
            if stream.retained
                > stream.bytes_written - stream.acked_by_peer.min(stream.bytes_written)
            {
                return Err(format!("{id}: retains {} acknowledged bytes", stream.retained));
            }
            let open = matches!(
                stream.send_state,
                Some(p2_mux::SendState::Open | p2_mux::SendState::Finished)
            );
            if open && stream.retained != stream.bytes_written - stream.acked_by_peer {
                return Err(format!(
                    "{id}: {} retained of what is not acknowledged",
                    stream.retained
                ));
            }
        }
        if retained != stats.retained {
            return Err(format!("{} bytes retained, {retained} counted", stats.retained));
        }
        let bound =
            config.send_buffer + stats.streams.len() as u64 * (config.initial_window + (1 << 18));
        if retained > bound {
            return Err(format!("{retained} bytes retained, at most {bound} may be"));
        }
        Ok(())
    }

    /// What holds once all streams are forgotten.
    pub(crate) fn check_empty(&self) -> Result<(), Failure> {
        let stats = self.session.stats();
        let who = self.role;
        if !stats.streams.is_empty() || stats.retained != 0 {
            return Err(format!("{who:?} holds {} streams at the end", stats.streams.len()));
        }
        let totals = stats.totals;
        if totals.streams_forgotten != totals.streams_opened + totals.streams_accepted {
            return Err(format!("{who:?} lost count of its streams"));
        }
        if self.process.available() != 1 << 30 {
            return Err(format!("{who:?} keeps window growth for streams that are gone"));
        }
        Ok(())
    }

    /// Payloads of old links come out of their decoders. They must change nothing.
    fn deliver_late(&mut self, stage: &mut Stage) -> Result<(), Failure> {
        if self.late.iter().all(|late| late.due > stage.now) {
            return Ok(());
        }
        let now = self.now(stage);
        let (due, later): (Vec<Late>, Vec<Late>) =
            std::mem::take(&mut self.late).into_iter().partition(|late| late.due <= stage.now);
        self.late = later;
        for Late { epoch, stream, offset, data, .. } in due {
            let epoch = if flaw() == Some(Flaw::Unfenced) { self.session.epoch() } else { epoch };
            let before = self.session.stream_stats(stream);
            self.session.deliver(now.local, epoch, stream, offset, data);
            let after = self.session.stream_stats(stream);
            if before != after && flaw() != Some(Flaw::Unfenced) {
                return Err(format!("{stream}: a payload of an old link changed something"));
            }
        }
        self.drain(stage)
    }
}

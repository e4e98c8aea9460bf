//! Who reads a stream: at its pace, until its end or until it has enough.

use super::*;

#[derive(Debug)]
pub(super) struct Sink {
    pub(super) plan: SinkPlan,
    pub(super) next_at: u64,
    pub(super) burst: u64,
    pub(super) ready: bool,
    /// (when, up to where): acknowledgements that are due later.
    pub(super) unacked: VecDeque<(u64, u64)>,
    pub(super) done: bool,
}

impl Sink {
    pub(super) fn run(
        &mut self,
        now: Now,
        id: StreamId,
        session: &mut Session,
        model: &mut Model,
        sender: Role,
        log: &mut Log,
    ) -> Result<bool, Failure> {
        let mut any = false;
        while self.unacked.front().is_some_and(|ack| ack.0 <= now.true_time) {
            if let Some((_, offset)) = self.unacked.pop_front() {
                session.acknowledge(now.local, id, offset);
                let way = model.way(id, sender)?;
                way.kept = way.kept.max(offset);
                any = true;
            }
        }
        for _ in 0..TURN {
            if self.done || !self.ready || self.next_at > now.true_time {
                break;
            }
            any = true;
            let way = model.way(id, sender)?;
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
                    if self.plan.manual.is_none() {
                        way.kept = way.read;
                    }
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
                    let read = way.read;
                    model.came_to(id, sender, Seen::Finished)?;
                    let stats = session.stream_stats(id);
                    if stats.and_then(|stats| stats.digest_verified) != Some(true) {
                        return Err(format!("{id}: ended without a verified digest"));
                    }
                    self.done = true;
                    self.ack_later(now, read);
                }
                Ok(Read::Blocked) => self.ready = false,
                Err(StreamError::Reset(code)) => {
                    log.note(now.true_time, "reset", id.to_wire(), code.get().into());
                    model.came_to(id, sender, Seen::Reset(code))?;
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

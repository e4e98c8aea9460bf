//! Who writes a stream: in bursts, with rests, gaps, second thoughts.

use super::*;

#[derive(Debug)]
pub(super) struct Source {
    pub(super) plan: SourcePlan,
    pub(super) next_at: u64,
    pub(super) burst: u64,
    pub(super) chunks: u64,
    pub(super) gaps: u32,
    /// Waits for [`Event::Writable`].
    pub(super) waiting: bool,
    pub(super) ended: bool,
    /// For the second thoughts of [`SourceEnd::FinishThenReset`].
    pub(super) second: bool,
    pub(super) done: bool,
}

impl Source {
    pub(super) fn run(
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
            // More marks than a stream keeps would be merged, and the model would have to guess.
            let gap = self.gaps < 60 && self.plan.gap_every.is_some_and(|every| rng.one_in(every));
            if gap {
                self.gaps += 1;
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

//! What a link has to say: asks the session for batches, encodes them outside its lock, accounts for
//! them. Awaits nothing but the codec threads.

use std::{sync::Arc, time::Duration};

use p2_frame::Frame;
use p2_mux::{Time, Transmit, limits};

use super::{
    End,
    encode::{Account, Encoders, encodable},
    output::Output,
    pool,
};
use crate::{
    clock,
    shared::Shared,
    state::{Owing, State},
};

/// Raw bytes to be encoded that make a batch a backlog. More than a batch has while short messages
/// pass beside bulk: those shall not wait behind batches that were made early.
const BACKLOG: usize = 192 * 1024;
/// What encoding a batch may take, as far as one batch resembles the next: nothing overtakes it.
const ENCODING: Duration = Duration::from_millis(1);
/// Places of a batch that are kept while there is nothing to say.
const KEPT: usize = 256;

/// One link's batches.
pub(super) struct Maker {
    shared: Arc<Shared>,
    epoch: u64,
    encoders: Encoders,
    batch: Vec<Transmit>,
    account: Account,
    /// Raw bytes that were encoded in [`ENCODING`], once known.
    pace: Option<usize>,
}

/// What the session said when it was asked or told.
pub(super) struct Answer {
    /// It has said everything.
    pub(super) drained: bool,
    pub(super) owing: Option<Owing>,
    /// When it wants to look at the clock again.
    pub(super) wake_at: Option<Time>,
}

impl Maker {
    pub(super) fn new(shared: Arc<Shared>, epoch: u64, encoders: Encoders) -> Self {
        Self { shared, epoch, encoders, batch: Vec::new(), account: Account::default(), pace: None }
    }

    /// Takes the next batch, and has the session look at the clock.
    pub(super) fn ask(&mut self) -> Result<Answer, End> {
        let (batch, pace) = (&mut self.batch, self.pace);
        let ((drained, wake_at), owing) = look(&self.shared, self.epoch, |state, now| {
            if let Some(pace) = pace {
                state.session.limit_encoding(pace.clamp(BACKLOG, limits::BATCH));
            }
            state.session.poll_transmit(now, batch);
            let wake_at = state.session.timeout();
            state.armed = wake_at.filter(|_| batch.is_empty());
            // CLOSE is the last frame of its batch.
            let close = match batch.last() {
                Some(Transmit::Control(Frame::Close(close))) => !close.ack,
                _ => false,
            };
            state.farewell_sent |= close;
            (state.session.is_drained(), wake_at)
        })?;
        Ok(Answer { drained, owing, wake_at })
    }

    /// Whether the session had nothing for the link.
    pub(super) fn is_idle(&self) -> bool {
        self.batch.is_empty()
    }

    /// Bytes on the wire of the last batch that was made.
    pub(super) fn wire(&self) -> u64 {
        self.account.wire
    }

    /// Gives back what a large batch needed.
    pub(super) fn rest(&mut self) {
        self.batch.shrink_to(KEPT);
        self.account.data.clear();
        self.account.data.shrink_to(KEPT);
    }

    /// Whether encoding the batch takes so long that something else should go on meanwhile.
    pub(super) fn has_backlog(&self) -> bool {
        let jobs = self.batch.iter().filter_map(encodable);
        jobs.fold(0, |sum: usize, job| sum.saturating_add(job.raw_len as usize)) >= BACKLOG
    }

    /// Encodes the batch to the end of `output`, and accounts for it before it can be answered.
    pub(super) async fn make(&mut self, output: &mut Output) -> Result<Answer, End> {
        self.account.clear();
        let begun = clock::now();
        self.encoders.encode(&mut self.batch, output, &mut self.account).await?;
        let now = clock::now();
        self.note_pace(self.account.encodable, now.since(begun));
        let (wake_at, owing) = self.shared.with_deferring(|state| {
            if state.carries(self.epoch) {
                let Account { wire, frames, data, .. } = &self.account;
                state.session.sent(now, *wire, *frames, data);
                state.tally.sent_plain(data);
            }
            state.armed = state.session.timeout();
            state.armed
        });
        Ok(Answer { drained: false, owing, wake_at })
    }

    /// `raw` bytes were encoded in `took`.
    fn note_pace(&mut self, raw: usize, took: Duration) {
        if raw < pool::WORTH {
            // The rest of the work counts for too much of it.
            return;
        }
        let in_time = (raw as u128).saturating_mul(ENCODING.as_nanos());
        let sample = in_time.checked_div(took.as_nanos()).unwrap_or(u128::MAX);
        let sample = usize::try_from(sample).unwrap_or(usize::MAX);
        // A mean over about four batches.
        let old = self.pace.unwrap_or(sample);
        self.pace = Some((old / 4).saturating_mul(3).saturating_add(sample / 4));
    }
}

/// Has the session look at the clock, and then acts on it.
pub(super) fn look<R>(
    shared: &Shared,
    epoch: u64,
    act: impl FnOnce(&mut State, Time) -> R,
) -> Result<(R, Option<Owing>), End> {
    let now = clock::now();
    let (looked, owing) = shared.with_deferring(|state| {
        if !state.carries(epoch) {
            return Err(End::Fenced);
        }
        if state.session.timeout().is_some_and(|at| at <= now) {
            state.session.handle_timeout(now)?;
        }
        Ok(act(state, now))
    });
    Ok((looked?, owing))
}

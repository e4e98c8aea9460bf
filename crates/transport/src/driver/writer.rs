//! The writing half of a link: takes what the session has when the link can take it, encodes it
//! outside the lock, writes it in one go.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::BytesMut;
use p2_frame::Frame;
use p2_mux::{Time, Transmit};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    task::yield_now,
    time::{Instant, Sleep, sleep, timeout},
};

use super::{
    End, STALL, at_hand,
    company::Company,
    encode::{Account, Encoders},
    output::Output,
};
use crate::{
    clock,
    shared::{Call, Shared},
    state::{Owing, State},
};

/// Places of a batch that a writer keeps while it waits.
const KEPT: usize = 256;

pub(super) struct Writer {
    watch: Watch,
    encoders: Encoders,
    output: Output,
    batch: Vec<Transmit>,
    account: Account,
    company: Company,
}

/// The session's clock, which runs while bytes are stuck in the socket as well.
struct Watch {
    shared: Arc<Shared>,
    epoch: u64,
    /// When the session wants to look at the clock again.
    wake_at: Option<Time>,
    alarm: Alarm,
}

/// A timer that is moved as seldom as possible: the session's time is put off far more often than
/// it comes, and an alarm too early costs one look.
struct Alarm {
    timer: Pin<Box<Sleep>>,
    /// What it is set to, until it has rung.
    at: Option<Time>,
}

impl Writer {
    pub(super) fn new(
        shared: Arc<Shared>,
        epoch: u64,
        encoders: Encoders,
        first: BytesMut,
    ) -> Self {
        let mut output = Output::default();
        output.buffer().unsplit(first);
        let (wake_at, _) = shared.with_deferring(|state| state.session.timeout());
        let alarm = Alarm { timer: Box::pin(sleep(STALL)), at: None };
        let watch = Watch { shared, epoch, wake_at, alarm };
        Self {
            watch,
            encoders,
            output,
            batch: Vec::new(),
            account: Account::default(),
            company: Company::default(),
        }
    }

    /// Writes until the link ends.
    pub(super) async fn run(mut self, mut writer: Box<dyn AsyncWrite + Send + Unpin>) -> End {
        match self.write(&mut *writer).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn write(
        &mut self,
        writer: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<std::convert::Infallible, End> {
        self.flush(writer).await?;
        loop {
            let (drained, owing) = self.ask()?;
            let more = if self.batch.is_empty() {
                if drained {
                    // The peer learns from the end of the bytes that nothing follows.
                    let _ = timeout(STALL, writer.shutdown()).await;
                    return Err(End::Drained);
                }
                // Whoever gathered these bytes may have seen that nobody wanted them.
                owing == Some(Owing::Gathered)
            } else {
                self.account.clear();
                self.encoders.encode(&mut self.batch, &mut self.output, &mut self.account).await?;
                let more = self.report();
                self.flush(writer).await?;
                more
            };
            if !more {
                self.wait().await;
            }
        }
    }

    /// Takes the next batch, and has the session look at the clock. Returns whether it has said
    /// everything, and what is left to do.
    fn ask(&mut self) -> Result<(bool, Option<Owing>), End> {
        let batch = &mut self.batch;
        self.watch.look(|state, now| {
            state.session.poll_transmit(now, batch);
            state.armed = state.session.timeout().filter(|_| batch.is_empty());
            // CLOSE is the last frame of its batch.
            let close = match batch.last() {
                Some(Transmit::Control(Frame::Close(close))) => !close.ack,
                _ => false,
            };
            state.farewell_sent |= close;
            state.session.is_drained()
        })
    }

    /// Accounts for the batch before it can be answered. Returns whether there is more to do.
    fn report(&mut self) -> bool {
        let now = clock::now();
        let (wake_at, owing) = self.watch.shared.with_deferring(|state| {
            if state.carries(self.watch.epoch) {
                let Account { wire, frames, data } = &self.account;
                state.session.sent(now, *wire, *frames, data);
                state.tally.sent_plain(data);
            }
            state.armed = state.session.timeout();
            state.armed
        });
        self.watch.wake_at = wake_at;
        owing.is_some()
    }

    /// Waits until there may be something to do.
    async fn wait(&mut self) {
        self.batch.shrink_to(KEPT);
        self.account.clear();
        self.account.data.shrink_to(KEPT);
        let Watch { shared, wake_at, alarm, .. } = &mut self.watch;
        tokio::select! {
            biased;
            () = shared.work.notified() => {}
            () = alarm.rings(*wake_at) => {}
        }
        let lets_others = match shared.take_call() {
            Call::Soon => true,
            Call::AtOnce => self.company.expected(self.account.wire),
            Call::None => false,
        };
        if lets_others {
            yield_now().await;
            // What comes next answers the calls made meanwhile. The notice goes first: a call
            // after it leaves another.
            at_hand(pin!(shared.work.notified())).await;
            self.company.note(shared.take_call() != Call::None);
        }
    }

    /// Writes everything out. Each write that moves something starts the stall time anew; the
    /// heartbeat's judgement does not wait for that.
    async fn flush(&mut self, writer: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        while !self.output.is_empty() {
            self.watch.over(self.output.write_some(writer)).await?;
        }
        self.watch.over(writer.flush()).await
    }
}

impl Watch {
    /// Has the session look at the clock, and then acts on it.
    fn look<R>(
        &mut self,
        act: impl FnOnce(&mut State, Time) -> R,
    ) -> Result<(R, Option<Owing>), End> {
        let now = clock::now();
        let epoch = self.epoch;
        let (looked, owing) = self.shared.with_deferring(|state| {
            if !state.carries(epoch) {
                return Err(End::Fenced);
            }
            if state.session.timeout().is_some_and(|at| at <= now) {
                state.session.handle_timeout(now)?;
            }
            let result = act(state, now);
            Ok((result, state.session.timeout()))
        });
        let (result, wake_at) = looked?;
        self.wake_at = wake_at;
        Ok((result, owing))
    }

    /// Waits for a step of writing: until it is done, nothing moved for the stall time, or the
    /// session holds the peer for dead.
    async fn over<T>(&mut self, step: impl Future<Output = io::Result<T>>) -> Result<T, End> {
        let mut step = pin!(step);
        if let Some(done) = at_hand(step.as_mut()).await {
            return Ok(done?);
        }
        let mut stalled = pin!(sleep(STALL));
        loop {
            let wake_at = self.wake_at;
            tokio::select! {
                biased;
                done = &mut step => return Ok(done?),
                () = &mut stalled => return Err(End::Stalled("written")),
                () = self.alarm.rings(wake_at) => {
                    // What it wants to say has to wait for this step, and is not forgotten.
                    let armed = |state: &mut State, _| state.armed = state.session.timeout();
                    if let (_, Some(_)) = self.look(armed)? {
                        self.shared.wake_writer();
                    }
                }
            }
        }
    }
}

impl Alarm {
    /// Waits until `at`, or a little less; for ever without a time.
    ///
    /// Cancel safe.
    async fn rings(&mut self, at: Option<Time>) {
        let Some(at) = at else { return std::future::pending().await };
        if self.at.is_none_or(|set| at < set) {
            let rest = at.since(clock::now());
            self.timer.as_mut().reset(Instant::now() + rest);
            self.at = Some(at);
        }
        self.timer.as_mut().await;
        self.at = None;
    }
}

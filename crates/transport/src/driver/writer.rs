//! The writing half of a link: takes what the session has when the link can take it, encodes it
//! outside the lock, writes it in one go.

use std::{io, sync::Arc};

use bytes::BytesMut;
use p2_frame::Frame;
use p2_mux::{Time, Transmit};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::{sleep, timeout},
};

use super::{
    End, STALL,
    encode::{Account, Encoders},
    output::Output,
};
use crate::{clock, shared::Shared, state::State};

pub(super) struct Writer {
    watch: Watch,
    encoders: Encoders,
    output: Output,
    batch: Vec<Transmit>,
    account: Account,
}

/// The session's clock, which runs while bytes are stuck in the socket as well.
struct Watch {
    shared: Arc<Shared>,
    epoch: u64,
    /// When the session wants to look at the clock again.
    wake_at: Option<Time>,
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
        let wake_at = shared.with_as_writer(|state| state.session.timeout());
        let watch = Watch { shared, epoch, wake_at };
        Self { watch, encoders, output, batch: Vec::new(), account: Account::default() }
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
        loop {
            self.flush(writer).await?;
            let drained = self.ask()?;
            if !self.batch.is_empty() {
                self.account.clear();
                self.encoders.encode(&mut self.batch, &mut self.output, &mut self.account).await?;
                self.report();
            } else if drained {
                // The peer learns from the end of the bytes that nothing follows.
                let _ = timeout(STALL, writer.shutdown()).await;
                return Err(End::Drained);
            } else {
                self.wait().await;
            }
        }
    }

    /// Takes the next batch, and has the session look at the clock. Returns whether it has said
    /// everything.
    fn ask(&mut self) -> Result<bool, End> {
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

    fn report(&mut self) {
        let now = clock::now();
        self.watch.shared.with_as_writer(|state| {
            if state.carries(self.watch.epoch) {
                let Account { wire, frames, data } = &self.account;
                state.session.sent(now, *wire, *frames, data);
            }
        });
    }

    async fn wait(&mut self) {
        let work = self.watch.shared.work.notified();
        match self.watch.wake_at {
            Some(at) => {
                let _ = timeout(at.since(clock::now()), work).await;
            }
            None => work.await,
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
    fn look<R>(&mut self, act: impl FnOnce(&mut State, Time) -> R) -> Result<R, End> {
        let now = clock::now();
        let epoch = self.epoch;
        let (result, wake_at) = self.shared.with_as_writer(|state| {
            if !state.carries(epoch) {
                return Err(End::Fenced);
            }
            if state.session.timeout().is_some_and(|at| at <= now) {
                state.session.handle_timeout(now)?;
            }
            let result = act(state, now);
            Ok((result, state.session.timeout()))
        })?;
        self.wake_at = wake_at;
        Ok(result)
    }

    /// Waits for a step of writing: until it is done, nothing moved for the stall time, or the
    /// session holds the peer for dead.
    async fn over<T>(&mut self, step: impl Future<Output = io::Result<T>>) -> Result<T, End> {
        let stalled = sleep(STALL);
        tokio::pin!(step, stalled);
        loop {
            let wake_at = self.wake_at;
            let due = async {
                match wake_at {
                    Some(at) => sleep(at.since(clock::now())).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                done = &mut step => return Ok(done?),
                () = &mut stalled => return Err(End::Stalled("written")),
                () = due => self.look(|_, _| ())?,
            }
        }
    }
}

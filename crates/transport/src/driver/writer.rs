//! The writing half of a link: takes what the session has when the link can take it, encodes it
//! outside the lock, writes it in one go.

use std::sync::Arc;

use bytes::BytesMut;
use p2_mux::{Time, Transmit};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    time::timeout,
};

use super::{
    End, STALL,
    encode::{Account, Encoders},
    output::Output,
};
use crate::{clock, shared::Shared};

pub(super) struct Writer {
    shared: Arc<Shared>,
    epoch: u64,
    encoders: Encoders,
    output: Output,
    batch: Vec<Transmit>,
    account: Account,
}

/// What the session said when it was asked for more.
struct Asked {
    wake_at: Option<Time>,
    drained: bool,
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
        Self { shared, epoch, encoders, output, batch: Vec::new(), account: Account::default() }
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
            let asked = self.ask()?;
            if !self.batch.is_empty() {
                self.account.clear();
                self.encoders.encode(&mut self.batch, &mut self.output, &mut self.account).await?;
                self.report();
            } else if asked.drained {
                // The peer learns from the end of the bytes that nothing follows.
                let _ = timeout(STALL, writer.shutdown()).await;
                return Err(End::Drained);
            } else {
                self.wait(asked.wake_at).await;
            }
        }
    }

    /// Takes the next batch, and has the session look at the clock.
    fn ask(&mut self) -> Result<Asked, End> {
        let now = clock::now();
        let (epoch, batch) = (self.epoch, &mut self.batch);
        self.shared.with_as_writer(|state| {
            if !state.carries(epoch) {
                return Err(End::Fenced);
            }
            if state.session.timeout().is_some_and(|at| at <= now) {
                state.session.handle_timeout(now)?;
            }
            state.session.poll_transmit(now, batch);
            let wake_at = state.session.timeout();
            state.armed = wake_at.filter(|_| batch.is_empty());
            Ok(Asked { wake_at, drained: state.session.is_drained() })
        })
    }

    fn report(&mut self) {
        let now = clock::now();
        self.shared.with_as_writer(|state| {
            if state.carries(self.epoch) {
                let Account { wire, frames, data } = &self.account;
                state.session.sent(now, *wire, *frames, data);
            }
        });
    }

    async fn wait(&mut self, wake_at: Option<Time>) {
        let work = self.shared.work.notified();
        match wake_at {
            Some(at) => {
                let _ = timeout(at.since(clock::now()), work).await;
            }
            None => work.await,
        }
    }

    /// Writes everything out. Each write that moves something starts the stall time anew.
    async fn flush(&mut self, writer: &mut (dyn AsyncWrite + Send + Unpin)) -> Result<(), End> {
        if self.output.is_empty() {
            return Ok(());
        }
        while !self.output.is_empty() {
            let wrote = timeout(STALL, self.output.write_some(writer)).await;
            wrote.map_err(|_| End::Stalled("written"))??;
        }
        timeout(STALL, writer.flush()).await.map_err(|_| End::Stalled("written"))??;
        Ok(())
    }
}

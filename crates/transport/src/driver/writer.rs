//! The writing half of a link: writes what the session has for it, each batch in one go.

use std::{
    io,
    pin::{Pin, pin},
    sync::Arc,
};

use bytes::BytesMut;
use p2_mux::Time;
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    task::yield_now,
    time::{Instant, Sleep, sleep, timeout},
};

use super::{
    End, STALL, at_hand,
    beside::{Beside, Place},
    company::Company,
    encode::Encoders,
    maker::{Answer, Maker, look},
    output::Output,
};
use crate::{
    clock,
    shared::{Call, Shared},
    state::{Owing, State},
};

pub(super) struct Writer {
    watch: Watch,
    output: Output,
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
    pub(super) fn new(shared: Arc<Shared>, epoch: u64, first: BytesMut) -> Self {
        let mut output = Output::default();
        output.buffer().unsplit(first);
        let (wake_at, _) = shared.with_deferring(|state| state.session.timeout());
        let alarm = Alarm { timer: Box::pin(sleep(STALL)), at: None };
        let watch = Watch { shared, epoch, wake_at, alarm };
        Self { watch, output, company: Company::default() }
    }

    /// Writes until the link ends.
    pub(super) async fn run(
        mut self,
        encoders: Encoders,
        mut writer: Box<dyn AsyncWrite + Send + Unpin>,
    ) -> End {
        let maker = Maker::new(self.watch.shared.clone(), self.watch.epoch, encoders);
        match self.write(maker, &mut *writer).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn write(
        &mut self,
        mut maker: Maker,
        writer: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<std::convert::Infallible, End> {
        self.flush(writer).await?;
        loop {
            let mut answer = maker.ask()?;
            if let Some(place) = maker.has_backlog().then(Place::take).flatten() {
                match Beside::start(place, maker) {
                    Ok(beside) => {
                        let (back, last) = self.write_beside(beside, writer).await?;
                        maker = back;
                        let Some(last) = last else { continue };
                        answer = last;
                    }
                    Err(back) => maker = *back,
                }
            }
            self.watch.wake_at = answer.wake_at;
            let more = if maker.is_idle() {
                if answer.drained {
                    // The peer learns from the end of the bytes that nothing follows.
                    let _ = timeout(STALL, writer.shutdown()).await;
                    return Err(End::Drained);
                }
                // Whoever gathered these bytes may have seen that nobody wanted them.
                let gathered = answer.owing == Some(Owing::Gathered);
                if gathered {
                    // They may find no room either, and then others have to move.
                    yield_now().await;
                }
                gathered
            } else {
                let told = maker.make(&mut self.output).await?;
                self.watch.wake_at = told.wake_at;
                self.flush(writer).await?;
                told.owing.is_some()
            };
            if !more {
                maker.rest();
                self.wait(maker.wire()).await;
            }
        }
    }

    /// Writes what a thread makes, until there is no backlog or the link cannot keep up.
    async fn write_beside(
        &mut self,
        mut beside: Beside,
        writer: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(Maker, Option<Answer>), End> {
        while let Some((output, wake_at)) = self.watch.beside(beside.next()).await? {
            self.output = output;
            self.watch.wake_at = wake_at;
            self.flush(writer).await?;
            beside.written(std::mem::take(&mut self.output));
        }
        beside.end().await
    }

    /// Waits until there may be something to do, after a batch of `wire` bytes.
    async fn wait(&mut self, wire: u64) {
        let Watch { shared, wake_at, alarm, .. } = &mut self.watch;
        tokio::select! {
            biased;
            () = shared.work.notified() => {}
            () = alarm.rings(*wake_at) => {}
        }
        let lets_others = match shared.take_call() {
            Call::Soon => true,
            Call::AtOnce => self.company.expected(wire),
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
    /// Waits for a step of writing: until it is done, nothing moved for the stall time, or the
    /// session holds the peer for dead.
    async fn over<T>(&mut self, step: impl Future<Output = io::Result<T>>) -> Result<T, End> {
        let mut step = pin!(step);
        if let Some(done) = at_hand(step.as_mut()).await {
            return Ok(done?);
        }
        match self.beside(timeout(STALL, step)).await? {
            Ok(done) => Ok(done?),
            Err(_) => Err(End::Stalled("written")),
        }
    }

    /// Waits for a step that may take its time, with an eye on the session's clock.
    async fn beside<T>(&mut self, step: impl Future<Output = T>) -> Result<T, End> {
        let mut step = pin!(step);
        loop {
            let wake_at = self.wake_at;
            tokio::select! {
                biased;
                done = &mut step => return Ok(done),
                () = self.alarm.rings(wake_at) => self.rang()?,
            }
        }
    }

    /// Has the session look at the clock. What it wants to say has to wait for the step that is under
    /// way, and is not forgotten.
    fn rang(&mut self) -> Result<(), End> {
        let armed = |state: &mut State, _| {
            state.armed = state.session.timeout();
            state.armed
        };
        let (wake_at, owing) = look(&self.shared, self.epoch, armed)?;
        self.wake_at = wake_at;
        if owing.is_some() {
            self.shared.wake_writer();
        }
        Ok(())
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

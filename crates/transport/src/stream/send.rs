//! The sending half of a stream.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use p2_mux::{ErrorCode, Session, StreamId};
use tokio::{io::AsyncWrite, task::coop::poll_proceed};

use super::Handle;
use crate::{Connection, Priority, StreamError, clock, staging::GATHERED};

/// The sending half of a [`Stream`](crate::Stream).
///
/// What it accepts belongs to the session: it is held until the peer acknowledges it, and sent
/// again after a resume if need be. Writing waits while the session's buffer is full or the peer's
/// credit is used up.
///
/// ```no_run
/// # async fn example(stream: p2_transport::Stream) -> Result<(), p2_transport::StreamError> {
/// let (mut send, _recv) = stream.split();
/// send.write_chunk("2026-02-03 started\n".into()).await?;
/// send.start_finish();
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct SendStream {
    handle: Arc<Handle>,
    written: u64,
    /// Finished or reset here.
    ended: bool,
}

impl SendStream {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self { handle, written: 0, ended: false }
    }

    /// Its number in the session.
    pub fn id(&self) -> StreamId {
        self.handle.id
    }

    /// The number that people see.
    pub fn label(&self) -> u32 {
        self.handle.options.label
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.handle.options.name
    }

    /// Its class.
    pub fn priority(&self) -> Priority {
        self.handle.options.priority
    }

    /// What its opener added.
    pub fn metadata(&self) -> &[(String, String)] {
        &self.handle.options.metadata
    }

    /// Whether only its opener sends.
    pub fn is_unidirectional(&self) -> bool {
        self.handle.options.unidirectional
    }

    /// The session that it belongs to.
    pub fn connection(&self) -> Connection {
        Connection::new(self.handle.shared.clone())
    }

    /// Bytes accepted so far, which is the offset of the next byte.
    pub fn bytes_written(&self) -> u64 {
        self.written
    }

    /// Hands `data` over without a copy, waiting for room as often as needed.
    ///
    /// # Cancel safety
    /// A part of `data` may have been accepted when the future is dropped; it is sent.
    /// [`bytes_written`](Self::bytes_written) tells how much, so that the rest can be written
    /// later: nothing is lost or written twice by a caller who looks.
    ///
    /// # Errors
    /// [`StreamError::Ended`] after the end, [`StreamError::Stopped`] when the peer reads no more,
    /// [`StreamError::Direction`] at the wrong end of a one-way stream, [`StreamError::Session`].
    pub async fn write_chunk(&mut self, mut data: Bytes) -> Result<(), StreamError> {
        poll_fn(|cx| self.poll_write_chunk(cx, &mut data)).await
    }

    /// Ends the half: the peer reads to the last byte written and then sees the end.
    ///
    /// The stream may be dropped afterwards; what was written is still delivered while the
    /// connection lives.
    pub fn start_finish(&mut self) {
        if self.handle.can_send() && !self.ended {
            self.ended = true;
            let (id, now) = (self.handle.id, clock::now());
            // A half that was stopped cannot be finished; `finish` and writes say so.
            let _ = self.handle.shared.with(|state| state.session.finish(now, id));
        }
    }

    /// Ends the half and waits until the peer has acknowledged its last byte: it was read, or for a
    /// peer that acknowledges by itself, its sink has it.
    ///
    /// # Cancel safety
    /// Safe: the half stays ended, and calling it again goes on waiting.
    ///
    /// # Errors
    /// As [`write_chunk`](Self::write_chunk).
    pub async fn finish(&mut self) -> Result<(), StreamError> {
        if !self.handle.can_send() {
            return Err(StreamError::Direction);
        }
        self.start_finish();
        let id = self.handle.id;
        poll_fn(|cx| {
            self.handle.shared.with(|state| match state.session.send_outcome(id) {
                Some(outcome) => Poll::Ready(outcome.map_err(|e| state.stream_error(id, e))),
                None => {
                    state.wakers(id).on_end(cx);
                    Poll::Pending
                }
            })
        })
        .await
    }

    /// Abandons the half: what the peer has not received is dropped, and it learns `code`.
    pub fn reset(&mut self, code: ErrorCode) {
        if self.handle.can_send() {
            self.ended = true;
            let id = self.handle.id;
            self.handle.shared.with(|s| s.session.reset(clock::now(), id, code));
        }
    }

    /// Records that the source dropped `dropped` bytes before the next byte written. The reader
    /// sees a [`Chunk::Gap`](crate::Chunk::Gap) at this place: loss is never silent.
    ///
    /// # Errors
    /// As [`write_chunk`](Self::write_chunk).
    pub fn record_gap(&mut self, dropped: u64) -> Result<(), StreamError> {
        self.check()?;
        let id = self.handle.id;
        self.handle.shared.with(|state| {
            let recorded = state.session.record_gap(clock::now(), id, dropped);
            recorded.map_err(|e| state.stream_error(id, e))
        })
    }

    fn check(&self) -> Result<(), StreamError> {
        if self.handle.can_send() { Ok(()) } else { Err(StreamError::Direction) }
    }

    /// Gathers a small write without taking the session's lock, if there was room promised for it.
    fn gather(&mut self, data: &[u8]) -> bool {
        if data.len() > GATHERED || data.is_empty() || self.ended {
            return false;
        }
        let shared = &self.handle.shared;
        let staged = shared.staging.gather(&self.handle, data);
        if staged == Some(true) {
            shared.wake_writer();
        }
        let gathered = staged.map_or(0, |_| data.len());
        self.written = self.written.saturating_add(gathered as u64);
        staged.is_some()
    }

    /// Writes what there is room for, by `write`, under the session's lock. `small`: unless it is
    /// the first, more of the kind may follow, and needs the lock less often.
    fn poll_with(
        &mut self,
        cx: &mut Context<'_>,
        small: bool,
        write: impl FnOnce(&mut Session, StreamId) -> Result<Taken, p2_mux::StreamError>,
    ) -> Poll<Result<usize, StreamError>> {
        let (handle, id) = (&self.handle, self.handle.id);
        let one_of_many = small && self.written > 0;
        let poll = handle.shared.with(|state| match write(&mut state.session, id) {
            Err(error) => Poll::Ready(Err(state.stream_error(id, error))),
            Ok(Taken::None) => {
                state.wakers(id).on_write(cx);
                Poll::Pending
            }
            Ok(Taken::Some(taken)) => {
                if one_of_many && taken > 0 {
                    handle.stage.promise(&state.session, id);
                    state.wakers(id).stage.get_or_insert_with(|| Arc::clone(handle));
                } else {
                    // It uses up what small ones were promised.
                    handle.stage.promise_again(&state.session, id);
                }
                Poll::Ready(Ok(taken))
            }
        });
        if let Poll::Ready(Ok(taken)) = &poll {
            self.written = self.written.saturating_add(*taken as u64);
        }
        poll
    }

    fn poll_write_chunk(
        &mut self,
        cx: &mut Context<'_>,
        data: &mut Bytes,
    ) -> Poll<Result<(), StreamError>> {
        self.check()?;
        loop {
            let turn = ready!(poll_proceed(cx));
            if self.gather(data) {
                turn.made_progress();
                return Poll::Ready(Ok(()));
            }
            let now = clock::now();
            ready!(self.poll_with(cx, data.len() <= GATHERED, |session, id| {
                let wanted = data.len();
                let taken = session.write_chunk(now, id, data)?;
                Ok(if taken == 0 && wanted > 0 { Taken::None } else { Taken::Some(taken) })
            }))?;
            turn.made_progress();
            if data.is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// What a write came to.
enum Taken {
    /// There was no room; the session will tell when there is.
    None,
    Some(usize),
}

impl AsyncWrite for SendStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.check()?;
        let turn = ready!(poll_proceed(cx));
        if this.gather(data) {
            turn.made_progress();
            return Poll::Ready(Ok(data.len()));
        }
        let now = clock::now();
        let taken = ready!(this.poll_with(cx, data.len() <= GATHERED, |session, id| {
            let taken = session.write(now, id, data)?;
            Ok(if taken == 0 && !data.is_empty() { Taken::None } else { Taken::Some(taken) })
        }))?;
        turn.made_progress();
        Poll::Ready(Ok(taken))
    }

    /// Returns at once: what was accepted leaves as soon as the link can take it.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// [`start_finish`](SendStream::start_finish): it does not wait for the acknowledgement.
    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().start_finish();
        Poll::Ready(Ok(()))
    }
}

impl Drop for SendStream {
    fn drop(&mut self) {
        if !self.handle.let_go() && !self.ended {
            self.reset(ErrorCode::CANCELLED);
        }
    }
}

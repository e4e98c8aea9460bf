//! The receiving half of a stream.

use std::{
    future::poll_fn,
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use p2_mux::{ErrorCode, Read, StreamId};
use tokio::{
    io::{AsyncRead, ReadBuf},
    task::coop::poll_proceed,
};

use super::Handle;
use crate::{Priority, StreamError, clock};

/// What a stream delivers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Chunk {
    /// Bytes in order, each once.
    Data {
        /// Offset of the first byte; gaps do not count.
        offset: u64,
        /// At least one byte.
        data: Bytes,
    },
    /// The source dropped bytes at this place, by its own policy.
    Gap {
        /// Offset of the byte that comes next.
        offset: u64,
        /// How many bytes are missing.
        dropped: u64,
    },
}

/// The receiving half of a [`Stream`](crate::Stream).
///
/// Bytes count as acknowledged when they are read, and then the peer forgets them; a sink that
/// writes them somewhere chooses [`set_manual_ack`](Self::set_manual_ack) instead.
///
/// ```no_run
/// # async fn example<W>(stream: p2_transport::Stream, mut file: W) -> Result<(), Box<dyn std::error::Error>>
/// # where W: tokio::io::AsyncWrite + Unpin {
/// use p2_transport::Chunk;
/// use tokio::io::AsyncWriteExt;
///
/// let (_send, mut recv) = stream.split();
/// recv.set_manual_ack(true);
/// let mut end = 0;
/// while let Some(chunk) = recv.read_chunk().await? {
///     if let Chunk::Data { offset, data } = chunk {
///         file.write_all(&data).await?;
///         end = offset + data.len() as u64;
///     }
/// }
/// file.shutdown().await?; // on an error `recv` is dropped, and the sender learns of it
/// recv.acknowledge(end); // only now is the stream delivered, its end included
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct RecvStream {
    handle: Arc<Handle>,
    /// The end was read.
    finished: bool,
}

impl RecvStream {
    pub(super) fn new(handle: Arc<Handle>) -> Self {
        Self { handle, finished: false }
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

    /// The next bytes without a copy, or a gap; `None` at the end, once length and digest of the
    /// whole stream agreed with what the sender declared.
    ///
    /// # Cancel safety
    /// Safe: nothing is taken until it returns.
    ///
    /// # Errors
    /// [`StreamError::Reset`] when the peer abandoned the stream, after everything that came before;
    /// [`StreamError::Integrity`]; [`StreamError::Ended`] after [`stop`](Self::stop);
    /// [`StreamError::Direction`] at the wrong end of a one-way stream; [`StreamError::Session`].
    pub async fn read_chunk(&mut self) -> Result<Option<Chunk>, StreamError> {
        match poll_fn(|cx| self.poll_next(cx, usize::MAX)).await? {
            Read::Data { offset, data } => Ok(Some(Chunk::Data { offset, data })),
            Read::Gap { offset, dropped } => Ok(Some(Chunk::Gap { offset, dropped })),
            Read::Finished | Read::Blocked => Ok(None),
        }
    }

    /// Abandons the half: what was not read is dropped, and the peer learns `code`.
    ///
    /// After the end was read it has no effect, unless the end is still to be
    /// [acknowledged](Self::acknowledge): a sink that fails at the very last, when it is flushed or
    /// closed, says so with [`ErrorCode::SINK_FAILED`], and the peer never takes the stream for
    /// delivered. Dropping the half without that acknowledgement stops it as well.
    pub fn stop(&mut self, code: ErrorCode) {
        if self.handle.can_receive() {
            let id = self.handle.id;
            self.handle.shared.with(|s| s.session.stop(clock::now(), id, code));
        }
    }

    /// Takes responsibility for every byte read below `offset`: the peer forgets them. Once the end
    /// was read, acknowledging the last byte (or, of an empty stream, 0) acknowledges the end as
    /// well.
    pub fn acknowledge(&mut self, offset: u64) {
        let id = self.handle.id;
        self.handle.shared.with_as_reader(|s| s.session.acknowledge(clock::now(), id, offset));
    }

    /// `true`: bytes count as acknowledged by [`acknowledge`](Self::acknowledge) only, not by
    /// reading. Choose before the first read.
    pub fn set_manual_ack(&mut self, manual: bool) {
        let id = self.handle.id;
        self.handle.shared.with(|s| s.session.set_manual_ack(id, manual));
    }

    fn poll_next(&mut self, cx: &mut Context<'_>, max: usize) -> Poll<Result<Read, StreamError>> {
        if !self.handle.can_receive() {
            return Poll::Ready(Err(StreamError::Direction));
        }
        if self.finished {
            return Poll::Ready(Ok(Read::Finished));
        }
        let turn = ready!(poll_proceed(cx));
        let (id, now) = (self.handle.id, clock::now());
        let read =
            self.handle.shared.with_as_reader(|state| match state.session.read(now, id, max) {
                Ok(Read::Blocked) => {
                    state.wakers(id).on_read(cx);
                    Poll::Pending
                }
                Ok(read) => Poll::Ready(Ok(read)),
                Err(error) => Poll::Ready(Err(state.stream_error(id, error))),
            });
        if read.is_ready() {
            turn.made_progress();
        }
        if matches!(read, Poll::Ready(Ok(Read::Finished))) {
            self.finished = true;
        }
        read
    }
}

impl AsyncRead for RecvStream {
    /// A gap is an error of kind `InvalidData`, once; reading goes on behind it. Use
    /// [`read_chunk`](RecvStream::read_chunk) where gaps are expected.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if buf.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        let this = self.get_mut();
        let read = match this.poll_next(cx, buf.remaining()) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(read) => read?,
        };
        if let Read::Data { data, .. } = &read {
            buf.put_slice(data);
        }
        Poll::Ready(match read {
            Read::Gap { offset, dropped } => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the source dropped {dropped} bytes at offset {offset}"),
            )),
            _ => Ok(()),
        })
    }
}

impl Drop for RecvStream {
    fn drop(&mut self) {
        if !self.handle.let_go() {
            self.stop(ErrorCode::CANCELLED);
        }
    }
}

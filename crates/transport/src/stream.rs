//! Ordered bytes in one or both directions, as their application sees them.

mod handle;
mod recv;
mod send;

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use p2_mux::{ErrorCode, StreamId};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

pub(crate) use handle::Handle;
pub use recv::{Chunk, RecvStream};
pub use send::SendStream;

use crate::{Priority, StreamError};

/// A stream: it survives links, and ends when both its halves have ended.
///
/// Dropping it before [`finish`](Self::finish) or [`start_finish`](Self::start_finish) resets its
/// sending half, dropping it before its end was read stops its receiving half, both with
/// [`ErrorCode::CANCELLED`]: the peer never takes a part for the whole.
///
/// ```no_run
/// # async fn example(connection: p2_transport::Connection) -> Result<(), p2_transport::StreamError> {
/// use p2_transport::{Chunk, StreamOptions};
///
/// let mut stream = connection.open_stream(StreamOptions::named("app")).await?;
/// stream.write_chunk("hello\n".into()).await?;
/// stream.finish().await?; // the peer has acknowledged every byte
/// while let Some(chunk) = stream.read_chunk().await? {
///     match chunk {
///         Chunk::Data { offset, data } => println!("{} bytes at {offset}", data.len()),
///         Chunk::Gap { offset, dropped } => println!("{dropped} bytes missing at {offset}"),
///     }
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Stream {
    send: SendStream,
    recv: RecvStream,
}

impl Stream {
    /// A stream that the session has just opened or accepted.
    pub(crate) fn new(handle: Handle) -> Self {
        let handle = Arc::new(handle);
        Self { send: SendStream::new(handle.clone()), recv: RecvStream::new(handle) }
    }

    /// Its number in the session.
    pub fn id(&self) -> StreamId {
        self.send.id()
    }

    /// The number that people see.
    pub fn label(&self) -> u32 {
        self.send.label()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.send.name()
    }

    /// Its class.
    pub fn priority(&self) -> Priority {
        self.send.priority()
    }

    /// What its opener added.
    pub fn metadata(&self) -> &[(String, String)] {
        self.send.metadata()
    }

    /// Whether only its opener sends.
    pub fn is_unidirectional(&self) -> bool {
        self.send.is_unidirectional()
    }

    /// Hands `data` over without a copy; see [`SendStream::write_chunk`].
    ///
    /// # Errors
    /// As there.
    pub async fn write_chunk(&mut self, data: Bytes) -> Result<(), StreamError> {
        self.send.write_chunk(data).await
    }

    /// Bytes accepted so far; see [`SendStream::bytes_written`].
    pub fn bytes_written(&self) -> u64 {
        self.send.bytes_written()
    }

    /// The next bytes without a copy; see [`RecvStream::read_chunk`].
    ///
    /// # Errors
    /// As there.
    pub async fn read_chunk(&mut self) -> Result<Option<Chunk>, StreamError> {
        self.recv.read_chunk().await
    }

    /// Ends the sending half and waits until the peer has everything; see [`SendStream::finish`].
    ///
    /// # Errors
    /// As there.
    pub async fn finish(&mut self) -> Result<(), StreamError> {
        self.send.finish().await
    }

    /// Ends the sending half; see [`SendStream::start_finish`].
    pub fn start_finish(&mut self) {
        self.send.start_finish();
    }

    /// Abandons the sending half; see [`SendStream::reset`].
    pub fn reset(&mut self, code: ErrorCode) {
        self.send.reset(code);
    }

    /// Abandons the receiving half; see [`RecvStream::stop`].
    pub fn stop(&mut self, code: ErrorCode) {
        self.recv.stop(code);
    }

    /// Records that the source dropped bytes; see [`SendStream::record_gap`].
    ///
    /// # Errors
    /// As there.
    pub fn record_gap(&mut self, dropped: u64) -> Result<(), StreamError> {
        self.send.record_gap(dropped)
    }

    /// Takes responsibility for what was read; see [`RecvStream::acknowledge`].
    pub fn acknowledge(&mut self, offset: u64) {
        self.recv.acknowledge(offset);
    }

    /// Chooses who acknowledges; see [`RecvStream::set_manual_ack`].
    pub fn set_manual_ack(&mut self, manual: bool) {
        self.recv.set_manual_ack(manual);
    }

    /// Its halves, for two tasks.
    pub fn split(self) -> (SendStream, RecvStream) {
        (self.send, self.recv)
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().recv).poll_read(cx, buf)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        data: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().send).poll_write(cx, data)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().send).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().send).poll_shutdown(cx)
    }
}

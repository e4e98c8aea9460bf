//! Where sources send: the few things they need of a session.

use super::live::Steer;
use super::outcome::Failure;
use crate::settings::source::StreamAttributes;
use bytes::Bytes;
use std::future::Future;

/// A stream to be opened.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    /// The stream's name, at most 255 bytes.
    pub(crate) name: String,
    /// The number that users see.
    pub(crate) label: u32,
    /// Whether the peer may send, too.
    pub(crate) bidirectional: bool,
    /// Priority, codec and level.
    pub(crate) attributes: StreamAttributes,
    /// Facts for the receiver, such as the address of a client.
    pub(crate) metadata: Vec<(String, String)>,
}

/// A session that streams can be opened on.
pub(crate) trait Destination: Clone + Send + Sync + 'static {
    /// The sending half of a stream.
    type Writer: Writer;
    /// The receiving half of a stream.
    type Reader: Reader;

    /// Opens a stream, waiting while the peer takes no more of them.
    fn open(
        &self,
        plan: Plan,
    ) -> impl Future<Output = Result<(Self::Writer, Self::Reader), Failure>> + Send;

    /// Waits until the session has ended and says why. Cancel safe.
    fn ended(&self) -> impl Future<Output = String> + Send;
}

/// The sending half of a stream.
pub(crate) trait Writer: Send + 'static {
    /// Hands over a chunk, waiting for room.
    fn write(&mut self, chunk: Bytes) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Records that `dropped` more bytes are missing at this place.
    fn record_gap(&mut self, dropped: u64) -> Result<(), Failure>;

    /// Ends the stream; returns once the peer has acknowledged the last byte.
    fn finish(&mut self) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Ends the stream because its source failed.
    fn reset(&mut self);

    /// What lets the stream take another class while it is open; none where there are no classes.
    fn steer(&self) -> Option<Steer> {
        None
    }
}

/// The receiving half of a stream.
pub(crate) trait Reader: Send + 'static {
    /// The next bytes, `None` at the end.
    fn read(&mut self) -> impl Future<Output = Result<Option<Bytes>, Failure>> + Send;

    /// Tells the peer that nobody reads any more.
    fn stop(&mut self);
}

//! What the application gets when it reads a stream.

use bytes::Bytes;

/// What a read of a stream found.
///
/// ```
/// use p2_mux::Read;
/// let read = Read::Data { offset: 6, data: bytes::Bytes::from_static(b"world") };
/// assert!(matches!(read, Read::Data { offset: 6, .. }));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Read {
    /// The next bytes; `offset` is that of the first.
    Data {
        /// Offset of the first byte.
        offset: u64,
        /// At least one byte.
        data: Bytes,
    },
    /// The sender's source dropped bytes at this place, by its user's choice.
    Gap {
        /// Where.
        offset: u64,
        /// How many.
        dropped: u64,
    },
    /// The stream ended and its length and digest are right.
    Finished,
    /// Nothing yet; a readable event follows.
    Blocked,
}

//! What every multiplexer is asked for here, so that each scenario is written once.

pub(crate) mod h2;
pub(crate) mod p2;
pub(crate) mod tcp;
pub(crate) mod yamux;

use bytes::Bytes;

/// Large writes are this long.
pub(crate) const BLOCK: usize = 64 << 10;
/// Where a peer reads into a buffer, it is this long. P2 may read twice as much at once; raw TCP is no
/// faster with that.
pub(crate) const BUFFER: usize = 128 << 10;
/// Streams that are being opened at the same time while a scenario is set up.
const OPENING: usize = 64;

/// What a stream is for. Only P2 can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    Plain,
    Bulk,
    Urgent,
}

/// One way of carrying many streams between two ends in this process, over loopback TCP.
pub(crate) trait Peer: 'static {
    type Stream: Duplex;
    type Near: Open<Stream = Self::Stream>;
    type Far: Accept<Stream = Self::Stream>;

    /// Both ends of a connection that can carry `streams` at once.
    fn pair(streams: usize) -> impl Future<Output = (Self::Near, Self::Far)> + Send;
}

/// The end that opens streams.
pub(crate) trait Open: Clone + Send + Sync + 'static {
    type Stream;

    fn open(&self, class: Class) -> impl Future<Output = Self::Stream> + Send;
}

/// The end that takes them.
pub(crate) trait Accept: Send + 'static {
    type Stream;

    fn accept(&mut self) -> impl Future<Output = Self::Stream> + Send;
}

/// A stream. A failure ends the bench: a peer that loses its connection has no figure.
pub(crate) trait Duplex: Send + 'static {
    /// Writes all of it, without a copy where the library can.
    fn write(&mut self, data: &Bytes) -> impl Future<Output = ()> + Send;

    /// Writes a short message.
    fn write_small(&mut self, data: &'static [u8]) -> impl Future<Output = ()> + Send {
        async move { self.write(&Bytes::from_static(data)).await }
    }

    /// Reads what is there and drops it: how much it was, and 0 at the end.
    fn read(&mut self) -> impl Future<Output = usize> + Send;

    /// Ends the writing direction.
    fn finish(&mut self) -> impl Future<Output = ()> + Send;

    /// Writes, and ends the writing direction.
    fn write_last(&mut self, data: &'static [u8]) -> impl Future<Output = ()> + Send {
        async move {
            self.write_small(data).await;
            self.finish().await;
        }
    }

    /// Reads and drops `count` bytes.
    fn read_exactly(&mut self, count: usize) -> impl Future<Output = ()> + Send {
        async move {
            let mut missing = count;
            while missing > 0 {
                let read = self.read().await;
                assert!((1..=missing).contains(&read), "{read} bytes of {missing}");
                missing -= read;
            }
        }
    }
}

/// Opens streams; a byte has gone each way on every one, so both ends know them.
pub(crate) async fn establish<P: Peer>(
    near: &P::Near,
    far: &mut P::Far,
    class: Class,
    count: usize,
) -> (Vec<P::Stream>, Vec<P::Stream>) {
    let opening = async {
        let mut streams = Vec::with_capacity(count);
        while streams.len() < count {
            let first = streams.len();
            for _ in first..count.min(first + OPENING) {
                let mut stream = near.open(class).await;
                stream.write_small(b"?").await;
                streams.push(stream);
            }
            for stream in &mut streams[first..] {
                stream.read_exactly(1).await;
            }
        }
        streams
    };
    let accepting = async {
        let mut streams = Vec::with_capacity(count);
        for _ in 0..count {
            let mut stream = far.accept().await;
            stream.read_exactly(1).await;
            stream.write_small(b"!").await;
            streams.push(stream);
        }
        streams
    };
    tokio::join!(opening, accepting)
}

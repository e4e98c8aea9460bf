//! Many streams over one connection that resumes: compressed, prioritised, nothing lost, nothing
//! twice.
//!
//! A [`Client`] dials and a [`Server`] listens. Both yield [`Connection`]s: one for each session. A
//! session survives its links. When a link dies, the client dials again, both sides compare what
//! they have, and each stream goes on at the byte where it stopped. Applications see a pause and
//! nothing else.
//!
//! ```
//! use p2::{Client, Priority, Server, StreamOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().bind("127.0.0.1:0").await?;
//!
//! let client = Client::builder().connect(&server.local_addr()).await?;
//! let options = StreamOptions::named("app").priority(Priority::High);
//! let mut log = client.open_stream(options).await?;
//! log.write_all(b"hello\n").await?;
//! log.start_finish();
//!
//! let connection = server.accept().await.expect("a session");
//! let mut stream = connection.accept_stream().await.expect("a stream");
//! let mut text = String::new();
//! stream.read_to_string(&mut text).await?;
//! assert_eq!((stream.name(), text.as_str()), ("app", "hello\n"));
//!
//! log.finish().await?; // the peer has read, and so acknowledged, the last byte
//! # Ok(()) }
//! ```
//!
//! # Where to look
//!
//! - Sessions: [`Client`], [`Server`], [`Connection`], [`LinkState`], [`SessionEvent`],
//!   [`SessionStats`].
//! - Streams: [`Stream`] and its halves [`SendStream`] and [`RecvStream`], opened with
//!   [`StreamOptions`]. They are `AsyncRead` and `AsyncWrite`, and move `bytes::Bytes` without a
//!   copy as [`Chunk`]s.
//! - Delivery: reading acknowledges, unless [`RecvStream::set_manual_ack`] leaves it to a sink that
//!   knows better. [`SendStream::finish`] returns once the last byte is acknowledged.
//! - Compression: [`codec`] has the [`Codec`] trait, the [`Registry`], and a conformance check for
//!   codecs of your own.
//! - Links of other kinds: [`dial::Dial`] for clients, [`Server::serve_link`] for servers.
//! - Errors: [`ConnectError`] before a session, [`SessionError`] for one, [`StreamError`] for one
//!   stream.
//!
//! # Features
//!
//! Gzip is always there. `zstd` (needs a C compiler), `lz4` and `snappy` add codecs, `full` adds all
//! of them. Where both ends have zstd it is preferred, else gzip; [`ClientBuilder::codecs`] and
//! [`ServerBuilder::codecs`] choose otherwise.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub use p2_transport::{
    Backoff, BindError, Chunk, Client, ClientBuilder, Codec, CodecId, ConnectError, Connection,
    Dial, DialError, ErrorCode, Explain, HalfState, Link, LinkState, Negotiated, Offer, PeerInfo,
    Priority, RecvStream, Registry, SendStream, Server, ServerBuilder, ServerEvent, ServerStats,
    SessionError, SessionEvent, SessionId, SessionStats, SessionSummary, Stream, StreamError,
    StreamId, StreamOptions, StreamStats, Token, TokenError, Unacknowledged, codec, dial,
};

/// The examples of README.md, compiled and run with the others.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

//! P2 over tokio: links that die, sessions and streams that do not.
//!
//! - A [`Client`] dials, and dials again; a [`Server`] listens. Both yield [`Connection`]s.
//! - A [`Connection`] is one session. It survives its links: bytes in flight when a link dies are
//!   sent again over the next one, and nothing arrives twice.
//! - A [`Stream`] carries ordered bytes within a session. It is `AsyncRead` and `AsyncWrite`, and
//!   also moves [`Bytes`](bytes::Bytes) without a copy.
//! - [`dial::Dial`] makes links of any kind; TCP and Unix sockets are built in.
//!
//! # Example
//!
//! ```
//! use p2_transport::{Client, Server, StreamOptions};
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::builder().bind("127.0.0.1:0").await?;
//! let client = Client::builder().connect(&server.local_addr()).await?;
//! let mut log = client.open_stream(StreamOptions::named("app")).await?;
//! log.write_all(b"hello\n").await?;
//! log.start_finish();
//!
//! let connection = server.accept().await.expect("it has connected");
//! let mut stream = connection.accept_stream().await.expect("it was opened");
//! let mut text = String::new();
//! stream.read_to_string(&mut text).await?;
//! assert_eq!((stream.name(), text.as_str()), ("app", "hello\n"));
//!
//! log.finish().await?; // every byte is acknowledged
//! # Ok(()) }
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod backoff;
mod client;
mod clock;
mod connection;
pub mod dial;
mod driver;
mod error;
mod events;
mod gate;
mod handshake;
mod identity;
mod ledger;
mod link;
mod listener;
mod options;
mod reason;
mod server;
mod sessions;
mod settings;
mod shared;
mod staging;
mod state;
mod stats;
mod stream;
mod supervisor;
mod tally;
mod token;
mod users;
mod wakers;

pub use backoff::Backoff;
pub use client::{Client, ClientBuilder};
pub use connection::Connection;
pub use dial::{Dial, DialError};
pub use error::{BindError, ConnectError, SessionError, StreamError, Unacknowledged};
pub use events::{LinkState, ServerEvent, SessionEvent};
pub use identity::{Negotiated, PeerInfo, SessionId};
pub use link::{Explain, Link};
pub use options::StreamOptions;
pub use reason::{ConnectFailure, DisconnectReason};
pub use server::{Server, ServerBuilder};
pub use stats::{
    HalfState, ServerStats, SessionAccount, SessionStats, SessionSummary, StreamStats,
};
pub use stream::{Chunk, RecvStream, SendStream, Stream};
pub use token::{Token, TokenError};

pub use p2_codec::{self as codec, Codec, Offer, Registry};
pub use p2_mux::{CodecId, ErrorCode, Histogram, Priority, StreamId};

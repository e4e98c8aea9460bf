//! P2's session: many streams over one link after the other, without I/O.
//!
//! A [`Session`] survives its links. It numbers every byte of every stream, retains what the peer
//! has not acknowledged, and after a new link is attached goes on exactly where the peer stands.
//! It knows no socket, no clock and no thread, so a test can drive two of them through any
//! sequence of events, deterministically.
//!
//! [`handshake`] agrees on a link: version, codecs, limits, and proof of who is speaking.
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

mod budget;
mod config;
mod error;
mod event;
mod flight;
mod flow;
pub mod handshake;
mod histogram;
mod keepalive;
pub mod limits;
mod link;
mod police;
mod schedule;
mod session;
mod stats;
mod stream;
mod streams;
mod time;

pub use budget::ProcessBudget;
pub use config::Config;
pub use error::{Ended, LinkError, OpenError, ResumeError, StreamError};
pub use event::Event;
pub use histogram::Histogram;
pub use link::{Attachment, default_limits};
pub use schedule::Priority;
pub use session::{DataJob, DecodeJob, Received, SentFrame, Session, Transmit};
pub use stats::{SessionStats, StreamStats, Totals};
pub use stream::OpenOptions;
pub use stream::read::Read;
pub use stream::recv::RecvState;
pub use stream::send::SendState;
pub use streams::{IdHasher, StreamMap};
pub use time::Time;

pub use p2_frame::{CodecId, ErrorCode, PeerLimits, Role, StreamId};

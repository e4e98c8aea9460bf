//! P2's wire format: bytes to frames and back, with no state beyond one call.
//!
//! A link begins with a [`Preface`] in each direction. After it everything is a [`Frame`]:
//! [`Frame::encode`] appends one to a buffer, [`decode`] takes one off the front of a buffer.
//! What the bytes mean, and what a peer must do with them, stands in [`wire`].
//!
//! ```
//! use bytes::BytesMut;
//! use p2_frame::{DecodeLimits, Frame, Ping, decode};
//!
//! let mut buf = BytesMut::new();
//! let ping = Frame::Ping(Ping { id: 1, time: 1_500 });
//! ping.encode(&mut buf, false)?;
//!
//! let mut half = buf.split_to(10);
//! assert_eq!(decode(&mut half, &DecodeLimits::default())?, None); // the rest is still on its way
//! half.unsplit(buf);
//! assert_eq!(decode(&mut half, &DecodeLimits::default())?, Some(ping));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What a peer cannot do here
//!
//! A frame is judged from its header before anything is waited for or allocated, every length has
//! a constant in [`limits`], and the cost of a call is linear in the bytes it consumes.
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

mod body;
mod code;
mod decode;
mod error;
mod frame;
mod header;
mod ids;
mod kind;
pub mod limits;
mod preface;
#[doc = include_str!("../WIRE.md")]
pub mod wire {}

pub use code::{ErrorCode, RefuseCode};
pub use decode::{CrcPolicy, DecodeLimits, decode, needed};
pub use error::{DecodeError, EncodeError, FieldError};
pub use frame::{
    Blocked, Close, CodecChoice, CodecOffer, Credit, Data, DataHeader, Fin, Frame, Gap, GoAway,
    Hello, Open, PeerLimits, Ping, Pong, Proof, Receipt, Refuse, Reset, Resume, ResumeStream, Stop,
    StreamEnd,
};
pub use ids::{CodecId, Role, StreamId};
pub use kind::FrameKind;
pub use preface::{Mangled, Preface, PrefaceScan, VERSION, VersionMismatch};

/// What a control message may carry beyond its fields: tags with opaque values.
///
/// A receiver ignores tags it does not know, unless the tag's top bit (0x8000) is set: then it
/// must refuse the message. Version 1 defines no tag.
pub type Extensions = Vec<(u16, Vec<u8>)>;

//! P2's compression: one trait, the codecs behind it, and the per-stream pipelines that use them.
//!
//! - [`Codec`] makes [`Encoder`]s and [`Decoder`]s; both work on slices and keep a context from
//!   payload to payload, because on small messages the context decides the ratio, not the codec.
//! - [`Registry`] holds the codecs of this build and those that third parties add.
//! - [`negotiate`] is the pure function by which both sides of a session reach the same choice.
//! - [`StreamEncoder`] and [`StreamDecoder`] are what a transport drives: one of each per stream
//!   and link. They decide what to compress, keep within a [`ContextBudget`], and hold the rules
//!   that the wire needs (restart, exact length, no allocation before a check).
//! - [`conformance::check`] tells whether a codec keeps the promises of the trait.
//!
//! Gzip is in every build; `zstd`, `snappy` and `lz4` are cargo features, `full` has them all.
//!
//! # Example
//!
//! ```
//! use std::sync::Arc;
//! use bytes::{Bytes, BytesMut};
//! use p2_codec::{
//!     CodecId, ContextBudget, DecoderLimits, Registry, StreamCodec, StreamDecoder, StreamEncoder,
//! };
//!
//! let registry = Arc::new(Registry::builtin());
//! let mut encoder = StreamEncoder::new(
//!     registry.clone(),
//!     StreamCodec::new(CodecId::GZIP),
//!     ContextBudget::new(ContextBudget::DEFAULT_LIMIT),
//! );
//! let mut decoder = StreamDecoder::new(registry, DecoderLimits::default());
//!
//! let line = b"2026-02-03T20:15:00Z INFO request served, request served, request served\n";
//! let mut payload = BytesMut::new();
//! let made = encoder.encode(line, &mut payload)?;
//! assert!(made.restart, "the first payload of a link starts a fresh context");
//! let back = decoder.decode(made.codec, made.restart, &payload.freeze(), line.len() as u32)?;
//! assert_eq!(&back[..], line);
//! # Ok::<(), p2_codec::CodecError>(())
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod budget;
mod codec;
pub mod conformance;
mod error;
mod gzip;
pub mod limits;
mod negotiate;
mod probe;
mod registry;
mod sampler;
mod stream_decoder;
mod stream_encoder;

pub use budget::ContextBudget;
pub use codec::{Capabilities, Codec, Decoder, DecoderLimits, Encoder, EncoderConfig};
pub use error::{CodecError, RegisterError};
pub use p2_frame::CodecId;

pub use negotiate::{Choice, Offer, negotiate};
pub use probe::{Probe, probe};
pub use registry::{Registry, builtin};
pub use sampler::{Sampler, incompressible};
pub use stream_decoder::StreamDecoder;
pub use stream_encoder::{Encoded, StreamCodec, StreamEncoder};

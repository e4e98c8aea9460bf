//! Where a sending half stands, what it has for the wire, and what a CREDIT changes of it.

use bytes::Bytes;

/// Where a sending half stands. The end (FIN or RESET) is acknowledged like one more byte.
///
/// | state | writes | FIN | RESET | end acknowledged |
/// |---|---|---|---|---|
/// | Open | accepted | → Finished | → Reset | impossible |
/// | Finished | refused | no change | → Reset | → Over |
/// | Reset | refused | refused | no change | → Over |
/// | Over | refused | refused | no change | no change |
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[non_exhaustive]
pub enum SendState {
    /// Takes bytes.
    Open,
    /// The last byte is known; what is retained still has to arrive.
    Finished,
    /// Abandoned; the peer is being told.
    Reset,
    /// The peer acknowledged the end.
    Over,
}

/// The next thing this half has for the wire.
#[derive(Debug)]
pub(crate) enum Outgoing {
    Gap { offset: u64, dropped: u64 },
    Data { offset: u64, chunks: Vec<Bytes>, raw_len: u32 },
    Fin { final_offset: u64, digest: u64 },
}

/// What a CREDIT changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Credited {
    pub(crate) freed: u64,
    pub(crate) raised: bool,
    pub(crate) over: bool,
    /// Nothing is retained any more.
    pub(crate) emptied: bool,
}

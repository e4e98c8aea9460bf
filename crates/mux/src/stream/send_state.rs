//! Where a sending half stands.

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

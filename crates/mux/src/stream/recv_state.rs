//! Where a receiving half stands, and how the peer ended it.

use p2_frame::ErrorCode;

/// Where a receiving half stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::Display, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[non_exhaustive]
pub enum RecvState {
    /// More may come.
    Open,
    /// FIN is known, but not everything was read and acknowledged.
    Ending,
    /// The peer abandoned the stream.
    Reset,
    /// This side no longer wants it and waits for the peer to end it.
    Stopped,
    /// Read to its end, digest verified, end acknowledged.
    Over,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecvEnd {
    Fin { final_offset: u64, digest: u64 },
    Reset { final_offset: u64, code: ErrorCode },
}

impl RecvEnd {
    pub(crate) const fn final_offset(self) -> u64 {
        match self {
            Self::Fin { final_offset, .. } | Self::Reset { final_offset, .. } => final_offset,
        }
    }
}

//! Who dialled, which stream, which codec.

use std::fmt;

use crate::limits::MAX_STREAMS;

/// Which end of the link a side is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Role {
    /// The side that dialled.
    Client,
    /// The side that was dialled.
    Server,
}

impl Role {
    /// The other end.
    ///
    /// ```
    /// use p2_frame::Role;
    /// assert_eq!(Role::Client.peer(), Role::Server);
    /// ```
    #[must_use]
    pub const fn peer(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Client => "client",
            Self::Server => "server",
        })
    }
}

/// A stream of a session: who opened it, and as the how-manieth of its streams.
///
/// On the wire `index << 1 | initiator`, where the initiator bit is 0 for the client and 1 for
/// the server. An index is handed out in order from 0 and never reused.
///
/// ```
/// use p2_frame::{Role, StreamId};
/// let id = StreamId::new(Role::Server, 3).unwrap();
/// assert_eq!((id.to_wire(), id.to_string().as_str()), (7, "s3"));
/// assert_eq!(StreamId::from_wire(7), Some(id));
/// assert_eq!(StreamId::from_wire(1 << 63), None);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId(u64);

impl StreamId {
    /// What stands in the header of frames that concern no stream; also the client's first stream.
    pub(crate) const ZERO: Self = Self(0);

    /// The stream that `initiator` opened as its `index`th; `None` from 2^62 on.
    pub const fn new(initiator: Role, index: u64) -> Option<Self> {
        if index >= MAX_STREAMS {
            return None;
        }
        let bit = match initiator {
            Role::Client => 0,
            Role::Server => 1,
        };
        Some(Self(index << 1 | bit))
    }

    /// The stream with this number on the wire; `None` from 2^63 on.
    pub const fn from_wire(id: u64) -> Option<Self> {
        if id >> 1 >= MAX_STREAMS { None } else { Some(Self(id)) }
    }

    /// The number on the wire.
    pub const fn to_wire(self) -> u64 {
        self.0
    }

    /// Who opened it.
    pub const fn initiator(self) -> Role {
        if self.0 & 1 == 0 { Role::Client } else { Role::Server }
    }

    /// How many streams its initiator had opened before it.
    pub const fn index(self) -> u64 {
        self.0 >> 1
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = match self.initiator() {
            Role::Client => 'c',
            Role::Server => 's',
        };
        write!(f, "{side}{}", self.index())
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A codec, by its number on the wire.
///
/// 0 to 4 are named here, 0xC0 to 0xFE belong to third parties, the rest is unassigned.
///
/// ```
/// use p2_frame::CodecId;
/// assert_eq!(CodecId::ZSTD.to_string(), "zstd");
/// assert_eq!(CodecId::new(0xC3).to_string(), "0xC3");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CodecId(u8);

#[derive(strum::FromRepr, strum::IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
#[repr(u8)]
enum KnownCodec {
    None = 0,
    Gzip = 1,
    Zstd = 2,
    Snappy = 3,
    Lz4 = 4,
}

impl CodecId {
    /// Bytes as they are. Every side decodes it, whether offered or not.
    pub const NONE: Self = Self(KnownCodec::None as u8);
    /// Streaming gzip (RFC 1952).
    pub const GZIP: Self = Self(KnownCodec::Gzip as u8);
    /// Streaming zstd (RFC 8878).
    pub const ZSTD: Self = Self(KnownCodec::Zstd as u8);
    /// Raw snappy blocks.
    pub const SNAPPY: Self = Self(KnownCodec::Snappy as u8);
    /// LZ4 frames with linked blocks.
    pub const LZ4: Self = Self(KnownCodec::Lz4 as u8);

    /// The codec with this number.
    pub const fn new(id: u8) -> Self {
        Self(id)
    }

    /// The number on the wire.
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match KnownCodec::from_repr(self.0) {
            Some(known) => f.pad(known.into()),
            None => write!(f, "0x{:02X}", self.0),
        }
    }
}

impl fmt::Debug for CodecId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stream_ids_carry_the_initiator_in_the_lowest_bit() {
        for (role, index, wire) in [
            (Role::Client, 0, 0),
            (Role::Server, 0, 1),
            (Role::Client, 12, 24),
            (Role::Server, MAX_STREAMS - 1, (1 << 63) - 1),
        ] {
            let id = StreamId::new(role, index).unwrap();
            assert_eq!((id.to_wire(), id.initiator(), id.index()), (wire, role, index));
            assert_eq!(StreamId::from_wire(wire), Some(id));
        }
        assert_eq!(StreamId::new(Role::Client, MAX_STREAMS), None);
        assert_eq!(StreamId::from_wire(u64::MAX), None);
    }

    #[test]
    fn ids_print_short() {
        assert_eq!(StreamId::new(Role::Client, 12).unwrap().to_string(), "c12");
        assert_eq!(format!("{:>6}|{:?}", CodecId::LZ4, CodecId::NONE), "   lz4|none");
        assert_eq!(CodecId::new(5).to_string(), "0x05");
    }
}

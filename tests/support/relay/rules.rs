//! What a relay does to a link: cuts, delay, a narrow or sliced path, pauses, flipped bytes.

use std::ops::Range;
use std::time::Duration;

/// How a cut looks to both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cut {
    /// An orderly end (FIN); what was forwarded arrives.
    Fin,
    /// A reset (RST); what is still in the sockets is gone.
    Rst,
    /// One or the other, as the seed has it.
    #[default]
    Either,
}

/// A direction of a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    Up,
    /// From the server to the client.
    Down,
}

/// What is done to a link, from its beginning to its end.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Cut after so many bytes from the client to the server.
    pub after_up: Option<u64>,
    /// Cut after so many bytes from the server to the client.
    pub after_down: Option<u64>,
    /// Cut after a random number of bytes in this range, both directions together.
    pub random: Option<Range<u64>>,
    /// Cut no more links than this; later ones are left whole.
    pub cuts: Option<u64>,
    /// How links are cut.
    pub how: Cut,
    /// Bytes a second, in each direction.
    pub rate: Option<u64>,
    /// Delay of each byte, in each direction.
    pub delay: Duration,
    /// Up to this much more delay, at random. Bytes stay in order.
    pub jitter: Duration,
    /// Most bytes in one segment.
    pub slice: Option<usize>,
    /// After each so many bytes of a direction, nothing passes for so long.
    pub stall: Option<(u64, Duration)>,
    /// Flip the lowest bit of the byte at this offset, from the client to the server.
    pub flip_up: Option<u64>,
    /// Flip the lowest bit of the byte at this offset, from the server to the client.
    pub flip_down: Option<u64>,
}

impl Rules {
    /// Cut after so many bytes of one direction.
    pub fn cut(way: Way, after: u64, how: Cut) -> Self {
        match way {
            Way::Up => Self { after_up: Some(after), how, ..Self::default() },
            Way::Down => Self { after_down: Some(after), how, ..Self::default() },
        }
    }
}

//! What goes wrong, and when.

use crate::rng::Rng;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;

#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// Both ends see a reset, perhaps with bytes lost.
    Reset,
    /// One side sees an end or a reset, the other nothing.
    HalfOpen { server_sees: bool, reset: bool },
    /// Bytes vanish, in one direction or both, and nobody is told.
    Hole { from_client: bool, from_server: bool },
    /// Everything on its way takes this much longer, so that an old link may deliver last.
    Stall { from_client: bool, from_server: bool, span: u64 },
    /// A side is stopped; its clock goes on.
    Pause { server: bool, span: u64 },
    /// The client turns to a new connection; the old one lives on unknown to the server.
    Abandon { loud: bool },
    /// No connection can be made for this long.
    Outage { span: u64 },
    /// Somebody without the secret tries to take the session over.
    Impostor,
}

impl Fault {
    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let span = rng.spread(MS, 25 * SECOND);
        match rng.below(15) {
            0..=4 => Self::Reset,
            5 | 6 => Self::HalfOpen { server_sees: rng.one_in(2), reset: rng.one_in(2) },
            7 => {
                let direction = rng.below(3);
                Self::Hole { from_client: direction != 0, from_server: direction != 1 }
            }
            8 | 9 => {
                let direction = rng.below(3);
                Self::Stall { from_client: direction != 0, from_server: direction != 1, span }
            }
            10 => Self::Pause { server: rng.one_in(2), span },
            11 | 12 => Self::Abandon { loud: rng.one_in(3) },
            13 => Self::Outage { span },
            _ => Self::Impostor,
        }
    }
}

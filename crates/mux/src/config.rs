//! What a session can be told.

use std::time::Duration;

use p2_frame::Role;

use crate::limits;

/// Settings of one session. Everything has a sound default; a setter states what it costs.
///
/// ```
/// use p2_mux::{Config, Role};
/// let config = Config { max_streams: 10_000, ..Config::new(Role::Server) };
/// assert_eq!(config.heartbeat.as_secs(), 5);
/// ```
#[derive(Debug, Clone)]
pub struct Config {
    /// Which side dialled. Decides who numbers which streams.
    pub role: Role,
    /// Time between PINGs. Default 5 s.
    pub heartbeat: Duration,
    /// Silence after which a link counts as dead. Default 15 s; under twice the heartbeat a single
    /// lost round trip ends a healthy link.
    pub heartbeat_timeout: Duration,
    /// Bytes the sending halves may retain together before their writers wait. Default 64 MiB.
    /// Each stream may hold [`Config::initial_window`] even beyond this.
    pub send_buffer: u64,
    /// Bytes the receiving halves may grant beyond their initial windows. Default 64 MiB.
    pub receive_buffer: u64,
    /// Window a receiving half starts with. Default 256 KiB. Worst-case memory of a peer that
    /// sends and a reader that does not read: this, times the open streams.
    pub initial_window: u64,
    /// Window a receiving half may grow to. Default 16 MiB.
    pub max_window: u64,
    /// Streams the peer may have open at once. Default 1,024; at most 1,000,000.
    pub max_streams: u64,
}

impl Config {
    /// The defaults for one side.
    pub const fn new(role: Role) -> Self {
        Self {
            role,
            heartbeat: Duration::from_secs(5),
            heartbeat_timeout: Duration::from_secs(15),
            send_buffer: limits::SESSION_BUDGET,
            receive_buffer: limits::SESSION_BUDGET,
            initial_window: limits::INITIAL_WINDOW,
            max_window: limits::MAX_WINDOW,
            max_streams: limits::MAX_STREAMS,
        }
    }
}

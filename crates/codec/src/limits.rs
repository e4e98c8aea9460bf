//! The bounds of compression in one place, each with its reason.

/// Raw bytes that one frame may hold by default (64 KiB): what a decoder accepts and allocates.
///
/// Beyond 64 KiB no codec gains in ratio, while one frame would block others for longer.
pub const MAX_RAW: u32 = 64 * 1024;

/// The largest `max_raw` that can be asked for (1 MiB): worst-case sizes stay far from overflow.
pub const MAX_RAW_CEILING: u32 = 1024 * 1024;

/// Payloads of fewer raw bytes than this are sent as they are.
///
/// A frame's header is 28 bytes; saving a few of 32 bytes is not worth the encoder's call.
pub const MIN_RAW: usize = 32;

/// The largest back-reference window, as a power of two (17: 128 KiB), that a decoder accepts.
///
/// A zstd decoder allocates its window at the sender's word; 2^17 gives all of the ratio that
/// 64 KiB frames can use, for 605 KiB a decoder.
pub const MAX_WINDOW_LOG: u8 = 17;

/// The window for streams that expect little traffic, as a power of two (15: 32 KiB).
pub const SMALL_WINDOW_LOG: u8 = 15;

/// Bytes of codec contexts that a process keeps by default (64 MiB), all streams together.
pub const CONTEXT_BUDGET: usize = 64 * 1024 * 1024;

/// Contexts that wait for reuse, of each kind. More would only be memory that nobody uses.
pub const IDLE_CONTEXTS: usize = 16;

/// Raw bytes that are sent without a look after data proved incompressible: the first back-off.
pub const BACKOFF_MIN: u64 = 64 * 1024;

/// The longest back-off (1 MiB): what a change from random data to text costs at most.
pub const BACKOFF_MAX: u64 = 1024 * 1024;

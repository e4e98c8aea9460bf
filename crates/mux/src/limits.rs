//! Every bound a peer can run into, with its reason.

use std::time::Duration;

/// Window every stream starts with, bytes. Granted whatever the budgets say, so that a new stream
/// can always move: 256 KiB fills 20 Mbit/s at 100 ms before the first growth.
pub const INITIAL_WINDOW: u64 = 256 << 10;
/// Largest window auto-tuning reaches, bytes: 1 Gbit/s at 100 ms with room to spare.
pub const MAX_WINDOW: u64 = 16 << 20;
/// Bytes one session may grant beyond the initial windows.
pub const SESSION_BUDGET: u64 = 64 << 20;
/// Bytes all sessions of a process may grant beyond the initial windows.
pub const PROCESS_BUDGET: u64 = 512 << 20;
/// Streams each side may have open at once unless configured otherwise.
pub const MAX_STREAMS: u64 = 1_024;
/// The most streams a configuration may ask for.
pub const MAX_STREAMS_SETTABLE: u64 = 1_000_000;
/// Largest raw payload accepted in one DATA frame, bytes.
pub const MAX_FRAME: u32 = 64 << 10;
/// Raw payload sent per DATA frame while streams compete: small enough that an urgent byte waits
/// for one frame only.
pub const COMPETING_FRAME: u32 = 16 << 10;
/// The same on a link so fast that this many bytes pass in [`COMPETING_TIME`]: to work on a frame then
/// takes longer than the frame itself.
pub const COMPETING_FRAME_MOST: u32 = 48 << 10;
/// What a frame may take while streams compete, where that is more than [`COMPETING_FRAME`].
pub const COMPETING_TIME: Duration = Duration::from_micros(25);
/// Raw bytes one batch may hold.
pub const BATCH: usize = 512 << 10;
/// Raw bytes to be encoded that a batch may hold until [`Session::limit_encoding`] says how many.
///
/// [`Session::limit_encoding`]: crate::Session::limit_encoding
pub const ENCODED_BATCH: usize = 256 << 10;
/// Raw bytes one batch may hold while short messages pass beside bulk.
pub const BRISK_BATCH: usize = 96 << 10;
/// Raw bytes up to which a frame that carries all its stream had to say is a message: somebody may
/// wait for it.
pub const MESSAGE: u32 = 1 << 10;
/// Control frames one batch may hold.
pub const CONTROL_BATCH: usize = 1_024;
/// Largest offset a stream can reach; leaves room for the end mark and for sums in u64.
pub const MAX_OFFSET: u64 = 1 << 62;
/// DATA frames without a byte that may follow each other (RUSTSEC-2026-0258).
pub const EMPTY_DATA_IN_A_ROW: u32 = 100;
/// A DATA frame costs as much as one of this many bytes, however short it is.
pub const SMALL_FRAME: u64 = 256;
/// Overhead of small frames forgiven at once, bytes.
pub const SMALL_FRAME_BURST: u64 = 64 << 20;
/// Overhead of small frames forgiven per second, bytes: four million one-byte frames.
pub const SMALL_FRAME_RATE: u64 = 1 << 30;
/// PINGs answered per second in the long run.
pub const PING_RATE: u64 = 10;
/// PINGs answered in a burst.
pub const PING_BURST: u64 = 100;
/// Resets one peer may send in [`RESET_PERIOD`] (CVE-2023-44487). One of a stream that nobody had
/// accepted yet takes it back, so that no work is begun for it.
pub const RESETS: u64 = 1_000;
/// The period over which [`RESETS`] are counted.
pub const RESET_PERIOD: Duration = Duration::from_secs(10);
/// RESET and STOP frames this side sends in a burst, and per second after that: it stays below what
/// [`RESETS`] allows a peer.
pub const RESETS_SENT: u64 = 900;
/// See [`RESETS_SENT`].
pub const RESETS_SENT_RATE: u64 = 90;
/// How long frames wait that [`RESETS_SENT`] holds back.
pub const RESET_PAUSE: Duration = Duration::from_millis(100);
/// GAP marks a stream may have waiting; later ones are merged into the last.
pub const GAPS_PENDING: usize = 64;
/// How long an acknowledgement may wait for company before it is sent by itself.
pub const ACK_DELAY: Duration = Duration::from_millis(20);
/// Wire bytes read before a RECEIPT is due.
pub const RECEIPT_EVERY: u64 = 32 << 10;
/// Streams listed in one RESUME part; an entry takes at most 67 bytes of the 16 KiB.
pub const RESUME_PART: usize = 200;

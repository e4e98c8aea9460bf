//! Every bound of the wire format, each with its reason.

/// Bytes of the header that every frame starts with.
pub const HEADER_LEN: usize = 16;

/// Bytes of a DATA header: the common one and `offset`, `raw_len`.
pub const DATA_HEADER_LEN: usize = 28;

/// Bytes of the CRC32C trailer.
pub const CRC_LEN: usize = 4;

/// Longest body of a control frame, and of an unknown frame that may be skipped: 4 KiB.
///
/// The largest message in use (OPEN with full metadata) is under 2 KiB; the rest is for extensions.
pub const MAX_CONTROL: u32 = 4 * 1024;

/// Longest body of one RESUME part: 16 KiB, 256 streams at their longest encoding.
pub const MAX_RESUME: u32 = 16 * 1024;

/// Most streams in one RESUME part; more go into further parts.
///
/// 256 streams of at most 48 bytes leave room for extensions under [`MAX_RESUME`].
pub const MAX_RESUME_STREAMS: usize = 256;

/// Most raw (uncompressed) bytes in one DATA frame: 64 KiB.
///
/// One such frame takes 5 ms at 100 Mbit/s, which is what an urgent stream may have to wait.
pub const MAX_RAW: u32 = 64 * 1024;

/// Least value a peer may demand as its largest raw frame: 1 KiB, or overhead would win.
pub const MIN_MAX_FRAME: u32 = 1024;

/// Longest payload of a DATA frame on the wire: 80 KiB.
///
/// A stateful encoder has to send what it made even where that is longer than the input; the
/// worst codec in use (snappy, n + n/6 + 32) makes 76,490 bytes of 64 KiB.
pub const MAX_PAYLOAD: u32 = 80 * 1024;

/// Largest stream offset and credit limit: 2^62, so that no sum of two of them overflows.
pub const MAX_OFFSET: u64 = 1 << 62;

/// One past the largest stream index: 2^62.
pub const MAX_STREAMS: u64 = 1 << 62;

/// Longest `agent` in HELLO, in bytes of UTF-8.
pub const MAX_AGENT: usize = 64;

/// Most codec offers in a HELLO.
pub const MAX_CODECS: usize = 32;

/// Longest stream name or session name, in bytes of UTF-8: what file systems allow a component.
pub const MAX_NAME: usize = 255;

/// Longest reason in GOAWAY, CLOSE and REFUSE, in bytes of UTF-8.
pub const MAX_REASON: usize = 255;

/// Most bytes of all keys and values of a stream's metadata together: 1 KiB.
pub const MAX_METADATA: usize = 1024;

/// Most entries in a stream's metadata.
pub const MAX_METADATA_ENTRIES: usize = 32;

/// Most extensions in one control message.
pub const MAX_EXTENSIONS: usize = 32;

/// Most bytes of all extension values of one control message together: 1 KiB.
pub const MAX_EXTENSION_BYTES: usize = 1024;

/// Extension tags with this bit must be understood or the message refused.
pub const MUST_UNDERSTAND: u16 = 0x8000;

/// Lowest priority there is; 0 is the most urgent.
pub const MAX_PRIORITY: u8 = 4;

/// Junk to skip before the preface on links that start with a login banner: 64 KiB.
pub const MAX_JUNK: usize = 64 * 1024;

//! Time as the session sees it: a number the driver hands in.

use std::ops::Add;
use std::time::Duration;

/// A moment, in nanoseconds since an origin the driver chose.
///
/// The session never reads a clock. The driver passes the present with each call and must never
/// pass a smaller value than before; on Linux it should count suspended time too
/// (`CLOCK_BOOTTIME`), so that a laptop that slept knows how long it was away.
///
/// ```
/// use p2_mux::Time;
/// use std::time::Duration;
/// let start = Time::from_nanos(5);
/// assert_eq!((start + Duration::from_nanos(7)).since(start), Duration::from_nanos(7));
/// assert_eq!(start.since(start + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Time(u64);

impl Time {
    /// The moment `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long ago `earlier` was; zero when it lies in the future.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

//! The present, counted through suspend as well: a laptop that slept must know for how long.

use std::time::Duration;

use p2_mux::Time;
use rustix::time::{ClockId, clock_gettime};

/// `Instant` stands still during suspend on Linux; this clock does not.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Now.
pub(crate) fn now() -> Time {
    let time = clock_gettime(CLOCK);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanos = u32::try_from(time.tv_nsec).unwrap_or(0);
    let since_boot = Duration::new(seconds, nanos);
    Time::from_nanos(u64::try_from(since_boot.as_nanos()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_goes_back() {
        let mut last = now();
        for _ in 0..1000 {
            let next = now();
            assert!(next >= last);
            last = next;
        }
        assert!(last > Time::from_nanos(0));
    }
}

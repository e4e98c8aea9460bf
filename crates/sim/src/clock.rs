//! Each side's own clock: another origin, and a rate that is a little off.

use p2_mux::Time;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    pub(crate) origin: u64,
    /// Parts per million that it runs fast.
    pub(crate) drift: i64,
}

impl Clock {
    /// What it shows at the true time `now`, in nanoseconds.
    pub(crate) fn read(self, now: u64) -> Time {
        let off = i128::from(now) * i128::from(self.drift) / 1_000_000;
        let shown = i128::from(self.origin) + i128::from(now) + off;
        Time::from_nanos(u64::try_from(shown).unwrap_or(0))
    }

    /// The first true time at which it shows at least `at`.
    pub(crate) fn when(self, at: Time) -> u64 {
        let shown = i128::from(at.as_nanos()) - i128::from(self.origin);
        let scale = 1_000_000 + i128::from(self.drift);
        let guess = shown * 1_000_000 / scale;
        let mut guess = u64::try_from(guess).unwrap_or(0).saturating_sub(2);
        while self.read(guess) < at {
            guess += 1;
        }
        guess
    }
}

//! Whether it pays to let others have their turn before a small batch is written.
//!
//! Tasks that wait to run may be about to call the writer as well, and a write for each of them
//! costs more than what they have to say. Only a try shows whether there are any.

/// A batch of this many wire bytes is worth a write of its own, whoever else may be about to call.
const ENOUGH: u64 = 16 << 10;
/// Waits for nobody after which the writer takes its caller for the only one at work.
const PATIENCE: u32 = 2;
/// Calls until it tries again: at first, and after many waits in vain. Each makes somebody wait, and
/// those after it as well, for the runtime spreads the tasks anew.
const FIRST_TRIAL: u32 = 16;
const LAST_TRIAL: u32 = 1_024;

/// What came of waiting lately.
#[derive(Debug)]
pub(super) struct Company {
    /// Times in a row that nobody called during a wait.
    alone: u32,
    /// Calls since the last of these that were answered at once.
    hurried: u32,
    /// How many there are before the next trial.
    trial_after: u32,
}

impl Default for Company {
    fn default() -> Self {
        Self { alone: 0, hurried: 0, trial_after: FIRST_TRIAL }
    }
}

impl Company {
    /// Whether a call shall wait for others, after a batch of `last` wire bytes.
    pub(super) fn expected(&mut self, last: u64) -> bool {
        if last >= ENOUGH {
            return false;
        }
        if self.alone < PATIENCE {
            return true;
        }
        self.hurried = self.hurried.saturating_add(1);
        self.hurried >= self.trial_after
    }

    /// A wait is over; `called`: somebody called meanwhile.
    pub(super) fn note(&mut self, called: bool) {
        if called {
            *self = Self::default();
            return;
        }
        if self.alone >= PATIENCE {
            self.trial_after = self.trial_after.saturating_mul(2).min(LAST_TRIAL);
        }
        self.alone = self.alone.saturating_add(1);
        self.hurried = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_who_is_alone_waits_for_nobody_most_of_the_time() {
        let mut company = Company::default();
        let mut waits = 0;
        for _ in 0..100_000 {
            if company.expected(100) {
                waits += 1;
                company.note(false);
            }
        }
        assert!((90..=110).contains(&waits), "{waits} waits");
        while !company.expected(100) {}
        company.note(true);
        assert!((0..100).all(|_| company.expected(100)), "others are about again");
        assert!(!company.expected(ENOUGH), "large batches do not wait");
    }
}

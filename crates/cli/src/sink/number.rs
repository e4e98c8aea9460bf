//! The next free number of a name, without a look at each number before it.

use std::io;

use rustix::io::Errno;

/// Files of one name in one session's directory.
const MAX_NUMBER: u32 = 1_000_000;

/// Makes number 1, or else the number after the last that `exists`. `make` has the last word: it
/// returns `None` for a number that somebody else was faster to take.
///
/// The search gallops and then halves: numbers are given in order, so that one with a free number
/// before it is rare, and only means that the gap may stay.
pub(super) fn make_next<T>(
    mut exists: impl FnMut(u32) -> io::Result<bool>,
    mut make: impl FnMut(u32) -> io::Result<Option<T>>,
) -> io::Result<T> {
    let mut number = 1;
    loop {
        if let Some(made) = make(number)? {
            return Ok(made);
        }
        number = free_above(number, &mut exists)?;
    }
}

/// A free number above `taken` whose predecessor is taken.
fn free_above(mut taken: u32, exists: &mut impl FnMut(u32) -> io::Result<bool>) -> io::Result<u32> {
    let mut step = 1_u32;
    let mut free = loop {
        if taken >= MAX_NUMBER {
            return Err(Errno::EXIST.into());
        }
        let probe = taken.saturating_add(step).min(MAX_NUMBER);
        if !exists(probe)? {
            break probe;
        }
        taken = probe;
        step = step.saturating_mul(2);
    };
    while free - taken > 1 {
        let middle = taken + (free - taken) / 2;
        if exists(middle)? {
            taken = middle;
        } else {
            free = middle;
        }
    }
    Ok(free)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    /// The number made beside those that `exists` tells of, and the looks it took.
    fn made(exists: impl Fn(u32) -> bool) -> (io::Result<u32>, u32) {
        let attempts = Cell::new(0);
        let count = || attempts.set(attempts.get() + 1);
        let made = make_next(
            |number| {
                count();
                Ok(exists(number))
            },
            |number| {
                count();
                Ok((!exists(number)).then_some(number))
            },
        );
        (made, attempts.get())
    }

    #[test]
    fn the_number_after_the_last_one_is_made() {
        for last in (0..100).chain([999, 65_535, 65_536, 999_999]) {
            let (number, attempts) = made(|n| n <= last);
            assert_eq!(number.expect("room"), last + 1);
            assert!(attempts <= 2 * 20 + 2, "{attempts} attempts beside {last}");
        }
    }

    #[test]
    fn a_million_of_one_name_are_the_most() {
        let (full, attempts) = made(|n| n <= MAX_NUMBER);
        assert_eq!(full.expect_err("full").kind(), io::ErrorKind::AlreadyExists);
        assert!(attempts <= 2 * 20 + 2, "{attempts} attempts");
    }

    #[test]
    fn a_gap_never_leads_to_a_number_that_exists() {
        for last in 2..70 {
            for gap in 2..last {
                let exists = |n| n <= last && n != gap;
                let number = made(exists).0.expect("room");
                assert!(number == gap || number == last + 1, "{number} of {last} without {gap}");
            }
        }
    }

    #[test]
    fn somebody_faster_only_costs_a_number() {
        let mut taken = 6;
        let made = make_next(
            |number| Ok(number <= 4),
            |number| {
                // Two more appear between the look and the making.
                let free = number > taken || (number <= 1 && taken == 0);
                taken = taken.min(6);
                Ok(free.then_some(number))
            },
        );
        assert_eq!(made.expect("room"), 7);
    }
}

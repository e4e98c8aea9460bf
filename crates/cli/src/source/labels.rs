//! The numbers that users see: the one asked for by `--id`, else the next free one from 1.

use std::collections::HashSet;

/// Hands out each number once.
#[derive(Debug, Default)]
pub(super) struct Labels {
    /// Asked for by the user and not handed out yet.
    reserved: HashSet<u32>,
    /// Asked for by the user and handed out.
    given: HashSet<u32>,
    last: u32,
}

impl Labels {
    /// Keeps `label` free for the stream that asks for it.
    pub(super) fn reserve(&mut self, label: u32) {
        self.reserved.insert(label);
    }

    /// `wanted` if nobody has it yet, else the next free number.
    pub(super) fn assign(&mut self, wanted: Option<u32>) -> u32 {
        if let Some(label) = wanted {
            let free = self.reserved.remove(&label) || label > self.last;
            if free && self.given.insert(label) {
                return label;
            }
        }
        loop {
            self.last = self.last.saturating_add(1);
            let taken = self.reserved.contains(&self.last) || self.given.contains(&self.last);
            if !taken || self.last == u32::MAX {
                return self.last;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_asked_for_are_skipped_by_the_others() {
        let mut labels = Labels::default();
        labels.reserve(2);
        labels.reserve(7);
        let given: Vec<u32> =
            [None, None, Some(2), None, Some(7)].map(|wanted| labels.assign(wanted)).into();
        assert_eq!(given, [1, 3, 2, 4, 7]);
        let rest: Vec<u32> = (0..4).map(|_| labels.assign(None)).collect();
        assert_eq!(rest, [5, 6, 8, 9]);
    }

    #[test]
    fn a_number_is_never_given_twice() {
        let mut labels = Labels::default();
        labels.reserve(1);
        assert_eq!(labels.assign(Some(1)), 1);
        assert_eq!(labels.assign(Some(1)), 2);
        assert_eq!(labels.assign(Some(2)), 3);
        assert_eq!(labels.assign(Some(9)), 9);
        assert_eq!(labels.assign(Some(9)), 4);
    }
}

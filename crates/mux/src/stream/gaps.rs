//! Places at which a stream's source dropped bytes by its user's choice: told once, read once.

use std::collections::VecDeque;

use crate::limits;

/// The marks of a sending half.
#[derive(Debug, Default)]
pub(crate) struct GapsOut {
    /// (offset, total dropped up to it), oldest first; the first `sent` are on the link.
    marks: VecDeque<(u64, u64)>,
    sent: usize,
    dropped: u64,
}

impl GapsOut {
    /// Bytes dropped in all.
    pub(crate) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The source dropped `bytes` at `offset`.
    pub(crate) fn record(&mut self, offset: u64, bytes: u64) {
        self.dropped = self.dropped.saturating_add(bytes);
        let pending = self.marks.len().saturating_sub(self.sent);
        match self.marks.back_mut() {
            // The same place: one mark with the new total, to be sent (again).
            Some(last) if last.0 == offset => {
                last.1 = self.dropped;
                self.sent = self.sent.min(self.marks.len().saturating_sub(1));
            }
            // A full list: the newest unsent mark absorbs this one.
            Some(last) if pending >= limits::GAPS_PENDING => last.1 = self.dropped,
            _ => self.marks.push_back((offset, self.dropped)),
        }
    }

    /// The first mark that is not on the link.
    pub(crate) fn next(&self) -> Option<(u64, u64)> {
        self.marks.get(self.sent).copied()
    }

    /// The next mark is on the link.
    pub(crate) const fn took(&mut self) {
        self.sent = self.sent.saturating_add(1);
    }

    /// The peer has what is below `offset`.
    pub(crate) fn acknowledged(&mut self, offset: u64) {
        while self.sent > 0 && self.marks.front().is_some_and(|mark| mark.0 < offset) {
            self.marks.pop_front();
            self.sent = self.sent.saturating_sub(1);
        }
    }

    /// On a new link the peer stands at `offset`.
    pub(crate) fn rewind(&mut self, offset: u64) {
        self.sent = self.marks.iter().take_while(|mark| mark.0 < offset).count();
    }

    /// Nobody has to be told any more.
    pub(crate) fn clear(&mut self) {
        self.marks.clear();
        self.sent = 0;
    }
}

/// The marks of a receiving half.
#[derive(Debug, Default)]
pub(crate) struct GapsIn {
    /// (offset, total dropped up to it), oldest first.
    marks: VecDeque<(u64, u64)>,
    total: u64,
    read: u64,
}

impl GapsIn {
    /// Bytes dropped in all.
    pub(crate) const fn dropped(&self) -> u64 {
        self.total
    }

    /// The peer says that `total` bytes are missing up to `offset`, which is news.
    pub(crate) fn heard(&mut self, offset: u64, total: u64, wanted: bool) {
        self.total = total;
        if !wanted {
            return;
        }
        let full = self.marks.len() >= limits::GAPS_PENDING;
        match self.marks.back_mut() {
            Some(last) if full || last.0 == offset => last.1 = total,
            _ => self.marks.push_back((offset, total)),
        }
    }

    /// Where the next one is.
    pub(crate) fn next(&self) -> Option<u64> {
        self.marks.front().map(|mark| mark.0)
    }

    /// Takes the next one: how many bytes are missing there.
    pub(crate) fn take(&mut self) -> u64 {
        let total = self.marks.pop_front().map_or(self.read, |mark| mark.1);
        total.saturating_sub(std::mem::replace(&mut self.read, total))
    }

    /// Nobody reads them any more.
    pub(crate) fn clear(&mut self) {
        self.marks.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_at_one_place_are_one_however_many() {
        let mut gaps = GapsOut::default();
        for total in 1..=1000 {
            gaps.record(0, 1);
            assert_eq!(gaps.next(), Some((0, total)));
            gaps.took();
        }
        assert_eq!(gaps.marks.len(), 1);
    }

    #[test]
    fn a_full_list_keeps_the_sum() {
        let (mut out, mut read) = (GapsOut::default(), GapsIn::default());
        for offset in 0..1000 {
            out.record(offset, 1);
        }
        assert_eq!(out.marks.len(), limits::GAPS_PENDING);
        while let Some((offset, total)) = out.next() {
            out.took();
            read.heard(offset, total, true);
        }
        let mut sum = 0;
        while read.next().is_some() {
            sum += read.take();
        }
        assert_eq!((sum, read.dropped()), (1000, 1000));
    }
}

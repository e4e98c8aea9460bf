//! Figures by stream name, summed over streams of one name, for a bounded number of names.

use std::collections::HashMap;

use p2_transport::{SessionAccount, StreamStats};

use super::catalog;
use super::sheet::Sheet;
use crate::report::Side;

/// Names that have figures of their own. Peers choose names; those that come later share `other`.
pub(super) const STREAMS: usize = 64;
/// Bytes of a name that are shown.
const NAME: usize = 128;
/// Where the rest goes.
const OTHER: &str = "other";

/// Sums by name, over all sessions of this process and those that have ended.
#[derive(Debug)]
pub(super) struct Streams {
    places: HashMap<String, usize>,
    sums: Vec<(String, [Sums; 2])>,
}

/// What one name has come to in one direction.
#[derive(Debug, Clone, Copy, Default)]
struct Sums {
    /// There ever was such a stream.
    seen: bool,
    totals: Figures,
    /// Of the streams that live.
    unacknowledged: u64,
}

/// What only rises.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Figures {
    payload: u64,
    acknowledged: u64,
    wire: u64,
    frames: u64,
}

/// How much of one session has been summed already.
#[derive(Debug)]
pub(super) struct Seen {
    side: Side,
    /// Ended streams.
    ended: usize,
    others: Figures,
    live: HashMap<u64, (usize, Figures)>,
}

impl Seen {
    /// Nothing of it.
    pub(super) fn nothing(side: Side) -> Self {
        Self { side, ended: 0, others: Figures::default(), live: HashMap::new() }
    }

    /// The ended streams to leave out of the next account.
    pub(super) fn ended(&self) -> usize {
        self.ended
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self { places: HashMap::new(), sums: vec![(OTHER.to_owned(), Default::default())] }
    }
}

impl Streams {
    /// Forgets what is only true now; follow with [`add`](Self::add) for each session.
    pub(super) fn begin(&mut self) {
        self.sums.iter_mut().flat_map(|(_, sides)| sides).for_each(|sum| sum.unacknowledged = 0);
    }

    /// Gives a stream that is about to begin its place, so that its series start at 0.
    pub(super) fn expect(&mut self, side: Side, name: &str) {
        let place = self.place(name);
        if let Some((_, sides)) = self.sums.get_mut(place) {
            sides[index(side)].seen = true;
        }
    }

    /// Adds what has happened in a session since the last time. Every byte is counted once,
    /// whatever became of its stream meanwhile.
    pub(super) fn add(&mut self, seen: &mut Seen, account: &SessionAccount) {
        let side = seen.side;
        let mut before = std::mem::take(&mut seen.live);
        for stream in &account.ended {
            let known = id(stream).and_then(|id| before.remove(&id));
            let (place, last) =
                known.unwrap_or_else(|| (self.place(&stream.name), Default::default()));
            self.grow(side, place, Figures::of(side, stream).since(last));
        }
        seen.ended += account.ended.len();
        for stream in &account.stats.streams {
            let Some(id) = id(stream) else { continue };
            let known = before.remove(&id);
            let (place, last) =
                known.unwrap_or_else(|| (self.place(&stream.name), Default::default()));
            let figures = Figures::of(side, stream);
            self.grow(side, place, figures.since(last));
            if let Some((_, sides)) = self.sums.get_mut(place) {
                let waiting = figures.payload.saturating_sub(figures.acknowledged);
                sides[index(side)].unacknowledged += waiting;
            }
            seen.live.insert(id, (place, figures));
        }
        // What is left has ended beyond the number that is told one by one: the sum of those has
        // grown by all they ever did, of which a part is counted under their own names.
        let others = Figures::of(side, &account.others);
        let gone = before.into_values().fold(Figures::default(), |sum, (_, last)| sum.plus(last));
        let rest = others.since(seen.others).since(gone);
        seen.others = others;
        if rest != Figures::default() {
            self.grow(side, 0, rest);
        }
    }

    pub(super) fn put(&self, sheet: &mut Sheet) {
        for (at, (name, sides)) in self.sums.iter().enumerate() {
            for (sum, direction) in sides.iter().zip(["sent", "received"]) {
                if !sum.seen && at > 0 {
                    continue;
                }
                let labels = [name.as_str(), direction];
                let Figures { payload, acknowledged, wire, frames } = sum.totals;
                sheet.put(&catalog::PAYLOAD_BYTES, &labels, payload);
                sheet.put(&catalog::ACKNOWLEDGED_BYTES, &labels, acknowledged);
                sheet.put(&catalog::STREAM_WIRE_BYTES, &labels, wire);
                sheet.put(&catalog::STREAM_FRAMES, &labels, frames);
                sheet.put(&catalog::UNACKNOWLEDGED_BYTES, &labels, sum.unacknowledged);
            }
        }
    }

    fn grow(&mut self, side: Side, place: usize, by: Figures) {
        if let Some((_, sides)) = self.sums.get_mut(place) {
            let sum = &mut sides[index(side)];
            sum.seen = true;
            sum.totals = sum.totals.plus(by);
        }
    }

    /// Where the sums of a name are. The first names have places of their own.
    fn place(&mut self, name: &str) -> usize {
        let mut end = name.len().min(NAME);
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        let name = &name[..end];
        if let Some(place) = self.places.get(name) {
            return *place;
        }
        if name == OTHER || self.places.len() >= STREAMS {
            return 0;
        }
        let place = self.sums.len();
        self.places.insert(name.to_owned(), place);
        self.sums.push((name.to_owned(), Default::default()));
        place
    }
}

impl Figures {
    fn of(side: Side, stream: &StreamStats) -> Self {
        match side {
            Side::Sender => Self {
                payload: stream.bytes_sent,
                acknowledged: stream.acked_by_peer,
                wire: stream.wire_sent,
                frames: stream.frames_sent,
            },
            Side::Receiver => Self {
                payload: stream.bytes_received,
                acknowledged: stream.acknowledged,
                wire: stream.wire_received,
                frames: stream.frames_received,
            },
        }
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            payload: self.payload.saturating_sub(earlier.payload),
            acknowledged: self.acknowledged.saturating_sub(earlier.acknowledged),
            wire: self.wire.saturating_sub(earlier.wire),
            frames: self.frames.saturating_sub(earlier.frames),
        }
    }

    fn plus(self, more: Self) -> Self {
        Self {
            payload: self.payload.saturating_add(more.payload),
            acknowledged: self.acknowledged.saturating_add(more.acknowledged),
            wire: self.wire.saturating_add(more.wire),
            frames: self.frames.saturating_add(more.frames),
        }
    }
}

fn id(stream: &StreamStats) -> Option<u64> {
    stream.id.map(|id| id.to_wire())
}

const fn index(side: Side) -> usize {
    match side {
        Side::Sender => 0,
        Side::Receiver => 1,
    }
}

#[cfg(test)]
mod tests {
    use p2_transport::SessionStats;

    use super::*;

    fn stream(id: u64, name: &str, sent: u64, acked: u64) -> StreamStats {
        let mut stream = StreamStats::default();
        stream.id = p2_transport::StreamId::from_wire(id);
        stream.name = name.to_owned();
        (stream.bytes_sent, stream.acked_by_peer) = (sent, acked);
        stream
    }

    fn account(live: Vec<StreamStats>, ended: Vec<StreamStats>, others: u64) -> SessionAccount {
        let mut account = SessionAccount::default();
        let mut stats = SessionStats::default();
        stats.streams = live;
        (account.stats, account.ended) = (stats, ended);
        account.others.bytes_sent = others;
        account
    }

    /// Payload, and what is not acknowledged, of a name that sends.
    fn of(streams: &Streams, name: &str) -> (u64, u64) {
        let found = streams.sums.iter().find(|(known, _)| known == name).expect("a place");
        (found.1[0].totals.payload, found.1[0].unacknowledged)
    }

    #[test]
    fn every_byte_is_counted_once_while_a_stream_lives_and_when_it_ends() {
        let mut streams = Streams::default();
        let mut seen = Seen::nothing(Side::Sender);
        let mut look = |live, ended| {
            streams.begin();
            streams.add(&mut seen, &account(live, ended, 0));
            (of(&streams, "a"), seen.ended())
        };
        assert_eq!(look(vec![stream(0, "a", 10, 4)], vec![]), ((10, 6), 0));
        assert_eq!(look(vec![stream(0, "a", 15, 15)], vec![]), ((15, 0), 0));
        assert_eq!(look(vec![], vec![stream(0, "a", 18, 18)]), ((18, 0), 1));
        // One that nobody saw while it lived, and another of the same name.
        let (live, ended) = (vec![stream(2, "a", 3, 0)], vec![stream(1, "a", 100, 100)]);
        assert_eq!(look(live, ended), ((121, 3), 2));
        assert_eq!(look(vec![], vec![stream(2, "a", 3, 3)]), ((121, 0), 3));
    }

    #[test]
    fn streams_that_end_beyond_the_number_told_one_by_one_are_counted_among_the_others() {
        let mut streams = Streams::default();
        let mut seen = Seen::nothing(Side::Sender);
        streams.add(&mut seen, &account(vec![stream(0, "a", 10, 0)], vec![], 0));
        // It ended with 25 bytes, and another one that nobody saw with 100.
        streams.add(&mut seen, &account(vec![stream(2, "b", 1, 0)], vec![], 125));
        streams.add(&mut seen, &account(vec![stream(2, "b", 2, 0)], vec![], 125));
        assert_eq!((of(&streams, "a").0, of(&streams, "b").0), (10, 2));
        assert_eq!(of(&streams, OTHER).0, 115, "15 more of a, and 100");
    }

    #[test]
    fn the_first_names_have_places_and_the_rest_shares_one() {
        let mut streams = Streams::default();
        let mut seen = Seen::nothing(Side::Sender);
        let live = (0..1_000).map(|n| stream(n, &format!("s{n}"), 1, 0)).collect();
        streams.add(&mut seen, &account(live, vec![], 0));
        assert_eq!(streams.sums.len(), STREAMS + 1);
        assert_eq!(of(&streams, OTHER).0, 1_000 - STREAMS as u64);
        let long = "\u{20ac}".repeat(100);
        let place = streams.place(&long);
        assert_eq!(place, 0, "no room");
        let mut fresh = Streams::default();
        let place = fresh.place(&long);
        assert_eq!(fresh.sums[place].0.len(), 126, "whole characters");
    }
}

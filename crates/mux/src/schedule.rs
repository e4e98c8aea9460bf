//! Who sends next: five classes, strict but bounded, and deficit round robin within each.
//!
//! Within a class this is the queueing of RFC 8290 (FQ-CoDel) without the CoDel: a stream that was
//! idle gets one quantum ahead of the backlogged ones, so keystrokes are fast without any setting.
//! A stream that runs out of credit keeps its place and its deficit.

use std::collections::VecDeque;
use std::time::Duration;

use p2_frame::StreamId;

use crate::histogram::Histogram;
use crate::limits;
use crate::streams::StreamMap;
use crate::time::Time;

/// How urgent a stream is. Classes are strict in this order, but a lower class always keeps a
/// share of one seventeenth and never waits longer than 200 ms for its next frame.
///
/// ```
/// use p2_mux::Priority;
/// assert!(Priority::Realtime < Priority::Bulk);
/// assert_eq!("high".parse(), Ok(Priority::High));
/// assert_eq!(Priority::default().to_string(), "normal");
/// ```
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::FromRepr,
    strum::IntoStaticStr,
)]
#[strum(serialize_all = "lowercase", ascii_case_insensitive)]
#[repr(u8)]
pub enum Priority {
    /// Keystrokes, echoes: before everything else.
    Realtime = 0,
    /// Before ordinary traffic.
    High = 1,
    /// The default.
    #[default]
    Normal = 2,
    /// After ordinary traffic.
    Low = 3,
    /// Whatever is left.
    Bulk = 4,
}

const CLASSES: usize = 5;
/// Turns that higher classes may have while a lower one waits.
const SHARE: u64 = 16;
/// Time a class may wait for its next frame on a slow link.
const PATIENCE: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    New,
    Old,
    /// Out of credit in the middle of a turn.
    Parked,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    class: Priority,
    place: Place,
    deficit: i64,
    /// Since when its next frame waits; `None` when it has none.
    since: Option<Time>,
}

#[derive(Debug, Default)]
struct Class {
    new: VecDeque<StreamId>,
    old: VecDeque<StreamId>,
    /// Wire bytes higher classes sent while this one waited.
    overtaken: u64,
    served_at: Time,
}

impl Class {
    fn is_empty(&self) -> bool {
        self.new.is_empty() && self.old.is_empty()
    }
}

/// The order of streams that have something to send.
#[derive(Debug)]
pub(crate) struct Scheduler {
    /// Wire bytes a stream may send per turn: one frame of the competing size.
    quantum: u32,
    classes: [Class; CLASSES],
    flows: StreamMap<Flow>,
    waits: Waits,
}

/// How long frames waited for their turn, by class.
#[derive(Debug, Clone)]
struct Waits([Histogram; CLASSES]);

impl Default for Waits {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Histogram::of_queue_waits()))
    }
}

impl Default for Scheduler {
    fn default() -> Self {
        Self {
            quantum: limits::COMPETING_FRAME,
            classes: Default::default(),
            flows: StreamMap::default(),
            waits: Waits::default(),
        }
    }
}

impl Scheduler {
    /// From now on a turn is worth `quantum` wire bytes.
    pub(crate) const fn set_quantum(&mut self, quantum: u32) {
        self.quantum = quantum;
    }

    /// The stream has something to send.
    pub(crate) fn activate(&mut self, now: Time, id: StreamId, priority: Priority) {
        let Some(class) = self.classes.get_mut(priority as usize) else {
            return;
        };
        let was_empty = class.is_empty();
        match self.flows.get_mut(&id) {
            Some(flow) if flow.place == Place::Parked => {
                flow.place = Place::Old;
                flow.since = Some(now);
                class.old.push_front(id);
            }
            Some(flow) => {
                flow.since.get_or_insert(now);
                return;
            }
            None => {
                let (place, since) = (Place::New, Some(now));
                let deficit = i64::from(self.quantum);
                let flow = Flow { class: priority, place, deficit, since };
                self.flows.insert(id, flow);
                class.new.push_back(id);
            }
        }
        if was_empty {
            class.overtaken = 0;
            class.served_at = now;
        }
    }

    /// The stream is gone.
    pub(crate) fn remove(&mut self, id: StreamId) {
        if let Some(flow) = self.flows.remove(&id) {
            if let Some(class) = self.classes.get_mut(flow.class as usize) {
                class.new.retain(|other| *other != id);
                class.old.retain(|other| *other != id);
            }
        }
    }

    /// Nothing is queued; a new link starts with an empty table.
    pub(crate) fn clear(&mut self) {
        *self = Self { waits: std::mem::take(&mut self.waits), ..Self::default() };
    }

    /// How long frames waited from the moment there was something to send until they were handed
    /// out, by class; the first is the most urgent.
    pub(crate) fn waits(&self) -> &[Histogram] {
        &self.waits.0
    }

    /// Whether nobody is queued.
    pub(crate) fn is_empty(&self) -> bool {
        self.classes.iter().all(Class::is_empty)
    }

    /// Whether more than one stream is queued.
    pub(crate) fn competing(&self) -> bool {
        let queued = |class: &Class| class.new.len().saturating_add(class.old.len());
        self.classes.iter().map(queued).fold(0usize, usize::saturating_add) > 1
    }

    /// Who is next in the most urgent class that waits: what [`Scheduler::next_urgent`] will say,
    /// unless several have used up their turns.
    pub(crate) fn first(&self) -> Option<StreamId> {
        let class = self.classes.iter().find(|class| !class.is_empty())?;
        let may = |id: &&StreamId| self.flows.get(id).is_some_and(|flow| flow.deficit > 0);
        class.new.iter().take(2).chain(class.old.iter().take(2)).find(may).copied()
    }

    /// Whose turn it is in the most urgent class that waits, however long others have waited. Else
    /// as [`Scheduler::next`].
    pub(crate) fn next_urgent(&mut self) -> Option<StreamId> {
        let class = self.classes.iter().position(|class| !class.is_empty())?;
        self.next_in(class)
    }

    /// Whose turn it is. The stream stays where it is until [`Scheduler::sent`],
    /// [`Scheduler::park`] or [`Scheduler::idle`] says what became of the turn.
    pub(crate) fn next(&mut self, now: Time) -> Option<StreamId> {
        let class = self.pick_class(now)?;
        self.next_in(class)
    }

    fn next_in(&mut self, class: usize) -> Option<StreamId> {
        loop {
            let queue = self.classes.get_mut(class)?;
            let list = if queue.new.is_empty() { &mut queue.old } else { &mut queue.new };
            let id = *list.front()?;
            let Some(flow) = self.flows.get_mut(&id) else {
                list.pop_front();
                continue;
            };
            if flow.deficit > 0 {
                return Some(id);
            }
            list.pop_front();
            flow.deficit = flow.deficit.saturating_add(i64::from(self.quantum));
            flow.place = Place::Old;
            queue.old.push_back(id);
        }
    }

    /// The stream whose turn it is sent `wire` bytes.
    pub(crate) fn sent(&mut self, now: Time, id: StreamId, wire: usize) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        flow.deficit = flow.deficit.saturating_sub(i64::try_from(wire).unwrap_or(i64::MAX));
        let served = flow.class as usize;
        let since = flow.since.replace(now);
        // The frames behind the first of a batch have not waited for a turn of their own.
        let waited = since.map(|since| now.since(since)).filter(|waited| !waited.is_zero());
        if let (Some(waited), Some(waits)) = (waited, self.waits.0.get_mut(served)) {
            waits.observe(waited);
        }
        for (index, class) in self.classes.iter_mut().enumerate() {
            if index == served {
                class.overtaken = 0;
                class.served_at = now;
            } else if index > served && !class.is_empty() {
                class.overtaken = class.overtaken.saturating_add(wire as u64);
            }
        }
    }

    /// The encoder made more or less of an earlier frame than was charged.
    pub(crate) fn correct(&mut self, id: StreamId, charged: usize, wire: usize) {
        if let Some(flow) = self.flows.get_mut(&id) {
            let charged = i64::try_from(charged).unwrap_or(i64::MAX);
            let wire = i64::try_from(wire).unwrap_or(i64::MAX);
            let most = i64::from(self.quantum);
            flow.deficit = flow.deficit.saturating_add(charged.saturating_sub(wire)).min(most);
        }
    }

    /// The stream whose turn it is has bytes but no credit: it keeps its deficit.
    pub(crate) fn park(&mut self, id: StreamId) {
        self.unlink_front(id);
        if let Some(flow) = self.flows.get_mut(&id) {
            flow.place = Place::Parked;
            flow.since = None;
        }
    }

    /// The stream whose turn it is has nothing to send.
    pub(crate) fn idle(&mut self, id: StreamId) {
        let Some(flow) = self.flows.get_mut(&id) else {
            return;
        };
        let alone = self
            .classes
            .get(flow.class as usize)
            .is_none_or(|class| class.new.len().saturating_add(class.old.len()) <= 1);
        if flow.place == Place::New && !alone {
            // It waits one round among the old ones, or it could come back as new at once.
            flow.place = Place::Old;
            flow.since = None;
            let class = flow.class as usize;
            self.unlink_front(id);
            if let Some(class) = self.classes.get_mut(class) {
                class.old.push_back(id);
            }
        } else {
            self.unlink_front(id);
            self.flows.remove(&id);
        }
    }

    fn pick_class(&self, now: Time) -> Option<usize> {
        let waiting = || self.classes.iter().enumerate().filter(|(_, class)| !class.is_empty());
        let first = waiting().next()?.0;
        let share = SHARE.saturating_mul(u64::from(self.quantum));
        let starved = waiting().skip(1).find(|(_, class)| {
            class.overtaken >= share
                || (class.overtaken > 0 && now.since(class.served_at) >= PATIENCE)
        });
        Some(starved.map_or(first, |(index, _)| index))
    }

    fn unlink_front(&mut self, id: StreamId) {
        let Some(flow) = self.flows.get(&id) else {
            return;
        };
        let Some(class) = self.classes.get_mut(flow.class as usize) else {
            return;
        };
        for list in [&mut class.new, &mut class.old] {
            if list.front() == Some(&id) {
                list.pop_front();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use p2_frame::Role;

    fn id(index: u64) -> StreamId {
        StreamId::new(Role::Client, index).unwrap()
    }

    /// Serves `turns` frames of `wire` bytes and counts them per stream.
    fn serve(scheduler: &mut Scheduler, now: Time, turns: usize, wire: usize) -> Vec<u64> {
        let mut counts = vec![0; 8];
        for _ in 0..turns {
            let next = scheduler.next(now).unwrap();
            scheduler.sent(now, next, wire);
            counts[next.index() as usize] += 1;
        }
        counts
    }

    #[test]
    fn streams_of_one_class_share_by_bytes() {
        let mut scheduler = Scheduler::default();
        let now = Time::default();
        for index in 0..4 {
            scheduler.activate(now, id(index), Priority::Normal);
        }
        assert_eq!(serve(&mut scheduler, now, 400, 16 << 10)[..4], [100; 4]);
        // Stream 0 sends frames four times as large and gets a quarter of the turns.
        let mut bytes = [0u64; 4];
        for _ in 0..4_000 {
            let next = scheduler.next(now).unwrap();
            let wire = if next == id(0) { 16 << 10 } else { 4 << 10 };
            scheduler.sent(now, next, wire);
            bytes[next.index() as usize] += wire as u64;
        }
        let fair = bytes.iter().sum::<u64>() / 4;
        for (index, bytes) in bytes.iter().enumerate() {
            assert!(
                bytes.abs_diff(fair) <= 2 * u64::from(limits::COMPETING_FRAME),
                "stream {index}: {bytes} of {fair}"
            );
        }
    }

    #[test]
    fn a_higher_class_goes_first_and_the_lowest_still_moves() {
        for turn in [16 << 10, 48 << 10] {
            let mut scheduler = Scheduler::default();
            let now = Time::default();
            scheduler.set_quantum(turn);
            scheduler.activate(now, id(0), Priority::Realtime);
            scheduler.activate(now, id(1), Priority::Bulk);
            let counts = serve(&mut scheduler, now, 17_000, turn as usize);
            assert_eq!((counts[0], counts[1]), (16_000, 1_000), "turns of {turn}");
        }
    }

    #[test]
    fn streams_still_share_by_bytes_while_turns_become_longer_and_shorter() {
        let mut scheduler = Scheduler::default();
        let now = Time::default();
        (0..4).for_each(|index| scheduler.activate(now, id(index), Priority::Normal));
        let mut bytes = [0u64; 4];
        for round in 0..4_000 {
            let turn = [16 << 10, 48 << 10, 24 << 10][round / 100 % 3];
            scheduler.set_quantum(turn);
            let next = scheduler.next(now).unwrap();
            // Stream 0 never fills a frame.
            let wire = if next == id(0) { 5_000 } else { turn };
            scheduler.sent(now, next, wire as usize);
            bytes[next.index() as usize] += u64::from(wire);
        }
        let fair = bytes.iter().sum::<u64>() / 4;
        for (index, bytes) in bytes.iter().enumerate() {
            assert!(bytes.abs_diff(fair) <= fair / 20, "stream {index}: {bytes} of {fair}");
        }
    }

    #[test]
    fn on_a_slow_link_a_lower_class_waits_200_ms_at_most() {
        let mut scheduler = Scheduler::default();
        let mut now = Time::default();
        scheduler.activate(now, id(0), Priority::High);
        scheduler.activate(now, id(1), Priority::Low);
        assert_eq!(serve(&mut scheduler, now, 2, 1_000)[..2], [2, 0]);
        now = now + PATIENCE;
        assert_eq!(serve(&mut scheduler, now, 2, 1_000)[..2], [1, 1]);
    }

    #[test]
    fn a_stream_that_was_idle_goes_ahead_of_the_backlogged() {
        let mut scheduler = Scheduler::default();
        let now = Time::default();
        for index in 0..3 {
            scheduler.activate(now, id(index), Priority::Normal);
        }
        serve(&mut scheduler, now, 10, 16 << 10);
        scheduler.activate(now, id(7), Priority::Normal);
        assert_eq!(scheduler.next(now), Some(id(7)));
        scheduler.sent(now, id(7), 100);
        scheduler.idle(id(7));
        scheduler.activate(now, id(7), Priority::Normal);
        assert_ne!(scheduler.next(now), Some(id(7)), "not twice in one round");
    }

    #[test]
    fn a_stream_out_of_credit_keeps_its_place_and_its_deficit() {
        let mut scheduler = Scheduler::default();
        let now = Time::default();
        scheduler.activate(now, id(0), Priority::Normal);
        scheduler.activate(now, id(1), Priority::Normal);
        assert_eq!(scheduler.next(now), Some(id(0)));
        scheduler.sent(now, id(0), 1_000);
        scheduler.park(id(0));
        assert_eq!(scheduler.next(now), Some(id(1)));
        scheduler.sent(now, id(1), 16 << 10);
        scheduler.activate(now, id(0), Priority::Normal);
        assert_eq!(scheduler.next(now), Some(id(0)));
        scheduler.sent(now, id(0), (16 << 10) - 1_000);
        assert_eq!(scheduler.next(now), Some(id(1)), "its old deficit, no fresh quantum");
    }

    #[test]
    fn a_frame_waits_from_when_there_is_something_to_send_until_it_is_sent() {
        let mut scheduler = Scheduler::default();
        let at = |millis| Time::from_nanos(0) + Duration::from_millis(millis);
        scheduler.activate(at(0), id(0), Priority::High);
        scheduler.sent(at(3), id(0), 100);
        // The second frame of the batch waited for no turn of its own, the next one for the link.
        scheduler.sent(at(3), id(0), 100);
        scheduler.sent(at(63), id(0), 100);
        scheduler.idle(id(0));
        scheduler.activate(at(500), id(0), Priority::High);
        scheduler.sent(at(501), id(0), 100);
        scheduler.clear();
        let waits = &scheduler.waits()[Priority::High as usize];
        assert_eq!(waits.counts(), [1, 1, 0, 0, 1, 0, 0, 0, 0], "1 ms, 3 ms and 60 ms");
        assert_eq!(waits.sum(), Duration::from_millis(64));
        assert_eq!(scheduler.waits()[Priority::Low as usize].count(), 0);
    }
}

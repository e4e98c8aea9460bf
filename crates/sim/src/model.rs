//! The reference: what each source handed over, what each sink got, and how both ended.

use std::collections::BTreeMap;

use p2_mux::{ErrorCode, Role, StreamError, StreamId};

use crate::Failure;
use crate::corpus;
use crate::rng::mix;

/// One direction of one stream.
#[derive(Debug, Default)]
pub(crate) struct Way {
    pub(crate) exists: bool,
    key: u64,
    pub(crate) written: u64,
    pub(crate) finished: bool,
    /// The source abandoned it, by reset or by letting go.
    pub(crate) reset: Option<ErrorCode>,
    /// The sink wanted no more.
    pub(crate) stopped: Option<ErrorCode>,
    /// (offset, bytes dropped up to there).
    gaps: Vec<(u64, u64)>,
    gaps_seen: u64,
    pub(crate) read: u64,
    /// What the sink has taken responsibility for.
    pub(crate) kept: u64,
    pub(crate) seen: Option<Seen>,
    pub(crate) outcome: Option<Result<(), StreamError>>,
    /// The source let go before it knew how it ended.
    pub(crate) unwatched: bool,
}

/// The end as the sink saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Seen {
    Finished,
    Reset(ErrorCode),
}

/// One stream, as both sides have to agree on it.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    /// From the client, from the server.
    ways: [Way; 2],
    /// By the client, by the server.
    pub(crate) forgotten: [bool; 2],
    opener: usize,
    /// The other side's application has taken it.
    accepted: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Model {
    streams: BTreeMap<u64, Entry>,
    /// Raw bytes that sinks have read, and ends that became known: what counts as progress.
    pub(crate) progress: u64,
}

pub(crate) const fn side(role: Role) -> usize {
    match role {
        Role::Client => 0,
        Role::Server => 1,
    }
}

impl Way {
    pub(crate) fn chunk(&self, len: usize) -> bytes::Bytes {
        corpus::slice(self.key, self.written, len)
    }

    pub(crate) fn dropped(&mut self, bytes: u64) {
        let total = self.gaps.last().map_or(0, |gap| gap.1) + bytes;
        match self.gaps.last_mut() {
            Some(last) if last.0 == self.written => last.1 = total,
            _ => self.gaps.push((self.written, total)),
        }
    }

    /// Total dropped at offsets below `offset`, or up to it with `inclusive`.
    fn dropped_until(&self, offset: u64, inclusive: bool) -> u64 {
        let below = |gap: &&(u64, u64)| gap.0 < offset || (inclusive && gap.0 == offset);
        self.gaps.iter().take_while(below).last().map_or(0, |gap| gap.1)
    }

    /// The sink read `data` at `offset`.
    pub(crate) fn got(&mut self, offset: u64, data: &[u8]) -> Result<(), Failure> {
        if offset != self.read {
            return Err(format!("read offset {offset} where {} is next", self.read));
        }
        let after = offset + data.len() as u64;
        if after > self.written {
            return Err(format!("read up to {after}, but only {} were written", self.written));
        }
        if !corpus::matches(self.key, offset, data) {
            return Err(format!("bytes {offset}..{after} are not those written"));
        }
        let owed = self.dropped_until(offset, true);
        if owed != self.gaps_seen {
            let seen = self.gaps_seen;
            return Err(format!("at {offset} gaps of {seen} bytes were told, {owed} are right"));
        }
        if self.dropped_until(after, false) != owed {
            return Err(format!("bytes {offset}..{after} hide a gap"));
        }
        self.read = after;
        Ok(())
    }

    pub(crate) fn got_gap(&mut self, offset: u64, dropped: u64) -> Result<(), Failure> {
        self.gaps_seen += dropped;
        let (seen, most) = (self.gaps_seen, self.dropped_until(offset, true));
        if offset != self.read || seen > most || seen <= self.dropped_until(offset, false) {
            return Err(format!("a gap at {offset} (read {}): {seen} of {most}", self.read));
        }
        Ok(())
    }

    /// The sink came to an end.
    fn came_to(&mut self, seen: Seen) -> Result<(), Failure> {
        self.seen = Some(seen);
        match seen {
            Seen::Finished if !self.finished => Err("an end that nobody wrote".into()),
            Seen::Finished if self.read != self.written => {
                Err(format!("ended at {} of {} bytes", self.read, self.written))
            }
            Seen::Finished if self.gaps_seen != self.dropped_until(u64::MAX, true) => {
                Err("a gap was never told".into())
            }
            Seen::Reset(code) if self.reset != Some(code) => {
                Err(format!("reset by {code}, which the source did not say: {:?}", self.reset))
            }
            _ => Ok(()),
        }
    }

    /// Whether the two ends agree on how it ended.
    fn check(&self) -> Result<(), Failure> {
        if !self.exists {
            return Ok(());
        }
        let stopped = self.stopped.is_some();
        if self.seen.is_none() && !stopped {
            return Err(format!("the sink saw no end at {} of {}", self.read, self.written));
        }
        let fine = match &self.outcome {
            None => self.unwatched,
            Some(Ok(())) => self.finished && (self.seen == Some(Seen::Finished) || stopped),
            Some(Err(StreamError::Stopped(code))) => self.stopped == Some(*code),
            Some(Err(StreamError::Ended)) => self.reset.is_some(),
            Some(Err(_)) => false,
        };
        if !fine {
            return Err(format!("the source came to {:?}", self.outcome));
        }
        if self.finished && self.reset.is_none() && !stopped && self.seen != Some(Seen::Finished) {
            return Err(format!("finished, but the sink saw {:?}", self.seen));
        }
        Ok(())
    }
}

impl Model {
    pub(crate) fn opened(&mut self, id: StreamId, unidirectional: bool) -> Result<(), Failure> {
        let by = side(id.initiator());
        let mut entry = Entry::default();
        for (index, way) in entry.ways.iter_mut().enumerate() {
            way.exists = index == by || !unidirectional;
            way.key = mix(id.to_wire() * 2 + index as u64);
        }
        entry.opener = by;
        match self.streams.insert(id.to_wire(), entry) {
            None => Ok(()),
            Some(_) => Err(format!("stream {id} was opened twice")),
        }
    }

    /// What flows from `sender` on this stream.
    pub(crate) fn way(&mut self, id: StreamId, sender: Role) -> Result<&mut Way, Failure> {
        let entry = self.streams.get_mut(&id.to_wire());
        let entry = entry.ok_or_else(|| format!("stream {id} was never opened"))?;
        Ok(&mut entry.ways[side(sender)])
    }

    /// Whether the source may be told that its bytes up to `acked` are safe.
    pub(crate) fn may_be_acknowledged(&self, id: StreamId, sender: Role, acked: u64) -> bool {
        self.streams.get(&id.to_wire()).is_none_or(|entry| {
            let way = &entry.ways[side(sender)];
            acked <= way.kept || way.stopped.is_some() || way.reset.is_some()
        })
    }

    pub(crate) fn accepted(&mut self, id: StreamId) -> Result<(), Failure> {
        let entry = self.streams.get_mut(&id.to_wire());
        let entry = entry.ok_or_else(|| format!("stream {id} was never opened"))?;
        match std::mem::replace(&mut entry.accepted, true) {
            false => Ok(()),
            true => Err(format!("stream {id} was accepted twice")),
        }
    }

    /// The sink of what flows from `sender` came to an end.
    pub(crate) fn came_to(
        &mut self,
        id: StreamId,
        sender: Role,
        seen: Seen,
    ) -> Result<(), Failure> {
        let entry = self.streams.get_mut(&id.to_wire());
        let entry = entry.ok_or_else(|| format!("stream {id} was never opened"))?;
        let from = side(sender);
        // Taken back before the other side's application saw it: that side's half is reset too.
        let withdrawn =
            !entry.accepted && from != entry.opener && entry.ways[entry.opener].reset.is_some();
        if withdrawn && seen == Seen::Reset(ErrorCode::CANCELLED) {
            entry.ways[from].reset = Some(ErrorCode::CANCELLED);
        }
        entry.ways[from].came_to(seen).map_err(|why| format!("{id}: {why}"))
    }

    pub(crate) fn forgot(&mut self, id: StreamId, at: Role) -> Result<(), Failure> {
        let entry = self.streams.get_mut(&id.to_wire());
        let entry = entry.ok_or_else(|| format!("stream {id} was never opened"))?;
        self.progress += 1;
        match std::mem::replace(&mut entry.forgotten[side(at)], true) {
            false => Ok(()),
            true => Err(format!("stream {id} was forgotten twice")),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    pub(crate) fn bytes_written(&self) -> u64 {
        self.streams.values().flat_map(|entry| &entry.ways).map(|way| way.written).sum()
    }

    pub(crate) fn bytes_read(&self) -> u64 {
        self.streams.values().flat_map(|entry| &entry.ways).map(|way| way.read).sum()
    }

    /// Whether nobody remembers any stream.
    pub(crate) fn all_forgotten(&self) -> bool {
        self.streams.values().all(|entry| entry.forgotten == [true, true])
    }

    /// Everything came out as it had to.
    pub(crate) fn conclude(&self) -> Result<(), Failure> {
        for (id, entry) in &self.streams {
            let withdrawn = !entry.accepted && entry.ways[entry.opener].reset.is_some();
            for (index, way) in entry.ways.iter().enumerate().filter(|_| !withdrawn) {
                let from = ["client", "server"][index];
                way.check().map_err(|why| format!("stream {id} from the {from}: {why}"))?;
            }
            if entry.forgotten != [true, true] {
                return Err(format!("stream {id} was not forgotten: {:?}", entry.forgotten));
            }
        }
        Ok(())
    }

    /// What is still missing, for people.
    pub(crate) fn missing(&self) -> String {
        let mut words = String::new();
        for (id, entry) in self.streams.iter().filter(|(_, entry)| entry.forgotten != [true, true])
        {
            words.push_str(&format!("\n  stream {id} forgotten {:?}", entry.forgotten));
            for way in entry.ways.iter().filter(|way| way.exists) {
                words.push_str(&format!(
                    "; read {}/{} finished={} reset={:?} stopped={:?} seen={:?} outcome={:?}",
                    way.read,
                    way.written,
                    way.finished,
                    way.reset.map(ErrorCode::get),
                    way.stopped.map(ErrorCode::get),
                    way.seen,
                    way.outcome
                ));
            }
        }
        words
    }
}

//! The application's half of the session: open, write, read, end.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use p2_frame::{ErrorCode, StreamId};

use super::{Phase, Session};
use crate::error::{Ended, OpenError, StreamError};
#[cfg(doc)]
use crate::event::Event;
use crate::limits;
use crate::schedule::Priority;
use crate::stream::read::Read;
use crate::stream::recv::RecvHalf;
use crate::stream::send::SendHalf;
use crate::stream::{OpenOptions, Owed, Stream};
use crate::time::Time;

const MAX_NAME: usize = 255;
const MAX_METADATA: usize = 1 << 10;

/// How many bytes a write may take, by what bounds it.
#[derive(Debug, Clone, Copy, Default)]
struct Places {
    credit: u64,
    by_buffer: u64,
    length: u64,
}

impl Places {
    fn all(self) -> usize {
        let least = self.by_buffer.min(self.credit).min(self.length);
        usize::try_from(least).unwrap_or(usize::MAX)
    }
}

impl Session {
    /// Lets a stream of ours take another class from now on. What its peer was told at its opening
    /// stays as it was: only this side's order of sending follows the class.
    pub fn set_priority(&mut self, now: Time, id: StreamId, priority: Priority) {
        if let Ok(stream) = self.stream(id) {
            Arc::make_mut(&mut stream.options).priority = priority;
            // It queues anew, in its new class, if it has something to send.
            self.scheduler.remove(id);
            self.refresh(now, id);
        }
    }

    /// Opens a stream. Between two links, too: the peer hears of it with the next one. Before the
    /// first one nobody knows what the peer allows, and [`OpenError::TooMany`] says so.
    ///
    /// # Errors
    /// [`OpenError::TooMany`] while the peer's limit is reached; [`Event::CanOpen`] follows.
    pub fn open(&mut self, now: Time, options: OpenOptions) -> Result<StreamId, OpenError> {
        let ended = |ended: &Ended| OpenError::SessionEnded(ended.clone());
        match (&self.phase, self.peer_going_away) {
            (Phase::Ended(how), _) => return Err(ended(how)),
            (Phase::Draining(reason), _) => {
                let (code, reason) = (ErrorCode::NO_ERROR, reason.clone());
                return Err(ended(&Ended { code, reason, by_peer: false }));
            }
            (Phase::Open, Some(code)) => return Err(OpenError::GoingAway(code)),
            (Phase::Open, None) => {}
        }
        check_len("the stream's name", options.name.len(), MAX_NAME)?;
        let pairs = options.metadata.iter();
        let metadata = pairs.fold(0usize, |sum, (key, value)| {
            sum.saturating_add(key.len()).saturating_add(value.len())
        });
        check_len("the stream's metadata", metadata, MAX_METADATA)?;
        let limit = self.peer.max_streams;
        let Some(id) = self.streams.next_own().filter(|_| self.streams.own_live() < limit) else {
            self.open_refused = true;
            return Err(OpenError::TooMany(limit));
        };
        let mut stream = Stream::new(self.streams.shared(id, options));
        stream.send = Some(SendHalf::new(self.peer.initial_window));
        if !stream.options.unidirectional {
            stream.recv = Some(RecvHalf::new(self.config.initial_window));
        }
        stream.held = true;
        stream.accepted = true;
        stream.owed.add(Owed::OPEN);
        self.streams.insert_own(id, stream);
        self.totals.streams_opened = self.totals.streams_opened.saturating_add(1);
        self.refresh(now, id);
        Ok(id)
    }

    /// Takes the next stream the peer opened, in the order of its OPENs. The taker must
    /// [`release`](Self::release) it in the end.
    pub fn accept(&mut self) -> Option<StreamId> {
        self.streams.accept()
    }

    /// What the stream was opened with.
    pub fn options(&self, id: StreamId) -> Option<&OpenOptions> {
        self.streams.get(id).map(|stream| &*stream.options)
    }

    /// The same, to be kept: streams that were opened alike may share it.
    pub fn shared_options(&self, id: StreamId) -> Option<Arc<OpenOptions>> {
        self.streams.get(id).map(|stream| Arc::clone(&stream.options))
    }

    /// Hands over as much of `data` as there is room for, copying it, and returns how much.
    /// Less than all means: [`Event::Writable`] follows. What was taken belongs to the session
    /// until the peer acknowledged it or the session is dead.
    ///
    /// # Errors
    /// [`StreamError`] when the half takes no more bytes at all.
    pub fn write(&mut self, now: Time, id: StreamId, data: &[u8]) -> Result<usize, StreamError> {
        let room = self.room(now, id, data.len())?;
        let (taken, _) = data.split_at(room);
        self.append(now, id, room, |half| half.append(taken));
        Ok(room)
    }

    /// Like [`Session::write`], without a copy: what was taken is split off `data`'s front.
    ///
    /// # Errors
    /// As [`Session::write`]; `data` is then unchanged.
    pub fn write_chunk(
        &mut self,
        now: Time,
        id: StreamId,
        data: &mut Bytes,
    ) -> Result<usize, StreamError> {
        let room = self.room(now, id, data.len())?;
        let taken = data.split_to(room);
        self.append(now, id, room, |half| half.append_chunk(taken));
        Ok(room)
    }

    /// How many bytes a write would take now; nothing is remembered of who asked.
    pub fn writable(&self, id: StreamId) -> usize {
        let half = self.streams.get(id).and_then(|stream| stream.send.as_ref());
        let open = half.filter(|half| self.ended().is_none() && half.writable().is_ok());
        open.map_or(0, |half| self.places(half).all())
    }

    /// Takes bytes that [`writable`](Self::writable) had room for, whatever has changed since: a
    /// driver may gather small writes and hand them over together. They may exceed the session's
    /// buffer by what was promised, and never the peer's credit.
    ///
    /// # Errors
    /// [`StreamError`] when the half takes no more bytes at all.
    pub fn write_promised(
        &mut self,
        now: Time,
        id: StreamId,
        data: &[u8],
    ) -> Result<(), StreamError> {
        let stream = self.stream(id)?;
        stream.send.as_ref().ok_or(StreamError::Unidirectional)?.writable()?;
        self.append(now, id, data.len(), |half| half.append(data));
        Ok(())
    }

    /// Reads up to `max` bytes, without a copy. Reading acknowledges, unless
    /// [`set_manual_ack`](Self::set_manual_ack) was chosen.
    ///
    /// # Errors
    /// [`StreamError::Reset`] after the bytes that came before the reset;
    /// [`StreamError::Digest`] instead of [`Read::Finished`] when the bytes are not those sent.
    pub fn read(&mut self, now: Time, id: StreamId, max: usize) -> Result<Read, StreamError> {
        let stream = self.stream(id)?;
        let recv = stream.recv.as_mut().ok_or(StreamError::Unidirectional)?;
        let read = recv.read(max);
        // After an error nothing new can follow.
        recv.readable_told = recv.readable() || read.is_err();
        let blocked = matches!(read, Ok(Read::Blocked));
        if matches!(read, Err(StreamError::Digest { .. })) && recv.stop(ErrorCode::INTEGRITY) {
            stream.owed.add(Owed::STOP);
        }
        // The reader is here: `readable_told` keeps it from an event for what it can see by
        // reading on.
        if !blocked {
            self.refresh(now, id);
        }
        read
    }

    /// Whether [`Session::read`] would return something at once.
    pub fn is_readable(&self, id: StreamId) -> bool {
        let recv = self.streams.get(id).and_then(|stream| stream.recv.as_ref());
        recv.is_none_or(|recv| recv.readable())
    }

    /// With `manual`, a byte counts as acknowledged only once [`acknowledge`](Self::acknowledge)
    /// says so; call it before the first read.
    pub fn set_manual_ack(&mut self, id: StreamId, manual: bool) {
        if let Some(recv) = self.streams.get_mut(id).and_then(|stream| stream.recv.as_mut()) {
            recv.set_manual(manual);
        }
    }

    /// Everything below `offset` that was read is now the application's responsibility. Once
    /// [`Read::Finished`] was returned, acknowledging the last byte acknowledges the end as well.
    pub fn acknowledge(&mut self, now: Time, id: StreamId, offset: u64) {
        if let Some(recv) = self.streams.get_mut(id).and_then(|stream| stream.recv.as_mut()) {
            recv.acknowledge(offset);
            self.refresh(now, id);
        }
    }

    /// No more bytes will be written; [`Event::SendEnded`] follows once the peer has everything.
    ///
    /// # Errors
    /// When the half was reset or stopped before.
    pub fn finish(&mut self, now: Time, id: StreamId) -> Result<(), StreamError> {
        self.unblocked(now, id);
        self.stream(id)?.send.as_mut().ok_or(StreamError::Unidirectional)?.finish()?;
        self.refresh(now, id);
        Ok(())
    }

    /// Marks that the source dropped `bytes` before the next byte written.
    ///
    /// # Errors
    /// When the half takes no more bytes.
    pub fn record_gap(&mut self, now: Time, id: StreamId, bytes: u64) -> Result<(), StreamError> {
        let send = self.stream(id)?.send.as_mut().ok_or(StreamError::Unidirectional)?;
        send.writable()?;
        if bytes > 0 {
            send.record_gap(bytes);
        }
        self.refresh(now, id);
        Ok(())
    }

    /// Abandons the sending half; what is retained is dropped.
    pub fn reset(&mut self, now: Time, id: StreamId, code: ErrorCode) {
        self.unblocked(now, id);
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let Some(send) = &mut stream.send else { return };
        let Some(freed) = send.reset(code) else { return };
        send.writer_waits = false;
        stream.owed.add(Owed::RESET);
        self.freed(freed);
        self.refresh(now, id);
    }

    /// Abandons the receiving half; what was not read is dropped.
    pub fn stop(&mut self, now: Time, id: StreamId, code: ErrorCode) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        let Some(recv) = &mut stream.recv else { return };
        if recv.stop(code) {
            stream.owed.add(Owed::STOP);
        }
        self.refresh(now, id);
    }

    /// How the sending half ended: `Ok` once the peer acknowledged its end. `None` while open.
    pub fn send_outcome(&self, id: StreamId) -> Option<Result<(), StreamError>> {
        let stream = self.streams.get(id);
        let outcome = stream.and_then(|stream| stream.send.as_ref()).map(|half| half.outcome());
        match (outcome, &self.phase) {
            (Some(Some(outcome)), _) => Some(outcome),
            (_, Phase::Ended(ended)) => Some(Err(StreamError::SessionEnded(ended.clone()))),
            (Some(None), _) => None,
            (None, _) => Some(Err(StreamError::Unknown)),
        }
    }

    /// Nobody holds the stream any more. A half that has not ended is reset or stopped.
    pub fn release(&mut self, now: Time, id: StreamId) {
        let Some(stream) = self.streams.get_mut(id) else {
            return;
        };
        stream.held = false;
        if let Some(recv) = &mut stream.recv {
            if recv.stop(ErrorCode::CANCELLED) {
                stream.owed.add(Owed::STOP);
            }
        }
        let unfinished = stream.send.as_ref().is_some_and(|half| half.writable().is_ok());
        if unfinished {
            self.reset(now, id, ErrorCode::CANCELLED);
        }
        self.refresh(now, id);
    }

    /// How long writers have waited for the peer's credit alone, all streams together, those that
    /// still wait included.
    pub fn credit_blocked(&self, now: Time) -> Duration {
        let streams = self.streams.ids().into_iter().filter_map(|id| self.streams.get(id));
        let since = |stream: &Stream| stream.send.as_ref().and_then(SendHalf::blocked_since);
        let open = streams.filter_map(since).map(|since| now.since(since));
        open.fold(self.credit_blocked, Duration::saturating_add)
    }

    /// The stream's writer no longer waits for credit.
    fn unblocked(&mut self, now: Time, id: StreamId) {
        let stream = self.streams.get_mut(id);
        if let Some(since) =
            stream.and_then(|s| s.send.as_mut()).and_then(SendHalf::take_blocked_since)
        {
            self.credit_blocked = self.credit_blocked.saturating_add(now.since(since));
        }
    }

    /// How many of `wanted` bytes a write may take now; remembers a writer that must wait.
    fn room(&mut self, now: Time, id: StreamId, wanted: usize) -> Result<usize, StreamError> {
        self.unblocked(now, id);
        let half = self.stream(id)?.send.as_ref().ok_or(StreamError::Unidirectional)?;
        half.writable()?;
        if half.length_left() == 0 {
            return Err(StreamError::TooLong);
        }
        let half = self.streams.get(id).and_then(|stream| stream.send.as_ref());
        let places = half.map(|half| self.places(half)).unwrap_or_default();
        let Places { credit, by_buffer, .. } = places;
        let room = places.all().min(wanted);
        if room < wanted {
            let stream = self.stream(id)?;
            if let Some(send) = &mut stream.send {
                send.writer_waits = true;
                if credit < by_buffer {
                    send.waits_since(now);
                }
                if credit <= by_buffer && send.note_blocked() && room == 0 && send.blocked_due() {
                    stream.owed.add(Owed::BLOCKED);
                }
                if by_buffer <= credit && !std::mem::replace(&mut send.crowded, true) {
                    self.crowded.push_back(id);
                }
            }
            self.refresh(now, id);
        }
        Ok(room)
    }

    /// What bounds a write to `half`, each for itself.
    fn places(&self, half: &SendHalf) -> Places {
        // Credit bounds what is retained, so a stalled stream holds its own window and no more.
        // While there is no link, sources go on into what is left of the buffer.
        let credit = half.limit().saturating_sub(half.written());
        let credit = if self.link.is_some() { credit } else { u64::MAX };
        // The peer's first window is its own wish: what is retained here is for this side to say.
        let first_window = self.peer.initial_window.min(limits::INITIAL_WINDOW);
        let own = first_window.saturating_sub(half.retained());
        let buffer = self.config.send_buffer.saturating_sub(self.retained);
        Places { credit, by_buffer: buffer.max(own), length: half.length_left() }
    }

    fn append(&mut self, now: Time, id: StreamId, len: usize, append: impl FnOnce(&mut SendHalf)) {
        if len == 0 {
            return;
        }
        if let Some(half) = self.streams.get_mut(id).and_then(|stream| stream.send.as_mut()) {
            append(half);
            self.retained = self.retained.saturating_add(len as u64);
            self.refresh(now, id);
        }
    }
}

const fn check_len(what: &'static str, len: usize, limit: usize) -> Result<(), OpenError> {
    if len > limit { Err(OpenError::TooLong { what, len, limit }) } else { Ok(()) }
}

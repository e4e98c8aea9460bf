//! The application's calls, in any order and on any stream.

use p2_mux::{CodecId, ErrorCode, Event, OpenError, OpenOptions, Priority, Read, StreamError};

use super::way::{chunk, content};
use super::*;

impl Stage {
    pub(super) fn open(&mut self, input: &mut Input<'_>) {
        let how = input.byte();
        let priorities = [Priority::Normal, Priority::Realtime, Priority::Bulk, Priority::High];
        let text = |len: u64| "n".repeat((len & 0x7ff) as usize);
        let long = how & 0x80 != 0;
        let options = OpenOptions {
            name: if long { text(input.number()) } else { String::new() },
            metadata: if long { vec![("k".into(), text(input.number()))] } else { Vec::new() },
            unidirectional: how & 1 != 0,
            priority: priorities[usize::from(how >> 1 & 3)],
            codec: (how & 8 != 0).then_some(CodecId::GZIP),
            ..OpenOptions::default()
        };
        let (name, metadata) =
            (options.name.len(), options.metadata.first().map_or(0, |m| m.1.len()));
        match self.session.open(self.now, options) {
            Ok(id) => {
                assert!(self.linked_before, "nobody knows yet what the peer allows");
                assert!(name <= 255 && metadata < 1 << 10);
                let granted = if how & 1 == 0 { self.session.config().initial_window } else { 0 };
                self.ways.add(id, self.peer.initial_window, granted);
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
        let open = self.session.open(self.now, OpenOptions::named("n".repeat(256)));
        assert!(matches!(
            open,
            Err(OpenError::TooLong { .. } | OpenError::GoingAway(_) | OpenError::SessionEnded(_))
        ));
    }

    pub(super) fn accept(&mut self, input: &mut Input<'_>) {
        let manual = input.byte() & 1 != 0;
        if let Some(id) = self.session.accept() {
            assert_ne!(id.initiator(), self.role);
            self.session.set_manual_ack(id, manual);
        }
    }

    pub(super) fn write(&mut self, input: &mut Input<'_>) {
        let id = pick(&self.ways, input);
        let len = u64::from(input.byte()) << (input.byte() & 7);
        let Some(way) = self.ways.get(id) else {
            assert!(self.session.write(self.now, id, b"x").is_err(), "{id} does not exist");
            return;
        };
        let at = way.written;
        let result = if len & 8 == 0 {
            self.session.write(self.now, id, content(id, at..at + len))
        } else {
            let mut data = chunk(id, at..at + len);
            let result = self.session.write_chunk(self.now, id, &mut data);
            assert_eq!(data.len() as u64 + result.as_ref().map_or(0, |len| *len as u64), len);
            result
        };
        if let Ok(taken) = result {
            assert!(taken as u64 <= len && !way.gone, "{id}");
            way.written += taken as u64;
        }
    }

    pub(super) fn read(&mut self, input: &mut Input<'_>) {
        let id = pick(&self.ways, input);
        let max = usize::from(input.byte()) * 16 + 1;
        for _ in 0..4 {
            let readable = self.session.is_readable(id);
            let Some(way) = self.ways.get(id) else {
                assert!(self.session.read(self.now, id, max).is_err(), "{id} does not exist");
                return;
            };
            let read = self.session.read(self.now, id, max);
            match &read {
                Ok(Read::Data { offset, data }) => {
                    let end = offset + data.len() as u64;
                    assert_eq!(*offset, way.read, "{id}: bytes out of order");
                    assert!((1..=max).contains(&data.len()) && end <= way.delivered, "{id}");
                    assert_eq!(data[..], *content(id, *offset..end), "{id}: other bytes");
                    way.read = end;
                }
                Ok(Read::Gap { offset, .. }) => assert_eq!(*offset, way.read, "{id}"),
                Ok(Read::Finished) => {
                    assert_eq!(way.end, Some(way.read), "{id}: finished before its end");
                    self.reached.finished += 1;
                }
                Ok(Read::Blocked) => assert!(!readable, "{id} was said to be readable"),
                Err(StreamError::Digest { .. }) => assert_eq!(way.end, Some(way.delivered), "{id}"),
                Err(error) => assert!(!error.to_string().is_empty()),
            }
            if !matches!(read, Ok(Read::Data { .. } | Read::Gap { .. })) {
                return;
            }
        }
    }

    pub(super) fn acknowledge(&mut self, input: &mut Input<'_>) {
        let id = pick(&self.ways, input);
        let read = self.ways.get(id).map_or(0, |way| way.read);
        self.session.acknowledge(self.now, id, input.about(read));
    }

    pub(super) fn finish(&mut self, input: &mut Input<'_>) {
        let id = pick(&self.ways, input);
        // Refused where the half is over, missing or not ours.
        let _ = match input.byte() & 3 {
            0 => self.session.record_gap(self.now, id, input.number()),
            _ => self.session.finish(self.now, id),
        };
    }

    pub(super) fn give_up(&mut self, input: &mut Input<'_>) {
        let id = pick(&self.ways, input);
        match input.byte() % 3 {
            0 => self.session.reset(self.now, id, ErrorCode::SOURCE_FAILED),
            1 => self.session.stop(self.now, id, ErrorCode::SINK_FAILED),
            _ => self.session.release(self.now, id),
        }
    }

    /// Rarely, for little happens afterwards.
    pub(super) fn close(&mut self, input: &mut Input<'_>) {
        match input.byte() {
            0..=0x3f => self.session.close("enough"),
            0x40..=0x4f => self.session.abort(ErrorCode::INTERNAL, "broken"),
            0x50..=0x57 => {
                self.session.confirm_closed();
            }
            _ => {}
        }
    }

    pub(super) fn happened(&mut self, event: &Event) {
        match event {
            Event::Forgotten(stats) => {
                let way = self.ways.get(stats.id).expect("only what was opened is forgotten");
                assert!(!std::mem::replace(&mut way.gone, true), "{} is forgotten twice", stats.id);
                assert_eq!(stats.retained, 0, "{} is forgotten with bytes retained", stats.id);
            }
            Event::SendEnded(id) => {
                assert!(self.session.send_outcome(*id).is_some(), "{id} ended without an outcome");
            }
            Event::Ended(ended) => {
                assert!(!ended.to_string().is_empty());
                assert!(!std::mem::replace(&mut self.reached.ended, true), "ended twice");
            }
            _ => {}
        }
    }
}

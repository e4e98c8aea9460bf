//! Figures, pulled by whoever shows them.

use std::time::Duration;

use p2_frame::{CodecId, ErrorCode, StreamId};

use crate::histogram::Histogram;
use crate::schedule::Priority;
use crate::stream::Stream;
use crate::stream::recv::{RecvEnd, RecvState};
use crate::stream::send::SendState;

/// What only the wire knows of one stream. Small numbers, because most streams carry little; what
/// they count up to is carried elsewhere before they overflow.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    wire_sent: u32,
    wire_received: u32,
    frames_sent: u32,
    frames_received: u32,
    /// Wire bytes per 256 raw bytes lately, for the scheduler's guess.
    pub(crate) shrink: u32,
    codec_sent: Option<CodecId>,
    codec_received: Option<CodecId>,
    carried: Option<Box<Carried>>,
}

#[derive(Debug, Default, Clone)]
struct Carried {
    wire_sent: u64,
    wire_received: u64,
    frames_sent: u64,
    frames_received: u64,
    replayed: u64,
}

impl Counters {
    /// A frame of `wire` bytes went out.
    pub(crate) fn sent(&mut self, wire: u64, codec: CodecId) {
        self.codec_sent = Some(codec);
        match (self.frames_sent.checked_add(1), sum(self.wire_sent, wire)) {
            (Some(frames), Some(wire)) => (self.frames_sent, self.wire_sent) = (frames, wire),
            _ => {
                let carried = self.carry();
                carried.frames_sent = carried.frames_sent.saturating_add(1);
                carried.wire_sent = carried.wire_sent.saturating_add(wire);
            }
        }
    }

    /// A frame of `wire` bytes came.
    pub(crate) fn received(&mut self, wire: u64, codec: CodecId) {
        self.codec_received = Some(codec);
        match (self.frames_received.checked_add(1), sum(self.wire_received, wire)) {
            (Some(frames), Some(wire)) => {
                (self.frames_received, self.wire_received) = (frames, wire);
            }
            _ => {
                let carried = self.carry();
                carried.frames_received = carried.frames_received.saturating_add(1);
                carried.wire_received = carried.wire_received.saturating_add(wire);
            }
        }
    }

    /// `bytes` have to be sent again.
    pub(crate) fn replayed(&mut self, bytes: u64) {
        if bytes > 0 {
            let carried = self.carry();
            carried.replayed = carried.replayed.saturating_add(bytes);
        }
    }

    /// The whole numbers.
    fn whole(&self) -> Carried {
        let mut whole = self.carried.as_deref().cloned().unwrap_or_default();
        whole.add(self);
        whole
    }

    fn carry(&mut self) -> &mut Carried {
        let mut carried = self.carried.take().unwrap_or_default();
        carried.add(self);
        (self.wire_sent, self.wire_received) = (0, 0);
        (self.frames_sent, self.frames_received) = (0, 0);
        self.carried.insert(carried)
    }
}

impl Carried {
    fn add(&mut self, recent: &Counters) {
        let add = |sum: &mut u64, more: u32| *sum = sum.saturating_add(u64::from(more));
        add(&mut self.wire_sent, recent.wire_sent);
        add(&mut self.wire_received, recent.wire_received);
        add(&mut self.frames_sent, recent.frames_sent);
        add(&mut self.frames_received, recent.frames_received);
    }
}

fn sum(count: u32, more: u64) -> Option<u32> {
    count.checked_add(u32::try_from(more).ok()?)
}

/// Snapshot of one stream. Bytes are raw (before encoding) unless `wire` says otherwise; wire
/// bytes include frame headers.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamStats {
    /// The wire id.
    pub id: StreamId,
    /// The number people see.
    pub label: u32,
    /// The name.
    pub name: String,
    /// Its class.
    pub priority: Priority,
    /// Whether this side opened it.
    pub opened_here: bool,
    /// Bytes the application handed over.
    pub bytes_written: u64,
    /// Bytes put on a link at least once.
    pub bytes_sent: u64,
    /// Bytes received and decoded.
    pub bytes_received: u64,
    /// Bytes the peer has acknowledged.
    pub acked_by_peer: u64,
    /// Bytes the application here has acknowledged.
    pub acknowledged: u64,
    /// Bytes held until the peer acknowledges them.
    pub retained: u64,
    /// Bytes received that nobody has read yet.
    pub unread: u64,
    /// Frames sent, repeats included.
    pub frames_sent: u64,
    /// Frames received, repeats included.
    pub frames_received: u64,
    /// Wire bytes sent, repeats included.
    pub wire_sent: u64,
    /// Wire bytes received, repeats included.
    pub wire_received: u64,
    /// Bytes that had to be sent again after a resume.
    pub replayed: u64,
    /// Bytes that arrived a second time and were discarded.
    pub duplicates_discarded: u64,
    /// Bytes the source dropped by its user's choice, as this side sent or heard it.
    pub dropped: u64,
    /// The codec of the last frame sent.
    pub codec_sent: Option<CodecId>,
    /// The codec of the last frame received.
    pub codec_received: Option<CodecId>,
    /// The sending half; `None` when this side cannot send.
    pub send_state: Option<SendState>,
    /// The receiving half; `None` when this side cannot receive.
    pub recv_state: Option<RecvState>,
    /// Why the sending half was abandoned, if it was.
    pub send_reset: Option<ErrorCode>,
    /// Why the peer abandoned its half, if it did.
    pub recv_reset: Option<ErrorCode>,
    /// The offset the peer's half ends at, once it has said so.
    pub recv_final: Option<u64>,
    /// XXH3-64 of what was sent.
    pub digest_sent: Option<u64>,
    /// Whether what arrived has the digest the sender named; `None` before its end.
    pub digest_verified: Option<bool>,
    /// Window granted to the peer at present, bytes.
    pub window: u64,
}

impl StreamStats {
    pub(crate) fn of(id: StreamId, stream: &Stream) -> Self {
        let send = stream.send.as_ref();
        let recv = stream.recv.as_ref();
        let recv_final = recv.and_then(|half| match half.end() {
            Some(RecvEnd::Fin { final_offset, .. }) => Some(final_offset),
            _ => None,
        });
        let wire = stream.counters.whole();
        let dropped_here = send.map_or(0, |half| half.dropped());
        Self {
            id,
            label: stream.options.label,
            name: stream.options.name.clone(),
            priority: stream.options.priority,
            opened_here: false,
            bytes_written: send.map_or(0, |half| half.written()),
            bytes_sent: send.map_or(0, |half| half.sent()),
            bytes_received: recv.map_or(0, |half| half.delivered()),
            acked_by_peer: send.map_or(0, |half| half.acked()),
            acknowledged: recv.map_or(0, |half| half.acked()),
            retained: send.map_or(0, |half| half.retained()),
            unread: recv.map_or(0, |half| half.unread()),
            frames_sent: wire.frames_sent,
            frames_received: wire.frames_received,
            wire_sent: wire.wire_sent,
            wire_received: wire.wire_received,
            replayed: wire.replayed,
            duplicates_discarded: recv.map_or(0, |half| half.duplicates()),
            dropped: dropped_here.saturating_add(recv.map_or(0, |half| half.dropped())),
            codec_sent: stream.counters.codec_sent,
            codec_received: stream.counters.codec_received,
            send_state: send.map(|half| half.state()),
            recv_state: recv.map(|half| half.state()),
            send_reset: send.and_then(|half| half.reset_code()),
            recv_reset: recv.and_then(|half| match half.end() {
                Some(RecvEnd::Reset { code, .. }) => Some(code),
                _ => None,
            }),
            recv_final,
            digest_sent: send.filter(|half| half.written() > 0).map(|half| half.digest()),
            digest_verified: recv.and_then(|half| half.verified()),
            window: recv.map_or(0, |half| half.window.size()),
        }
    }
}

/// Totals of a session, over all its links and streams, those that have ended included.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Links attached so far.
    pub links: u64,
    /// Links that took the session over from an earlier one.
    pub resumes: u64,
    /// Wire bytes sent after the handshakes.
    pub wire_sent: u64,
    /// Wire bytes received after the handshakes.
    pub wire_received: u64,
    /// Frames sent.
    pub frames_sent: u64,
    /// Frames received.
    pub frames_received: u64,
    /// Raw bytes sent in DATA frames, repeats included.
    pub raw_sent: u64,
    /// Raw bytes received in DATA frames, repeats included.
    pub raw_received: u64,
    /// Raw bytes that had to be sent again.
    pub replayed: u64,
    /// Raw bytes that arrived a second time and were discarded.
    pub duplicates_discarded: u64,
    /// PINGs sent.
    pub pings_sent: u64,
    /// PINGs the peer answered.
    pub pings_answered: u64,
    /// PINGs still unanswered when the next was due.
    pub pings_missed: u64,
    /// PINGs of the peer that were answered here.
    pub pings_received: u64,
    /// Streams this side opened.
    pub streams_opened: u64,
    /// Streams the peer opened.
    pub streams_accepted: u64,
    /// Streams that have left the session.
    pub streams_forgotten: u64,
}

/// Snapshot of a session.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct SessionStats {
    /// Totals over the session's life.
    pub totals: Totals,
    /// Whether a link is attached.
    pub attached: bool,
    /// The attached link's number.
    pub epoch: u64,
    /// Last round trip measured by PING.
    pub rtt: Option<Duration>,
    /// Shortest round trip of the present link.
    pub min_rtt: Option<Duration>,
    /// Wire bytes on their way.
    pub in_flight: u64,
    /// Raw bytes held until acknowledged, all streams.
    pub retained: u64,
    /// What `retained` may reach before writers wait.
    pub retained_limit: u64,
    /// How long frames with stream bytes waited for their turn, by class, the most urgent first.
    pub waits: Vec<Histogram>,
    /// Live streams in order of their ids.
    pub streams: Vec<StreamStats>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_go_on_where_small_numbers_end() {
        let mut counters = Counters::default();
        let wire = u64::from(u32::MAX) / 2;
        for _ in 0..9 {
            counters.sent(wire, CodecId::NONE);
            counters.received(7, CodecId::NONE);
        }
        counters.sent(1 << 40, CodecId::NONE);
        counters.replayed(5);
        let whole = counters.whole();
        assert_eq!((whole.frames_sent, whole.wire_sent), (10, 9 * wire + (1 << 40)));
        assert_eq!((whole.frames_received, whole.wire_received), (9, 63));
        assert_eq!(whole.replayed, 5);
    }
}

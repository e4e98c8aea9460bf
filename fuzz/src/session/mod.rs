//! One session between an application that calls anything in any order and a peer that lies: it never
//! panics, holds no more than it may, and neither sends nor takes a byte out of place.

mod application;
mod link;
mod peer;
mod way;

use std::collections::VecDeque;
use std::time::Duration;

use bytes::BytesMut;
use p2_mux::{
    Config, DecodeJob, LinkError, PeerLimits, ProcessBudget, Role, SendState, SentFrame, Session,
    StreamId, Time, Transmit,
};

use super::allocation;
use super::input::Input;
use way::Ways;

/// Bytes that a session with the small limits below may hold at most, whatever it is told.
const MEMORY: u64 = 512 << 10;
/// Events that one step may cause.
const EVENTS: usize = 4_000;
/// Steps from one look at every figure to the next.
const LOOK: usize = 16;

/// Input: the role and the limits of both sides, then steps of one byte with what each needs.
pub(crate) fn check(input: &[u8]) {
    run(input);
}

/// As [`check`]; what was reached.
pub(crate) fn run(input: &[u8]) -> Reached {
    let mut reached = Reached::default();
    allocation::at_most(MEMORY, || {
        let mut input = Input::new(input);
        let mut stage = Stage::new(&mut input);
        let mut steps = 0;
        while !input.is_empty() {
            stage.step(&mut input);
            stage.drain();
            steps += 1;
            if steps % LOOK == 0 {
                stage.look();
            }
        }
        stage.look();
        reached = stage.reached;
    });
    reached
}

/// What a run came to, so that seeds can be held to what they are for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Reached {
    /// Raw bytes sent and received.
    pub(crate) sent: u64,
    pub(crate) received: u64,
    /// Streams that were read to their verified end.
    pub(crate) finished: u32,
    pub(crate) resumed: u32,
    /// Links that a broken rule ended, and lists that were refused.
    pub(crate) broken: u32,
    pub(crate) ended: bool,
}

/// The session, and all that its application and its peer know of it.
struct Stage {
    session: Session,
    role: Role,
    peer: PeerLimits,
    now: Time,
    ways: Ways,
    /// Decoded later, perhaps after their link is gone.
    pending: VecDeque<DecodeJob>,
    batch: Vec<Transmit>,
    sent: Vec<SentFrame>,
    scratch: BytesMut,
    /// Wire bytes sent on this link.
    wire: u64,
    /// Streams of this side whose OPEN went out, and streams of the peer that were taken.
    opens_sent: u64,
    opens_taken: u64,
    linked_before: bool,
    reached: Reached,
}

impl Stage {
    fn new(input: &mut Input<'_>) -> Self {
        let (ours, theirs) = (input.byte(), input.byte());
        let role = if ours & 1 == 0 { Role::Client } else { Role::Server };
        let window = 1 << (9 + (ours >> 1 & 3));
        let config = Config {
            send_buffer: 1 << (10 + (ours >> 3 & 3)),
            receive_buffer: 8 << 10,
            initial_window: window,
            max_window: window << (ours >> 5 & 3),
            max_streams: 1 + u64::from(ours >> 7) * 3,
            ..Config::new(role)
        };
        let peer = PeerLimits {
            max_frame: [64 << 10, 1 << 10, 100, 64][usize::from(theirs & 3)],
            initial_window: [1 << 10, 0, 300, 4 << 10][usize::from(theirs >> 2 & 3)],
            max_streams: [4, 1, 0, 3][usize::from(theirs >> 4 & 3)],
        };
        let mut stage = Self {
            session: Session::new(config, ProcessBudget::new(1 << 20)),
            role,
            peer,
            now: Time::from_nanos(1 << 40),
            ways: Ways::default(),
            pending: VecDeque::new(),
            batch: Vec::new(),
            sent: Vec::new(),
            scratch: BytesMut::new(),
            wire: 0,
            opens_sent: 0,
            opens_taken: 0,
            linked_before: false,
            reached: Reached::default(),
        };
        if theirs & 0x80 == 0 {
            stage.attach_first();
        }
        stage
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 25 {
            0 => self.open(input),
            1 => self.accept(input),
            2 | 3 => self.write(input),
            4 | 5 => self.read(input),
            6 => self.acknowledge(input),
            7 => self.finish(input),
            8 => self.give_up(input),
            9 => self.close(input),
            10 | 11 => self.transmit(),
            12 => self.pass_time(input),
            13 => self.attach(input),
            14 => self.detach(),
            15 => self.deliver(),
            16 => self.peer_opens(input),
            17 | 18 => self.peer_sends(input),
            19 => self.peer_credits(input),
            20 => self.peer_ends(input),
            21 => self.peer_stops(input),
            22 => self.peer_pings(input),
            23 => self.peer_marks(input),
            _ => self.peer_says(input),
        }
    }

    fn pass_time(&mut self, input: &mut Input<'_>) {
        let span = Duration::from_millis(input.number() & 0xf_ffff);
        self.now = self.now + span;
        if self.session.timeout().is_some_and(|at| at <= self.now) {
            if let Err(error) = self.session.handle_timeout(self.now) {
                assert!(matches!(error, LinkError::Dead(_)), "a timer says {error}");
                self.detach();
            }
        }
    }

    /// Takes all events.
    fn drain(&mut self) {
        for _ in 0..EVENTS {
            let Some(event) = self.session.poll_event() else { return };
            self.happened(&event);
        }
        panic!("events without end");
    }

    /// What always holds.
    fn look(&mut self) {
        let stats = self.session.stats();
        let config = self.session.config();
        let window = config.max_window.max(config.initial_window);
        let mut retained = 0;
        for stream in &stats.streams {
            retained += stream.retained;
            let id = stream.id;
            let way = self.ways.get(id).unwrap_or_else(|| panic!("{id} was never opened"));
            assert!(stream.acked_by_peer >= way.looked.0, "{id}: the peer's word went back");
            assert!(stream.acknowledged >= way.looked.1, "{id}: our word went back");
            way.looked = (stream.acked_by_peer, stream.acknowledged);
            assert_eq!((stream.bytes_sent, stream.bytes_written), (way.sent, way.written), "{id}");
            assert_eq!(stream.bytes_received, way.delivered, "{id}");
            assert!(stream.acked_by_peer <= stream.bytes_sent + 1, "{id}");
            assert!(stream.acknowledged <= stream.bytes_received, "{id}");
            assert!(stream.bytes_received - stream.acknowledged <= window, "{id}: over the window");
            assert!(stream.unread <= window, "{id}: {} unread", stream.unread);
            assert!(stream.retained <= stream.bytes_written, "{id}");
            if matches!(stream.send_state, Some(SendState::Open | SendState::Finished)) {
                assert_eq!(stream.retained, stream.bytes_written - stream.acked_by_peer, "{id}");
            } else {
                assert_eq!(stream.retained, 0, "{id} retains what nobody will ask for");
            }
        }
        assert_eq!((retained, retained), (stats.retained, self.session.retained()));
        let streams = stats.streams.len() as u64;
        assert!(retained <= config.send_buffer + streams * self.peer.initial_window);
        assert!(self.session.live() <= config.max_streams + self.peer.max_streams);
        assert_eq!(self.session.ended().is_some(), self.reached.ended);
        if self.session.ended().is_none() {
            assert!(stats.in_flight <= self.wire, "more in flight than was sent");
        }
    }
}

/// A stream that exists, or any other.
fn pick(ways: &Ways, input: &mut Input<'_>) -> StreamId {
    let byte = input.byte();
    match ways.nth(byte) {
        Some(id) if byte < 0xf0 => id,
        _ => StreamId::from_wire(input.number() >> 2).expect("below 2^63"),
    }
}

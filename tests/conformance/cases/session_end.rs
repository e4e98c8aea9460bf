//! Sections 12 and 13: GOAWAY, CLOSE, tombstones and unknown codes.

use std::time::Duration;

use super::super::link::Ticket;
use super::super::message::{Open, Resume, close, close_ack, code_of, goaway, open};
use super::super::receiver::{Receiver, shared};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};
use crate::support::{Env, Signal};

const SOON: Duration = Duration::from_millis(250);

/// The words of the event that this session has ended.
fn ended(session: &str) -> String {
    format!("\"session_ended\",\"session\":\"{session}\"")
}

/// A receiver that drains, with a link whose stream 0 is open; and its GOAWAY.
fn draining() -> (Receiver, super::super::link::Link) {
    let receiver = Receiver::start(&["--dir=out"]);
    let mut link = receiver.link();
    link.put(&[open(0), data(0, 0, b"still ")]);
    link.acked(0, 6);
    receiver.process.lock().expect("not poisoned").signal(Signal::TERM);
    assert_eq!(code_of(&link.kind(GOAWAY)).1, 1, "stream 0 is served, 1 and more are not");
    (receiver, link)
}

pub const CASES: &[Case] = &[
    case(&["W-12.3", "W-12.2"], "close_is_answered_once_by_close_with_ack", || {
        let mut link = shared().link();
        link.put(&[close(0)]);
        let answers: Vec<Frame> =
            link.raw.rest().into_iter().filter(|frame| frame.kind == CLOSE).collect();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!((answers[0].flags, code_of(&answers[0]).0), (OWN, 0));
    }),
    case(&["W-12.3"], "frames_after_a_close_are_ignored", || {
        let mut link = shared().link();
        // The last of them would end the link if it counted.
        link.put(&[close(0), open(0), data(0, 0, b"late"), data(8, 0, b"never opened")]);
        assert_eq!(link.kind(CLOSE).flags, OWN);
        assert_eq!(shared().file(&link.ticket.name, "s0"), b"");
    }),
    case(&["W-12.2"], "close_with_an_error_ends_the_session_at_once", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"half")]);
        link.acked(0, 4);
        let name = link.ticket.name.clone();
        link.leave(8);
        let error =
            receiver.event("a session_ended", &ended(&name), |event| Some(event.to_string()));
        assert!(error.contains("INTERNAL") || error.contains("internal"), "{error}");
    }),
    case(&["W-12.2"], "close_of_a_sender_waits_for_the_last_acknowledgement", || {
        let sender = Sender::of(b"to the end", &[]);
        let mut link = sender.link();
        link.stream();
        link.quiet(SOON);
        link.put(&[credit(0, 10, 1 << 20)]);
        link.quiet(SOON);
        link.put(&[credit(0, 11, 1 << 20)]);
        link.farewell();
        sender.ends(0).receipt();
    }),
    case(&["W-12.3"], "close_from_both_sides_is_answered_by_both", || {
        let sender = Sender::of(b"to the end", &[]);
        let mut link = sender.link();
        link.stream();
        link.put(&[credit(0, 11, 1 << 20)]);
        assert_eq!(link.kind(CLOSE).flags, 0);
        link.put(&[close(0)]);
        assert_eq!(link.kind(CLOSE).flags, OWN, "its answer to ours");
        link.put(&[close_ack()]);
        link.raw.rest();
        sender.ends(0);
    }),
    case(&["W-12.2", "W-12.3"], "close_with_an_error_ends_a_sender", || {
        let sender = Sender::of(b"to the end", &[]);
        let mut link = sender.link();
        link.stream();
        link.put(&[close(3)]);
        assert_eq!(link.kind(CLOSE).flags, OWN);
        sender.ends(7).says(&["the peer closed the session: SINK_FAILED: over"]);
    }),
    case(&["W-12.1", "W-7.13"], "goaway_names_the_streams_that_are_served", || {
        let (_receiver, mut link) = draining();
        let both = Open::new(1, "late").with(|open| open.unidirectional = 0).frame();
        link.put(&[both]);
        let (mut stopped, mut reset_by_it) = (None, None);
        while stopped.is_none() || reset_by_it.is_none() {
            let frame = link.until("STOP and RESET", |frame| matches!(frame.kind, STOP | RESET));
            assert_eq!((frame.stream, frame.code()), (2, 4), "REFUSED_STREAM");
            if frame.kind == STOP { stopped = Some(()) } else { reset_by_it = Some(()) }
        }
        link.put(&[credit(2, 1, 0), reset(2, 4, 0)]);
        link.acked(2, 1);
        link.put(&[data(0, 6, b"served"), fin(0, b"still served")]);
        link.acked(0, 13);
        link.farewell();
    }),
    case(&["W-12.2"], "close_of_a_receiver_that_drains_waits_for_its_streams", || {
        let (receiver, mut link) = draining();
        link.quiet(SOON);
        link.put(&[data(0, 6, b"served"), fin(0, b"still served")]);
        link.farewell();
        let process = receiver.process.into_inner().expect("not poisoned");
        process.wait().exits(0);
    }),
    case(&["W-12.1"], "goaway_keeps_a_sender_from_opening_streams", || {
        let env = Env::new();
        for file in ["a", "b"] {
            env.write(file, file.as_bytes());
        }
        let sender = Sender::on(env, &["--file=a", "--file=b"]);
        let mut link = sender.link_with(|hello| hello.max_streams = 1);
        let (_, bytes, _) = link.stream();
        assert_eq!(bytes.len(), 1);
        // The second waits for room; now there is room, but nobody to serve it.
        link.put(&[goaway(0, 1), credit(0, 2, 1 << 20)]);
        let before = link.alive();
        assert!(before.iter().all(|frame| frame.kind != OPEN), "{before:?}");
    }),
    case(&["W-12.4", "W-6.11"], "session_that_was_closed_is_remembered_as_closed", || {
        let receiver = shared();
        let link = receiver.watched();
        let ticket = link.ticket.clone();
        link.leave(0);
        let refuse = crate::support::eventually("a tombstone", || {
            let refuse = receiver.resume(&ticket, &Resume::default()).expect_err("it has ended");
            // While it is on its way there.
            (refuse.code != 5).then_some(refuse)
        });
        assert_eq!(refuse.code, 3, "CLOSED");
        let mut forged = ticket;
        forged.secret[0] ^= 1;
        let refuse = receiver.resume(&forged, &Resume::default()).expect_err("no proof");
        assert_eq!(refuse.code, 1, "UNKNOWN, without a good proof");
    }),
    case(&["W-12.5", "W-6.11"], "session_that_nobody_resumed_is_remembered_as_expired", || {
        let receiver = Receiver::start(&["--dir=out", "--session-ttl=1s"]);
        let mut link = receiver.link();
        link.put(&[open(0)]);
        link.alive();
        let ticket = link.ticket.clone();
        let again = receiver.resume(&ticket, &Resume { local_opened: 1, ..Resume::default() });
        // Resumable before its time is up, if only to say what is wrong with the list.
        assert!(again.is_err_and(|refuse| refuse.code == 10));
        let mut link = receiver.link();
        link.put(&[ping(1, 1)]);
        link.kind(PONG);
        let ticket = Ticket { ..link.ticket.clone() };
        drop(link);
        receiver.event("a session_ended", &ended(&ticket.name), |_| Some(()));
        let refuse = receiver.resume(&ticket, &Resume::default()).expect_err("too late");
        assert_eq!(refuse.code, 2, "EXPIRED");
    }),
    case(&["W-13.1"], "unknown_codes_are_legal", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), goaway(7_000, 0), reset(0, 4_000_000_000, 0)]);
        link.acked(0, 1);
        link.leave(123_456);
        let sender = Sender::on(Env::new(), &["--gen=app=rate=100/s"]);
        let mut link = sender.link();
        link.kind(DATA);
        link.put(&[stop(0, 123_456)]);
        assert_eq!(link.kind(RESET).code(), 123_456);
    }),
];

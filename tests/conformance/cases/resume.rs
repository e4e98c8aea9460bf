//! Sections 6 and 10: a session that goes on over another link.

use std::time::Duration;

use super::super::message::{Entry, Hello, Open, Proof, RESUMES, Resume, open};
use super::super::receiver::{Receiver, shared};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};
use crate::support::Env;

const SOON: Duration = Duration::from_millis(250);

/// The list of a client whose stream 0 has sent this much.
pub fn sending(sent: u64, end: u8) -> Resume {
    let streams = vec![Entry { sent, end, ..Entry::default() }];
    Resume { streams, local_opened: 1, peer_opened: 0 }
}

/// The list of a server that knows stream 0 and has received this much of it.
pub fn receiving(received: u64, acked: u64, recv_end: bool) -> Resume {
    let entry = Entry { received, acked, limit: 1 << 20, recv_end, ..Entry::default() };
    Resume { streams: vec![entry], local_opened: 0, peer_opened: 1 }
}

pub const CASES: &[Case] = &[
    case(&["W-10.3", "W-6.3"], "resume_goes_on_where_the_receiver_stands", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"first lines\n\n")]);
        link.acked(0, 13);
        // What would have followed was lost with the link.
        let link = receiver.resume(&link.ticket, &sending(24, 1)).expect("resumed");
        let entry = link.resume.as_ref().expect("a list").streams[0];
        assert_eq!((entry.stream, entry.received, entry.acked), (0, 13, 13));
        assert_eq!((entry.sent, entry.end, entry.stop, entry.recv_end), (0, 0, false, false));
        assert!(entry.limit >= 262_144);
        let mut link = link;
        link.put(&[data(0, 13, b"of the log\n"), fin(0, b"first lines\n\nof the log\n")]);
        link.acked(0, 25);
        assert_eq!(receiver.file(&link.ticket.name, "s0"), b"first lines\n\nof the log\n");
        link.leave(0);
    }),
    case(&["W-7.6", "W-10.3"], "resume_takes_no_other_offset_than_received", || {
        let receiver = shared();
        let mut link = receiver.watched();
        link.put(&[open(0), data(0, 0, b"abc")]);
        link.acked(0, 3);
        let mut link = receiver.resume(&link.ticket, &sending(9, 0)).expect("resumed");
        link.put(&[data(0, 4, b"e")]);
        let ticket = link.ticket.clone();
        receiver.breaks(link, "an offset was skipped");
        let mut link = receiver.resume(&ticket, &sending(9, 0)).expect("resumed");
        link.put(&[data(0, 3, b"d"), fin(0, b"abcd")]);
        link.acked(0, 5);
        link.leave(0);
    }),
    case(&["W-6.10", "W-6.7"], "resume_closes_the_old_link_and_ignores_what_still_comes", || {
        let receiver = shared();
        let mut old = receiver.link();
        old.put(&[open(0), data(0, 0, b"abc")]);
        old.acked(0, 3);
        let mut new = receiver.resume(&old.ticket, &sending(3, 0)).expect("resumed");
        old.put(&[data(0, 3, b"XYZ"), fin(0, b"abcXYZ")]);
        old.closed();
        new.put(&[data(0, 3, b"def"), fin(0, b"abcdef")]);
        new.acked(0, 7);
        assert_eq!(receiver.file(&new.ticket.name, "s0"), b"abcdef");
        new.leave(0);
    }),
    case(&["W-6.7", "W-6.11"], "resume_with_a_wrong_proof_changes_nothing", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"abc")]);
        link.acked(0, 3);
        let mut forged = link.ticket.clone();
        (forged.secret[0], forged.epoch) = (!forged.secret[0], 1_000_000);
        let refuse = receiver.resume(&forged, &sending(3, 0)).expect_err("a wrong secret");
        assert_eq!((refuse.code, refuse.epoch), (1, 0), "UNKNOWN");
        // The link lives and so does the epoch.
        link.put(&[data(0, 3, b"def")]);
        link.acked(0, 6);
        receiver.resume(&link.ticket, &sending(6, 0)).expect("epoch 2 is still free").leave(1);
    }),
    case(&["W-6.11"], "resume_of_an_unknown_session_is_answered_like_a_wrong_proof", || {
        let receiver = shared();
        let link = receiver.link();
        let mut forged = link.ticket.clone();
        forged.secret[5] ^= 4;
        let known = receiver.resume(&forged, &Resume::default()).expect_err("a wrong secret");
        forged.session = [0xAB; 16];
        let unknown = receiver.resume(&forged, &Resume::default()).expect_err("no session");
        assert_eq!(known, unknown, "not a bit of difference");
        assert_eq!((known.code, known.boot_id), (1, link.theirs.boot_id), "UNKNOWN");
        link.leave(0);
    }),
    case(&["W-6.10"], "resume_with_an_epoch_that_is_not_greater_is_stale", || {
        let receiver = shared();
        let link = receiver.link();
        let first = link.ticket.clone();
        let link = receiver.resume(&first, &Resume::default()).expect("epoch 2");
        for epoch in [0, 1] {
            let late = super::super::link::Ticket { epoch, ..first.clone() };
            let refuse = receiver.resume(&late, &Resume::default()).expect_err("late");
            assert_eq!((refuse.code, refuse.epoch), (5, 2), "STALE, and the current epoch");
        }
        receiver.resume(&link.ticket, &Resume::default()).expect("epoch 3").leave(0);
    }),
    case(&["W-6.6", "W-6.5"], "resume_cannot_repeat_the_proof_of_another_link", || {
        let receiver = shared();
        let link = receiver.link();
        let next = super::super::link::Ticket { epoch: 2, ..link.ticket.clone() };
        let (one, mut two) = (receiver.greet_again(&next), receiver.greet_again(&next));
        let stolen: Proof = one.proof(&next.secret, "client");
        two.raw.put(&[stolen.frame(), Resume::default().frame()]);
        assert_eq!(two.raw.refused().code, 1, "UNKNOWN");
        receiver.resume(&link.ticket, &Resume::default()).expect("the right one").leave(0);
    }),
    case(&["W-6.2"], "resume_waits_for_the_last_part", || {
        let receiver = shared();
        let link = receiver.link();
        let next = super::super::link::Ticket { epoch: 2, ..link.ticket.clone() };
        let mut greeted = receiver.greet_again(&next);
        let proof = greeted.proof(&next.secret, "client");
        greeted.raw.put(&[proof.frame()]);
        assert_eq!(greeted.raw.frame_within(SOON), None, "the list is missing");
        greeted.raw.put(&[ping(1, 1)]);
        greeted.raw.silently_closed();
        receiver.resume(&link.ticket, &Resume::default()).expect("with a list").leave(0);
    }),
    case(&["W-6.4"], "resume_needs_no_token", || {
        let receiver = super::super::receiver::shared_with_token();
        let link = receiver.link_with_token();
        let next = super::super::link::Ticket { epoch: 2, ..link.ticket.clone() };
        let mut greeted = receiver.greet(Hello::client(&next.name).with(|hello| {
            (hello.session, hello.epoch) = (next.session, next.epoch);
            hello.auth = RESUMES;
        }));
        let proof = greeted.proof(&next.secret, "client");
        greeted.raw.put(&[proof.frame(), Resume::default().frame()]);
        assert_eq!(greeted.raw.frame().kind, PROOF);
    }),
    case(&["W-10.6"], "resume_of_a_sender_opens_again_what_the_peer_never_saw", || {
        let sender = Sender::of(b"from the start", &[]);
        let mut link = sender.link();
        link.stream();
        let ticket = link.ticket.clone();
        drop(link);
        let mut link = sender.resumed(&ticket, &Resume::default());
        let theirs = link.resume.clone().expect("a list");
        assert_eq!(
            (theirs.local_opened, theirs.streams[0].sent, theirs.streams[0].end),
            (1, 14, 1)
        );
        let (open, bytes, _) = link.stream();
        assert_eq!((open.name, bytes), (b"app".to_vec(), b"from the start".to_vec()));
        link.put(&[credit(0, 15, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
    case(&["W-10.6", "W-10.3"], "resume_of_a_sender_sends_only_what_is_missing_and_fin", || {
        let sender = Sender::of(b"half of it is here", &[]);
        let mut link = sender.link();
        link.stream();
        let ticket = link.ticket.clone();
        drop(link);
        let mut link = sender.resumed(&ticket, &receiving(7, 5, false));
        let frame = link.frame();
        assert_eq!((frame.kind, frame.data.0, &frame.payload[..]), (DATA, 7, &b" it is here"[..]));
        let frame = link.frame();
        assert_eq!((frame.kind, frame.u64(8)), (FIN, xxh3(b"half of it is here")));
        link.put(&[credit(0, 19, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
    case(
        &["W-10.6", "W-7.11"],
        "resume_of_a_sender_says_its_end_again_only_where_it_is_missing",
        || {
            let sender = Sender::of(b"all", &[]);
            let mut link = sender.link();
            link.stream();
            let ticket = link.ticket.clone();
            drop(link);
            let mut link = sender.resumed(&ticket, &receiving(3, 0, true));
            let frames = link.alive();
            assert!(frames.iter().all(|f| !matches!(f.kind, OPEN | DATA)), "{frames:?}");
            link.put(&[credit(0, 4, 1 << 20)]);
            link.farewell();
            sender.ends(0);
        },
    ),
    case(
        &["W-10.6", "W-7.13"],
        "resume_of_a_sender_resets_again_what_it_was_asked_to_stop",
        || {
            let sender = Sender::on(Env::new(), &["--gen=app=rate=100/s"]);
            let mut link = sender.link();
            link.kind(DATA);
            link.put(&[stop(0, 3)]);
            let reset = link.kind(RESET);
            let ticket = link.ticket.clone();
            drop(link);
            let entry = Entry { stop: true, limit: 1 << 20, ..Entry::default() };
            let list = Resume { streams: vec![entry], local_opened: 0, peer_opened: 1 };
            let mut link = sender.resumed(&ticket, &list);
            assert_eq!(link.resume.clone().expect("a list").streams[0].end, 2, "by RESET");
            assert_eq!(link.kind(RESET), reset, "the same again");
        },
    ),
    case(&["W-10.6"], "resume_of_a_receiver_asks_again_to_stop", || {
        let receiver = Receiver::start(&["--format=raw", "--only=wanted"]);
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"thrown away")]);
        link.kind(STOP);
        let mut link = receiver.resume(&link.ticket, &sending(11, 0)).expect("resumed");
        assert!(link.resume.as_ref().expect("a list").streams[0].stop);
        assert_eq!(link.kind(STOP).code(), 4);
        link.put(&[reset(0, 4, 11)]);
        link.acked(0, 12);
        link.leave(0);
    }),
    case(
        &["W-10.6", "W-8.3"],
        "resume_of_a_receiver_tells_an_end_that_was_reached_meanwhile",
        || {
            let receiver = shared();
            let mut link = receiver.link();
            let both = Open::new(0, "s0").with(|open| open.unidirectional = 0).frame();
            link.put(&[both, data(0, 0, b"abc"), fin(0, b"abc")]);
            link.acked(0, 4);
            // The client knows, and waits for nothing; the server's half is not acknowledged yet.
            let link = receiver.resume(&link.ticket, &sending(3, 1)).expect("resumed");
            let mut link = link;
            let entry = link.resume.as_ref().expect("a list").streams[0];
            assert_eq!((entry.received, entry.acked, entry.recv_end), (3, 4, true));
            assert_eq!((entry.sent, entry.end), (0, 1), "its own half ended by FIN");
            assert_eq!(link.kind(FIN).u64(0), 0, "said again: the list did not have it");
            link.put(&[credit(0, 1, 0)]);
            link.leave(0);
        },
    ),
    case(&["W-10.6", "W-7.14"], "resume_repeats_a_gap_that_may_be_lost", || {
        // A repeated total is ignored, so that it is written once.
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"one\n"), gap(0, 4, 50)]);
        link.acked(0, 4);
        let mut link = receiver.resume(&link.ticket, &sending(8, 0)).expect("resumed");
        link.put(&[gap(0, 4, 50), data(0, 4, b"two\n"), fin(0, b"one\ntwo\n")]);
        link.acked(0, 9);
        assert_eq!(receiver.file(&link.ticket.name, "s0"), b"one\ntwo\n");
        assert_eq!(receiver.dropped(&link.ticket.name), 50);
        link.leave(0);
    }),
    case(&["W-10.7"], "resume_replays_with_new_data_in_both_directions", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"old")]);
        link.acked(0, 3);
        let mut link = receiver.resume(&link.ticket, &sending(6, 0)).expect("resumed");
        link.put(&[open(1), data(2, 0, b"new"), fin(2, b"new")]);
        link.acked(2, 4);
        link.put(&[data(0, 3, b"er"), fin(0, b"older")]);
        link.acked(0, 6);
        link.leave(0);
    }),
    case(&["W-6.3"], "resume_of_a_sender_raises_the_epoch_with_every_attempt", || {
        let sender = Sender::of(b"patient", &[]);
        let mut link = sender.link();
        link.stream();
        let ticket = link.ticket.clone();
        drop(link);
        for epoch in 2..5 {
            let call = sender.call();
            assert_eq!((call.hello.epoch, call.hello.session), (epoch, ticket.session));
        }
        let mut link = sender.resumed(&ticket, &receiving(7, 0, true));
        assert_eq!(link.ticket.epoch, 5);
        link.put(&[credit(0, 8, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
    case(&["W-6.3", "W-6.7"], "resume_of_a_sender_believes_no_other_server", || {
        let sender = Sender::of(b"careful", &[]);
        let mut link = sender.link();
        link.stream();
        let ticket = link.ticket.clone();
        drop(link);
        // One that answers for another session, one with another epoch, one with a wrong proof.
        let mut greeted = sender.call().greet(Hello::server().with(|hello| hello.auth = RESUMES));
        assert_eq!(greeted.raw.rest(), []);
        let call = sender.call();
        let epoch = call.hello.epoch;
        let mut greeted = call.greet(Hello::server().with(|hello| {
            (hello.auth, hello.session, hello.epoch) = (RESUMES, ticket.session, epoch + 1);
        }));
        assert_eq!(greeted.raw.rest(), []);
        let mut link = sender.resumed(&ticket, &receiving(7, 0, true));
        link.put(&[credit(0, 8, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
];

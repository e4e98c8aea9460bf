//! Sections 10 and 13: what a sender does after each refusal.

use std::time::{Duration, Instant};

use super::super::link::Ticket;
use super::super::message::{Refuse, Resume};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};
use super::resume::receiving;

/// A sender that was refused with this code before it had a session, once.
fn refused_at_first(code: u32) -> Sender {
    let sender = Sender::of(b"never sent", &[]);
    sender.call().refuse(&Refuse::new(code));
    sender
}

/// A sender whose session has one stream, all sent and nothing acknowledged, and no link.
fn cut() -> (Sender, Ticket) {
    let sender = Sender::of(b"precious", &[]);
    let mut link = sender.link();
    link.stream();
    (sender, link.ticket.clone())
}

/// Refuses its resume; the boot id is that of the server before or another one.
fn refuse_resume(sender: &Sender, refuse: &Refuse) {
    sender.call().refuse(refuse);
}

fn finish(sender: Sender, ticket: &Ticket) {
    let mut link = sender.resumed(ticket, &receiving(8, 0, true));
    link.put(&[credit(0, 9, 1 << 20)]);
    link.farewell();
    sender.ends(0).receipt();
}

pub const CASES: &[Case] = &[
    case(&["W-10.9"], "refusal_with_denied_is_final", || {
        refused_at_first(4).ends(5).says(&["denied access", "because of the test"]);
    }),
    case(&["W-10.9"], "refusal_with_no_codec_is_final", || {
        refused_at_first(8).ends(5).says(&["no codec in common"]);
    }),
    case(&["W-10.9"], "refusal_with_protocol_is_final", || {
        refused_at_first(10).ends(1).says(&["because of the test"]);
    }),
    case(&["W-10.9"], "refusal_with_limit_is_final", || {
        refused_at_first(9).ends(5).says(&["because of the test"]);
    }),
    case(&["W-10.9", "W-13.1"], "refusal_with_an_unknown_code_is_final", || {
        refused_at_first(4_000_000).ends(5).says(&["because of the test"]);
    }),
    case(&["W-10.9"], "refusal_with_shutting_down_is_tried_again", || {
        let sender = refused_at_first(11);
        let mut link = sender.link();
        link.stream();
        link.put(&[credit(0, 11, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
    case(&["W-10.9"], "refusal_with_busy_is_tried_again_and_not_before_its_time", || {
        let sender = Sender::of(b"later", &[]);
        let busy = Refuse { retry_after_ms: 900, ..Refuse::new(6) };
        sender.call().refuse(&busy);
        let began = Instant::now();
        let mut link = sender.link();
        // The clocks begin a little apart.
        assert!(began.elapsed() >= Duration::from_millis(800), "{:?}", began.elapsed());
        link.stream();
        link.put(&[credit(0, 6, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
    case(
        &["W-10.9"],
        "refusal_of_a_resume_with_busy_is_tried_again_and_not_before_its_time",
        || {
            let (sender, ticket) = cut();
            refuse_resume(&sender, &Refuse { retry_after_ms: 900, ..Refuse::new(6) });
            let began = Instant::now();
            let mut call = sender.call();
            assert!(began.elapsed() >= Duration::from_millis(800), "{:?}", began.elapsed());
            call.raw.half_close();
            call.raw.rest();
            finish(sender, &ticket);
        },
    ),
    case(&["W-10.9"], "refusal_with_stale_is_tried_again_with_a_greater_epoch", || {
        let (sender, ticket) = cut();
        refuse_resume(&sender, &Refuse { epoch: 40, ..Refuse::new(5) });
        let call = sender.call();
        assert_eq!((call.hello.epoch, call.hello.session), (41, ticket.session));
        drop(call);
        finish(sender, &ticket);
    }),
    case(&["W-10.9"], "network_that_fails_is_tried_again_with_growing_pauses", || {
        let (sender, ticket) = cut();
        let began = Instant::now();
        for _ in 0..6 {
            drop(sender.call());
        }
        assert!(began.elapsed() >= Duration::from_millis(20), "{:?}", began.elapsed());
        finish(sender, &ticket);
    }),
    case(&["W-10.8"], "refusal_with_expired_loses_the_session", || {
        let (sender, _) = cut();
        refuse_resume(&sender, &Refuse::new(2));
        sender.ends(3).says(&["the session expired at the peer"]);
    }),
    case(&["W-10.8"], "refusal_with_unknown_by_another_process_loses_the_session", || {
        let (sender, _) = cut();
        refuse_resume(&sender, &Refuse { boot_id: [0xEE; 16], ..Refuse::new(1) });
        sender.ends(3).says(&["the peer restarted and lost the session"]);
    }),
    case(
        &["W-10.8", "W-10.9"],
        "refusal_with_unknown_by_the_same_process_loses_the_session_too",
        || {
            let (sender, _) = cut();
            // A bit that flipped in the proof looks like this, so it may ask twice more.
            for _ in 0..3 {
                refuse_resume(&sender, &Refuse::new(1));
            }
            sender.ends(3).says(&["the peer does not know this session any more"]);
        },
    ),
    case(&["W-10.8"], "refusal_with_closed_loses_what_was_not_acknowledged", || {
        let (sender, _) = cut();
        refuse_resume(&sender, &Refuse::new(3));
        sender.ends(3);
    }),
    case(
        &["W-10.8", "W-12.4"],
        "refusal_with_closed_is_success_if_only_the_answer_to_close_was_lost",
        || {
            let sender = Sender::of(b"precious", &[]);
            let mut link = sender.link();
            link.stream();
            link.put(&[credit(0, 9, 1 << 20)]);
            link.kind(CLOSE);
            let ticket = link.ticket.clone();
            drop(link);
            let call = sender.call();
            assert_eq!(call.hello.session, ticket.session, "it asks");
            call.refuse(&Refuse::new(3));
            sender.ends(0).receipt();
        },
    ),
    case(&["W-12.4"], "close_that_was_not_answered_is_said_again_on_the_next_link", || {
        let sender = Sender::of(b"precious", &[]);
        let mut link = sender.link();
        link.stream();
        link.put(&[credit(0, 9, 1 << 20)]);
        link.kind(CLOSE);
        let ticket = link.ticket.clone();
        drop(link);
        let list = Resume { peer_opened: 1, ..Resume::default() };
        let link = sender.resumed(&ticket, &list);
        assert_eq!(link.resume.as_ref().expect("a list").streams, []);
        link.farewell();
        sender.ends(0).receipt();
    }),
];

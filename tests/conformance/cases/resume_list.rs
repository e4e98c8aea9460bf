//! Section 10: the lists of both sides, what fits and what does not.

use super::super::link::{Link, Ticket};
use super::super::message::{Entry, Open, Refuse, Resume, code_of, open};
use super::super::receiver::{Receiver, shared};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};
use super::resume::{receiving, sending};

/// A session whose stream 0 has delivered `abcdef`.
fn session(receiver: &Receiver) -> Ticket {
    let mut link = receiver.link();
    link.put(&[open(0), data(0, 0, b"abcdef")]);
    link.acked(0, 6);
    link.ticket.clone()
}

/// `wrong` ends the session with PROTOCOL; with `right` another one like it goes on.
fn contradiction(right: &Resume, wrong: &[Frame]) {
    let receiver = shared();
    let link = receiver.resume(&session(&receiver), right).expect("a list that fits");
    link.leave(1);
    let ticket = session(&receiver);
    let refuse = receiver.resume_parts(&ticket, wrong).expect_err("a list that does not");
    assert_eq!(refuse.code, 10, "PROTOCOL: {refuse:?}");
    // The session is over: nothing is guessed. It may take a moment to be buried.
    let next = Ticket { epoch: ticket.epoch + 1, ..ticket };
    let refuse = crate::support::eventually("a tombstone", || {
        let refuse = receiver.resume(&next, right).expect_err("no session any more");
        (refuse.code != 5).then_some(refuse)
    });
    assert_eq!(refuse.code, 3, "CLOSED: {refuse:?}");
}

/// A sender whose 12 bytes were sent and 6 of them acknowledged resumes; the server's list is
/// `wrong`, and the sender ends the session with this code.
fn contradicted(wrong: &Resume, code: u32) {
    let (sender, ticket) = half_acknowledged();
    let mut link = sender.resumed(&ticket, wrong);
    let frame = link.kind(CLOSE);
    assert_eq!((frame.flags, code_of(&frame).0), (0, code), "{frame:?}");
    drop(link);
    sender.ends(3);
}

fn half_acknowledged() -> (Sender, Ticket) {
    let sender = Sender::of(b"twelve bytes", &[]);
    let mut link = sender.link();
    link.stream();
    link.put(&[credit(0, 6, 1 << 20)]);
    link.alive();
    (sender, link.ticket.clone())
}

fn changed(list: &Resume, change: impl FnOnce(&mut Resume)) -> Resume {
    let mut list = list.clone();
    change(&mut list);
    list
}

fn answer(receiver: &Receiver, ticket: &Ticket, list: &Resume) -> Result<Link, Refuse> {
    receiver.resume(ticket, list)
}

pub const CASES: &[Case] = &[
    case(&["W-10.1", "W-1.6"], "list_that_counts_fewer_opened_streams_than_were_seen", || {
        let wrong = Resume::default();
        contradiction(&sending(6, 0), &[wrong.frame()]);
    }),
    case(&["W-10.1"], "list_that_counts_more_streams_of_the_receiver_than_it_opened", || {
        let right = sending(6, 0);
        contradiction(&right, &[changed(&right, |list| list.peer_opened = 1).frame()]);
    }),
    case(&["W-10.1"], "list_with_a_stream_beyond_its_own_count", || {
        let right = sending(6, 0);
        let beyond = Entry { stream: 2, ..Entry::default() };
        contradiction(&right, &[changed(&right, |list| list.streams.push(beyond)).frame()]);
    }),
    case(&["W-10.1"], "list_with_a_stream_of_the_receiver_beyond_its_count", || {
        let right = sending(6, 0);
        let beyond = Entry { stream: 1, ..Entry::default() };
        contradiction(&right, &[changed(&right, |list| list.streams.push(beyond)).frame()]);
    }),
    case(&["W-10.1"], "list_with_a_stream_twice", || {
        let right = sending(6, 0);
        let twice = changed(&right, |list| list.streams.push(list.streams[0]));
        contradiction(&right, &[twice.frame()]);
    }),
    case(&["W-10.1"], "list_whose_parts_differ_in_their_counts", || {
        let right = sending(6, 0);
        let second = Resume { local_opened: 2, ..Resume::default() };
        contradiction(&right, &[right.part(), second.frame()]);
    }),
    case(&["W-10.2"], "list_that_sent_less_than_was_received", || {
        contradiction(&sending(6, 0), &[sending(5, 0).frame()]);
    }),
    case(&["W-10.2"], "list_that_received_more_than_was_sent", || {
        // Of the receiver's own half, which ended without a byte.
        let receiver = shared();
        let both = Open::new(0, "s0").with(|open| open.unidirectional = 0).frame();
        for received in [0, 1] {
            let mut link = receiver.link();
            link.put(std::slice::from_ref(&both));
            link.kind(FIN);
            let list = changed(&sending(0, 0), |list| list.streams[0].received = received);
            match answer(&receiver, &link.ticket, &list) {
                Ok(link) => {
                    assert_eq!(received, 0);
                    link.leave(1);
                }
                Err(refuse) => assert_eq!((received, refuse.code), (1, 10), "PROTOCOL"),
            }
        }
    }),
    case(&["W-10.4"], "list_without_a_stream_whose_end_was_never_acknowledged", || {
        // Only a peer that has the acknowledgement can have forgotten it.
        let wrong = Resume { local_opened: 1, ..Resume::default() };
        contradiction(&sending(6, 0), &[wrong.frame()]);
    }),
    case(&["W-10.4"], "list_without_a_stream_that_is_over_on_both_sides", || {
        let receiver = shared();
        let mut link = receiver.link();
        let both = Open::new(0, "s0").with(|open| open.unidirectional = 0).frame();
        link.put(&[both, fin(0, b"")]);
        let mut both = Vec::new();
        while both.len() < 2 {
            both.push(link.until("FIN and CREDIT", |f| matches!(f.kind, FIN | CREDIT)).kind);
        }
        assert!(both.contains(&FIN) && both.contains(&CREDIT), "{both:?}");
        // Our acknowledgement of its FIN was lost: it still has the stream, and we do not.
        let list = Resume { local_opened: 1, ..Resume::default() };
        let link = receiver.resume(&link.ticket, &list).expect("resumed");
        let theirs = link.resume.as_ref().expect("a list");
        assert!(theirs.streams.len() <= 1, "{theirs:?}");
        link.leave(0);
    }),
    case(&["W-10.5"], "list_with_a_stream_that_the_receiver_has_forgotten", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"abc"), fin(0, b"abc")]);
        link.acked(0, 4);
        // The acknowledgement was lost, as far as this list goes.
        let mut link = receiver.resume(&link.ticket, &sending(3, 1)).expect("resumed");
        assert_eq!(link.resume.as_ref().expect("a list").streams, [], "it is over");
        link.alive();
        link.leave(0);
    }),
    case(&["W-10.5", "W-10.6"], "list_with_a_stream_that_the_receiver_never_saw", || {
        let receiver = shared();
        let link = receiver.link();
        let mut link = receiver.resume(&link.ticket, &sending(3, 1)).expect("resumed");
        let theirs = link.resume.clone().expect("a list");
        assert_eq!((theirs.streams.len(), theirs.peer_opened), (0, 0));
        link.put(&[open(0), data(0, 0, b"abc"), fin(0, b"abc")]);
        link.acked(0, 4);
        link.leave(0);
    }),
    case(&["W-10.5"], "list_in_several_parts", || {
        let receiver = shared();
        let mut link = receiver.link();
        let opens: Vec<Frame> = (0..300).map(open).collect();
        link.put(&opens);
        link.alive();
        let entries: Vec<Entry> =
            (0..300).map(|index| Entry { stream: id(index), ..Entry::default() }).collect();
        let part = |streams: &[Entry]| Resume {
            streams: streams.to_vec(),
            local_opened: 300,
            peer_opened: 0,
        };
        let parts = [part(&entries[..256]).part(), part(&entries[256..]).frame()];
        let link = receiver.resume_parts(&link.ticket, &parts).expect("resumed");
        assert_eq!(link.resume.as_ref().expect("a list").streams.len(), 300);
        link.leave(1);
    }),
    case(&["W-4.4", "W-3.3"], "list_of_more_than_256_streams_in_one_part", || {
        let receiver = shared();
        let link = receiver.link();
        let next = Ticket { epoch: 2, ..link.ticket.clone() };
        let mut greeted = receiver.greet_again(&next);
        let proof = greeted.proof(&next.secret, "client").frame();
        let streams = (0..257).map(|index| Entry { stream: id(index), ..Entry::default() });
        let list = Resume { streams: streams.collect(), local_opened: 257, peer_opened: 0 };
        greeted.raw.put(&[proof, list.frame()]);
        greeted.raw.silently_closed();
        let reason = receiver.link_refused(&greeted.raw.local());
        assert!(reason.contains("number of streams is 257"), "{reason}");
        receiver.resume(&link.ticket, &Resume::default()).expect("unharmed").leave(0);
    }),
    case(&["W-10.2"], "list_of_a_server_that_received_more_than_was_sent", || {
        contradicted(&receiving(13, 6, false), 10);
    }),
    case(&["W-10.2"], "list_of_a_server_that_received_less_than_it_acknowledged", || {
        contradicted(&receiving(5, 5, false), 10);
    }),
    case(&["W-10.2"], "list_of_a_server_that_acknowledges_less_than_before", || {
        contradicted(&receiving(8, 5, false), 10);
    }),
    case(&["W-10.1"], "list_of_a_server_that_saw_more_streams_than_were_opened", || {
        contradicted(&changed(&receiving(6, 6, false), |list| list.peer_opened = 2), 7);
    }),
    case(&["W-10.1"], "list_of_a_server_with_a_stream_that_was_never_opened", || {
        let beyond = Entry { stream: 2, ..Entry::default() };
        contradicted(&changed(&receiving(6, 6, false), |list| list.streams.push(beyond)), 7);
    }),
    case(&["W-10.2", "W-10.3"], "list_of_a_server_that_fits", || {
        let (sender, ticket) = half_acknowledged();
        let mut link = sender.resumed(&ticket, &receiving(9, 7, false));
        assert_eq!(link.kind(DATA).payload, b"tes");
        link.put(&[credit(0, 13, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
    case(&["W-10.4"], "list_of_a_server_that_has_forgotten_the_stream", || {
        let (sender, ticket) = half_acknowledged();
        // FIN was sent, so it may be over there: everything was acknowledged.
        let list = Resume { peer_opened: 1, ..Resume::default() };
        let link = sender.resumed(&ticket, &list);
        link.farewell();
        sender.ends(0).receipt();
    }),
];

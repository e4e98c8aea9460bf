//! Section 8: credit, acknowledgements, and what a sender keeps.

use std::time::{Duration, Instant};

use super::super::link::Link;
use super::super::message::{Entry, Open, Resume, open};
use super::super::receiver::{Receiver, shared, twin};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};
use crate::support::{Env, log};

const SOON: Duration = Duration::from_millis(250);

/// A receiver whose output nobody reads, and a link that has filled the first window.
fn blocked_sink() -> (Receiver, Link, Vec<u8>) {
    let env = Env::new();
    let arguments = ["recv", "--listen=127.0.0.1:0", "--events=events"];
    let program = env.p2(&[&arguments[..], &["--format=raw", "--only=s0"]].concat()).held();
    let (process, address) = env.listening(program);
    let receiver = Receiver::of(process, env, address);
    let mut link = receiver.link();
    let bytes = log(5, 262_144);
    link.put(&[open(0)]);
    for (at, chunk) in bytes.chunks(65_536).enumerate() {
        link.put(&[data(0, at as u64 * 65_536, chunk)]);
    }
    (receiver, link, bytes)
}

/// The last (acked, limit) told until nothing more comes.
fn settled(link: &mut Link) -> (u64, u64) {
    let mut told = (0, 262_144);
    let mut last = Instant::now();
    while last.elapsed() < 2 * SOON {
        if let Some(frame) = link.raw.frame_within(SOON) {
            if frame.kind == CREDIT {
                told = (frame.u64(0), frame.u64(8));
                last = Instant::now();
            }
        }
    }
    told
}

/// Reads DATA of stream 0 until its credit is used up, and BLOCKED, or until FIN.
fn taken(link: &mut Link, got: &mut Vec<u8>) -> Option<u64> {
    let mut blocked = None;
    loop {
        let frame = link.frame();
        match frame.kind {
            DATA => got.extend(&frame.payload),
            BLOCKED => assert_eq!(blocked.replace(frame.u64(0)), None, "said once"),
            FIN => return None,
            OPEN => {}
            _ => panic!("unexpected: {frame:?}"),
        }
        if blocked.is_some_and(|at| got.len() as u64 >= at) {
            return blocked;
        }
    }
}

/// A sender whose peer acknowledges the wrong thing.
fn wrong_credit(setup: &[Frame], wrong: Frame) {
    let sender = Sender::of(b"twelve bytes", &[]);
    let mut link = sender.link_with(|hello| hello.initial_window = 6);
    let mut got = Vec::new();
    assert_eq!((taken(&mut link, &mut got), got.len()), (Some(6), 6));
    link.put(setup);
    link.alive();
    link.put(&[wrong]);
    sender.breaks(link, "acknowledges bytes that were not sent");
}

pub const CASES: &[Case] = &[
    case(&["W-8.2", "W-7.7"], "sender_stays_within_the_initial_window_and_what_raises_it", || {
        let bytes = log(2, 5_000);
        let sender = Sender::of(&bytes, &[]);
        let mut link = sender.link_with(|hello| hello.initial_window = 1_000);
        let mut got = Vec::new();
        assert_eq!(taken(&mut link, &mut got), Some(1_000), "BLOCKED names the limit");
        assert_eq!(got.len(), 1_000);
        link.put(&[credit(0, 0, 500)]);
        assert_eq!(link.alive(), [], "a lower limit is ignored, and BLOCKED said once");
        link.put(&[credit(0, 0, 3_000)]);
        assert_eq!((taken(&mut link, &mut got), got.len()), (Some(3_000), 3_000));
        link.put(&[credit(0, 1_000, 1 << 62)]);
        assert_eq!((taken(&mut link, &mut got), got.len()), (None, 5_000));
        assert_eq!(got, bytes);
        link.put(&[credit(0, 5_001, 1 << 62)]);
        link.farewell();
        sender.ends(0);
    }),
    case(&["W-8.6"], "sender_without_credit_says_so_once_for_each_limit", || {
        let sender = Sender::of(&log(3, 5_000), &[]);
        let mut link = sender.link_with(|hello| hello.initial_window = 0);
        let mut got = Vec::new();
        for limit in [0, 10, 11, 4_000] {
            if limit > 0 {
                link.put(&[credit(0, 0, limit)]);
            }
            assert_eq!((taken(&mut link, &mut got), got.len() as u64), (Some(limit), limit));
            link.quiet(SOON / 4);
        }
    }),
    case(&["W-8.3"], "acknowledgement_of_what_was_not_sent_is_an_error", || {
        wrong_credit(&[credit(0, 6, 6)], credit(0, 7, 100));
    }),
    case(&["W-8.3", "W-8.4"], "acknowledgement_of_an_end_that_was_not_sent_is_an_error", || {
        wrong_credit(&[credit(0, 0, 6)], credit(0, 13, 6));
    }),
    case(&["W-8.3"], "acknowledgement_that_is_lower_than_the_last_is_ignored", || {
        let sender = Sender::of(b"twelve bytes", &[]);
        let mut link = sender.link();
        link.stream();
        link.put(&[credit(0, 9, 100), credit(0, 3, 100), credit(0, 9, 100), credit(0, 12, 50)]);
        link.alive();
        link.put(&[credit(0, 13, 100)]);
        link.farewell();
        sender.ends(0);
    }),
    case(&["W-8.3", "W-8.4"], "acknowledgement_of_the_end_is_one_more_than_its_offset", || {
        let sender = Sender::of(b"twelve bytes", &[]);
        let mut link = sender.link();
        link.stream();
        link.put(&[credit(0, 12, 100)]);
        // All bytes, but not the end: the sender goes on waiting.
        link.quiet(SOON);
        link.put(&[credit(0, 13, 100)]);
        link.farewell();
        sender.ends(0).receipt();
    }),
    case(&["W-8.1"], "sender_keeps_what_is_not_acknowledged_for_the_next_link", || {
        let bytes = log(4, 100_000);
        let sender = Sender::of(&bytes, &[]);
        let mut link = sender.link();
        let ticket = link.ticket.clone();
        let mut got = Vec::new();
        while got.len() < 100_000 {
            got.extend(link.kind(DATA).payload);
            link.put(&[receipt(0)]);
            let acked = (got.len() as u64).min(10_000);
            link.put(&[credit(0, acked, 1 << 20)]);
            if got.len() >= 30_000 {
                break;
            }
        }
        drop(link);
        let entry = Entry { received: 10_000, acked: 10_000, limit: 1 << 20, ..Entry::default() };
        let list = Resume { streams: vec![entry], local_opened: 0, peer_opened: 1 };
        let mut link = sender.resumed(&ticket, &list);
        let first = link.kind(DATA);
        assert_eq!(first.data.0, 10_000, "from where the peer stands, and not before");
        assert_eq!(first.payload, bytes[10_000..10_000 + first.payload.len()]);
    }),
    case(
        &["W-8.5", "W-8.7"],
        "receiver_acknowledges_what_its_sink_has_and_holds_what_it_granted",
        || {
            let (receiver, mut link, bytes) = blocked_sink();
            let (acked, limit) = settled(&mut link);
            assert!(acked < bytes.len() as u64, "nobody has read it: {acked} acknowledged");
            assert!(limit - acked <= 2 * 262_144, "{limit}");
            link.alive();
            receiver.process.lock().expect("not poisoned").release();
            link.put(&[fin(0, &bytes)]);
            link.acked(0, 262_145);
            link.leave(0);
            let mut process = receiver.process.into_inner().expect("not poisoned");
            process.until("all bytes", |process| (process.stdout().len() >= 262_144).then_some(()));
            assert_eq!(process.stdout(), bytes);
        },
    ),
    case(&["W-7.7", "W-8.2"], "data_beyond_the_credit_is_an_error", || {
        let (receiver, mut link, _) = blocked_sink();
        let (_, limit) = settled(&mut link);
        let left = usize::try_from(limit - 262_144).expect("short");
        let more = vec![b'm'; left];
        let mut at = 262_144;
        for chunk in more.chunks(65_536) {
            link.put(&[data(0, at, chunk)]);
            at += chunk.len() as u64;
        }
        link.alive();
        link.put(&[data(0, at, b"!")]);
        receiver.breaks(link, "data beyond the granted credit");
    }),
    case(&["W-8.6", "W-1.3"], "blocked_beyond_the_credit_is_an_error", || {
        twin(
            &[open(0)],
            &[blocked(0, 262_144)],
            &[blocked(0, 1 << 40)],
            "beyond the granted credit",
        );
    }),
    case(
        &["W-8.7"],
        "receiver_grants_more_when_a_quarter_was_used_and_after_the_last_bytes",
        || {
            let mut link = shared().link();
            let quarter = vec![b'q'; 65_536];
            link.put(&[open(0), data(0, 0, &quarter)]);
            assert_eq!(link.acked(0, 65_536), 65_536 + 262_144);
            link.put(&[data(0, 65_536, b"the last of a burst")]);
            assert_eq!(link.acked(0, 65_555), 65_555 + 262_144);
            link.leave(1);
        },
    ),
    case(&["W-8.2"], "initial_window_is_the_same_on_every_link", || {
        let receiver = shared();
        let link = receiver.link();
        let window = link.theirs.initial_window;
        assert_eq!(window, 262_144);
        let link = receiver.resume(&link.ticket, &Resume::default()).expect("resumed");
        assert_eq!(link.theirs.initial_window, window);
        // Ours changes: what a stream of ours starts with is not asked anew.
        link.leave(0);
    }),
    case(&["W-8.2"], "initial_window_of_a_sender_is_the_same_on_every_link", || {
        let sender = Sender::of(b"bytes", &[]);
        let link = sender.link();
        let (window, ticket) = (link.theirs.initial_window, link.ticket.clone());
        drop(link);
        assert_eq!(sender.resumed(&ticket, &Resume::default()).theirs.initial_window, window);
    }),
    case(&["W-8.4", "W-8.3"], "receiver_never_acknowledges_more_than_it_got", || {
        let mut link = shared().link();
        let both = Open::new(0, "s0").with(|open| open.unidirectional = 0).frame();
        link.put(&[both, data(0, 0, b"abc")]);
        link.acked(0, 3);
        link.put(&[data(0, 3, b"def")]);
        link.acked(0, 6);
        link.leave(1);
    }),
];

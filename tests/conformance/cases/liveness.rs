//! Section 11: heartbeats and receipts.

use std::time::{Duration, Instant};

use super::super::message::open;
use super::super::receiver::{Receiver, shared, twin};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};
use crate::support::{PATIENCE, log, random};

/// A receiver that notices death quickly.
fn nervous() -> Receiver {
    Receiver::start(&["--dir=out", "--heartbeat=300ms", "--heartbeat-timeout=1500ms"])
}

pub const CASES: &[Case] = &[
    case(&["W-11.2"], "ping_is_answered_with_its_id_and_time", || {
        let mut link = shared().link();
        for (id, time) in [(0, 0), (7, u64::MAX), (u64::MAX, 1)] {
            link.put(&[ping(id, time)]);
            let answer = link.kind(PONG);
            assert_eq!((answer.u64(0), answer.u64(8)), (id, time));
        }
        link.leave(0);
    }),
    case(&["W-11.2"], "ping_is_answered_by_a_sender_ahead_of_its_data", || {
        let sender = Sender::of(&random(1, 4_000_000), &[]);
        let mut link = sender.link_with(|hello| hello.initial_window = 1 << 40);
        // Without receipts no more than the first flight comes, whatever waits.
        link.kind(DATA);
        link.put(&[ping(3, 4)]);
        let answer = link.kind(PONG);
        assert_eq!((answer.u64(0), answer.u64(8)), (3, 4));
    }),
    case(&["W-11.2"], "pings_may_be_overtaken_but_the_last_is_answered", || {
        let mut link = shared().link();
        let many: Vec<Frame> = (0..50).map(|id| ping(id, id)).collect();
        link.put(&many);
        let last = |frame: &Frame| frame.kind == PONG && frame.u64(0) == 49;
        link.until("the last answer", last);
        link.leave(0);
    }),
    case(&["W-11.3"], "pings_beyond_the_burst_are_an_error", || {
        let many = |count| (0..count).map(|id| ping(id, 0)).collect::<Vec<_>>();
        // Some of the hundred ask whether all is well.
        twin(&[], &many(90), &many(150), "PING frames (at most 100)");
    }),
    case(&["W-11.3", "W-11.1"], "pings_of_the_program_are_few_and_come_at_its_interval", || {
        let receiver = nervous();
        let mut link = receiver.link();
        let began = Instant::now();
        let mut pings = 0;
        while began.elapsed() < Duration::from_secs(2) {
            if let Some(frame) = link.raw.frame_within(Duration::from_millis(100)) {
                assert_eq!(frame.kind, PING);
                link.put(&[pong(frame.u64(0), frame.u64(8))]);
                pings += 1;
            }
        }
        assert!((2..=8).contains(&pings), "{pings} in 2 s, every 300 ms");
        link.leave(0);
    }),
    case(&["W-11.1"], "silence_for_the_timeout_closes_the_link", || {
        let receiver = nervous();
        let link = receiver.watched();
        let began = Instant::now();
        receiver.breaks(link, "no answer for");
        assert!(began.elapsed() >= Duration::from_millis(1_200), "{:?}", began.elapsed());
    }),
    case(&["W-11.1"], "single_bytes_prove_a_peer_alive", || {
        let receiver = nervous();
        let mut link = receiver.link();
        let frame = Frame::new(99, 0, vec![0; 24]).flags(SKIPPABLE).bytes(false);
        // Over two timeouts, and never a whole frame.
        for byte in &frame[..32] {
            link.send(&[*byte]);
            std::thread::sleep(Duration::from_millis(100));
        }
        link.send(&frame[32..]);
        link.alive();
        link.leave(0);
    }),
    case(&["W-11.4"], "pong_that_nobody_asked_for_is_ignored", || {
        let mut link = shared().link();
        link.put(&[pong(12_345, 0), pong(u64::MAX, u64::MAX), pong(0, 0), pong(0, 0)]);
        link.alive();
        link.leave(0);
    }),
    case(&["W-11.5"], "receipt_is_sent_for_every_32_kib_and_counts_whole_frames", || {
        let mut link = shared().link();
        let mut said = 0;
        link.put(&[open(0)]);
        for at in 0..40 {
            link.put(&[data(0, at * 3_000, &[b'r'; 3_000])]);
        }
        // What is left unsaid is less than 32 KiB.
        while said + 32_768 <= link.sent {
            let now = link.kind(RECEIPT).u64(0);
            assert!(link.ends.contains(&now), "{now} is inside a frame");
            assert!(now >= said + 32_768, "not before it is due");
            said = now;
        }
        link.leave(1);
    }),
    case(&["W-11.5"], "receipt_counts_from_the_end_of_the_handshake", || {
        let receiver = shared();
        let link = receiver.link();
        let list = super::super::message::Resume::default();
        let mut link = receiver.resume(&link.ticket, &list).expect("resumed");
        link.put(&[open(0), data(0, 0, &[b'r'; 40_000])]);
        // Only the answer to a heartbeat can have come behind these two.
        let said = link.kind(RECEIPT).u64(0);
        assert!(link.ends[2..].contains(&said), "{said} of {:?}", link.ends);
        link.leave(1);
    }),
    case(&["W-11.5"], "receipt_for_more_than_was_sent_is_an_error", || {
        twin(&[], &[receipt(0)], &[receipt(1 << 30)], "more bytes received than were sent");
    }),
    case(&["W-11.5"], "receipt_that_is_lower_than_the_last_is_ignored", || {
        let sender = Sender::of(&log(1, 20_000), &[]);
        let mut link = sender.link();
        link.stream();
        link.put(&[receipt(20_000), receipt(5), receipt(20_000)]);
        link.alive();
        link.put(&[credit(0, 20_001, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
    case(&["W-11.6", "W-11.5"], "sender_keeps_a_bounded_amount_in_flight", || {
        let sender = Sender::of(&random(2, 2_000_000), &[]);
        let mut link = sender.link_with(|hello| hello.initial_window = 1 << 40);
        let (mut read, mut raw) = (0, 0);
        // Nothing is said, so it stops by itself: after 32 KiB at least, or receipts were not due.
        while let Some(frame) = link.raw.frame_within(Duration::from_millis(400)) {
            read += frame.bytes(false).len() as u64;
            raw += u64::from(frame.data.1);
        }
        assert!((32_768..=256 * 1_024).contains(&read), "{read} bytes in flight");
        // With receipts all of it comes.
        let began = Instant::now();
        while raw < 2_000_000 && began.elapsed() < PATIENCE {
            link.put(&[receipt(read)]);
            while let Some(frame) = link.raw.frame_within(Duration::from_millis(5)) {
                read += frame.bytes(false).len() as u64;
                raw += u64::from(frame.data.1);
            }
        }
        assert_eq!(raw, 2_000_000);
    }),
];

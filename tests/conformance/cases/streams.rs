//! Section 7: streams from OPEN to their end.

use std::time::Duration;

use super::super::message::{Open, Resume, open};
use super::super::receiver::{Receiver, shared, twin};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};
use super::resume::sending;

const SOON: Duration = Duration::from_millis(250);

/// What the far end of a sender's unidirectional stream must not send.
fn wrong_direction(frame: Frame) {
    let sender = Sender::of(b"one way", &[]);
    let mut link = sender.link();
    assert_eq!(link.stream().1, b"one way");
    link.put(&[credit(0, 3, 1 << 20)]);
    link.alive();
    link.put(&[frame]);
    sender.breaks(link, "the stream has no half in this direction");
}

/// On a receiver that wants no stream but `wanted`.
fn picky() -> Receiver {
    Receiver::start(&["--format=raw", "--only=wanted"])
}

pub const CASES: &[Case] = &[
    case(&["W-7.1"], "first_stream_has_index_0", || {
        twin(&[], &[open(0)], &[open(1)], "does not open the next stream in order");
    }),
    case(&["W-7.1"], "next_stream_has_the_next_index", || {
        let words = "does not open the next stream in order";
        twin(&[open(0)], &[open(1), open(2)], &[open(2)], words);
    }),
    case(&["W-7.1"], "stream_is_opened_once", || {
        let words = "does not open the next stream in order";
        twin(&[open(0), open(1)], &[open(2)], &[open(0)], words);
    }),
    case(&["W-7.1", "W-3.4"], "stream_of_the_receivers_own_cannot_be_opened", || {
        let servers = Open::new(0, "s").with(|open| open.stream = 1).frame();
        twin(&[], &[open(0)], &[servers], "only this side may open");
    }),
    case(&["W-7.1"], "stream_of_the_senders_own_cannot_be_opened", || {
        let sender = Sender::of(b"mine", &[]);
        let mut link = sender.link();
        link.stream();
        link.put(&[open(1)]);
        sender.breaks(link, "only this side may open");
    }),
    case(&["W-7.2", "W-7.12"], "data_may_follow_open_at_once", || {
        let mut link = shared().link();
        let bytes = b"all in one write";
        link.put(&[open(0), data(0, 0, &bytes[..7]), data(0, 7, &bytes[7..]), fin(0, bytes)]);
        link.acked(0, 17);
        assert_eq!(shared().file(&link.ticket.name, "s0"), bytes);
        link.leave(0);
    }),
    case(&["W-7.3"], "streams_live_at_once_are_as_many_as_allowed", || {
        let receiver = Receiver::start(&["--dir=out", "--max-streams=2"]);
        let mut link = receiver.watched();
        assert_eq!(link.theirs.max_streams, 2);
        link.put(&[open(0), open(1)]);
        link.alive();
        link.put(&[fin(0, b"")]);
        link.acked(0, 1);
        link.put(&[open(2)]);
        link.alive();
        link.put(&[open(3)]);
        receiver.breaks(link, "streams open at once (at most 2)");
    }),
    case(&["W-7.3"], "streams_of_a_sender_are_no_more_than_the_peer_allows", || {
        let env = crate::support::Env::new();
        for file in ["a", "b", "c"] {
            env.write(file, file.as_bytes());
        }
        let sender = Sender::on(env, &["--file=a", "--file=b", "--file=c"]);
        let mut link = sender.link_with(|hello| hello.max_streams = 2);
        for stream in [0, 2] {
            assert_eq!(link.kind(OPEN).stream, stream);
        }
        link.kind(FIN);
        link.kind(FIN);
        assert!(link.alive().iter().all(|frame| frame.kind != OPEN));
        link.put(&[credit(0, 2, 1 << 20)]);
        assert_eq!(link.kind(OPEN).stream, 4, "once there is room again");
    }),
    case(&["W-7.4"], "frame_for_a_stream_that_was_never_opened_is_an_error", || {
        for stream in [2, 1] {
            let frames = [
                data(stream, 0, b"x"),
                fin(stream, b""),
                reset(stream, 1, 0),
                stop(stream, 1),
                credit(stream, 0, 0),
                gap(stream, 0, 1),
                blocked(stream, 0),
            ];
            for frame in frames {
                twin(&[open(0)], &[data(0, 0, b"x")], &[frame], "the stream was never opened");
            }
        }
    }),
    case(&["W-7.4", "W-7.12"], "frame_for_a_stream_that_is_over_is_ignored", || {
        let mut link = shared().link();
        link.put(&[open(0), data(0, 0, b"over"), fin(0, b"over")]);
        link.acked(0, 5);
        link.put(&[data(0, 4, b"more"), fin(0, b"more"), reset(0, 1, 9), gap(0, 9, 9)]);
        link.put(&[blocked(0, 1 << 40), stop(0, 1), credit(0, 7, 7)]);
        assert_eq!(link.alive(), [], "no answer");
        assert_eq!(shared().file(&link.ticket.name, "s0"), b"over");
        link.leave(0);
    }),
    case(&["W-7.5"], "credit_and_stop_from_the_opener_of_a_one_way_stream_are_errors", || {
        for frame in [credit(0, 0, 0), stop(0, 1)] {
            let words = "the stream has no half in this direction";
            twin(&[open(0)], &[blocked(0, 0)], &[frame], words);
        }
    }),
    case(&["W-7.5"], "data_against_a_one_way_stream_is_an_error", || {
        wrong_direction(data(0, 0, b"x"));
    }),
    case(&["W-7.5"], "fin_against_a_one_way_stream_is_an_error", || {
        wrong_direction(fin(0, b""));
    }),
    case(&["W-7.5"], "reset_against_a_one_way_stream_is_an_error", || {
        wrong_direction(reset(0, 1, 0));
    }),
    case(&["W-7.5"], "gap_against_a_one_way_stream_is_an_error", || {
        wrong_direction(gap(0, 0, 1));
    }),
    case(&["W-7.6"], "data_that_leaves_bytes_out_is_an_error", || {
        let setup = [open(0), data(0, 0, b"abc")];
        twin(&setup, &[data(0, 3, b"d")], &[data(0, 4, b"e")], "an offset was skipped");
    }),
    case(&["W-7.6"], "data_is_sent_once_on_a_link", || {
        let setup = [open(0), data(0, 0, b"abc")];
        let words = "bytes were sent a second time on the same link";
        for again in [data(0, 0, b"abc"), data(0, 2, b"c"), data(0, 1, b"bcd")] {
            twin(&setup, &[data(0, 3, b"d")], &[again], words);
        }
    }),
    case(&["W-7.6"], "data_that_was_all_received_is_ignored_on_another_link", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"abcdef")]);
        link.acked(0, 6);
        let mut link = receiver.resume(&link.ticket, &sending(8, 0)).expect("resumed");
        link.put(&[data(0, 0, b"abc"), data(0, 3, b"def"), data(0, 6, b"gh"), fin(0, b"abcdefgh")]);
        link.acked(0, 9);
        assert_eq!(receiver.file(&link.ticket.name, "s0"), b"abcdefgh");
        link.leave(0);
    }),
    case(&["W-7.6"], "data_that_overlaps_the_end_is_an_error", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"abc")]);
        link.acked(0, 3);
        let mut link = receiver.resume(&link.ticket, &sending(4, 0)).expect("resumed");
        link.put(&[data(0, 1, b"bcd")]);
        receiver.breaks(link, "data overlaps what was received");
    }),
    case(&["W-7.7"], "data_beyond_the_final_offset_is_an_error", || {
        let whole = [open(0), data(0, 0, b"abc"), fin(0, b"abc")];
        // In one write: once the end is acknowledged the stream is gone, and all is ignored.
        twin(&whole, &[fin(0, b"abc")], &[data(0, 3, b"d")], "data beyond the");
    }),
    case(&["W-7.7"], "data_has_65536_bytes_at_most", || {
        let long = coded(0, 0, 0, 0, 65_537, &vec![b'l'; 65_537]);
        let right = data(0, 0, &vec![b'l'; 65_536]);
        twin(&[open(0)], &[right], &[long], "raw_len is 65537");
    }),
    case(&["W-7.7"], "data_of_a_sender_is_no_longer_than_max_frame", || {
        let bytes = crate::support::log(1, 10_000);
        let sender = Sender::of(&bytes, &[]);
        let mut link = sender.link_with(|hello| hello.max_frame = 1_024);
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let frame = link.kind(DATA);
            assert!(frame.data.1 <= 1_024, "{}", frame.data.1);
            got.extend(frame.payload);
        }
        assert_eq!(got, bytes);
    }),
    case(&["W-7.8"], "data_without_bytes_changes_nothing_a_hundred_times", || {
        let empty = |count| vec![data(0, 0, b""); count];
        let words = "empty DATA frames in a row (at most 100)";
        twin(&[open(0)], &empty(100), &empty(101), words);
        let mut link = shared().link();
        link.put(&[open(0), data(0, 0, b""), data(0, 0, b"x"), data(0, 1, b""), fin(0, b"x")]);
        link.acked(0, 2);
        link.leave(0);
    }),
    case(&["W-7.9"], "fin_at_another_offset_than_the_end_is_an_error", || {
        let setup = [open(0), data(0, 0, b"abc")];
        let right = [fin(0, b"abc")];
        twin(&setup, &right, &[fin_of(0, 4, xxh3(b"abc"))], "FIN before all bytes it covers");
        twin(
            &setup,
            &right,
            &[fin_of(0, 2, xxh3(b"ab"))],
            "a final offset below what was received",
        );
    }),
    case(&["W-7.9"], "fin_with_another_digest_is_stopped_and_told", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), data(0, 0, b"abc"), fin_of(0, 3, xxh3(b"abd"))]);
        let mut acked = 0;
        let stopped = link.until("STOP", |frame| frame.kind == STOP);
        assert_eq!((stopped.stream, stopped.code()), (0, 6), "INTEGRITY");
        link.put(&[reset(0, 6, 3)]);
        for frame in link.alive() {
            assert_eq!(frame.kind, CREDIT);
            acked = frame.u64(0);
        }
        assert!(acked == 0 || acked == 4, "RESET is acknowledged, FIN never was: {acked}");
        let failure = {
            let ours = format!("\"stream_delivered\",\"session\":\"{}\"", link.ticket.name);
            receiver.event("a stream_delivered", &ours, |event| {
                Some(event["failure"].as_str().unwrap_or_default().to_owned())
            })
        };
        assert!(failure.contains("the bytes received are not the bytes sent"), "{failure}");
        link.leave(1);
    }),
    case(&["W-7.9", "W-7.12"], "fin_of_an_empty_stream_has_the_digest_of_nothing", || {
        assert_eq!(xxh3(b""), 0x2D06_8005_38D3_94C2);
        let mut link = shared().link();
        let both = Open::new(0, "s0").with(|open| open.unidirectional = 0).frame();
        link.put(&[both, fin(0, b"")]);
        let theirs = link.kind(FIN);
        assert_eq!((theirs.u64(0), theirs.u64(8)), (0, xxh3(b"")), "nothing is said back");
        link.put(&[credit(0, 1, 0)]);
        link.leave(0);
    }),
    case(
        &["W-7.10", "W-8.4"],
        "reset_ends_a_stream_and_is_acknowledged_behind_what_was_sent",
        || {
            let mut link = shared().link();
            link.put(&[open(0), data(0, 0, b"abc"), reset(0, 1, 9)]);
            link.acked(0, 10);
            link.alive();
            link.leave(0);
        },
    ),
    case(&["W-7.10"], "reset_below_what_was_received_is_an_error", || {
        let setup = [open(0), data(0, 0, b"abc")];
        twin(&setup, &[reset(0, 1, 3)], &[reset(0, 1, 2)], "a final offset below");
    }),
    case(&["W-7.11"], "fin_repeated_is_ignored_and_a_second_one_an_error", || {
        let setup = [open(0), data(0, 0, b"abc"), fin(0, b"abc")];
        let words = "a second, different end";
        twin(&setup, &[fin(0, b"abc")], &[fin_of(0, 3, 7)], words);
        twin(&setup, &[fin(0, b"abc")], &[fin_of(0, 4, xxh3(b"abc"))], words);
    }),
    case(&["W-7.11"], "reset_after_fin_has_the_same_final_offset", || {
        let setup = [open(0), data(0, 0, b"abc"), fin(0, b"abc")];
        twin(&setup, &[reset(0, 1, 3)], &[reset(0, 1, 4)], "a second, different end");
    }),
    case(&["W-7.11"], "reset_repeated_is_ignored_and_fin_after_it_an_error", || {
        let receiver = shared();
        let mut link = receiver.link();
        // Two at once: the first makes the stream's end, the second repeats it.
        link.put(&[open(0), data(0, 0, b"abc"), reset(0, 1, 3), reset(0, 1, 3)]);
        link.acked(0, 4);
        link.alive();
        link.leave(0);
        let mut link = receiver.watched();
        link.put(&[open(0), data(0, 0, b"abc")]);
        link.acked(0, 3);
        // In one write: once the end is acknowledged the stream is gone, and all is ignored.
        link.put(&[reset(0, 1, 3), fin(0, b"abc")]);
        receiver.breaks(link, "a second, different end");
    }),
    case(
        &["W-7.13", "W-8.4"],
        "stop_is_sent_for_a_stream_nobody_wants_and_only_reset_acknowledged",
        || {
            let receiver = picky();
            let mut link = receiver.link();
            link.put(&[open(0), data(0, 0, b"thrown away"), fin(0, b"thrown away")]);
            let stopped = link.kind(STOP);
            assert_eq!((stopped.stream, stopped.code()), (0, 4), "REFUSED_STREAM");
            link.quiet(SOON);
            let told = link.alive();
            assert_eq!(told, [], "neither bytes nor FIN are acknowledged");
            link.put(&[reset(0, 4, 11)]);
            link.acked(0, 12);
            let wanted = Open::new(1, "wanted").frame();
            link.put(&[wanted, data(2, 0, b"taken"), fin(2, b"taken")]);
            link.acked(2, 6);
            link.leave(0);
        },
    ),
    case(&["W-7.13"], "stop_is_answered_by_reset_with_its_code", || {
        let sender = Sender::on(crate::support::Env::new(), &["--gen=app=rate=100/s"]);
        let mut link = sender.link();
        let first = link.kind(DATA);
        link.put(&[stop(first.stream, 3), stop(first.stream, 3)]);
        let reset = link.kind(RESET);
        assert_eq!((reset.stream, reset.code()), (first.stream, 3), "the same code");
        assert!(reset.u64(4) >= u64::from(first.data.1), "the end of what was sent");
        let second = link.alive();
        assert!(second.iter().all(|frame| frame.kind != RESET), "once: {second:?}");
    }),
    case(&["W-7.13", "W-7.11"], "stop_after_fin_is_answered_by_reset_too", || {
        let sender = Sender::of(b"finished", &[]);
        let mut link = sender.link();
        link.stream();
        link.put(&[stop(0, 3)]);
        let reset = link.kind(RESET);
        assert_eq!((reset.code(), reset.u64(4)), (3, 8), "the same final offset");
        link.put(&[credit(0, 9, 1 << 20)]);
        link.farewell();
        sender.ends(7);
    }),
    case(&["W-7.13"], "stop_of_a_half_that_is_over_is_ignored", || {
        let sender = Sender::of(b"delivered", &["--gen=slow=rate=1/s"]);
        let mut link = sender.link();
        let fits = |frame: &Frame| frame.kind == FIN;
        let stream = link.until("FIN", fits).stream;
        link.put(&[credit(stream, 10, 1 << 20), stop(stream, 3)]);
        assert!(link.alive().iter().all(|frame| frame.kind != RESET));
    }),
    case(&["W-7.14"], "gap_is_told_and_a_lower_total_ignored", || {
        let mut link = shared().link();
        link.put(&[open(0), data(0, 0, b"one\n"), gap(0, 4, 100), data(0, 4, b"two\n")]);
        // Not above the last total: ignored.
        link.put(&[gap(0, 8, 100), gap(0, 8, 99), fin(0, b"one\ntwo\n")]);
        link.acked(0, 9);
        let receiver = shared();
        assert_eq!(receiver.file(&link.ticket.name, "s0"), b"one\ntwo\n");
        assert_eq!(receiver.dropped(&link.ticket.name), 100, "told once, and not in the file");
        link.leave(0);
    }),
    case(&["W-7.14"], "gap_beyond_what_was_received_is_an_error", || {
        let setup = [open(0), data(0, 0, b"abc")];
        twin(&setup, &[gap(0, 3, 1)], &[gap(0, 4, 1)], "a gap beyond what was received");
    }),
    case(&["W-7.12", "W-10.4"], "stream_that_is_over_is_listed_no_more", || {
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), fin(0, b"")]);
        link.acked(0, 1);
        let list = Resume { local_opened: 1, ..Resume::default() };
        let link = receiver.resume(&link.ticket, &list).expect("resumed");
        let theirs = link.resume.clone().expect("a list");
        assert_eq!((theirs.streams.len(), theirs.peer_opened), (0, 1));
        link.leave(0);
    }),
];

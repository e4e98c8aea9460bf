//! Section 3: the header, what is judged by it alone, and the CRC.

use super::super::link::Raw;
use super::super::message::{Hello, Proof, WANTS_CRC, close, goaway, open};
use super::super::receiver::{PREFACE, bytes_twin, handshake_error, name, shared, twin};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};

/// A type of tomorrow, to be skipped.
fn tomorrow(len: usize) -> Frame {
    Frame::new(99, 0, vec![7; len]).flags(SKIPPABLE)
}

fn crc(hello: &mut Hello) {
    hello.auth |= WANTS_CRC;
}

/// A frame of each type that is right after the handshake and an OPEN of stream 0.
fn right() -> Vec<Frame> {
    let stream = vec![open(1), data(0, 0, b"x"), blocked(0, 1), gap(0, 0, 5)];
    let rest = vec![ping(1, 2), pong(1, 2), receipt(0), fin(0, b""), goaway(0, 0)];
    [stream, rest].concat()
}

pub const CASES: &[Case] = &[
    case(&["W-3.1"], "frame_of_an_unknown_type_is_skipped_only_if_it_says_so", || {
        let plain = tomorrow(8).with(|frame| frame.flags = 0);
        twin(&[], &[tomorrow(0), tomorrow(8)], &[plain], "unknown frame type 0x63");
    }),
    case(&["W-3.1"], "frame_that_is_skipped_has_4096_bytes_at_most", || {
        twin(&[], &[tomorrow(4_096)], &[tomorrow(4_097)], "4097 bytes, the limit is 4096");
    }),
    case(&["W-3.1"], "frame_that_is_skipped_may_use_codec_stream_and_flags_as_it_likes", || {
        let strange = tomorrow(3).flags(0x3F).with(|frame| {
            (frame.codec, frame.stream) = (200, u64::MAX);
        });
        let reserved = strange.clone().with(|frame| frame.reserved = 1);
        twin(&[], &[strange], &[reserved], "the reserved byte");
    }),
    case(&["W-3.1", "W-3.7"], "frame_that_is_skipped_has_a_right_crc", || {
        let mut wrong = tomorrow(8).bytes(true);
        wrong[17] ^= 1;
        bytes_twin(crc, &tomorrow(8).bytes(true), &wrong, "damaged on the way");
    }),
    case(&["W-3.1"], "frame_of_a_known_type_is_never_skippable", || {
        twin(&[], &[ping(1, 1)], &[ping(1, 1).flags(SKIPPABLE)], "flags 0x40");
    }),
    case(&["W-3.1", "W-6.2"], "frame_cannot_be_skipped_during_the_handshake", || {
        let receiver = shared();
        let mut greeted = receiver.greet(Hello::client(&name()));
        greeted.raw.put(&[tomorrow(8)]);
        greeted.raw.silently_closed();
        let reason = receiver.link_refused(&greeted.raw.local());
        assert!(reason.contains("before the handshake is complete"), "{reason}");
    }),
    case(&["W-3.2"], "frame_with_a_flag_that_its_type_does_not_have_is_an_error", || {
        for frame in right() {
            let flag = if frame.kind == DATA { 0x02 } else { OWN };
            let words = format!("flags {flag:#04x} contain unknown bits");
            let wrong = frame.clone().flags(flag);
            twin(&[open(0)], &[frame], &[wrong], &words);
        }
    }),
    case(&["W-3.2", "W-1.1", "W-1.5"], "frame_with_a_reserved_byte_is_an_error", || {
        for frame in right() {
            let wrong = frame.clone().with(|frame| frame.reserved = 0x80);
            twin(&[open(0)], &[frame], &[wrong], "the reserved byte is 0x80");
        }
    }),
    case(&["W-3.2"], "frame_other_than_data_with_a_codec_is_an_error", || {
        for frame in right().into_iter().filter(|frame| frame.kind != DATA) {
            let wrong = frame.clone().with(|frame| frame.codec = 1);
            twin(&[open(0)], &[frame], &[wrong], "codec is");
        }
    }),
    case(&["W-3.2"], "frame_that_concerns_the_session_names_no_stream", || {
        for frame in [ping(1, 2), pong(1, 2), receipt(0), goaway(0, 0)] {
            let wrong = frame.clone().with(|frame| frame.stream = 2);
            twin(&[open(0)], &[frame], &[wrong], "stream is 2, the largest allowed is 0");
        }
    }),
    case(&["W-3.2"], "frame_for_stream_2_to_the_63_is_an_error", || {
        let high = |frame: Frame| frame.with(|frame| frame.stream |= 1 << 63);
        twin(&[], &[open(0)], &[high(open(0))], "stream is 9223372036854775808");
        let x = data(0, 0, b"x");
        twin(
            &[open(0)],
            std::slice::from_ref(&x),
            &[high(x.clone())],
            "stream is 9223372036854775808",
        );
    }),
    case(&["W-3.3", "W-1.3"], "frame_over_its_limit_is_closed_by_its_header_alone", || {
        for (kind, limit) in [(OPEN, 4_096), (DATA, 81_920), (GOAWAY, 4_096), (CLOSE, 4_096)] {
            for len in [limit + 1, u32::MAX] {
                let wrong = Frame::new(kind, 0, []).with(|frame| frame.claimed = Some(len));
                let words = format!("{len} bytes, the limit is {limit}");
                bytes_twin(|_| (), &open(0).bytes(false), &wrong.header(), &words);
            }
        }
    }),
    case(&["W-3.3"], "frame_of_a_fixed_length_has_no_other", || {
        let fixed = [FIN, CREDIT, PING, PONG, GAP].map(|kind| (kind, 16));
        for (kind, len) in
            [&fixed[..], &[(RESET, 12), (STOP, 4), (BLOCKED, 8), (RECEIPT, 8)]].concat()
        {
            for wrong in [0, len - 1, len + 1] {
                let header = Frame::new(kind, 0, []).with(|frame| frame.claimed = Some(wrong));
                let words = format!("body of {wrong} bytes, must be {len}");
                bytes_twin(|_| (), &ping(1, 1).bytes(false), &header.header(), &words);
            }
        }
    }),
    case(
        &["W-3.3", "W-6.13"],
        "frame_of_the_handshake_over_its_limit_is_closed_by_its_header",
        || {
            let long = |kind, len| Frame::new(kind, 0, []).with(|frame| frame.claimed = Some(len));
            for (kind, limit) in [(HELLO, 4_096), (PROOF, 4_096), (RESUME, 16_384), (REFUSE, 4_096)]
            {
                let bytes = [&PREFACE[..], &long(kind, limit + 1).header()].concat();
                handshake_error(&shared(), &bytes, &format!("the limit is {limit}"));
            }
        },
    ),
    case(&["W-3.4", "W-7.1"], "streams_of_the_client_have_even_ids_in_order", || {
        let env = crate::support::Env::new();
        for file in ["a", "b", "c"] {
            env.write(file, file.as_bytes());
        }
        let sender = Sender::on(env, &["--file=a", "--file=b", "--file=c"]);
        let mut link = sender.link();
        for index in 0..3 {
            assert_eq!(link.kind(OPEN).stream, index << 1);
        }
    }),
    case(&["W-3.5"], "message_that_goes_on_in_a_second_frame_is_an_error", || {
        let whole = open(0);
        let (first, second) = whole.payload.split_at(4);
        let parts = [Frame::new(OPEN, 0, first), Frame::new(OPEN, 0, second)];
        twin(&[], std::slice::from_ref(&whole), &parts, "OPEN: malformed body");
    }),
    case(&["W-3.5", "W-1.3"], "frames_may_come_in_any_pieces", || {
        let mut link = shared().link();
        let frames = [open(0), data(0, 0, b"piece by piece"), fin(0, b"piece by piece")];
        for byte in frames.iter().flat_map(|frame| frame.bytes(false)) {
            link.send(&[byte]);
        }
        link.acked(0, 15);
        assert_eq!(shared().file(&link.ticket.name, "s0"), b"piece by piece");
        link.leave(0);
    }),
    case(&["W-3.6"], "crc_is_castagnolis_over_the_whole_frame", || {
        assert_eq!(crc32c(b"123456789"), 0xE306_9283);
        let mut link = shared().link_with(crc);
        assert!(link.raw.crc);
        // Every answer is checked where it is read: CREDIT, PONG and CLOSE among them.
        link.put(&[open(0), data(0, 0, b"checked"), fin(0, b"checked")]);
        link.acked(0, 8);
        link.alive();
        link.leave(0);
    }),
    case(&["W-3.7"], "crc_is_on_every_frame_of_a_link_that_uses_it", || {
        bytes_twin(crc, &ping(1, 1).bytes(true), &ping(1, 1).bytes(false), "no CRC");
    }),
    case(&["W-3.7"], "crc_that_differs_is_an_error_whatever_was_changed", || {
        let right = data(0, 0, b"guarded").bytes(true);
        let setup = open(0).bytes(true);
        for at in [1, 3, 5, 9, 17, 25, 30, right.len() - 1] {
            let mut wrong = right.clone();
            wrong[at] ^= 0x10;
            // Some of these are caught by the header, before the trailer is there.
            let honest = [&setup[..], &right].concat();
            bytes_twin(
                crc,
                &honest,
                &[&setup[..], &wrong, &[0; 64]].concat(),
                "a frame is damaged",
            );
        }
    }),
    case(&["W-3.7"], "crc_on_a_link_that_does_not_use_it_is_an_error", || {
        bytes_twin(|_| (), &ping(1, 1).bytes(false), &ping(1, 1).bytes(true), "carries a CRC");
    }),
    case(&["W-3.7"], "crc_begins_with_the_proof", || {
        let receiver = shared();
        let mut greeted = receiver.greet(Hello::client(&name()).with(crc));
        let proof: Proof = greeted.proof(&[0; 32], "client");
        greeted.raw.send(&proof.frame().exactly(0, false));
        greeted.raw.silently_closed();
        let reason = receiver.link_refused(&greeted.raw.local());
        assert!(reason.contains("no CRC"), "{reason}");
    }),
    case(&["W-3.7"], "crc_is_never_on_hello", || {
        let hello = Hello::client(&name()).with(crc).frame().exactly(CRC, true);
        handshake_error(&shared(), &[&PREFACE[..], &hello].concat(), "carries a CRC");
    }),
    case(&["W-3.7", "W-6.7"], "crc_is_never_on_refuse", || {
        let mut greeted = shared().greet(Hello::client(&name()).with(crc));
        let proof = greeted.proof(&[1; 32], "client");
        greeted.raw.put(&[proof.frame()]);
        // The reader insists on a REFUSE without the flag.
        assert_eq!(greeted.raw.refused().code, 4, "DENIED");
    }),
    case(&["W-3.7"], "crc_is_used_if_only_the_server_wants_it", || {
        let sender = Sender::of(b"guarded", &[]);
        let mut link = sender.link_with(crc);
        assert_eq!(link.theirs.auth & WANTS_CRC, 0, "the sender did not ask for it");
        let (_, bytes, _) = link.stream();
        assert_eq!(bytes, b"guarded");
        link.put(&[credit(0, 8, 1 << 20)]);
        link.farewell();
        sender.ends(0);
    }),
    case(&["W-3.8"], "crc_is_not_wanted_on_loopback", || {
        let greeted = shared().greet(Hello::client(&name()));
        assert_eq!(greeted.server.auth, 0);
    }),
    case(&["W-1.5", "W-3.3"], "nothing_of_a_frame_that_breaks_the_link_is_used", || {
        let receiver = shared();
        let mut link = receiver.watched();
        let wrong = data(0, 4, b"lost").with(|frame| frame.reserved = 1);
        link.put(&[open(0), data(0, 0, b"kept"), wrong, fin(0, b"keptlost")]);
        let ticket = link.ticket.clone();
        receiver.breaks(link, "the reserved byte");
        let list = super::super::message::Resume {
            streams: vec![super::super::message::Entry { sent: 4, ..Default::default() }],
            local_opened: 1,
            peer_opened: 0,
        };
        let mut link = receiver.resume(&ticket, &list).expect("the session is unharmed");
        assert_eq!(link.resume.as_ref().expect("a list").streams[0].received, 4);
        link.put(&[fin(0, b"kept")]);
        link.acked(0, 5);
        assert_eq!(receiver.file(&ticket.name, "s0"), b"kept");
        link.put(&[close(0)]);
        Raw::dial(&receiver.address);
    }),
];

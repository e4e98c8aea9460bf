//! Sections 4 and 5: control bodies, their shortest form and their limits.

use std::slice;

use super::super::body::Body;
use super::super::link::Raw;
use super::super::message::{Hello, Open, close, goaway, open};
use super::super::receiver::{PREFACE, hello_twin, name, shared, shared_with_token, twin};
use super::super::wire::*;
use super::super::{Case, case};

/// An OPEN with these bytes as its label.
fn labelled(label: &[u8]) -> Frame {
    let body = Body::new().raw(label).bytes(b"s0").u8(2).bool(true).int(0).int(0);
    Frame::new(OPEN, 0, body.0)
}

fn changed(change: impl FnOnce(&mut Open)) -> Frame {
    Open::new(0, "s0").with(change).frame()
}

/// An OPEN with this many extensions of this many bytes.
fn extended(count: u16, len: usize) -> Frame {
    changed(|open| open.ext = (0..count).map(|tag| (tag, vec![1; len])).collect())
}

fn text(len: usize) -> String {
    "n".repeat(len)
}

pub const CASES: &[Case] = &[
    case(&["W-4.1"], "integer_in_a_longer_form_is_an_error", || {
        for (right, wrong) in [
            (&[7][..], &[0xFB, 7, 0][..]),
            (&[250], &[0xFB, 250, 0]),
            (&[0xFB, 251, 0], &[0xFC, 251, 0, 0, 0]),
            (&[0xFB, 0xFF, 0xFF], &[0xFC, 0xFF, 0xFF, 0, 0]),
        ] {
            twin(&[], &[labelled(right)], &[labelled(wrong)], "OPEN: body is not in its shortest");
        }
    }),
    case(&["W-4.1"], "integer_wider_than_its_field_is_an_error", || {
        let wide = [0xFD, 1, 0, 0, 0, 1, 0, 0, 0];
        let widest = labelled(&[0xFC, 0xFF, 0xFF, 0xFF, 0xFF]);
        twin(&[], &[widest], &[labelled(&wide)], "OPEN: malformed body");
    }),
    case(&["W-4.1"], "integer_that_begins_with_fe_or_ff_is_an_error", || {
        for first in [0xFE, 0xFF] {
            let wrong = [&[first][..], &[0; 16]].concat();
            twin(&[], &[labelled(&[0])], &[labelled(&wrong)], "OPEN: malformed body");
        }
    }),
    case(&["W-4.2"], "body_that_ends_too_early_is_an_error", || {
        let whole = open(0);
        for len in 0..whole.payload.len() {
            let cut = Frame::new(OPEN, 0, &whole.payload[..len]);
            let receiver = shared();
            let mut link = receiver.watched();
            link.put(&[cut]);
            receiver.breaks(link, "OPEN: malformed body");
        }
        twin(&[], slice::from_ref(&whole), &[Frame::new(OPEN, 0, [])], "OPEN: malformed body");
    }),
    case(&["W-4.2"], "body_with_bytes_after_its_end_is_an_error", || {
        let longer = open(0).with(|frame| frame.payload.push(0));
        twin(&[], &[open(0)], &[longer], "OPEN: body is not in its shortest form");
    }),
    case(&["W-4.1"], "bool_other_than_0_and_1_is_an_error", || {
        let words = "OPEN: malformed body";
        twin(
            &[],
            &[changed(|open| open.unidirectional = 0)],
            &[changed(|o| o.unidirectional = 2)],
            words,
        );
    }),
    case(&["W-4.1"], "option_other_than_0_and_1_is_an_error", || {
        let receiver = shared();
        let mut greeted = receiver.greet(Hello::client(&name()));
        let mut proof = greeted.proof(&[0; 32], "client").frame();
        assert_eq!(proof.payload[32], 0);
        proof.payload[32] = 2;
        greeted.raw.put(&[proof]);
        greeted.raw.silently_closed();
        let reason = receiver.link_refused(&greeted.raw.local());
        assert!(reason.contains("PROOF: malformed body"), "{reason}");
    }),
    case(&["W-1.2"], "text_that_is_not_utf_8_is_an_error", || {
        let wrong = changed(|open| open.name = b"s\xC3\x28".to_vec());
        let right = changed(|open| open.name = "s\u{e9}".as_bytes().to_vec());
        twin(&[], &[right], &[wrong], "OPEN: malformed body");
    }),
    case(&["W-4.3"], "extension_without_the_top_bit_is_ignored_and_with_it_an_error", || {
        let tag = |tag| changed(|open: &mut Open| open.ext = vec![(tag, b"value".to_vec())]);
        twin(&[], &[tag(0x7FFF)], &[tag(0x8000)], "extension 0x8000 must be understood");
    }),
    case(&["W-4.3"], "extensions_are_32_at_most", || {
        twin(&[], &[extended(32, 1)], &[extended(33, 1)], "number of extensions is 33");
    }),
    case(&["W-4.3"], "extensions_have_1024_bytes_together_at_most", || {
        let more = changed(|open| open.ext = vec![(1, vec![0; 1_000]), (2, vec![0; 25])]);
        twin(&[], &[extended(4, 256)], &[more], "extension bytes is 1025");
    }),
    case(
        &["W-4.3", "W-15.1"],
        "extension_and_feature_that_are_unknown_are_ignored_in_hello",
        || {
            hello_twin(
                |hello| (hello.ext, hello.features) = (vec![(5, vec![1])], u64::MAX),
                |hello| hello.ext = vec![(0x8005, vec![1])],
                "extension 0x8005",
            );
        },
    ),
    case(&["W-4.3"], "extension_that_must_be_understood_is_an_error_in_every_body", || {
        for frame in [goaway(0, 0), close(0)] {
            let mut wrong = frame.clone();
            wrong.payload.pop();
            wrong.payload.extend(Body::new().ext(&[(0x8001, vec![])]).0);
            let receiver = shared();
            let mut link = receiver.watched();
            link.put(&[wrong]);
            receiver.breaks(link, "extension 0x8001");
        }
        shared().link().leave(0);
    }),
    case(&["W-4.4"], "name_of_a_stream_has_255_bytes_at_most", || {
        let named = |len| changed(|open: &mut Open| open.name = text(len).into());
        twin(&[], &[named(255)], &[named(256)], "length of name is 256, allowed is 0 to 255");
    }),
    case(&["W-4.4"], "metadata_has_32_entries_at_most", || {
        let entries = |count| {
            changed(|open: &mut Open| open.metadata = vec![("k".into(), "v".into()); count])
        };
        twin(&[], &[entries(32)], &[entries(33)], "metadata entries is 33");
    }),
    case(&["W-4.4"], "metadata_has_1024_bytes_at_most", || {
        let bytes = |len| changed(|open: &mut Open| open.metadata = vec![(text(24), text(len))]);
        twin(&[], &[bytes(1_000)], &[bytes(1_001)], "metadata bytes is 1025");
    }),
    case(&["W-4.4"], "priority_is_4_at_most", || {
        let class = |class| changed(|open: &mut Open| open.priority = class);
        twin(&[], &[class(4)], &[class(5)], "priority is 5, allowed is 0 to 4");
    }),
    case(&["W-4.4"], "reason_has_255_bytes_at_most", || {
        let reason = |kind, len| {
            let body =
                if kind == GOAWAY { Body::new().int(0).int(0).int(0) } else { Body::new().int(0) };
            Frame::new(kind, 0, body.bytes(text(len).as_bytes()).int(0).0)
        };
        twin(&[], &[reason(GOAWAY, 255)], &[reason(GOAWAY, 256)], "length of reason is 256");
        let mut link = shared().link();
        link.put(&[reason(CLOSE, 255)]);
        assert_eq!(link.kind(CLOSE).flags, OWN);
    }),
    case(&["W-1.4"], "stream_index_in_goaway_is_2_to_the_62_at_most", || {
        twin(&[], &[goaway(0, 1 << 62)], &[goaway(0, (1 << 62) + 1)], "last_stream is");
    }),
    case(&["W-1.4", "W-7.7"], "offset_is_2_to_the_62_at_most", || {
        let most = 1 << 62;
        for (right, wrong, words) in [
            (fin(0, b""), fin_of(0, most + 1, 0), "final_offset is"),
            (reset(0, 1, most), reset(0, 1, most + 1), "final_offset is"),
            (gap(0, 0, u64::MAX), gap(0, most + 1, 1), "offset is"),
            (blocked(0, 262_144), blocked(0, most + 1), "offset is"),
        ] {
            twin(&[open(0)], &[right], &[wrong], words);
        }
    }),
    case(&["W-1.4"], "sums_of_offsets_do_not_overflow", || {
        for offset in [u64::MAX, u64::MAX - 3, (1 << 62) - 2] {
            twin(&[open(0)], &[data(0, 0, b"four")], &[data(0, offset, b"four")], "offset is");
        }
    }),
    case(&["W-1.3", "W-4.4"], "list_that_claims_more_than_it_has_is_an_error", || {
        for count in [0xFFFF, u64::from(u32::MAX), u64::MAX] {
            let body = Body::new().int(0).bytes(b"s0").u8(2).bool(true).int(count);
            let wrong = Frame::new(OPEN, 0, body.0);
            twin(&[], &[open(0)], &[wrong], "OPEN: malformed body");
        }
    }),
    case(&["W-1.3", "W-4.4"], "text_that_claims_more_than_it_has_is_an_error", || {
        for len in [100, 1 << 40, u64::MAX] {
            let body = Body::new().int(0).int(len).raw(b"s0").u8(2).bool(true).int(0).int(0);
            twin(&[], &[open(0)], &[Frame::new(OPEN, 0, body.0)], "OPEN: malformed body");
        }
    }),
    case(&["W-1.2"], "text_is_escaped_on_the_terminal_and_in_paths", || {
        let receiver = shared_with_token();
        let hostile = format!("\x1b[31m\n../../{}", name());
        let mut greeted = receiver.greet(Hello::client(&hostile));
        let proof = greeted.proof(&[0; 32], "client");
        greeted.raw.put(&[proof.frame()]);
        assert_eq!(greeted.raw.refused().code, 4, "DENIED");
        let receiver = shared();
        let mut link = receiver.link_with(|hello| {
            hello.agent = "\x1b]0;agent\x07".into();
            hello.session_name = hostile;
        });
        let stream = changed(|open| open.name = b"../\x1b[2Jname".to_vec());
        link.put(&[stream, data(0, 0, b"kept inside"), fin(0, b"kept inside")]);
        link.acked(0, 12);
        link.leave(0);
        let said = receiver.stderr() + &shared_with_token().stderr();
        let controls: Vec<char> = said.chars().filter(|c| c.is_control() && *c != '\n').collect();
        assert_eq!(controls, [], "{said:?}");
        let out = receiver.env.path("out");
        let inside = std::fs::read_dir(&out).expect("the directory").flatten();
        let found = inside.filter(|entry| entry.file_name().to_string_lossy().contains("%1B"));
        assert_eq!(found.count(), 1, "escaped to one name below {out:?}");
    }),
    case(&["W-2.4"], "hello_may_come_in_single_bytes", || {
        let mut raw = Raw::dial(&shared().address);
        for byte in [&PREFACE[..], &Hello::client(&name()).frame().bytes(false)].concat() {
            raw.send(&[byte]);
        }
        assert_eq!(raw.preface(), PREFACE);
        assert_eq!(raw.frame().kind, HELLO);
    }),
];

//! Section 9: codecs, their contexts, and the payloads of section 16.

use std::io::Read;

use super::super::link::Link;
use super::super::message::{Hello, WANTS_CRC, open};
use super::super::receiver::{Receiver, shared, twin};
use super::super::sender::Sender;
use super::super::wire::*;
use super::super::{Case, case};
use crate::support::log;

const GZIP: u8 = 1;
const ZSTD: u8 = 2;
const SNAPPY: u8 = 3;
const LZ4: u8 = 4;

/// What a stream of this codec begins with.
fn head(codec: u8) -> &'static [u8] {
    match codec {
        GZIP => b"\x1F\x8B\x08\0\0\0\0\0\0\xFF",
        ZSTD => b"\x28\xB5\x2F\xFD\0\x38",
        LZ4 => b"\x04\x22\x4D\x18\x40\x40\xC0",
        _ => b"",
    }
}

/// Bytes as a block of this codec that stores them as they are.
fn stored(codec: u8, bytes: &[u8]) -> Vec<u8> {
    let len = u32::try_from(bytes.len()).expect("short").to_le_bytes();
    match codec {
        GZIP => [&[0, len[0], len[1], !len[0], !len[1]][..], bytes, &[0]].concat(),
        ZSTD => [&[len[0] << 3, len[0] >> 5 | len[1] << 3, 0][..], bytes].concat(),
        SNAPPY => [&[len[0], (len[0] - 1) << 2][..], bytes].concat(),
        LZ4 => [&[len[0], len[1], 0, 0x80][..], bytes].concat(),
        _ => bytes.to_vec(),
    }
}

/// A payload that begins a context: 12 bytes, `beginning: `... of stream 0.
fn first(codec: u8) -> Frame {
    let payload = [head(codec), &stored(codec, b"the first, ")].concat();
    coded(0, 0, codec, OWN, 11, &payload)
}

/// One that goes on with it.
fn second(codec: u8) -> Frame {
    coded(0, 11, codec, 0, 11, &stored(codec, b"the second."))
}

const BOTH: &[u8] = b"the first, the second.";

/// On a stream of its own, `wrong` ends the link where `honest` is taken.
fn payloads(honest: &[Frame], wrong: &[Frame]) {
    twin(&[open(0)], honest, wrong, "a payload is damaged");
}

/// The hex of the block `codecs` in section 16: for each label its frames.
fn transcript() -> Vec<(String, Vec<u8>)> {
    let text = include_str!("../../../crates/frame/WIRE.md");
    let block = text.split("```hex codecs\n").nth(1).expect("the block").split("```").next();
    let mut frames: Vec<(String, Vec<u8>)> = Vec::new();
    for line in block.expect("its end").lines() {
        if let Some(label) = line.strip_prefix("# ") {
            frames.push((label.to_owned(), Vec::new()));
        } else {
            let bytes = line.split(' ').map(|hex| u8::from_str_radix(hex, 16).expect("hex"));
            frames.last_mut().expect("a label").1.extend(bytes);
        }
    }
    frames
}

/// Sends section 16's two frames of this codec, and compares what comes out of them.
fn as_written(codec: &str) {
    let frames: Vec<_> = transcript().into_iter().filter(|(label, _)| label == codec).collect();
    assert_eq!(frames.len(), 2);
    let mut link = shared().link_with(|hello: &mut Hello| hello.auth = WANTS_CRC);
    link.put(&[open(0)]);
    frames.iter().for_each(|(_, bytes)| link.send(bytes));
    let all = b"hello hello hello hello\nhello again\n";
    link.put(&[fin(0, all)]);
    link.acked(0, 37);
    assert_eq!(shared().file(&link.ticket.name, "s0"), all);
    link.leave(0);
}

/// Stored blocks of this codec are taken, with a context that goes on.
fn goes_on(codec: u8) {
    let mut link = shared().link();
    link.put(&[open(0), first(codec), second(codec), fin(0, BOTH)]);
    link.acked(0, 23);
    assert_eq!(shared().file(&link.ticket.name, "s0"), BOTH);
    link.leave(0);
}

/// A sender of these bytes to a server that offers `codecs`: every DATA frame up to FIN.
fn sent(bytes: &[u8], codecs: &[(u8, u8, u32)], arguments: &[&str]) -> Vec<Frame> {
    let sender = Sender::of(bytes, arguments);
    let mut link = sender.link_with(|hello| hello.codecs = codecs.to_vec());
    let frames = until_fin(&mut link);
    link.put(&[credit(0, bytes.len() as u64 + 1, 1 << 20)]);
    link.farewell();
    sender.ends(0);
    frames
}

fn until_fin(link: &mut Link) -> Vec<Frame> {
    let mut frames = Vec::new();
    let mut read = 0;
    loop {
        let frame = link.until("FIN", |frame| matches!(frame.kind, DATA | FIN));
        if frame.kind == FIN {
            return frames;
        }
        // What was read at least: enough to keep the sender going.
        read += frame.bytes(false).len() as u64;
        link.put(&[receipt(read)]);
        frames.push(frame);
    }
}

pub const CASES: &[Case] = &[
    case(&["W-9.3", "W-3.6"], "codec_none_as_written_in_section_16", || as_written("none")),
    case(&["W-9.4", "W-9.5"], "codec_gzip_as_written_in_section_16", || as_written("gzip")),
    case(&["W-9.4", "W-9.5"], "codec_zstd_as_written_in_section_16", || as_written("zstd")),
    case(&["W-9.4", "W-9.5"], "codec_snappy_as_written_in_section_16", || as_written("snappy")),
    case(&["W-9.4", "W-9.5"], "codec_lz4_as_written_in_section_16", || as_written("lz4")),
    case(&["W-9.4"], "codec_gzip_of_stored_blocks", || goes_on(GZIP)),
    case(&["W-9.4"], "codec_zstd_of_stored_blocks", || goes_on(ZSTD)),
    case(&["W-9.4"], "codec_snappy_of_one_literal", || goes_on(SNAPPY)),
    case(&["W-9.4"], "codec_lz4_of_stored_blocks", || goes_on(LZ4)),
    case(&["W-9.5"], "context_begins_with_restart", || {
        for codec in [GZIP, ZSTD, LZ4] {
            let without = first(codec).with(|frame| frame.flags = 0);
            payloads(&[first(codec)], &[without]);
        }
    }),
    case(&["W-9.5"], "context_begins_anew_after_another_codec", || {
        let again = coded(0, 22, GZIP, OWN, 11, &first(GZIP).payload);
        let between = coded(0, 11, LZ4, OWN, 11, &first(LZ4).payload);
        let on = again.clone().with(|frame| {
            frame.flags = 0;
            frame.payload = stored(GZIP, b"the first, ");
        });
        let setup = [first(GZIP), between];
        payloads(&[&setup[..], &[again]].concat(), &[&setup[..], &[on]].concat());
    }),
    case(&["W-9.5", "W-9.3"], "context_is_left_alone_by_none", || {
        let mut link = shared().link();
        let on = second(GZIP).with(|frame| frame.data.0 = 13);
        link.put(&[open(0), first(GZIP), data(0, 11, b"! "), on]);
        link.put(&[fin(0, b"the first, ! the second.")]);
        link.acked(0, 25);
        link.leave(0);
    }),
    case(&["W-9.5", "W-7.6"], "context_needs_payloads_whose_bytes_are_there_already", || {
        // A repeated payload that does not decode ends the link as a new one does.
        let receiver = shared();
        let mut link = receiver.link();
        link.put(&[open(0), first(GZIP), second(GZIP)]);
        link.acked(0, 22);
        let broken = coded(0, 11, GZIP, 0, 11, b"\xFF\xFF\xFF\xFF");
        let list = super::resume::sending(25, 0);
        let mut link = receiver.resume(&link.ticket, &list).expect("resumed");
        let ticket = link.ticket.clone();
        link.put(&[first(GZIP), broken]);
        receiver.breaks(link, "a payload is damaged");
        let mut link = receiver.resume(&ticket, &list).expect("resumed");
        let on = coded(0, 22, GZIP, 0, 3, &stored(GZIP, b"end"));
        link.put(&[first(GZIP), second(GZIP), on, fin(0, b"the first, the second.end")]);
        link.acked(0, 26);
        link.leave(0);
    }),
    case(&["W-9.5"], "context_does_not_outlive_its_link", || {
        let receiver = shared();
        let mut link = receiver.watched();
        link.put(&[open(0), first(GZIP)]);
        link.acked(0, 11);
        let entry = super::super::message::Entry { sent: 11, ..Default::default() };
        let list =
            super::super::message::Resume { streams: vec![entry], local_opened: 1, peer_opened: 0 };
        let mut link = receiver.resume(&link.ticket, &list).expect("resumed");
        link.put(&[second(GZIP)]);
        let ticket = link.ticket.clone();
        receiver.breaks(link, "a payload is damaged");
        let mut link = receiver.resume(&ticket, &list).expect("resumed");
        let anew = [head(GZIP), &stored(GZIP, b"the second.")].concat();
        link.put(&[coded(0, 11, GZIP, OWN, 11, &anew), fin(0, BOTH)]);
        link.acked(0, 23);
        link.leave(0);
    }),
    case(&["W-9.5"], "restart_has_no_effect_on_snappy", || {
        let mut link = shared().link();
        let without = first(SNAPPY).with(|frame| frame.flags = 0);
        link.put(&[open(0), without, second(SNAPPY).flags(OWN), fin(0, BOTH)]);
        link.acked(0, 23);
        link.leave(0);
    }),
    case(&["W-9.3"], "none_has_as_many_bytes_as_raw_bytes", || {
        for raw in [4, 6] {
            let wrong = data(0, 0, b"bytes").with(|frame| frame.data.1 = raw);
            twin(&[open(0)], &[data(0, 0, b"bytes")], &[wrong], "payload_len is 5");
        }
    }),
    case(&["W-9.3"], "none_has_no_restart", || {
        let right = data(0, 0, b"bytes");
        twin(&[open(0)], &[data(0, 0, b"bytes")], &[right.flags(OWN)], "RESTART with codec none");
    }),
    case(&["W-9.3"], "codec_has_at_least_one_byte_on_both_sides", || {
        let no_raw = first(GZIP).with(|frame| frame.data.1 = 0);
        twin(&[open(0)], &[first(GZIP)], &[no_raw], "raw_len with a codec is 0");
        let nothing = first(GZIP).with(|frame| frame.payload.clear());
        twin(&[open(0)], &[first(GZIP)], &[nothing], "payload_len with a codec is 0");
    }),
    case(&["W-9.4"], "payload_decodes_to_exactly_raw_len", || {
        for codec in [GZIP, ZSTD, SNAPPY, LZ4] {
            for raw in [10, 12] {
                let wrong = first(codec).with(|frame| frame.data.1 = raw);
                payloads(&[first(codec)], &[wrong]);
            }
        }
    }),
    case(&["W-9.4"], "payload_that_is_no_such_codec_is_an_error", || {
        for codec in [GZIP, ZSTD, SNAPPY, LZ4] {
            let wrong = coded(0, 0, codec, OWN, 11, b"\xF7 no such thing \xF7\xF7");
            payloads(&[first(codec)], &[wrong]);
        }
    }),
    case(&["W-9.6"], "payload_ends_on_a_flush", || {
        for codec in [GZIP, ZSTD, LZ4] {
            let mut cut = first(codec);
            // More than the four bytes that a receiver of gzip puts there by itself.
            cut.payload.truncate(cut.payload.len() - 7);
            payloads(&[first(codec)], &[cut]);
        }
    }),
    case(&["W-9.4"], "payload_of_gzip_has_no_other_header", || {
        for (at, byte) in [(0, 0x1E), (2, 9), (3, 4)] {
            payloads(&[first(GZIP)], &[first(GZIP).with(|frame| frame.payload[at] = byte)]);
        }
        // MTIME, XFL and OS are ignored.
        let other = first(GZIP).with(|frame| frame.payload[4..10].copy_from_slice(b"anyway"));
        payloads(&[other], &[first(GZIP).with(|frame| frame.payload[3] = 1)]);
    }),
    case(&["W-9.4"], "payload_of_gzip_never_ends_its_member", || {
        let last = first(GZIP).with(|frame| frame.payload[10] |= 1);
        payloads(&[first(GZIP)], &[last]);
    }),
    case(&["W-9.4"], "payload_of_zstd_never_ends_its_frame", || {
        let last = first(ZSTD).with(|frame| frame.payload[6] |= 1);
        payloads(&[first(ZSTD)], &[last]);
    }),
    case(&["W-9.4"], "payload_of_zstd_has_a_window_of_2_to_the_17_at_most", || {
        payloads(&[first(ZSTD)], &[first(ZSTD).with(|frame| frame.payload[5] = 0x40)]);
    }),
    case(&["W-9.4"], "payload_of_lz4_has_no_other_header_and_no_end", || {
        for (at, byte) in [(0, 5), (4, 0x60), (5, 0x50), (6, 0xC1)] {
            payloads(&[first(LZ4)], &[first(LZ4).with(|frame| frame.payload[at] = byte)]);
        }
        let ended = first(LZ4).with(|frame| frame.payload.extend([0; 4]));
        payloads(&[first(LZ4)], &[ended]);
    }),
    case(&["W-9.1", "W-9.4"], "payload_of_a_codec_that_was_not_offered_is_an_error", || {
        let receiver = Receiver::start(&["--dir=out", "--codecs=gzip"]);
        let mut link = receiver.link();
        assert_eq!(link.theirs.codecs.iter().map(|offer| offer.0).collect::<Vec<_>>(), [GZIP]);
        link.put(&[open(0), first(GZIP)]);
        link.acked(0, 11);
        link.leave(1);
        for codec in [ZSTD, SNAPPY, LZ4, 5, 77, 192, 255] {
            let mut link = receiver.watched();
            let payload = stored(codec, b"the first, ");
            link.put(&[open(0), coded(0, 0, codec, OWN, 11, &[head(codec), &payload].concat())]);
            receiver.breaks(link, "a payload is damaged");
        }
    }),
    case(&["W-9.1", "W-9.4"], "offer_of_the_program_names_what_it_decodes", || {
        let link = shared().link();
        for (id, window_log, max_raw) in &link.theirs.codecs {
            let window = match *id {
                GZIP => 15,
                ZSTD => 17,
                _ => 0,
            };
            assert_eq!(*max_raw, 65_536, "codec {id}");
            assert!(window == 0 || *window_log == window, "codec {id}: {window_log}");
        }
        assert!(link.theirs.codecs.iter().any(|offer| offer.0 == GZIP));
        link.leave(0);
    }),
    case(&["W-9.2"], "sender_uses_none_where_the_peer_lists_nothing", || {
        let frames = sent(&log(1, 50_000), &[], &[]);
        assert!(frames.iter().all(|frame| frame.codec == 0));
    }),
    case(&["W-9.2"], "sender_uses_its_first_codec_that_the_peer_lists", || {
        let bytes = log(1, 50_000);
        let arguments = ["--codecs=zstd,lz4,gzip"];
        let theirs = [(GZIP, 15, 65_536), (LZ4, 0, 65_536)];
        let frames = sent(&bytes, &theirs, &arguments);
        assert!(frames.iter().any(|frame| frame.codec == LZ4), "its own order counts");
        assert!(frames.iter().all(|frame| matches!(frame.codec, 0 | LZ4)));
    }),
    case(&["W-9.4", "W-9.5", "W-9.6"], "sender_makes_gzip_that_section_9_describes", || {
        let bytes = log(2, 60_000);
        let frames = sent(&bytes, &[(GZIP, 15, 4_000)], &["--codecs=gzip"]);
        let (mut member, mut at, mut raw) = (Vec::new(), 0, 0);
        for frame in &frames {
            assert_eq!((frame.codec, frame.data.0), (GZIP, at), "log lines always shrink");
            assert!(frame.data.1 <= 4_000, "the receiver's max_raw");
            assert_eq!(frame.flags & OWN != 0, raw == 0, "RESTART on the first and no other");
            if raw == 0 {
                assert_eq!(frame.payload[..4], head(GZIP)[..4]);
            }
            member.extend(&frame.payload);
            member.extend([0, 0, 0xFF, 0xFF]);
            at += u64::from(frame.data.1);
            // All raw bytes of a payload come out of it.
            let mut out = vec![0; bytes.len()];
            let mut decoder = flate2::read::DeflateDecoder::new(&member[10..]);
            raw = 0;
            while let Ok(read @ 1..) = decoder.read(&mut out[raw..]) {
                raw += read;
            }
            assert_eq!(raw as u64, at);
            assert_eq!(out[..raw], bytes[..raw]);
        }
        assert_eq!(raw, bytes.len());
    }),
    case(&["W-9.3"], "sender_never_makes_a_payload_that_says_nothing", || {
        for frame in sent(&crate::support::random(3, 200_000), &[(GZIP, 15, 65_536)], &[]) {
            assert!(frame.data.1 > 0);
            assert!(frame.codec != 0 || frame.payload.len() == frame.data.1 as usize);
        }
    }),
];

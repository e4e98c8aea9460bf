//! Section 2: the first sixteen bytes.

use super::super::link::Raw;
use super::super::message::{Hello, Refuse};
use super::super::receiver::{PREFACE, handshake_error, name, shared};
use super::super::sender::Sender;
use super::super::wire::{HELLO, REFUSE};
use super::super::{Case, case};

/// A preface with this byte at this place, and a HELLO behind it.
fn changed(at: usize, byte: u8) -> Vec<u8> {
    let mut preface = PREFACE;
    preface[at] = byte;
    [&preface[..], &Hello::client(&name()).frame().bytes(false)].concat()
}

/// A server whose first bytes are these; what `p2 send` made of it.
fn first_bytes(bytes: &[u8], code: i32) -> (crate::support::Ended, Vec<u8>) {
    let sender = Sender::of(b"never sent", &[]);
    let mut call = sender.call();
    call.raw.send(bytes);
    assert_eq!(call.raw.rest(), [], "no PROOF for such a server");
    let ended = sender.ends(code);
    (ended, bytes.to_vec())
}

pub const CASES: &[Case] = &[
    case(&["W-2.1", "W-2.4", "W-1.1"], "preface_is_sent_at_once_and_exact", || {
        let mut raw = Raw::dial(&shared().address);
        assert_eq!(raw.preface(), PREFACE);
    }),
    case(&["W-2.1"], "preface_with_another_byte_in_its_magic_is_closed", || {
        for (at, byte) in PREFACE.into_iter().enumerate().take(8) {
            let bytes = changed(at, byte ^ 0x55);
            handshake_error(&shared(), &bytes, "");
        }
        shared().link().leave(0);
    }),
    case(&["W-2.1"], "preface_of_version_0_is_closed", || {
        handshake_error(&shared(), &changed(8, 0), "the preface is damaged");
    }),
    case(&["W-2.1"], "preface_whose_highest_version_is_under_the_lowest_is_closed", || {
        handshake_error(&shared(), &changed(9, 0), "the preface is damaged: versions 1 to 0");
    }),
    case(&["W-2.1", "W-1.1"], "preface_with_a_reserved_byte_set_is_closed", || {
        for at in 10..16 {
            handshake_error(&shared(), &changed(at, 1), "the preface is damaged");
        }
    }),
    case(&["W-2.3"], "preface_of_a_newer_peer_that_speaks_version_1_too_is_accepted", || {
        let mut raw = Raw::dial(&shared().address);
        raw.send(&changed(9, 9));
        assert_eq!(raw.preface(), PREFACE);
        assert_eq!(raw.frame().kind, HELLO);
    }),
    case(&["W-2.3", "W-6.11"], "preface_without_a_common_version_is_refused_with_version", || {
        let mut bytes = changed(9, 3);
        bytes[8] = 2;
        let mut raw = Raw::dial(&shared().address);
        raw.send(&bytes);
        assert_eq!(raw.preface(), PREFACE);
        assert_eq!(raw.refused().code, 7, "VERSION");
    }),
    case(&["W-2.2"], "preface_after_junk_is_closed_on_tcp", || {
        for junk in [&b"\n"[..], b"Welcome to this machine\r\n", &[0; 100]] {
            let bytes = [junk, &changed(9, 1)].concat();
            handshake_error(&shared(), &bytes, "");
        }
    }),
    case(&["W-2.1"], "preface_of_a_server_with_another_magic_ends_the_sender", || {
        let (ended, _) = first_bytes(b"\x89P3\r\n\0\xFF\n\x01\x01\0\0\0\0\0\0", 4);
        ended.says(&["the peer does not speak P2"]);
    }),
    case(&["W-2.1"], "preface_of_a_server_with_a_reserved_byte_ends_the_sender", || {
        let (ended, _) = first_bytes(b"\x89P2\r\n\0\xFF\n\x01\x01\0\0\0\0\0\x01", 4);
        ended.says(&["the preface is damaged"]);
    }),
    case(&["W-2.2"], "preface_of_a_server_after_junk_ends_the_sender_on_tcp", || {
        let bytes = [b"Last login: today\n", &PREFACE[..]].concat();
        first_bytes(&bytes, 4).0.says(&["does not speak P2", "Last login"]);
    }),
    case(&["W-2.3"], "preface_of_a_newer_server_only_ends_the_sender", || {
        let (ended, _) = first_bytes(b"\x89P2\r\n\0\xFF\n\x02\x03\0\0\0\0\0\0", 5);
        ended.says(&["no common protocol version: this side speaks 1 to 1, the peer 2 to 3"]);
    }),
    case(&["W-2.4", "W-2.3"], "preface_and_a_refusal_with_version_end_the_sender", || {
        let sender = Sender::of(b"never sent", &[]);
        sender.call().refuse(&Refuse::new(7));
        sender.ends(5).says(&["because of the test"]);
        assert_eq!(Refuse::new(7).frame().kind, REFUSE);
    }),
];

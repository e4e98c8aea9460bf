//! Section 6: the order of the handshake, the proofs, and the answers to wrong ones.

use std::time::Duration;

use super::super::link::{Greeted, Raw, hmac};
use super::super::message::{Hello, Proof, RESUMES, Refuse, Resume, TOKEN, open};
use super::super::receiver::{self, PREFACE, Receiver, name, shared, shared_with_token, twin};
use super::super::sender::{SECRET, Sender};
use super::super::wire::*;
use super::super::{Case, case};

const SOON: Duration = Duration::from_millis(200);

/// What a server answers to a first HELLO with this change.
fn answer_to(change: impl FnOnce(&mut Hello)) -> Refuse {
    let mut raw = Raw::dial(&shared().address);
    let hello = Hello::client(&name()).with(change);
    raw.send(&[&PREFACE[..], &hello.frame().bytes(false)].concat());
    raw.preface();
    raw.refused()
}

/// What a server answers to this proof.
fn proven(mut greeted: Greeted, proof: &Proof) -> Refuse {
    greeted.raw.put(&[proof.frame()]);
    greeted.raw.refused()
}

fn token_key() -> [u8; 32] {
    hmac(receiver::TOKEN.as_bytes(), b"p2 v1 token", &[])
}

/// A server that changes its HELLO to a new client; the words with which the client gives up.
fn server_hello(change: impl FnOnce(&mut Hello), words: &str) {
    let sender = Sender::of(b"never sent", &[]);
    let mut greeted = sender.call().greet(Hello::server().with(change));
    assert_eq!(greeted.raw.rest(), [], "no PROOF for such a server");
    sender.ends(1).says(&[words]);
}

/// A server that changes its PROOF; the words with which the client gives up.
fn server_proof(change: impl FnOnce(&mut Proof), code: i32, words: &str) {
    let sender = Sender::of(b"never sent", &[]);
    let mut greeted = sender.call().greet(Hello::server());
    greeted.proven(&[0; 32]);
    let mut proof = greeted.proof(&[0; 32], "server");
    proof.secret = Some(SECRET);
    change(&mut proof);
    greeted.raw.put(&[proof.frame()]);
    assert_eq!(greeted.raw.rest(), [], "no stream for such a server");
    sender.ends(code).says(&[words]);
}

pub const CASES: &[Case] = &[
    case(&["W-6.1", "W-6.3"], "handshake_of_a_new_session", || {
        let receiver = shared();
        let (one, two) = (receiver.greet(Hello::client("")), receiver.greet(Hello::client("")));
        for greeted in [&one, &two] {
            let server = &greeted.server;
            assert_eq!((server.role, server.epoch, server.auth & RESUMES), (1, 1, 0));
            assert_ne!(server.session, [0; 16]);
        }
        assert_ne!(one.server.nonce, two.server.nonce, "fresh for each link");
        assert_ne!(one.server.session, two.server.session, "fresh for each session");
        assert_eq!(one.server.boot_id, two.server.boot_id, "one process");
    }),
    case(
        &["W-6.1"],
        "handshake_of_a_client_begins_with_hello_and_goes_on_after_the_servers",
        || {
            let sender = Sender::of(b"", &[]);
            let mut call = sender.call();
            assert_eq!(call.hello.role, 0);
            assert_eq!(call.raw.frame_within(SOON), None, "no PROOF before the server's HELLO");
            let mut greeted = call.greet(Hello::server());
            assert_eq!(greeted.proven(&[0; 32]), None, "no RESUME for a new session");
        },
    ),
    case(&["W-6.1"], "handshake_of_a_server_answers_each_message_and_is_not_ahead", || {
        let mut raw = Raw::dial(&shared().address);
        raw.send(&PREFACE);
        raw.preface();
        assert_eq!(raw.frame_within(SOON), None, "no HELLO before the client's");
        let mut greeted = shared().greet(Hello::client(&name()));
        assert_eq!(greeted.raw.frame_within(SOON), None, "no PROOF before the client's");
        let proof = greeted.proof(&[0; 32], "client");
        greeted.raw.put(&[proof.frame()]);
        assert_eq!(greeted.raw.frame().kind, PROOF);
    }),
    case(&["W-6.2", "W-6.14"], "handshake_takes_no_other_frame_before_the_proof", || {
        let frames = [open(0), data(0, 0, b"x"), ping(1, 1), receipt(0), fin(0, b"")];
        for frame in frames {
            let receiver = shared();
            let mut greeted = receiver.greet(Hello::client(&name()));
            greeted.raw.put(&[frame]);
            greeted.raw.silently_closed();
            let reason = receiver.link_refused(&greeted.raw.local());
            assert!(reason.contains("before the handshake is complete"), "{reason}");
        }
    }),
    case(&["W-6.2"], "handshake_out_of_order_is_an_error", || {
        let receiver = shared();
        let mut greeted = receiver.greet(Hello::client(&name()));
        greeted.raw.put(&[Hello::client(&name()).frame()]);
        greeted.raw.silently_closed();
        let reason = receiver.link_refused(&greeted.raw.local());
        assert!(reason.contains("a frame out of order"), "{reason}");
        let proof = Proof { mac: [0; 32], secret: None, choice: (0, 0) }.frame();
        let first = [&PREFACE[..], &proof.bytes(false)].concat();
        receiver::handshake_error(&receiver, &first, "a frame out of order");
    }),
    case(&["W-6.2"], "handshake_frames_after_the_handshake_are_errors", || {
        let proof = Proof { mac: [0; 32], secret: None, choice: (0, 0) }.frame();
        let resume = Resume::default().frame();
        let refuse = Refuse::new(6).frame();
        for frame in [Hello::client("again").frame(), proof, resume, refuse] {
            twin(&[], &[ping(1, 1)], &[frame], "belongs into the handshake");
        }
    }),
    case(&["W-6.2"], "handshake_of_a_client_takes_no_stream_before_the_servers_proof", || {
        let sender = Sender::of(b"never sent", &[]);
        let mut greeted = sender.call().greet(Hello::server());
        greeted.proven(&[0; 32]);
        greeted.raw.put(&[ping(1, 1)]);
        assert_eq!(greeted.raw.rest(), []);
        sender.ends(1).says(&["before the handshake is complete"]);
    }),
    case(&["W-6.3", "W-6.11"], "hello_with_the_wrong_role_is_refused", || {
        assert_eq!(answer_to(|hello| hello.role = 1).code, 10, "PROTOCOL");
    }),
    case(&["W-6.3", "W-6.11"], "hello_for_a_new_session_with_an_id_is_refused", || {
        assert_eq!(answer_to(|hello| hello.session = [1; 16]).code, 10, "PROTOCOL");
    }),
    case(
        &["W-6.3", "W-6.11"],
        "hello_for_a_new_session_with_another_epoch_than_1_is_refused",
        || {
            for epoch in [0, 2, u64::MAX] {
                assert_eq!(answer_to(|hello| hello.epoch = epoch).code, 10, "PROTOCOL");
            }
        },
    ),
    case(&["W-6.3"], "hello_of_a_server_in_the_role_of_a_client_ends_the_sender", || {
        server_hello(|hello| hello.role = 0, "the peer dialled too");
    }),
    case(&["W-6.3"], "hello_of_a_server_that_resumes_what_is_new_ends_the_sender", || {
        server_hello(|hello| hello.auth = RESUMES, "broke the");
    }),
    case(&["W-6.3"], "hello_of_a_server_with_another_epoch_than_1_ends_the_sender", || {
        server_hello(|hello| hello.epoch = 2, "broke the");
    }),
    case(&["W-6.3"], "hello_of_a_server_without_a_session_ends_the_sender", || {
        server_hello(|hello| hello.session = [0; 16], "broke the");
    }),
    case(&["W-6.3"], "hello_of_a_server_for_an_unknown_session_repeats_what_was_asked", || {
        let mut greeted = shared().greet(Hello::client(&name()).with(|hello| {
            (hello.session, hello.epoch, hello.auth) = ([9; 16], 17, RESUMES);
        }));
        let server = &greeted.server;
        assert_eq!((server.session, server.epoch, server.auth), ([9; 16], 17, RESUMES));
        let proof = greeted.proof(&[1; 32], "client");
        greeted.raw.put(&[proof.frame(), Resume::default().frame()]);
        assert_eq!(greeted.raw.refused().code, 1, "UNKNOWN");
    }),
    case(&["W-6.4", "W-6.11"], "token_that_only_the_client_has_is_denied", || {
        for right in [token_key(), [0; 32]] {
            let greeted = shared().greet(Hello::client(&name()).with(|hello| hello.auth = TOKEN));
            assert_eq!(greeted.server.auth & TOKEN, 0);
            let proof = greeted.proof(&right, "client");
            assert_eq!(proven(greeted, &proof).code, 4, "DENIED");
        }
    }),
    case(&["W-6.4", "W-6.11"], "token_that_only_the_server_has_is_denied", || {
        for right in [[0; 32], token_key()] {
            let greeted = shared_with_token().greet(Hello::client(&name()));
            assert_eq!(greeted.server.auth & TOKEN, TOKEN);
            let proof = greeted.proof(&right, "client");
            assert_eq!(proven(greeted, &proof).code, 4, "DENIED");
        }
    }),
    case(&["W-6.4"], "token_that_only_the_server_says_to_have_ends_the_sender", || {
        let sender = Sender::of(b"never sent", &[]);
        let mut greeted = sender.call().greet(Hello::server().with(|hello| hello.auth = TOKEN));
        assert_eq!(greeted.raw.rest(), []);
        sender.ends(5).says(&["wants a token and this side has none"]);
    }),
    case(&["W-6.6", "W-6.8"], "token_opens_a_session_and_gives_the_resume_secret", || {
        let receiver = shared_with_token();
        // Checks the server's proof, and that the secret is not sent.
        let link = receiver.link_with_token();
        let again = receiver.resume(&link.ticket, &Resume::default());
        again.expect("the derived secret is the right one").leave(0);
    }),
    case(&["W-6.6", "W-6.7"], "token_that_is_another_one_is_denied", || {
        let receiver = shared_with_token();
        let greeted = receiver.greet(Hello::client(&name()).with(|hello| hello.auth = TOKEN));
        let key = hmac(b"correct horse battery stable", b"p2 v1 token", &[]);
        let proof = greeted.proof(&key, "client");
        assert_eq!(proven(greeted, &proof).code, 4, "DENIED");
    }),
    case(&["W-6.8"], "secret_is_drawn_for_each_session_and_sent_once", || {
        let receiver = shared();
        let (one, two) = (receiver.link(), receiver.link());
        assert_ne!(one.ticket.secret, two.ticket.secret);
        let again = receiver.resume(&one.ticket, &Resume::default());
        again.expect("the secret resumes it").leave(0);
        two.leave(0);
    }),
    case(&["W-6.8"], "secret_in_a_clients_proof_is_an_error", || {
        let greeted = shared().greet(Hello::client(&name()));
        let mut proof = greeted.proof(&[0; 32], "client");
        proof.secret = Some([1; 32]);
        let mut raw = greeted.raw;
        raw.put(&[proof.frame()]);
        let rest = raw.rest();
        assert!(rest.iter().all(|frame| frame.kind == REFUSE), "no session: {rest:?}");
    }),
    case(&["W-6.8"], "secret_that_is_missing_in_a_servers_proof_ends_the_sender", || {
        server_proof(|proof| proof.secret = None, 1, "secret is missing or superfluous");
    }),
    case(&["W-6.7", "W-6.6"], "proof_with_a_changed_bit_is_denied", || {
        for bit in [0, 7, 100, 255] {
            let greeted = shared().greet(Hello::client(&name()));
            let mut proof = greeted.proof(&[0; 32], "client");
            proof.mac[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(proven(greeted, &proof).code, 4, "DENIED");
        }
    }),
    case(&["W-6.6"], "proof_under_the_label_of_the_other_role_is_denied", || {
        let greeted = shared().greet(Hello::client(&name()));
        let proof = greeted.proof(&[0; 32], "server");
        assert_eq!(proven(greeted, &proof).code, 4, "DENIED");
    }),
    case(&["W-6.5"], "proof_covers_every_byte_of_both_prefaces_and_hellos", || {
        // One of another link, whose nonces and session alone differ.
        let receiver = shared();
        let (one, two) = (receiver.greet(Hello::client("")), receiver.greet(Hello::client("")));
        let stolen = one.proof(&[0; 32], "client");
        assert_eq!(proven(two, &stolen).code, 4, "DENIED");
        receiver.link().leave(0);
    }),
    case(&["W-6.7", "W-6.6"], "proof_of_a_server_that_is_wrong_ends_the_sender", || {
        server_proof(|proof| proof.mac[31] ^= 1, 5, "could not prove");
    }),
    case(&["W-6.9", "W-6.11"], "proof_with_another_choice_of_codecs_is_refused", || {
        let gzip = vec![(1, 15, 65_536)];
        for wrong in [(0, 1), (1, 0), (0, 0), (2, 1)] {
            let hello = Hello::client(&name()).with(|hello| hello.codecs = gzip.clone());
            let greeted = shared().greet(hello);
            assert_eq!(greeted.choice(), (1, 1));
            let mut proof = greeted.proof(&[0; 32], "client");
            proof.choice = wrong;
            assert_eq!(proven(greeted, &proof).code, 10, "PROTOCOL");
        }
        shared().link_with(|hello| hello.codecs = gzip).leave(0);
    }),
    case(&["W-6.9"], "proof_of_a_server_with_another_choice_ends_the_sender", || {
        server_proof(|proof| proof.choice = (1, 0), 1, "chose different codecs");
    }),
    case(&["W-6.11"], "refusal_names_the_process_in_boot_id", || {
        let greeted = shared().greet(Hello::client(&name()));
        let boot_id = greeted.server.boot_id;
        let proof = greeted.proof(&[3; 32], "client");
        let refuse = proven(greeted, &proof);
        assert_eq!((refuse.boot_id, refuse.epoch), (boot_id, 0));
        assert_ne!(boot_id, [0; 16]);
    }),
    case(&["W-6.11"], "refusal_without_a_common_codec_is_no_codec", || {
        let receiver = Receiver::start(&["--dir=out", "--require-codec"]);
        let mut greeted = receiver.greet(Hello::client(&name()));
        assert_eq!(greeted.raw.refused().code, 8, "NO_CODEC");
        let gzip = |hello: &mut Hello| hello.codecs = vec![(1, 15, 65_536)];
        receiver.link_with(gzip).leave(0);
    }),
    case(&["W-6.12"], "refusal_by_a_client_ends_the_link_and_nothing_else", || {
        for code in [8, 9] {
            let receiver = shared();
            let mut greeted = receiver.greet(Hello::client(&name()));
            greeted.raw.put(&[Refuse::new(code).frame()]);
            greeted.raw.silently_closed();
            let reason = receiver.link_refused(&greeted.raw.local());
            assert!(reason.contains("because of the test"), "{reason}");
        }
    }),
    case(&["W-6.12"], "refusal_by_a_sender_that_requires_a_codec", || {
        let sender = Sender::of(b"never sent", &["--require-codec"]);
        let mut greeted = sender.call().greet(Hello::server());
        let rest = greeted.raw.rest();
        assert!(rest.iter().all(|frame| frame.kind == REFUSE), "REFUSE or nothing: {rest:?}");
        sender.ends(5).says(&["no codec in common"]);
    }),
    case(&["W-6.13"], "handshake_of_more_than_16384_bytes_is_given_up", || {
        let hello = Hello::client(&name()).frame().bytes(false);
        let part = Frame::new(RESUME, 0, vec![0; 16_384]).bytes(false);
        let all = [&PREFACE[..], &hello, &part].concat();
        let words = "over 16384 bytes before its proof";
        // One byte short of a whole RESUME: what ends it is the limit, not the frame.
        receiver::handshake_error_after_hello(&shared(), &all[..all.len() - 1], words);
    }),
    case(&["W-6.13"], "handshake_of_more_than_10_seconds_is_given_up", || {
        let receiver = Receiver::start(&[]);
        let began = std::time::Instant::now();
        let mut raw = Raw::dial(&receiver.address);
        raw.send(&PREFACE);
        assert_eq!(raw.preface(), PREFACE);
        raw.silently_closed();
        assert!(began.elapsed() >= Duration::from_secs(9), "{:?}", began.elapsed());
        let reason = receiver.link_refused(&raw.local());
        assert!(reason.contains("no handshake within 10 s"), "{reason}");
    }),
];

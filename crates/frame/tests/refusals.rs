//! Each thing that is wrong with a frame has its own error, found as early as it can be.

mod support;

use bytes::{Bytes, BytesMut};
use p2_frame::*;
use support::*;

/// The error that `bytes` decode to.
fn refused(bytes: &[u8]) -> DecodeError {
    refused_under(bytes, &DecodeLimits::default())
}

fn refused_under(bytes: &[u8], limits: &DecodeLimits) -> DecodeError {
    decode(&mut BytesMut::from(bytes), limits).expect_err("must be refused")
}

/// A header and a body.
fn raw(kind: FrameKind, flags: u8, stream: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind.get(), flags, 0, 0];
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// A header alone, stating a length.
fn header(kind: FrameKind, len: u32) -> Vec<u8> {
    let mut bytes = raw(kind, 0, 0, &[]);
    bytes[4..8].copy_from_slice(&len.to_le_bytes());
    bytes
}

/// `frame` with the byte at `at` changed by `change`.
fn changed(frame: &Frame, at: usize, change: impl Fn(u8) -> u8) -> BytesMut {
    let mut bytes = encode(frame, false);
    bytes[at] = change(bytes[at]);
    bytes
}

fn by_kind(kind: FrameKind) -> Frame {
    one_of_each().into_iter().find(|frame| frame.kind() == kind).unwrap()
}

#[test]
fn an_unknown_type_is_refused() {
    for kind in [0, 18, 255].map(FrameKind::new) {
        assert_eq!(refused(&header(kind, 0)), DecodeError::UnknownKind { kind });
    }
}

#[test]
fn an_unknown_type_that_may_be_skipped_is_skipped() {
    let kind = FrameKind::new(99);
    let mut bytes = raw(kind, 0x40 | 0x3f, u64::MAX, &[7; 4096]);
    bytes[2] = 200; // whatever its codec byte means
    bytes.extend_from_slice(&encode(&by_kind(FrameKind::PING), false));
    let mut buf = BytesMut::from(&bytes[..]);
    let limits = DecodeLimits::default();
    assert_eq!(decode(&mut buf, &limits), Ok(Some(Frame::Skipped { kind: 99, len: 4096 })));
    assert_eq!(decode(&mut buf, &limits), Ok(Some(by_kind(FrameKind::PING))));

    let long = raw(kind, 0x40, 0, &[7; 4097]);
    assert_eq!(refused(&long[..16]), DecodeError::TooLong { kind, len: 4097, limit: 4096 });
}

#[test]
fn a_skipped_frame_cannot_be_sent() {
    let mut out = BytesMut::new();
    let error = Frame::Skipped { kind: 99, len: 0 }.encode(&mut out, false).unwrap_err();
    assert_eq!(error.to_string(), "type 0x63: a skipped frame has no content to send");
    assert!(out.is_empty());
}

#[test]
fn the_skippable_flag_is_for_unknown_types_alone() {
    for frame in one_of_each() {
        let kind = frame.kind();
        let error = refused(&changed(&frame, 1, |flags| flags | 0x40));
        assert!(matches!(error, DecodeError::Flags { kind: k, .. } if k == kind), "{error}");
    }
}

#[test]
fn unknown_flags_are_refused_in_every_type() {
    for frame in one_of_each() {
        for bit in 0..7 {
            // Those three have a flag of their own; DATA's has a rule of its own too.
            let own = bit == 0
                && matches!(frame.kind(), FrameKind::DATA | FrameKind::CLOSE | FrameKind::RESUME);
            if !own {
                let error = refused(&changed(&frame, 1, |flags| flags | 1 << bit));
                assert!(matches!(error, DecodeError::Flags { .. }), "{frame:?}: {error}");
            }
        }
    }
}

#[test]
fn the_reserved_byte_must_be_zero_in_every_type() {
    for frame in one_of_each() {
        let kind = frame.kind();
        let bytes = changed(&frame, 3, |_| 9);
        assert_eq!(refused(&bytes[..16]), DecodeError::Reserved { kind, value: 9 });
    }
}

#[test]
fn only_data_has_a_codec() {
    for frame in one_of_each() {
        let kind = frame.kind();
        let bytes = changed(&frame, 2, |_| 1);
        if kind != FrameKind::DATA {
            assert_eq!(refused(&bytes[..16]), DecodeError::Codec { kind, codec: 1 });
        }
    }
}

#[test]
fn a_stream_stands_only_in_frames_that_have_one() {
    for frame in one_of_each() {
        let kind = frame.kind();
        let session = matches!(
            kind,
            FrameKind::HELLO
                | FrameKind::PROOF
                | FrameKind::RESUME
                | FrameKind::PING
                | FrameKind::PONG
                | FrameKind::GOAWAY
                | FrameKind::CLOSE
                | FrameKind::RECEIPT
                | FrameKind::REFUSE
        );
        let mut bytes = encode(&frame, false);
        let (stream, max) = if session { (1, 0) } else { (1 << 63, (1 << 63) - 1) };
        bytes[8..16].copy_from_slice(&u64::to_le_bytes(stream));
        assert_eq!(refused(&bytes[..16]), DecodeError::Stream { kind, stream, max });
    }
}

#[test]
fn a_fixed_body_has_its_one_length() {
    for (kind, expected) in [
        (FrameKind::FIN, 16),
        (FrameKind::RESET, 12),
        (FrameKind::STOP, 4),
        (FrameKind::CREDIT, 16),
        (FrameKind::PING, 16),
        (FrameKind::PONG, 16),
        (FrameKind::GAP, 16),
        (FrameKind::BLOCKED, 8),
        (FrameKind::RECEIPT, 8),
    ] {
        for len in [0, expected - 1, expected + 1, u32::MAX] {
            let error = DecodeError::Length { kind, len: len.into(), expected: expected.into() };
            assert_eq!(refused(&header(kind, len)), error);
        }
        assert_eq!(
            needed(&header(kind, expected), &DecodeLimits::default()),
            Ok(expected as usize)
        );
    }
}

#[test]
fn a_payload_over_its_limit_is_refused_from_the_header_alone() {
    for (kind, limit) in [
        (FrameKind::HELLO, 4096),
        (FrameKind::PROOF, 4096),
        (FrameKind::RESUME, 16_384),
        (FrameKind::OPEN, 4096),
        (FrameKind::DATA, 81_920),
        (FrameKind::GOAWAY, 4096),
        (FrameKind::CLOSE, 4096),
        (FrameKind::REFUSE, 4096),
    ] {
        for len in [limit + 1, u32::MAX] {
            assert_eq!(refused(&header(kind, len)), DecodeError::TooLong { kind, len, limit });
        }
        let mut waiting = BytesMut::from(&header(kind, limit)[..]);
        assert_eq!(decode(&mut waiting, &DecodeLimits::default()), Ok(None));
    }
}

#[test]
fn the_data_limit_can_be_lowered_and_not_raised() {
    let kind = FrameKind::DATA;
    for (max_payload, limit) in [(100, 100), (u32::MAX, 81_920)] {
        let limits = DecodeLimits { max_payload, ..DecodeLimits::default() };
        let error = refused_under(&header(kind, limit + 1), &limits);
        assert_eq!(error, DecodeError::TooLong { kind, len: limit + 1, limit });
    }
}

#[test]
fn before_the_proof_only_the_handshake_may_come() {
    let limits = DecodeLimits { handshake: true, ..DecodeLimits::default() };
    for frame in one_of_each() {
        let kind = frame.kind();
        let mut bytes = encode(&frame, false);
        let expected = match kind {
            FrameKind::HELLO | FrameKind::PROOF | FrameKind::RESUME | FrameKind::REFUSE => {
                Ok(Some(frame))
            }
            _ => Err(DecodeError::TooEarly { kind }),
        };
        assert_eq!(decode(&mut bytes, &limits), expected);
    }
    let kind = FrameKind::new(99);
    let error = refused_under(&raw(kind, 0x40, 0, &[]), &limits);
    assert_eq!(error, DecodeError::TooEarly { kind });
}

#[test]
fn the_checksum_is_there_exactly_if_it_was_agreed_on() {
    for frame in one_of_each() {
        let kind = frame.kind();
        if matches!(kind, FrameKind::HELLO | FrameKind::REFUSE) {
            for policy in [CrcPolicy::Off, CrcPolicy::Required] {
                let bytes = changed(&frame, 1, |flags| flags | 0x80);
                let error = refused_under(&bytes[..16], &limits(policy));
                assert_eq!(error, DecodeError::CrcUnexpected { kind });
            }
            continue;
        }
        let error = refused_under(&encode(&frame, true)[..16], &limits(CrcPolicy::Off));
        assert_eq!(error, DecodeError::CrcUnexpected { kind });
        let error = refused_under(&encode(&frame, false)[..16], &limits(CrcPolicy::Required));
        assert_eq!(error, DecodeError::CrcMissing { kind });
    }
}

#[test]
fn a_wrong_checksum_is_refused_with_both_values() {
    let mut bytes = encode(&by_kind(FrameKind::PING), true);
    let stated = u32::from_le_bytes(bytes[32..].try_into().unwrap());
    bytes[20] ^= 1;
    let computed = crc32c(&bytes[..32]);
    let error = refused_under(&bytes, &limits(CrcPolicy::Required));
    assert_eq!(error, DecodeError::CrcMismatch { kind: FrameKind::PING, stated, computed });
}

/// CRC-32C bit by bit, from its definition: reflected polynomial 0x82F63B78.
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82F6_3B78 * (crc & 1)))
    })
}

#[test]
fn the_checksum_is_crc32c() {
    assert_eq!(crc32c(b"123456789"), 0xE306_9283, "the check value of the CRC catalogue");
    for frame in one_of_each() {
        let (plain, bytes) = (encode(&frame, false), encode(&frame, true));
        if bytes.len() > plain.len() {
            let (covered, trailer) = bytes.split_at(plain.len());
            assert_eq!(crc32c(covered).to_le_bytes(), trailer);
        }
    }
}

#[test]
fn a_body_that_does_not_parse_is_refused() {
    for (body, what) in [
        (&[][..], "nothing"),
        (&[0, 5, b'a'], "a string longer than the body"),
        (&[0, 1, 0xff, 0], "no UTF-8"),
        (&[253, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0], "a u32 in the form of a u64"),
        (&[254, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], "a u128"),
        (&[255, 0, 0], "an unassigned form"),
        (&[0, 253, 255, 255, 255, 255, 255, 255, 255, 255, 0], "a length of 2^64 - 1"),
        (&[0, 252, 255, 255, 255, 127, 0], "a length of 2 GiB"),
        (&[0, 0, 252, 255, 255, 255, 127], "a list of 2^31 - 1"),
    ] {
        let error = refused(&raw(FrameKind::CLOSE, 0, 0, body));
        assert!(matches!(error, DecodeError::Body { .. }), "{what}: {error}");
    }
}

#[test]
fn a_body_has_one_encoding_and_no_bytes_after_its_end() {
    let kind = FrameKind::CLOSE;
    assert!(
        decode(&mut BytesMut::from(&raw(kind, 0, 0, &[5, 0, 0])[..]), &limits(CrcPolicy::Off))
            .is_ok()
    );
    for (body, what) in [
        (&[251, 5, 0, 0, 0][..], "5 in three bytes"),
        (&[252, 5, 0, 0, 0, 0, 0], "5 in five bytes"),
        (&[5, 251, 0, 0, 0], "a length of 0 in three bytes"),
        (&[5, 0, 0, 0], "a byte after the end"),
    ] {
        assert_eq!(refused(&raw(kind, 0, 0, body)), DecodeError::NotCanonical { kind }, "{what}");
    }
}

#[test]
fn an_extension_that_must_be_understood_is_refused_and_others_are_kept() {
    let kind = FrameKind::CLOSE;
    // code 0, no reason, one extension: tag as u16, value "x".
    let body = |tag: u16| [&[0, 0, 1, 251][..], &tag.to_le_bytes(), &[1, b'x']].concat();
    let mut known = BytesMut::from(&raw(kind, 0, 0, &body(0x7fff))[..]);
    let Ok(Some(Frame::Close(close))) = decode(&mut known, &DecodeLimits::default()) else {
        panic!("no CLOSE");
    };
    assert_eq!(close.ext, [(0x7fff, b"x".to_vec())]);
    assert_eq!(
        refused(&raw(kind, 0, 0, &body(0x8000))).to_string(),
        "CLOSE: extension 0x8000 must be understood, and this version does not know it"
    );
}

/// Encoding the frame fails, and so does decoding its bytes if they are made by force.
fn not_encoded(frame: Frame, words: &str) {
    let mut out = BytesMut::from("before");
    let error = frame.encode(&mut out, true).expect_err(words);
    assert_eq!(error.to_string(), words);
    assert_eq!(out, "before", "nothing is written");
}

#[test]
fn a_field_beyond_its_range_is_not_encoded() {
    const OVER: u64 = (1 << 62) + 1;
    let stream = client(0);
    let word = "is 4611686018427387905, allowed is 0 to 4611686018427387904";
    for (frame, field) in [
        (Frame::Fin(Fin { stream, final_offset: OVER, digest: 0 }), "FIN: final_offset"),
        (
            Frame::Reset(Reset { stream, code: ErrorCode::LIMIT, final_offset: OVER }),
            "RESET: final_offset",
        ),
        (Frame::Credit(Credit { stream, acked: 0, limit: OVER }), "CREDIT: limit"),
        (Frame::Blocked(Blocked { stream, offset: OVER }), "BLOCKED: offset"),
        (Frame::Gap(Gap { stream, offset: OVER, dropped: 0 }), "GAP: offset"),
        (Frame::GoAway(GoAway { last_stream: OVER, ..goaway() }), "GOAWAY: last_stream"),
        (Frame::Resume(Resume { local_opened: OVER, ..resume() }), "RESUME: local_opened"),
        (Frame::Resume(Resume { peer_opened: OVER, ..resume() }), "RESUME: peer_opened"),
    ] {
        not_encoded(frame, &format!("{field} {word}"));
    }
    let acked = OVER + 1;
    not_encoded(
        Frame::Credit(Credit { stream, acked, limit: 0 }),
        "CREDIT: acked is 4611686018427387906, allowed is 0 to 4611686018427387905",
    );
    not_encoded(
        Frame::Open(Open { priority: 5, ..open() }),
        "OPEN: priority is 5, allowed is 0 to 4",
    );
    not_encoded(
        Frame::Hello(Hello { auth: 8, ..hello() }.into()),
        "HELLO: auth is 8, allowed is 0 to 7",
    );
    for max_frame in [1023, 65_537] {
        let limits = PeerLimits { max_frame, ..hello().limits };
        not_encoded(
            Frame::Hello(Hello { limits, ..hello() }.into()),
            &format!("HELLO: max_frame is {max_frame}, allowed is 1024 to 65536"),
        );
    }
}

#[test]
fn texts_and_lists_over_their_bounds_are_not_encoded() {
    let text = |len| "x".repeat(len);
    let offer = hello().codecs[0];
    for (frame, words) in [
        (
            Frame::Hello(Hello { agent: text(65), ..hello() }.into()),
            "HELLO: length of agent is 65, allowed is 0 to 64",
        ),
        (
            Frame::Hello(Hello { session_name: text(256), ..hello() }.into()),
            "HELLO: length of session_name is 256, allowed is 0 to 255",
        ),
        (
            Frame::Hello(Hello { codecs: vec![offer; 33], ..hello() }.into()),
            "HELLO: number of codecs is 33, allowed is 0 to 32",
        ),
        (
            Frame::Open(Open { name: text(256), ..open() }),
            "OPEN: length of name is 256, allowed is 0 to 255",
        ),
        (
            Frame::Open(Open { metadata: vec![(text(25), text(1000))], ..open() }),
            "OPEN: metadata bytes is 1025, allowed is 0 to 1024",
        ),
        (
            Frame::Open(Open { metadata: vec![(text(0), text(0)); 33], ..open() }),
            "OPEN: metadata entries is 33, allowed is 0 to 32",
        ),
        (
            Frame::Resume(Resume { streams: vec![resume().streams[0]; 257], ..resume() }),
            "RESUME: number of streams is 257, allowed is 0 to 256",
        ),
        (
            Frame::GoAway(GoAway { reason: text(256), ..goaway() }),
            "GOAWAY: length of reason is 256, allowed is 0 to 255",
        ),
        (
            Frame::Close(Close { reason: text(256), ..close() }),
            "CLOSE: length of reason is 256, allowed is 0 to 255",
        ),
        (
            Frame::Refuse(Refuse { reason: text(256), ..refuse() }),
            "REFUSE: length of reason is 256, allowed is 0 to 255",
        ),
        (
            Frame::Proof(Proof { ext: vec![(0, vec![]); 33], ..proof() }.into()),
            "PROOF: number of extensions is 33, allowed is 0 to 32",
        ),
        (
            Frame::Close(Close { ext: vec![(0, vec![0; 1025])], ..close() }),
            "CLOSE: extension bytes is 1025, allowed is 0 to 1024",
        ),
    ] {
        not_encoded(frame, words);
    }
}

#[test]
fn fields_beyond_their_range_are_refused() {
    // Each valid frame with one field overwritten.
    let over = ((1u64 << 62) + 2).to_le_bytes();
    for (kind, at, field) in [
        (FrameKind::FIN, 16, "final_offset"),
        (FrameKind::RESET, 20, "final_offset"),
        (FrameKind::CREDIT, 16, "acked"),
        (FrameKind::CREDIT, 24, "limit"),
        (FrameKind::BLOCKED, 16, "offset"),
        (FrameKind::GAP, 16, "offset"),
        (FrameKind::DATA, 16, "offset"),
    ] {
        let mut bytes = encode(&by_kind(kind), false);
        bytes[at..at + 8].copy_from_slice(&over);
        match refused(&bytes) {
            DecodeError::Field(FieldError::OutOfRange { kind: k, field: f, value, .. }) => {
                assert_eq!((k, f, value), (kind, field, (1 << 62) + 2));
            }
            error => panic!("{error}"),
        }
    }
    // HELLO starts with the role; RESUME's first stream ends in end, stop, recv_end.
    assert_eq!(
        refused(&changed(&by_kind(FrameKind::HELLO), 16, |_| 2)).to_string(),
        "HELLO: role is 2, allowed is 0 to 1"
    );
    let end = encode(&by_kind(FrameKind::RESUME), false).len() - 6;
    assert_eq!(
        refused(&changed(&by_kind(FrameKind::RESUME), end, |_| 3)).to_string(),
        "RESUME: end is 3, allowed is 0 to 2"
    );
    let error = refused(&changed(&by_kind(FrameKind::RESUME), end + 1, |_| 2));
    assert!(matches!(error, DecodeError::Body { .. }), "a bool of 2: {error}");
}

#[test]
fn data_lengths_must_agree() {
    let data = data();
    let with = |raw_len, codec, payload: &'static [u8]| {
        Frame::Data(Data { raw_len, codec, payload: Bytes::from_static(payload), ..data.clone() })
    };
    not_encoded(with(4, CodecId::NONE, b"hello"), "DATA: payload_len is 5, allowed is 4 to 4");
    not_encoded(
        with(0, CodecId::GZIP, b"hello"),
        "DATA: raw_len with a codec is 0, allowed is 1 to 65536",
    );
    not_encoded(
        with(5, CodecId::GZIP, b""),
        "DATA: payload_len with a codec is 0, allowed is 1 to 81920",
    );
    not_encoded(
        Frame::Data(Data { restart: true, ..data.clone() }),
        "DATA: RESTART with codec none is 1, allowed is 0 to 0",
    );
    not_encoded(with(65_537, CodecId::GZIP, b"x"), "DATA: raw_len is 65537, allowed is 0 to 65536");
    not_encoded(
        with(1, CodecId::GZIP, &[0; 81_921]),
        "DATA: payload_len is 81921, allowed is 0 to 81920",
    );
    let last = Data { offset: (1 << 62) - 5, ..data.clone() };
    assert!(Frame::Data(last.clone()).encode(&mut BytesMut::new(), false).is_ok());
    not_encoded(
        Frame::Data(Data { offset: last.offset + 1, ..last }),
        "DATA: offset is 4611686018427387900, allowed is 0 to 4611686018427387899",
    );

    // On the way in, before a byte of the payload has come.
    for (raw_len, words) in [
        (4u32, "DATA: payload_len is 5, allowed is 4 to 4"),
        (0x1_0001, "DATA: raw_len is 65537, allowed is 0 to 65536"),
        (u32::MAX, "DATA: raw_len is 4294967295, allowed is 0 to 65536"),
    ] {
        let mut bytes = encode(&Frame::Data(data.clone()), false);
        bytes[24..28].copy_from_slice(&raw_len.to_le_bytes());
        assert_eq!(refused(&bytes[..28]).to_string(), words);
    }
}

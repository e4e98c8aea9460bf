//! Whatever is encoded decodes to itself, however the bytes are cut.

mod support;

use bytes::{Bytes, BytesMut};
use p2_frame::*;
use proptest::collection::vec;
use proptest::prelude::*;
use support::*;

#[test]
fn one_frame_of_each_kind_comes_back() {
    let kinds: Vec<_> = one_of_each().iter().map(Frame::kind).collect();
    assert_eq!(kinds, FrameKind::all().collect::<Vec<_>>());
    for frame in one_of_each() {
        for (crc, policy) in [(false, CrcPolicy::Off), (true, CrcPolicy::Required)] {
            let mut bytes = encode(&frame, crc);
            assert_eq!(decode(&mut bytes, &limits(policy)).as_ref(), Ok(&Some(frame.clone())));
            assert!(bytes.is_empty());
        }
    }
}

#[test]
fn every_truncation_of_every_kind_needs_more_bytes() {
    for frame in one_of_each() {
        for (crc, policy) in [(false, CrcPolicy::Off), (true, CrcPolicy::Required)] {
            let bytes = encode(&frame, crc);
            for cut in 0..bytes.len() {
                let mut head = BytesMut::from(&bytes[..cut]);
                assert_eq!(decode(&mut head, &limits(policy)), Ok(None), "{frame:?} at {cut}");
                assert_eq!(head[..], bytes[..cut], "nothing is consumed");
                let needed = needed(&head, &limits(policy)).unwrap();
                assert!(needed > 0 && cut + needed <= bytes.len(), "{frame:?} at {cut}");
            }
            assert_eq!(needed(&bytes, &limits(policy)), Ok(0));
        }
    }
}

#[test]
fn a_payload_is_a_slice_of_the_buffer_and_not_a_copy() {
    let mut bytes = encode(&Frame::Data(data()), true);
    let payload_at = bytes[28..].as_ptr();
    let Ok(Some(Frame::Data(data))) = decode(&mut bytes, &limits(CrcPolicy::Required)) else {
        panic!("no DATA");
    };
    assert_eq!(data.payload.as_ptr(), payload_at);
}

#[test]
fn hello_and_refuse_never_carry_a_crc() {
    for frame in [Frame::Hello(hello().into()), Frame::Refuse(refuse())] {
        assert_eq!(encode(&frame, true), encode(&frame, false));
    }
}

#[test]
fn the_largest_messages_fit() {
    let ext: Extensions = (0..32).map(|tag| (0x7fe0 + tag, vec![0; 32])).collect();
    let mut largest = hello();
    largest.agent = "a".repeat(64);
    largest.session_name = "n".repeat(255);
    largest.codecs = vec![CodecOffer { id: CodecId::LZ4, window_log: 255, max_raw: !0 }; 32];
    largest.limits.initial_window = 1 << 62;
    largest.limits.max_streams = 1 << 62;
    (largest.features, largest.epoch, largest.auth) = (u64::MAX, u64::MAX, 7);
    largest.ext = ext.clone();

    let mut metadata = vec![(String::new(), String::new()); 31];
    metadata.push(("k".repeat(24), "v".repeat(1000)));
    let open = Open {
        stream: server((1 << 62) - 1),
        label: u32::MAX,
        name: "n".repeat(255),
        priority: 4,
        metadata,
        ext: ext.clone(),
        ..open()
    };
    let stream = ResumeStream {
        stream: server((1 << 62) - 1),
        received: 1 << 62,
        acked: (1 << 62) + 1,
        limit: 1 << 62,
        sent: 1 << 62,
        end: StreamEnd::Reset,
        stop: true,
        recv_end: true,
    };
    let (local_opened, peer_opened) = (1 << 62, 1 << 62);
    let resume = Resume { streams: vec![stream; 256], local_opened, peer_opened, last: false, ext };
    for frame in [Frame::Hello(largest.into()), Frame::Open(open), Frame::Resume(resume)] {
        assert_eq!(decode(&mut encode(&frame, true), &limits_for(&frame)), Ok(Some(frame)));
    }
}

fn limits_for(frame: &Frame) -> DecodeLimits {
    let hello = frame.kind() == FrameKind::HELLO;
    limits(if hello { CrcPolicy::Off } else { CrcPolicy::Required })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_frame_comes_back(frame in any_frame(), crc in any::<bool>()) {
        let mut bytes = encode(&frame, crc);
        let policy = if crc { CrcPolicy::Required } else { CrcPolicy::Off };
        prop_assert_eq!(decode(&mut bytes, &limits(policy)), Ok(Some(frame)));
        prop_assert!(bytes.is_empty());
    }

    #[test]
    fn split_feeding_equals_whole(
        frames in vec(any_frame(), 1..6),
        sizes in vec(1..2000usize, 1..50),
        crc in any::<bool>(),
    ) {
        let mut wire = BytesMut::new();
        for frame in &frames {
            frame.encode(&mut wire, crc).unwrap();
        }
        let limits = limits(if crc { CrcPolicy::Required } else { CrcPolicy::Off });
        let (mut buf, mut got) = (BytesMut::new(), Vec::new());
        for size in sizes.iter().cycle() {
            let piece = wire.split_to((*size).min(wire.len()));
            buf.extend_from_slice(&piece);
            while let Some(frame) = decode(&mut buf, &limits).unwrap() {
                got.push(frame);
            }
            if wire.is_empty() {
                break;
            }
        }
        prop_assert_eq!(got, frames);
        prop_assert!(buf.is_empty());
    }

    #[test]
    fn any_truncation_needs_more(frame in any_frame(), at in any::<prop::sample::Index>()) {
        let bytes = encode(&frame, false);
        let cut = at.index(bytes.len());
        let mut head = BytesMut::from(&bytes[..cut]);
        prop_assert_eq!(decode(&mut head, &DecodeLimits::default()), Ok(None));
    }

    #[test]
    fn any_flipped_bit_is_noticed(frame in any_frame(), at in any::<prop::sample::Index>()) {
        prop_assume!(!matches!(frame.kind(), FrameKind::HELLO | FrameKind::REFUSE));
        let mut bytes = encode(&frame, true);
        let bit = at.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        let decoded = decode(&mut bytes, &limits(CrcPolicy::Required));
        prop_assert!(!matches!(decoded, Ok(Some(_))), "bit {bit}: {decoded:?}");
    }

    #[test]
    fn any_bytes_are_an_error_or_a_frame_that_encodes_to_the_same(
        bytes in vec(any::<u8>(), 0..200),
        kind in 0..20u8,
        len in 0..40u8,
    ) {
        let mut bytes = bytes;
        for (at, value) in [(0, kind), (1, 0), (2, 0), (3, 0), (4, len), (5, 0), (6, 0), (7, 0)] {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        let mut buf = BytesMut::from(&bytes[..]);
        if let Ok(Some(frame)) = decode(&mut buf, &DecodeLimits::default()) {
            let used = bytes.len() - buf.len();
            prop_assert_eq!(&encode(&frame, false)[..], &bytes[..used]);
        }
    }

    #[test]
    fn a_data_header_and_its_parts_equal_the_whole_frame(
        payload in vec(any::<u8>(), 0..300),
        cut in any::<prop::sample::Index>(),
        crc in any::<bool>(),
    ) {
        let payload = Bytes::from(payload);
        let len = payload.len() as u32;
        let (stream, offset, codec) = (server(9), 77, CodecId::NONE);
        let header =
            DataHeader { stream, offset, codec, restart: false, raw_len: len, payload_len: len, crc };
        let (a, b) = payload.split_at(cut.index(payload.len() + 1));
        let trailer = header.checksum([a, b]);
        let parts = [&header.encode()[..], a, b, if crc { &trailer } else { &[] }].concat();
        let data = Data { stream, offset, codec, restart: false, raw_len: len, payload };
        prop_assert_eq!(header.check(), Ok(()));
        prop_assert_eq!(parts, encode(&Frame::Data(data), crc));
    }
}

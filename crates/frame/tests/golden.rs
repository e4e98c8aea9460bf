//! The bytes of one frame of each kind, written down once and for all.

mod support;

use p2_frame::*;
use support::*;

/// Spaces are for reading.
fn bytes(hex: &str) -> Vec<u8> {
    let hex: String = hex.split_whitespace().collect();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn frames_have_these_bytes_for_ever() {
    let id = |byte: &str| byte.repeat(16);
    let golden = [
        // role, agent, nonce, two offers, limits, features, boot id, session, epoch, auth, name, ext
        format!(
            "01000000 6f000000 0000000000000000 00 08 70322f302e312e30 {0}{0}
             02 02 11 fc00000100 01 0f fc00000100 fc00000100 fc00000400 fb0004 00 {1} {2}
             01 00 04 77656231 00",
            id("11"),
            id("22"),
            id("00")
        ),
        format!("02000000 44000000 0000000000000000 {0}{0} 01 {1}{1} 02 01 00", id("33"), id("44")),
        "03010000 12000000 0000000000000000 01 02 fb2c01 fa fc70110100 05 01 00 01 02 00 00".into(),
        "04000000 13000000 0200000000000000 07 03 617070 02 01 01 04 686f7374 04 77656231 00"
            .into(),
        "05000000 05000000 0200000000000000 0201000000000000 05000000 68656c6c6f".into(),
        "06000000 10000000 0500000000000000 0201000000000000 c294d3380580062d".into(),
        "07000000 0c000000 0500000000000000 03000000 0201000000000000".into(),
        "08000000 04000000 0500000000000000 01000000".into(),
        "09000000 10000000 0500000000000000 0301000000000000 0000010000000000".into(),
        "0a000000 10000000 0000000000000000 0100000000000000 0200000000000000".into(),
        "0b000000 10000000 0000000000000000 0100000000000000 0200000000000000".into(),
        "0c000000 0a000000 0000000000000000 0d 03 fb1027 03 627965 00".into(),
        "0d010000 03000000 0000000000000000 00 00 00".into(),
        "0e000000 10000000 0500000000000000 0201000000000000 0010000000000000".into(),
        "0f000000 08000000 0500000000000000 0000010000000000".into(),
        "10000000 08000000 0000000000000000 0080000000000000".into(),
        format!("11000000 18000000 0000000000000000 05 00 {} 09 03 6f6c64 00", id("22")),
    ];
    for (frame, hex) in one_of_each().iter().zip(golden) {
        let golden = bytes(&hex);
        assert_eq!(
            encode(frame, false)[..],
            golden[..],
            "{frame:?}\n{:02x?}",
            encode(frame, false)
        );
    }
}

#[test]
fn integers_in_bodies_have_five_lengths() {
    for (code, hex) in [
        (0, "00"),
        (250, "fa"),
        (251, "fb fb00"),
        (65_535, "fb ffff"),
        (65_536, "fc 00000100"),
        (u32::MAX, "fc ffffffff"),
    ] {
        let frame = Frame::Close(Close { code: ErrorCode::new(code), ..close() });
        assert_eq!(encode(&frame, false)[16..], [bytes(hex), vec![0, 0]].concat()[..]);
    }
    for (epoch, hex) in [(1 << 32, "fd 0000000001000000"), (u64::MAX, "fd ffffffffffffffff")] {
        let frame = Frame::Refuse(Refuse { epoch, ..refuse() });
        assert_eq!(encode(&frame, false)[34..43], bytes(hex)[..]);
    }
}

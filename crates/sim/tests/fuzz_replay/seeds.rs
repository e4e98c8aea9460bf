//! Small inputs that each lead a fuzzer somewhere, made here so that they can be made again.

use std::sync::Arc;

use bytes::BytesMut;
use p2_codec::{CodecId, ContextBudget, Registry, StreamCodec, StreamEncoder};

use crate::handshake::honest_bytes;

type Seeds = Vec<(String, Vec<u8>)>;

fn named(seeds: &[(&str, &[&[u8]])]) -> Seeds {
    seeds.iter().map(|(name, parts)| ((*name).to_owned(), parts.concat())).collect()
}

/// Names that begin with `link-` lead to a link.
pub(crate) fn handshake() -> Seeds {
    let mut seeds = Seeds::new();
    let wishes =
        ["open", "token", "resume", "closed", "expired", "stale", "impostor", "wrong-token"];
    for (at, wish) in wishes.iter().enumerate() {
        for (bit, victim) in ["server", "client"].iter().enumerate() {
            let setting = (at << 1 | bit) as u8;
            let link = if at < 3 { "link-" } else { "" };
            seeds.push((format!("{link}{victim}-{wish}"), vec![setting, 0]));
            if at < 3 {
                let raw = [&[setting | 0x40, 0][..], honest_bytes(setting)].concat();
                seeds.push((format!("link-{victim}-{wish}-raw"), raw));
                let how = [setting | 0x30, 0x81 + at as u8];
                seeds.push((format!("link-{victim}-{wish}-crc-in-pieces"), how.to_vec()));
                seeds.push((format!("{victim}-{wish}-replayed"), vec![setting | 0x80, 0]));
                seeds.push((
                    format!("{victim}-{wish}-hello-changed"),
                    vec![setting, 0, 0, 60, 0, 1],
                ));
            }
        }
    }
    seeds.extend(named(&[
        ("link-after-a-banner", &[&[0, 0x40, 13 << 3 | 2, 0, 0], b"Welcome back\n"]),
        ("banner-without-leave", &[&[0, 0, 13 << 3 | 2, 0, 0], b"Welcome back\n"]),
        ("proof-changed", &[&[0, 5, 0, 165, 0, 0x80]]),
        ("proof-missing", &[&[1, 0, 5, 140, 0]]),
        ("hello-twice", &[&[2, 0, 31 << 3 | 4, 16, 0]]),
        ("zeros-without-end", &[&[0, 0, 4 << 3 | 6, 26, 0, 255]]),
        ("http", &[&[0x40, 0], b"GET / HTTP/1.1\r\n\r\n"]),
        ("ssh", &[&[0x41, 0x40], b"SSH-2.0-OpenSSH_9.6\r\n"]),
    ]));
    seeds
}

/// Steps of the target `session`.
pub(crate) fn session() -> Seeds {
    const OPEN: &[u8] = &[0, 0];
    const WRITE: &[u8] = &[2, 0, 0x77, 1];
    const WRITE_MORE: &[u8] = &[2, 0, 0xf8, 4];
    const READ: &[u8] = &[4, 0, 0xff];
    const FINISH: &[u8] = &[7, 0, 1];
    const RELEASE: &[u8] = &[8, 0, 2];
    const TRANSMIT: &[u8] = &[10];
    const A_WHILE: &[u8] = &[12, 50];
    const ATTACH: &[u8] = &[13, 0];
    const DETACH: &[u8] = &[14];
    const DELIVER: &[u8] = &[15];
    const PEER_OPENS: &[u8] = &[16, 0];
    const ACCEPT: &[u8] = &[1, 0];
    const ACCEPT_MANUAL: &[u8] = &[1, 1];
    const PEER_SENDS: &[u8] = &[17, 0, 2, 0x60];
    const PEER_SENDS_LATE: &[u8] = &[17, 0, 0x42, 0x60];
    const PEER_FINISHES: &[u8] = &[20, 0, 0, 0];
    const PEER_RESETS: &[u8] = &[20, 0, 1, 0];
    const ACKNOWLEDGED: &[u8] = &[19, 0, 0, 16, 0];
    const END_ACKNOWLEDGED: &[u8] = &[19, 0, 0xc0, 0, 0];
    named(&[
        (
            "there-and-back",
            &[
                &[0, 0],
                OPEN,
                WRITE,
                TRANSMIT,
                ACKNOWLEDGED,
                FINISH,
                TRANSMIT,
                END_ACKNOWLEDGED,
                PEER_SENDS,
                READ,
                PEER_FINISHES,
                READ,
                TRANSMIT,
                RELEASE,
                A_WHILE,
                TRANSMIT,
            ],
        ),
        (
            "taken-from-the-peer",
            &[
                &[1, 0],
                PEER_OPENS,
                ACCEPT,
                PEER_SENDS,
                PEER_SENDS,
                READ,
                TRANSMIT,
                PEER_FINISHES,
                READ,
                FINISH,
                TRANSMIT,
                END_ACKNOWLEDGED,
                RELEASE,
                TRANSMIT,
            ],
        ),
        (
            "acknowledged-by-hand",
            &[
                &[0, 0],
                PEER_OPENS,
                ACCEPT_MANUAL,
                PEER_SENDS,
                READ,
                &[6, 0, 0],
                A_WHILE,
                TRANSMIT,
                PEER_FINISHES,
                READ,
                &[6, 0, 0],
                TRANSMIT,
            ],
        ),
        (
            "resumed",
            &[
                &[0, 0],
                OPEN,
                WRITE_MORE,
                TRANSMIT,
                PEER_OPENS,
                PEER_SENDS,
                DETACH,
                WRITE,
                ATTACH,
                TRANSMIT,
                ACKNOWLEDGED,
                FINISH,
                DETACH,
                &[13, 8],
                TRANSMIT,
                TRANSMIT,
            ],
        ),
        ("resumed-by-a-liar", &[&[0, 0], OPEN, WRITE, TRANSMIT, &[13, 4, 0, 0xc3, 0, 0, 0]]),
        ("forgotten-by-a-liar", &[&[0, 0], OPEN, WRITE, TRANSMIT, &[13, 0x80], TRANSMIT]),
        ("listed-twice", &[&[0, 0], OPEN, WRITE, TRANSMIT, &[13, 0xc0], TRANSMIT]),
        (
            "late-payload",
            &[
                &[0, 0],
                PEER_OPENS,
                ACCEPT,
                PEER_SENDS_LATE,
                DETACH,
                ATTACH,
                DELIVER,
                PEER_SENDS,
                READ,
                PEER_SENDS_LATE,
                DELIVER,
                READ,
            ],
        ),
        ("beyond-the-credit", &[&[0, 0], PEER_OPENS, &[17, 0, 3, 0xff], &[17, 0, 3, 0xff]]),
        ("out-of-place", &[&[0, 0], PEER_OPENS, PEER_SENDS, &[17, 0, 0xc0, 0xc3, 0x60]]),
        ("never-opened", &[&[0, 0], &[17, 0xff, 9, 0, 0x60]]),
        ("end-changed", &[&[0, 0], PEER_OPENS, PEER_SENDS, PEER_FINISHES, &[20, 0, 0, 0xc0]]),
        (
            "wrong-digest",
            &[&[0, 0], PEER_OPENS, ACCEPT, PEER_SENDS, &[20, 0, 0xe, 0, 7], READ, READ],
        ),
        ("stopped", &[&[0, 0], OPEN, WRITE, TRANSMIT, &[21, 0], TRANSMIT, END_ACKNOWLEDGED]),
        (
            "given-up",
            &[&[0, 0], OPEN, WRITE, TRANSMIT, &[8, 0, 0], &[8, 0, 1], TRANSMIT, PEER_RESETS],
        ),
        ("taken-back", &[&[0, 0], PEER_OPENS, PEER_RESETS, ACCEPT, TRANSMIT]),
        (
            "marks",
            &[&[0, 0], PEER_OPENS, ACCEPT, &[23, 0, 0, 0, 7], READ, &[23, 0, 0, 1], TRANSMIT],
        ),
        ("gap-recorded", &[&[0, 0], OPEN, WRITE, &[7, 0, 0, 9], WRITE, TRANSMIT, TRANSMIT]),
        (
            "heartbeats",
            &[&[0, 0], &[22, 0, 1], TRANSMIT, &[12, 0xfe, 0x2c], TRANSMIT, &[22, 1, 0, 0]],
        ),
        ("flood", &[&[0, 0], &[22, 0xf0, 1], TRANSMIT]),
        ("empty-frames", &[&[0, 0], PEER_OPENS, &[17, 0, 0xf, 0, 0x7f]]),
        ("silence", &[&[0, 0], &[12, 0xfe, 0x2b], &[12, 0xfe, 0x2b], TRANSMIT]),
        ("receipt-of-more", &[&[0, 0], OPEN, WRITE, TRANSMIT, &[22, 2, 0], &[22, 2, 0xc0]]),
        ("closed-here", &[&[0, 0], &[9, 0], TRANSMIT, &[24, 0x20], TRANSMIT, OPEN]),
        ("closed-there", &[&[0, 0], OPEN, &[24, 0x21], TRANSMIT, WRITE, READ, RELEASE]),
        ("aborted", &[&[0, 0], OPEN, WRITE, &[9, 0x40], TRANSMIT, RELEASE]),
        ("going-away", &[&[0, 0], &[24, 0, 0, 0], OPEN, &[24, 0x40, 4], &[24, 0x60]]),
        ("tiny-limits", &[&[0x06, 0x27], OPEN, OPEN, WRITE_MORE, TRANSMIT, ACKNOWLEDGED, TRANSMIT]),
        ("without-a-link", &[&[0, 0x80], OPEN, TRANSMIT, PEER_SENDS, ATTACH, OPEN, WRITE]),
    ])
}

/// Names that begin with `bad-` are refused from their first payload on.
pub(crate) fn codec(id: CodecId) -> Seeds {
    let text = b"GET /index.html HTTP/1.1 200 5120 GET /index.css HTTP/1.1 200 312\n".as_slice();
    let noise: Vec<u8> = (0..200_u32).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 21) as u8).collect();
    let made = |raws: &[&[u8]]| {
        let registry = Arc::new(Registry::builtin());
        let mut encoder =
            StreamEncoder::new(registry, StreamCodec::new(id), ContextBudget::unlimited());
        let payload = |raw: &&[u8]| {
            let mut payload = BytesMut::new();
            encoder.encode(raw, &mut payload).expect("compressed");
            payload.to_vec()
        };
        raws.iter().map(payload).collect::<Vec<_>>()
    };
    let zeros = vec![0; 20_000];
    let first = &made(&[text])[0];
    let three = made(&[text, text, b"GET /index.css HTTP/1.1 200 312, and once more\n"]);
    let mut flipped = first.clone();
    let middle = flipped.len() / 3;
    flipped[middle] ^= 0x10;
    let hostile: &[u8] = match id {
        // A member that ends, a window of 1 GiB, a frame that ends, a length of 4 GiB.
        CodecId::GZIP => b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x03\0",
        CodecId::ZSTD => b"\x28\xb5\x2f\xfd\0\xa0\x01\0\0",
        CodecId::LZ4 => b"\x04\x22\x4d\x18\x40\x40\xc0\0\0\0\0",
        _ => b"\xff\xff\xff\xff\x0f\0",
    };
    let (len, one) = (text.len(), |len, payload: &[u8]| record(0, len, payload));
    let all = [record(0, len, &three[0]), record(0, len, &three[1]), record(0, 47, &three[2])];
    named(&[
        ("text", &[&[4], &one(len, first)]),
        ("one-context", &[&[0], &all.concat()]),
        ("one-context-three-ways", &[&[3], &all.concat()]),
        ("two-contexts", &[&[5], &one(len, first), &record(1, len, first)]),
        ("zeros", &[&[4], &one(20_000, &made(&[&zeros])[0])]),
        (
            "after-an-error",
            &[&[3], &one(len, first), &one(9, b"?"), &one(len, first), &record(1, len, first)],
        ),
        ("noise-behind", &[&[0], &one(len, first), &one(200, &noise)]),
        ("bad-claims-less", &[&[1], &one(len - 1, first)]),
        ("bad-claims-more", &[&[1], &one(len + 1, first)]),
        ("bad-cut", &[&[0], &one(len, &first[..first.len() - 2])]),
        ("bad-from-the-middle", &[&[0], &one(len, &first[7..])]),
        ("bad-nothing", &[&[0], &one(1, b"")]),
        ("bad-hostile", &[&[3], &one(40_000, hostile)]),
        ("bad-noise", &[&[2], &one(200, &noise)]),
        ("bad-twice-in-one", &[&[0], &one(2 * len, &[first.as_slice(), first].concat())]),
    ])
}

fn record(restart: u8, raw_len: usize, payload: &[u8]) -> Vec<u8> {
    let (raw, len) = (raw_len as u16 - 1, payload.len() as u16);
    [&[restart | 6][..], &raw.to_le_bytes(), &len.to_le_bytes(), payload].concat()
}

pub(crate) fn roundtrip() -> Seeds {
    let words = b"the same words again and again, ".as_slice();
    let say = |step: u8| [&[step, words.len() as u8][..], words].concat();
    let mut seeds = named(&[
        ("short", &[&[0], &[0, 3], b"abc"]),
        ("words", &[&[0], &say(0), &say(2), &say(8 * 9 + 2), &say(3)]),
        ("noise", &[&[0], &[4 + 8 * 30, 200, 9], &say(8 * 3), &[4, 60, 8]]),
        ("released", &[&[0], &say(8), &[6], &say(8), &[7], &say(8)]),
        ("without-room", &[&[1], &say(8), &say(16), &say(8)]),
        ("unknown-codec", &[&[0], &[5, 5], &say(8), &[5, 1], &say(8)]),
        ("no-such-level", &[&[0], &[5, 7 << 3 | 1], &say(8), &[5, 1], &say(8)]),
    ]);
    for codec in 1..=4 {
        let steps =
            [&[0][..], &[5, codec], &say(9), &say(17), &say(3), &[5, 4 << 3 | codec], &say(8)];
        seeds.push((format!("codec-{codec}"), steps.concat()));
    }
    seeds
}

pub(crate) fn pair() -> Seeds {
    let mut seeds = vec![
        ("nothing".to_owned(), vec![]),
        ("zeros".to_owned(), vec![0; 64]),
        ("ones".to_owned(), vec![0xff; 200]),
        ("rising".to_owned(), (0..=255).collect()),
    ];
    for start in 1..=6_u64 {
        let mut word = start;
        let tape = (0..120).map(|_| {
            word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            (word >> 56) as u8
        });
        seeds.push((format!("chance-{start}"), tape.collect()));
    }
    seeds
}

//! The hex transcripts in the specification are what this crate sends, byte for byte.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Read as _;

use bytes::{Bytes, BytesMut};
use hmac::{Hmac, Mac};
use p2_frame::*;
use sha2::{Digest, Sha256};
use support::{client, limits};

const SPECIFICATION: &str = include_str!("../WIRE.md");

/// What both sides send, in order: who and what, and its bytes.
type Transcript = Vec<(&'static str, Vec<u8>)>;

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

fn encode(frame: Frame, crc: bool) -> Vec<u8> {
    support::encode(&frame, crc).to_vec()
}

fn offer(id: CodecId, window_log: u8) -> CodecOffer {
    CodecOffer { id, window_log, max_raw: 65_536 }
}

/// The client of all transcripts: zstd before gzip.
fn client_hello(auth: u8, nonce: u8, session: [u8; 16], epoch: u64) -> Hello {
    Hello {
        role: Role::Client,
        agent: "p2/0.1.0".into(),
        nonce: [nonce; 32],
        codecs: vec![offer(CodecId::ZSTD, 17), offer(CodecId::GZIP, 15)],
        limits: PeerLimits { max_frame: 65_536, initial_window: 262_144, max_streams: 1024 },
        features: 0,
        boot_id: [0xc1; 16],
        session,
        epoch,
        auth,
        session_name: "web1".into(),
        ext: vec![],
    }
}

/// Its server: gzip alone.
fn server_hello(auth: u8, nonce: u8, epoch: u64) -> Hello {
    Hello {
        role: Role::Server,
        codecs: vec![offer(CodecId::GZIP, 15)],
        boot_id: [0x51; 16],
        session: SESSION,
        session_name: String::new(),
        ..client_hello(auth, nonce, SESSION, epoch)
    }
}

const SESSION: [u8; 16] = *b"0123456789abcdef";
const CHOICE: CodecChoice =
    CodecChoice { client_to_server: CodecId::GZIP, server_to_client: CodecId::GZIP };

/// Preface and HELLO of both sides, then PROOF of both, keyed by `key`.
fn handshake(hello: Hello, answer: Hello, key: &[u8], secret: Option<[u8; 32]>) -> Transcript {
    let crc = hello.wants_crc() || answer.wants_crc();
    let preface = Preface::default().encode().to_vec();
    let (hello, answer) =
        (encode(Frame::Hello(hello.into()), false), encode(Frame::Hello(answer.into()), false));
    let hash: [u8; 32] = Sha256::digest([&preface[..], &hello, &preface, &answer].concat()).into();
    let proof = |label: &[u8], secret| {
        let mac = hmac(key, &[label, &hash]);
        encode(Frame::Proof(Proof { mac, secret, choice: CHOICE, ext: vec![] }.into()), crc)
    };
    vec![
        ("C preface", preface.clone()),
        ("C HELLO", hello),
        ("S preface", preface),
        ("S HELLO", answer),
        ("C PROOF", proof(b"p2 v1 client proof", None)),
        ("S PROOF", proof(b"p2 v1 server proof", secret)),
    ]
}

/// A new session without a token: the server sends the resume secret.
fn plain() -> Transcript {
    let secret = Some([0x77; 32]);
    let hello = client_hello(0, 0x11, [0; 16], 1);
    handshake(hello, server_hello(0, 0x22, 1), &[0; 32], secret)
}

/// A new session with a token, and a CRC because the server wants one.
fn with_token() -> Transcript {
    let key = hmac(b"correct horse battery staple", &[b"p2 v1 token"]);
    let token = Hello::AUTH_TOKEN;
    let hello = client_hello(token, 0x11, [0; 16], 1);
    handshake(hello, server_hello(token | Hello::AUTH_CRC, 0x22, 1), &key, None)
}

/// The session of [`plain`] after its first link was lost, see [`data`]: of 24 bytes the server
/// has 13, FIN was lost.
fn resume() -> Transcript {
    let flag = Hello::AUTH_RESUME;
    let hello = client_hello(flag, 0x33, SESSION, 2);
    let mut transcript = handshake(hello, server_hello(flag, 0x44, 2), &[0x77; 32], None);
    let resume = |stream, local_opened, peer_opened| {
        let streams = vec![stream];
        let resume = Resume { streams, local_opened, peer_opened, last: true, ext: vec![] };
        encode(Frame::Resume(resume), false)
    };
    let client_view = ResumeStream {
        stream: client(0),
        received: 0,
        acked: 0,
        limit: 0,
        sent: 24,
        end: StreamEnd::Fin,
        stop: false,
        recv_end: false,
    };
    let server_view = ResumeStream {
        received: 13,
        acked: 13,
        limit: 262_157,
        sent: 0,
        end: StreamEnd::Open,
        ..client_view
    };
    let s_proof = transcript.pop().unwrap();
    transcript.push(("C RESUME", resume(client_view, 1, 0)));
    transcript.push(s_proof);
    transcript.push(("S RESUME", resume(server_view, 0, 1)));
    transcript.push(("C DATA", plain_data(13, b"of the log\n")));
    transcript.push(("C FIN", fin()));
    transcript.push(("S CREDIT", credit(25, 262_168)));
    transcript.push(("C CLOSE", close(false)));
    transcript.push(("S CLOSE", close(true)));
    transcript
}

const TEXT: &[u8] = b"first lines\n\nof the log\n";

/// One stream on the first link; the last two frames are lost with it.
fn data() -> Transcript {
    let open = Open {
        stream: client(0),
        label: 1,
        name: "app".into(),
        priority: 2,
        unidirectional: true,
        metadata: vec![],
        ext: vec![],
    };
    let open = encode(Frame::Open(open), false);
    let first = plain_data(0, b"first lines\n\n");
    let ping = encode(Frame::Ping(Ping { id: 0, time: 1500 }), false);
    // What the client has sent up to PING, after its handshake.
    let received = (open.len() + first.len() + ping.len()) as u64;
    vec![
        ("C OPEN", open),
        ("C DATA", first),
        ("S CREDIT", credit(13, 262_157)),
        ("C PING", ping),
        ("S PONG", encode(Frame::Pong(Pong { id: 0, time: 1500 }), false)),
        ("S RECEIPT", encode(Frame::Receipt(Receipt { received }), false)),
        ("C DATA", plain_data(13, b"of the log\n")),
        ("C FIN", fin()),
    ]
}

fn plain_data(offset: u64, bytes: &'static [u8]) -> Vec<u8> {
    encode_data(offset, CodecId::NONE, false, bytes.len() as u32, Bytes::from_static(bytes), false)
}

fn encode_data(
    offset: u64,
    codec: CodecId,
    restart: bool,
    raw_len: u32,
    payload: Bytes,
    crc: bool,
) -> Vec<u8> {
    let stream = client(0);
    encode(Frame::Data(Data { stream, offset, codec, restart, raw_len, payload }), crc)
}

fn fin() -> Vec<u8> {
    let digest = twox_hash::XxHash3_64::oneshot(TEXT);
    let final_offset = TEXT.len() as u64;
    encode(Frame::Fin(Fin { stream: client(0), final_offset, digest }), false)
}

fn credit(acked: u64, limit: u64) -> Vec<u8> {
    encode(Frame::Credit(Credit { stream: client(0), acked, limit }), false)
}

fn close(ack: bool) -> Vec<u8> {
    let code = ErrorCode::NO_ERROR;
    encode(Frame::Close(Close { code, reason: String::new(), ack, ext: vec![] }), false)
}

const HELLOS: &[u8] = b"hello hello hello hello\n";
const AGAIN: &[u8] = b"hello again\n";

/// The same two payloads with each codec; the CRC is on.
fn codecs() -> Transcript {
    CODECS
        .iter()
        .flat_map(|&(codec, label, first, second)| {
            [(0, HELLOS, true, first), (24, AGAIN, false, second)].map(
                |(offset, raw, first, payload)| {
                    let payload =
                        if codec == CodecId::NONE { raw } else { payload }.to_vec().into();
                    let restart = first && codec != CodecId::NONE;
                    let len = raw.len() as u32;
                    (label, encode_data(offset, codec, restart, len, payload, true))
                },
            )
        })
        .collect()
}

/// Codec, label, and the payloads of both frames.
const CODECS: [(CodecId, &str, &[u8], &[u8]); 5] = [
    (CodecId::NONE, "none", b"", b""),
    (
        CodecId::GZIP,
        "gzip",
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff\xca\x48\xcd\xc9\xc9\x57\xc8\x40\x27\xb9\0\0",
        b"\x82\x88\x24\xa6\x27\x66\xe6\x71\x01\0",
    ),
    (
        CodecId::ZSTD,
        "zstd",
        // Magic, descriptor, window 2^17, then a raw block that is not the last.
        b"\x28\xb5\x2f\xfd\x00\x38\xc0\0\0hello hello hello hello\n",
        b"\x60\0\0hello again\n",
    ),
    (
        CodecId::SNAPPY,
        "snappy",
        // Length; literal of 6; copy of 17 from 6 back; literal of 1.
        b"\x18\x14hello \x42\x06\0\x00\n",
        b"\x0c\x2chello again\n",
    ),
    (
        CodecId::LZ4,
        "lz4",
        // Frame header; a stored block each.
        b"\x04\x22\x4d\x18\x40\x40\xc0\x18\0\0\x80hello hello hello hello\n",
        b"\x0c\0\0\x80hello again\n",
    ),
];

#[test]
fn the_transcripts_of_the_specification_are_what_is_sent() {
    let written = hex_blocks(SPECIFICATION);
    let made: [(&str, Transcript); 5] = [
        ("new-session", plain()),
        ("new-session-with-token", with_token()),
        ("data", data()),
        ("codecs", codecs()),
        ("resume", resume()),
    ];
    assert_eq!(written.len(), made.len(), "{:?}", written.keys());
    for (name, transcript) in made {
        let owned: Vec<_> =
            transcript.iter().map(|(label, bytes)| (label.to_string(), bytes.clone())).collect();
        let found = written.get(name).cloned().unwrap_or_default();
        assert!(found == owned, "the block must be\n```hex {name}\n{}```", render(&transcript));
    }
}

#[test]
fn the_transcripts_decode_frame_by_frame() {
    for (name, entries) in hex_blocks(SPECIFICATION) {
        let crc_from = if name == "new-session-with-token" { "C PROOF" } else { "" };
        let mut crc = name == "codecs";
        for (label, bytes) in entries {
            crc |= label == crc_from;
            if label.ends_with("preface") {
                let found = PrefaceScan::Found {
                    preface: Preface::default(),
                    skipped: 0,
                    consumed: bytes.len(),
                };
                assert_eq!(Preface::scan(&bytes, 0), found);
                continue;
            }
            let mut buf = BytesMut::from(&bytes[..]);
            let limits = limits(if crc { CrcPolicy::Required } else { CrcPolicy::Off });
            let frame = decode(&mut buf, &limits).unwrap().expect("a whole frame");
            assert!(buf.is_empty());
            if !name.starts_with("codecs") {
                assert!(label.ends_with(&frame.kind().to_string()), "{name}: {label}");
            }
        }
    }
}

#[test]
fn the_receipt_counts_all_that_the_client_had_sent() {
    let sent = plain().into_iter().chain(data().into_iter().take(4));
    let sent = sent.filter(|(label, _)| label.starts_with("C "));
    assert_eq!(sent.map(|(_, bytes)| bytes.len()).sum::<usize>(), 293);
}

#[test]
fn the_gzip_payloads_are_the_beginning_of_a_gzip_file() {
    let (_, _, first, second) = CODECS[1];
    let tail = [0, 0, 0xff, 0xff];
    let file = [first, &tail, second, &tail].concat();
    let mut text = Vec::new();
    // It never ends, so the reader complains once it has everything.
    let error = flate2::read::GzDecoder::new(&file[..]).read_to_end(&mut text).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(text, [HELLOS, AGAIN].concat());
}

#[test]
fn the_specification_names_every_frame_code_and_limit() {
    let names = FrameKind::all().map(|kind| (u32::from(kind.get()), kind.to_string()));
    let errors = ErrorCode::all().map(|code| (code.get(), code.to_string()));
    let refusals = RefuseCode::all().map(|code| (code.get(), code.to_string()));
    for (number, name) in names.chain(errors).chain(refusals) {
        let row = format!("| {number} | {name} |");
        assert!(SPECIFICATION.contains(&row), "no row {row}");
    }
}

#[test]
fn requirements_are_numbered_once_each() {
    let mut seen = BTreeMap::new();
    for line in SPECIFICATION.lines() {
        if let Some(rest) = line.strip_prefix("- **W-") {
            let number = rest.split_once("**").expect("a number in bold").0;
            assert_eq!(seen.insert(number, line), None, "W-{number} twice");
        }
    }
    assert!(seen.len() > 60, "{}", seen.len());
}

fn hex_blocks(text: &str) -> BTreeMap<String, Vec<(String, Vec<u8>)>> {
    let mut blocks: BTreeMap<_, Vec<(String, Vec<u8>)>> = BTreeMap::new();
    let mut open = None;
    for line in text.lines() {
        match (line.strip_prefix("```"), open) {
            (Some(info), None) => open = info.strip_prefix("hex ").or(Some("")),
            (Some(_), Some(_)) => open = None,
            (None, Some(name)) if !name.is_empty() => {
                let entries = blocks.entry(name.to_owned()).or_default();
                if let Some(label) = line.strip_prefix("# ") {
                    entries.push((label.to_owned(), Vec::new()));
                } else {
                    let bytes = line
                        .split_whitespace()
                        .map(|byte| u8::from_str_radix(byte, 16).expect("two hex digits"));
                    entries.last_mut().expect("a label first").1.extend(bytes);
                }
            }
            _ => {}
        }
    }
    blocks
}

fn render(transcript: &Transcript) -> String {
    let mut text = String::new();
    for (label, bytes) in transcript {
        writeln!(text, "# {label}").unwrap();
        for row in bytes.chunks(16) {
            let row: Vec<_> = row.iter().map(|byte| format!("{byte:02x}")).collect();
            writeln!(text, "{}", row.join(" ")).unwrap();
        }
    }
    text
}

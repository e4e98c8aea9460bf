//! Frames to test with: one of each kind, and strategies that make any.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its part")]

use bytes::{Bytes, BytesMut};
use p2_frame::limits::*;
use p2_frame::*;
use proptest::collection::vec;
use proptest::prelude::*;

pub fn client(index: u64) -> StreamId {
    StreamId::new(Role::Client, index).unwrap()
}

pub fn server(index: u64) -> StreamId {
    StreamId::new(Role::Server, index).unwrap()
}

pub fn encode(frame: &Frame, crc: bool) -> BytesMut {
    let mut out = BytesMut::new();
    frame.encode(&mut out, crc).unwrap();
    out
}

pub fn limits(crc: CrcPolicy) -> DecodeLimits {
    DecodeLimits { crc, ..DecodeLimits::default() }
}

pub fn hello() -> Hello {
    Hello {
        role: Role::Client,
        agent: "p2/0.1.0".into(),
        nonce: [0x11; 32],
        codecs: vec![
            CodecOffer { id: CodecId::ZSTD, window_log: 17, max_raw: 65_536 },
            CodecOffer { id: CodecId::GZIP, window_log: 15, max_raw: 65_536 },
        ],
        limits: PeerLimits { max_frame: 65_536, initial_window: 262_144, max_streams: 1024 },
        features: 0,
        boot_id: [0x22; 16],
        session: [0; 16],
        epoch: 1,
        auth: 0,
        session_name: "web1".into(),
        ext: vec![],
    }
}

pub fn proof() -> Proof {
    Proof {
        mac: [0x33; 32],
        secret: Some([0x44; 32]),
        choice: CodecChoice { client_to_server: CodecId::ZSTD, server_to_client: CodecId::GZIP },
        ext: vec![],
    }
}

pub fn resume_stream(stream: StreamId) -> ResumeStream {
    ResumeStream {
        stream,
        received: 300,
        acked: 250,
        limit: 70_000,
        sent: 5,
        end: StreamEnd::Fin,
        stop: false,
        recv_end: true,
    }
}

pub fn resume() -> Resume {
    Resume {
        streams: vec![resume_stream(client(1))],
        local_opened: 2,
        peer_opened: 0,
        last: true,
        ext: vec![],
    }
}

pub fn open() -> Open {
    Open {
        stream: client(1),
        label: 7,
        name: "app".into(),
        priority: 2,
        unidirectional: true,
        metadata: vec![("host".into(), "web1".into())],
        ext: vec![],
    }
}

pub fn data() -> Data {
    Data {
        stream: client(1),
        offset: 0x0102,
        codec: CodecId::NONE,
        restart: false,
        raw_len: 5,
        payload: Bytes::from_static(b"hello"),
    }
}

pub fn goaway() -> GoAway {
    GoAway {
        code: ErrorCode::SHUTTING_DOWN,
        last_stream: 3,
        deadline_ms: 10_000,
        reason: "bye".into(),
        ext: vec![],
    }
}

pub fn close() -> Close {
    Close { code: ErrorCode::NO_ERROR, reason: String::new(), ack: true, ext: vec![] }
}

pub fn refuse() -> Refuse {
    Refuse {
        code: RefuseCode::STALE,
        retry_after_ms: 0,
        boot_id: [0x22; 16],
        epoch: 9,
        reason: "old".into(),
        ext: vec![],
    }
}

/// One frame of each kind, by number.
pub fn one_of_each() -> Vec<Frame> {
    let stream = server(2);
    vec![
        Frame::Hello(hello().into()),
        Frame::Proof(proof().into()),
        Frame::Resume(resume()),
        Frame::Open(open()),
        Frame::Data(data()),
        Frame::Fin(Fin { stream, final_offset: 258, digest: 0x2d06_8005_38d3_94c2 }),
        Frame::Reset(Reset { stream, code: ErrorCode::SINK_FAILED, final_offset: 258 }),
        Frame::Stop(Stop { stream, code: ErrorCode::CANCELLED }),
        Frame::Credit(Credit { stream, acked: 259, limit: 65_536 }),
        Frame::Ping(Ping { id: 1, time: 2 }),
        Frame::Pong(Pong { id: 1, time: 2 }),
        Frame::GoAway(goaway()),
        Frame::Close(close()),
        Frame::Gap(Gap { stream, offset: 258, dropped: 4096 }),
        Frame::Blocked(Blocked { stream, offset: 65_536 }),
        Frame::Receipt(Receipt { received: 32_768 }),
        Frame::Refuse(refuse()),
    ]
}

/// Any frame that may be sent.
pub fn any_frame() -> impl Strategy<Value = Frame> {
    prop_oneof![
        2 => any_hello().prop_map(|hello| Frame::Hello(hello.into())),
        1 => any_proof().prop_map(|proof| Frame::Proof(proof.into())),
        2 => any_resume().prop_map(Frame::Resume),
        2 => any_open().prop_map(Frame::Open),
        4 => any_data().prop_map(Frame::Data),
        6 => any_fixed(),
        2 => any_goodbye(),
    ]
}

fn any_hello() -> impl Strategy<Value = Hello> {
    let codecs = vec((any::<u8>(), any::<u8>(), any::<u32>()), 0..=MAX_CODECS);
    let limits = (MIN_MAX_FRAME..=MAX_RAW, offset(), offset());
    let ids = (any::<[u8; 32]>(), any::<[u8; 16]>(), any::<[u8; 16]>());
    let numbers = (any::<bool>(), any::<u64>(), any::<u64>(), 0..=7u8);
    (text(MAX_AGENT), text(MAX_NAME), codecs, limits, ids, numbers, ext()).prop_map(
        |(agent, session_name, codecs, limits, ids, (client, features, epoch, auth), ext)| Hello {
            role: if client { Role::Client } else { Role::Server },
            agent,
            nonce: ids.0,
            codecs: codecs
                .into_iter()
                .map(|(id, window_log, max_raw)| CodecOffer {
                    id: CodecId::new(id),
                    window_log,
                    max_raw,
                })
                .collect(),
            limits: PeerLimits {
                max_frame: limits.0,
                initial_window: limits.1,
                max_streams: limits.2,
            },
            features,
            boot_id: ids.1,
            session: ids.2,
            epoch,
            auth,
            session_name,
            ext,
        },
    )
}

fn any_proof() -> impl Strategy<Value = Proof> {
    let secret = proptest::option::of(any::<[u8; 32]>());
    (any::<[u8; 32]>(), secret, any::<u8>(), any::<u8>(), ext()).prop_map(
        |(mac, secret, to_server, to_client, ext)| Proof {
            mac,
            secret,
            choice: CodecChoice {
                client_to_server: CodecId::new(to_server),
                server_to_client: CodecId::new(to_client),
            },
            ext,
        },
    )
}

fn any_resume() -> impl Strategy<Value = Resume> {
    let end = prop_oneof![Just(StreamEnd::Open), Just(StreamEnd::Fin), Just(StreamEnd::Reset)];
    let offsets = (offset(), 0..=MAX_OFFSET + 1, offset(), offset());
    let stream = (stream(), offsets, end, any::<bool>(), any::<bool>()).prop_map(
        |(stream, (received, acked, limit, sent), end, stop, recv_end)| ResumeStream {
            stream,
            received,
            acked,
            limit,
            sent,
            end,
            stop,
            recv_end,
        },
    );
    let streams = prop_oneof![8 => vec(stream.clone(), 0..8), 1 => vec(stream, 250..=256)];
    (streams, offset(), offset(), any::<bool>(), ext()).prop_map(
        |(streams, local_opened, peer_opened, last, ext)| Resume {
            streams,
            local_opened,
            peer_opened,
            last,
            ext,
        },
    )
}

fn any_open() -> impl Strategy<Value = Open> {
    let metadata = vec((text(16), text(15)), 0..=MAX_METADATA_ENTRIES);
    let flags = (0..=MAX_PRIORITY, any::<bool>());
    (stream(), any::<u32>(), text(MAX_NAME), flags, metadata, ext()).prop_map(
        |(stream, label, name, (priority, unidirectional), metadata, ext)| Open {
            stream,
            label,
            name,
            priority,
            unidirectional,
            metadata,
            ext,
        },
    )
}

fn any_data() -> impl Strategy<Value = Data> {
    let payload = prop_oneof![8 => vec(any::<u8>(), 1..64), 1 => vec(any::<u8>(), 60_000..=65_536)];
    let place = (stream(), 0..=MAX_OFFSET - u64::from(MAX_RAW));
    let codec = prop_oneof![Just(0), any::<u8>()].prop_map(CodecId::new);
    (place, codec, any::<bool>(), 1..=MAX_RAW, payload).prop_map(
        |((stream, offset), codec, restart, raw_len, payload)| {
            let none = codec == CodecId::NONE;
            let raw_len = if none { payload.len() as u32 } else { raw_len };
            let restart = restart && !none;
            Data { stream, offset, codec, restart, raw_len, payload: payload.into() }
        },
    )
}

fn any_fixed() -> impl Strategy<Value = Frame> {
    (0..9u8, stream(), offset(), any::<u64>(), any::<u32>()).prop_map(
        |(kind, stream, offset, number, code)| match kind {
            0 => Frame::Fin(Fin { stream, final_offset: offset, digest: number }),
            1 => Frame::Reset(Reset { stream, code: ErrorCode::new(code), final_offset: offset }),
            2 => Frame::Stop(Stop { stream, code: ErrorCode::new(code) }),
            3 => Frame::Credit(Credit { stream, acked: offset + 1, limit: offset }),
            4 => Frame::Ping(Ping { id: number, time: offset }),
            5 => Frame::Pong(Pong { id: number, time: offset }),
            6 => Frame::Gap(Gap { stream, offset, dropped: number }),
            7 => Frame::Blocked(Blocked { stream, offset }),
            _ => Frame::Receipt(Receipt { received: number }),
        },
    )
}

fn any_goodbye() -> impl Strategy<Value = Frame> {
    let numbers = (any::<u32>(), any::<u64>(), any::<u64>(), offset());
    (0..3u8, numbers, any::<[u8; 16]>(), text(MAX_REASON), ext()).prop_map(
        |(kind, (code, a, b, last_stream), boot_id, reason, ext)| match kind {
            0 => {
                let code = ErrorCode::new(code);
                Frame::GoAway(GoAway { code, last_stream, deadline_ms: a, reason, ext })
            }
            1 => Frame::Close(Close { code: ErrorCode::new(code), reason, ack: a & 1 == 0, ext }),
            _ => {
                let code = RefuseCode::new(code);
                Frame::Refuse(Refuse { code, retry_after_ms: a, boot_id, epoch: b, reason, ext })
            }
        },
    )
}

fn stream() -> impl Strategy<Value = StreamId> + Clone {
    (any::<bool>(), 0..MAX_STREAMS).prop_map(|(client, index)| {
        StreamId::new(if client { Role::Client } else { Role::Server }, index).unwrap()
    })
}

/// Of all sizes that the variable-length integers distinguish.
fn offset() -> impl Strategy<Value = u64> + Clone {
    prop_oneof![0..=260u64, 0..=70_000u64, 0..=5_000_000_000u64, 0..=MAX_OFFSET]
}

/// At most `max` bytes, of one to four bytes a character.
fn text(max: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..=max).prop_map(move |chars| {
        let mut text = String::new();
        for c in chars {
            if text.len() + c.len_utf8() <= max {
                text.push(c);
            }
        }
        text
    })
}

fn ext() -> impl Strategy<Value = Extensions> {
    let value = vec(any::<u8>(), 0..=MAX_EXTENSION_BYTES / MAX_EXTENSIONS);
    let tag = 0..MUST_UNDERSTAND;
    prop_oneof![4 => Just(vec![]), 1 => vec((tag, value), 0..=MAX_EXTENSIONS)]
}

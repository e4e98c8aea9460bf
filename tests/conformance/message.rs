//! The messages whose payloads are control bodies, from section 5.

use super::body::{Body, Reader};
use super::wire::*;

pub const TOKEN: u8 = 1;
pub const RESUMES: u8 = 2;
pub const WANTS_CRC: u8 = 4;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    pub role: u8,
    pub agent: String,
    pub nonce: [u8; 32],
    pub codecs: Vec<(u8, u8, u32)>,
    pub max_frame: u32,
    pub initial_window: u64,
    pub max_streams: u64,
    pub features: u64,
    pub boot_id: [u8; 16],
    pub session: [u8; 16],
    pub epoch: u64,
    pub auth: u8,
    pub session_name: String,
    pub ext: Vec<(u16, Vec<u8>)>,
}

impl Hello {
    /// A client's that wants a new session, without any codec.
    pub fn client(name: &str) -> Self {
        Self {
            role: 0,
            agent: "conformance".into(),
            nonce: std::array::from_fn(|_| fastrand::u8(..)),
            codecs: Vec::new(),
            max_frame: 65_536,
            initial_window: 262_144,
            max_streams: 1_024,
            features: 0,
            boot_id: [0xC0; 16],
            session: [0; 16],
            epoch: 1,
            auth: 0,
            session_name: name.into(),
            ext: Vec::new(),
        }
    }

    /// A server's.
    pub fn server() -> Self {
        let session = std::array::from_fn(|_| fastrand::u8(1..));
        Self { role: 1, boot_id: [0x5E; 16], session, ..Self::client("") }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn frame(&self) -> Frame {
        let body = Body::new().u8(self.role).bytes(self.agent.as_bytes()).raw(&self.nonce);
        let body = body.int(self.codecs.len() as u64);
        let offer = |body: Body, (id, window, raw): &(u8, u8, u32)| {
            body.u8(*id).u8(*window).int((*raw).into())
        };
        let body = self.codecs.iter().fold(body, offer);
        let body = body.int(self.max_frame.into()).int(self.initial_window).int(self.max_streams);
        let body = body.int(self.features).raw(&self.boot_id).raw(&self.session).int(self.epoch);
        let body = body.u8(self.auth).bytes(self.session_name.as_bytes()).ext(&self.ext);
        Frame::new(HELLO, 0, body.0)
    }

    #[track_caller]
    pub fn parse(frame: &Frame) -> Self {
        assert_eq!(frame.kind, HELLO, "{frame:?}");
        let mut body = Reader(&frame.payload);
        let (role, agent, nonce) = (body.u8(), body.text(64), body.array());
        let offers = body.int();
        assert!(offers <= 32 && role <= 1);
        let int32 = |body: &mut Reader<'_>| u32::try_from(body.int()).expect("a u32");
        let codecs = (0..offers).map(|_| (body.u8(), body.u8(), int32(&mut body))).collect();
        let max_frame = int32(&mut body);
        assert!((1_024..=65_536).contains(&max_frame));
        let (initial_window, max_streams, features) = (body.int(), body.int(), body.int());
        assert!(initial_window <= 1 << 62 && max_streams <= 1 << 62);
        let (boot_id, session, epoch) = (body.array(), body.array(), body.int());
        let (auth, session_name) = (body.u8(), body.text(255));
        assert!(auth <= 7);
        body.end();
        Self {
            role,
            agent,
            nonce,
            codecs,
            max_frame,
            initial_window,
            max_streams,
            features,
            boot_id,
            session,
            epoch,
            auth,
            session_name,
            ext: Vec::new(),
        }
    }
}

/// W-9.2: what a side that lists `ours` sends with to one that lists `theirs`.
pub fn choice(ours: &[(u8, u8, u32)], theirs: &[(u8, u8, u32)]) -> u8 {
    let both = |id: u8| id == 0 || theirs.iter().any(|offer| offer.0 == id);
    ours.iter().map(|offer| offer.0).find(|id| both(*id)).unwrap_or(0)
}

#[derive(Debug, Clone)]
pub struct Proof {
    pub mac: [u8; 32],
    pub secret: Option<[u8; 32]>,
    pub choice: (u8, u8),
}

impl Proof {
    pub fn frame(&self) -> Frame {
        let body = Body::new().raw(&self.mac);
        let body = match &self.secret {
            None => body.u8(0),
            Some(secret) => body.u8(1).raw(secret),
        };
        Frame::new(PROOF, 0, body.u8(self.choice.0).u8(self.choice.1).int(0).0)
    }

    #[track_caller]
    pub fn parse(frame: &Frame) -> Self {
        assert_eq!(frame.kind, PROOF, "{frame:?}");
        let mut body = Reader(&frame.payload);
        let mac = body.array();
        let secret = body.bool().then(|| body.array());
        let choice = (body.u8(), body.u8());
        body.end();
        Self { mac, secret, choice }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refuse {
    pub code: u32,
    pub retry_after_ms: u64,
    pub boot_id: [u8; 16],
    pub epoch: u64,
    pub reason: String,
}

impl Refuse {
    pub fn new(code: u32) -> Self {
        let reason = "because of the test".into();
        Self { code, retry_after_ms: 0, boot_id: [0x5E; 16], epoch: 0, reason }
    }

    pub fn frame(&self) -> Frame {
        let body = Body::new().int(self.code.into()).int(self.retry_after_ms).raw(&self.boot_id);
        Frame::new(REFUSE, 0, body.int(self.epoch).bytes(self.reason.as_bytes()).int(0).0)
    }

    #[track_caller]
    pub fn parse(frame: &Frame) -> Self {
        assert_eq!(frame.kind, REFUSE, "{frame:?}");
        let mut body = Reader(&frame.payload);
        let (code, retry_after_ms) = (u32::try_from(body.int()).expect("a u32"), body.int());
        let (boot_id, epoch, reason) = (body.array(), body.int(), body.text(255));
        body.end();
        Self { code, retry_after_ms, boot_id, epoch, reason }
    }
}

/// One stream in RESUME.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry {
    pub stream: u64,
    pub received: u64,
    pub acked: u64,
    pub limit: u64,
    pub sent: u64,
    pub end: u8,
    pub stop: bool,
    pub recv_end: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Resume {
    pub streams: Vec<Entry>,
    pub local_opened: u64,
    pub peer_opened: u64,
}

impl Resume {
    /// One part, without LAST.
    pub fn part(&self) -> Frame {
        let write = |body: Body, e: &Entry| {
            let body = body.int(e.stream).int(e.received).int(e.acked).int(e.limit).int(e.sent);
            body.u8(e.end).bool(e.stop).bool(e.recv_end)
        };
        let body = Body::new().int(self.streams.len() as u64);
        let body = self.streams.iter().fold(body, write);
        Frame::new(RESUME, 0, body.int(self.local_opened).int(self.peer_opened).int(0).0)
    }

    /// The only part.
    pub fn frame(&self) -> Frame {
        self.part().flags(OWN)
    }

    #[track_caller]
    pub fn parse(frame: &Frame) -> Self {
        assert_eq!(frame.kind, RESUME, "{frame:?}");
        let mut body = Reader(&frame.payload);
        let count = body.int();
        assert!(count <= 256);
        let mut streams = Vec::new();
        for _ in 0..count {
            let [stream, received, acked, limit, sent] = std::array::from_fn(|_| body.int());
            let (end, stop, recv_end) = (body.u8(), body.bool(), body.bool());
            assert!(stream < 1 << 63 && end <= 2);
            streams.push(Entry { stream, received, acked, limit, sent, end, stop, recv_end });
        }
        let (local_opened, peer_opened) = (body.int(), body.int());
        body.end();
        Self { streams, local_opened, peer_opened }
    }
}

#[derive(Debug, Clone)]
pub struct Open {
    pub stream: u64,
    pub label: u32,
    pub name: Vec<u8>,
    pub priority: u8,
    pub unidirectional: u8,
    pub metadata: Vec<(String, String)>,
    pub ext: Vec<(u16, Vec<u8>)>,
}

impl Open {
    pub fn new(index: u64, name: &str) -> Self {
        let (stream, name) = (id(index), name.as_bytes().to_vec());
        let (metadata, ext) = (Vec::new(), Vec::new());
        Self { stream, label: 0, name, priority: 2, unidirectional: 1, metadata, ext }
    }

    pub fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub fn frame(&self) -> Frame {
        let body = Body::new().int(self.label.into()).bytes(&self.name).u8(self.priority);
        let body = body.u8(self.unidirectional).int(self.metadata.len() as u64);
        let pair = |body: Body, (key, value): &(String, String)| {
            body.bytes(key.as_bytes()).bytes(value.as_bytes())
        };
        let body = self.metadata.iter().fold(body, pair).ext(&self.ext);
        Frame::new(OPEN, self.stream, body.0)
    }

    #[track_caller]
    pub fn parse(frame: &Frame) -> Self {
        assert_eq!(frame.kind, OPEN, "{frame:?}");
        let mut body = Reader(&frame.payload);
        let label = u32::try_from(body.int()).expect("a u32");
        let (name, priority, unidirectional) = (body.bytes(255), body.u8(), body.bool().into());
        let metadata = (0..body.int()).map(|_| (body.text(1_024), body.text(1_024))).collect();
        body.end();
        let (stream, ext) = (frame.stream, Vec::new());
        Self { stream, label, name, priority, unidirectional, metadata, ext }
    }
}

/// OPEN of a unidirectional stream of the client's.
pub fn open(index: u64) -> Frame {
    Open::new(index, &format!("s{index}")).frame()
}

pub fn goaway(code: u32, last_stream: u64) -> Frame {
    let body = Body::new().int(code.into()).int(last_stream).int(0).bytes(b"leaving").int(0);
    Frame::new(GOAWAY, 0, body.0)
}

pub fn close(code: u32) -> Frame {
    Frame::new(CLOSE, 0, Body::new().int(code.into()).bytes(b"over").int(0).0)
}

pub fn close_ack() -> Frame {
    Frame::new(CLOSE, 0, Body::new().int(0).bytes(b"").int(0).0).flags(OWN)
}

/// Code and reason of a CLOSE, or code and last stream of a GOAWAY.
#[track_caller]
pub fn code_of(frame: &Frame) -> (u32, u64) {
    assert!(matches!(frame.kind, CLOSE | GOAWAY), "{frame:?}");
    let mut body = Reader(&frame.payload);
    let code = u32::try_from(body.int()).expect("a u32");
    let mut last = 0;
    if frame.kind == GOAWAY {
        last = body.int();
        body.int();
    }
    body.text(255);
    body.end();
    (code, last)
}

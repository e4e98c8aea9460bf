//! One connection: bytes out, frames in, and what a link does once its handshake is over.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::message::{Hello, Open, Proof, Refuse, Resume, close, close_ack, code_of};
use super::wire::*;
use crate::support::PATIENCE;

/// HMAC-SHA256 of RFC 2104 over two parts.
pub fn hmac(key: &[u8], label: &[u8], message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; 64];
    match key.len() {
        0..=64 => block[..key.len()].copy_from_slice(key),
        _ => block[..32].copy_from_slice(&Sha256::digest(key)),
    }
    let inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36));
    let inner = inner.chain_update(label).chain_update(message).finalize();
    let outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5C));
    outer.chain_update(inner).finalize().into()
}

/// A connection, with nothing known about it.
#[derive(Debug)]
pub struct Raw {
    socket: TcpStream,
    input: Vec<u8>,
    over: bool,
    /// Frames from PROOF on carry the CRC.
    pub crc: bool,
}

impl Raw {
    pub fn dial(address: &str) -> Self {
        Self::on(TcpStream::connect(address).expect("a listener"))
    }

    pub fn on(socket: TcpStream) -> Self {
        socket.set_nodelay(true).expect("a socket");
        socket.set_write_timeout(Some(PATIENCE)).expect("a socket");
        Self { socket, input: Vec::new(), over: false, crc: false }
    }

    /// This end's address: by it the receiver names a link that it refused.
    pub fn local(&self) -> String {
        self.socket.local_addr().expect("connected").to_string()
    }

    /// Sends bytes. A peer that has hung up shows in what is read next.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    pub fn put(&mut self, frames: &[Frame]) {
        let crc = self.crc;
        let bytes: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes(crc)).collect();
        self.send(&bytes);
    }

    /// Reads more; `false` at the end of the bytes or once the time is up.
    fn fill(&mut self, until: Instant) -> bool {
        let left = until.saturating_duration_since(Instant::now());
        if self.over || left.is_zero() {
            return false;
        }
        self.socket.set_read_timeout(Some(left)).expect("a socket");
        let mut chunk = [0; 65_536];
        match self.socket.read(&mut chunk) {
            Ok(read @ 1..) => self.input.extend_from_slice(&chunk[..read]),
            Ok(0) => self.over = true,
            Err(error) if matches!(error.kind(), std::io::ErrorKind::WouldBlock) => {}
            Err(_) => self.over = true,
        }
        !self.over && Instant::now() < until
    }

    /// The peer's preface.
    #[track_caller]
    pub fn preface(&mut self) -> [u8; 16] {
        let until = Instant::now() + PATIENCE;
        while self.input.len() < 16 && self.fill(until) {}
        assert!(self.input.len() >= 16, "no preface, but {:?}", self.input);
        let rest = self.input.split_off(16);
        std::mem::replace(&mut self.input, rest).try_into().expect("16 bytes")
    }

    /// The next frame within `time`; `None` if none came or the link has ended.
    #[track_caller]
    pub fn frame_within(&mut self, time: Duration) -> Option<Frame> {
        let until = Instant::now() + time;
        loop {
            if let Some(frame) = Frame::parse(&mut self.input, self.crc) {
                return Some(frame);
            }
            if !self.fill(until) {
                return Frame::parse(&mut self.input, self.crc);
            }
        }
    }

    /// The next frame; fails if the link ends before.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        match self.frame_within(PATIENCE) {
            Some(frame) => frame,
            None => panic!("no frame came: the link has ended: {}", self.over),
        }
    }

    /// Everything that comes until the peer hangs up.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.frame_within(PATIENCE) {
            frames.push(frame);
        }
        assert!(self.over, "the peer did not close the link: {frames:?}");
        frames
    }

    /// The peer hangs up and says nothing but this.
    #[track_caller]
    pub fn refused(&mut self) -> Refuse {
        let rest = self.rest();
        assert_eq!(rest.len(), 1, "one REFUSE and then the end: {rest:?}");
        Refuse::parse(&rest[0])
    }

    /// The peer hangs up without a word.
    #[track_caller]
    pub fn silently_closed(&mut self) {
        let rest = self.rest();
        assert_eq!(rest, [], "the link ends without an answer");
    }

    pub fn half_close(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }
}

/// What it takes to resume.
#[derive(Debug, Clone)]
pub struct Ticket {
    pub session: [u8; 16],
    pub secret: [u8; 32],
    pub epoch: u64,
    pub name: String,
}

/// Both HELLOs are exchanged; what follows is the proof.
#[derive(Debug)]
pub struct Greeted {
    pub raw: Raw,
    pub client: Hello,
    pub server: Hello,
    pub t: [u8; 32],
}

impl Greeted {
    pub fn mac(&self, key: &[u8], label: &str) -> [u8; 32] {
        hmac(key, label.as_bytes(), &self.t)
    }

    /// The codecs of both directions, as each side computes them.
    pub fn choice(&self) -> (u8, u8) {
        let (client, server) = (&self.client.codecs, &self.server.codecs);
        (super::message::choice(client, server), super::message::choice(server, client))
    }

    /// A right PROOF of this role.
    pub fn proof(&self, key: &[u8], role: &str) -> Proof {
        let mac = self.mac(key, &format!("p2 v1 {role} proof"));
        Proof { mac, secret: None, choice: self.choice() }
    }

    /// The link has the CRC if either HELLO wants it.
    pub fn agree(&mut self) {
        self.raw.crc = (self.client.auth | self.server.auth) & super::message::WANTS_CRC != 0;
    }
}

/// A link whose handshake is over, of either role.
#[derive(Debug)]
pub struct Link {
    pub raw: Raw,
    pub ticket: Ticket,
    /// The program's HELLO.
    pub theirs: Hello,
    /// The program's list, on a resume.
    pub resume: Option<Resume>,
    /// Bytes sent since the handshake.
    pub sent: u64,
    /// Where each frame ended in them.
    pub ends: Vec<u64>,
    asked: u64,
}

impl Link {
    pub fn new(raw: Raw, ticket: Ticket, theirs: Hello, resume: Option<Resume>) -> Self {
        Self { raw, ticket, theirs, resume, sent: 0, ends: vec![0], asked: 1 << 40 }
    }

    pub fn put(&mut self, frames: &[Frame]) {
        let (crc, mut bytes) = (self.raw.crc, Vec::new());
        for frame in frames {
            bytes.extend(frame.bytes(crc));
            self.ends.push(self.sent + bytes.len() as u64);
        }
        self.send(&bytes);
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.sent += bytes.len() as u64;
        self.raw.send(bytes);
    }

    /// The next frame that is neither a heartbeat nor a receipt.
    #[track_caller]
    pub fn frame(&mut self) -> Frame {
        self.until("a frame", |frame| !matches!(frame.kind, PING | PONG | RECEIPT))
    }

    /// Reads on to the first frame that `fits`; answers heartbeats on the way.
    #[track_caller]
    pub fn until(&mut self, what: &str, fits: impl Fn(&Frame) -> bool) -> Frame {
        let (mut before, until) = (Vec::new(), Instant::now() + PATIENCE);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Some(frame) = self.raw.frame_within(left) else {
                panic!("the link or the time ended before {what}; before came {before:?}");
            };
            if frame.kind == PING {
                self.put(&[pong(frame.u64(0), frame.u64(8))]);
            }
            if fits(&frame) {
                return frame;
            }
            before.push((frame.kind, frame.stream));
        }
    }

    #[track_caller]
    pub fn kind(&mut self, kind: u8) -> Frame {
        self.until(&format!("type {kind}"), |frame| frame.kind == kind)
    }

    /// Asks by PING and takes everything that comes before the answer: everything sent before is
    /// dealt with then, and the link is in order.
    #[track_caller]
    pub fn alive(&mut self) -> Vec<Frame> {
        self.asked += 1;
        let (id, time) = (self.asked, self.asked ^ 0x5555);
        self.put(&[ping(id, time)]);
        let mut before = Vec::new();
        loop {
            let Some(frame) = self.raw.frame_within(PATIENCE) else {
                panic!("the link ended instead of answering a PING; before came {before:?}");
            };
            if frame.kind == PONG && frame.u64(0) == id {
                assert_eq!(frame.u64(8), time);
                return before;
            }
            if !matches!(frame.kind, PING | PONG | RECEIPT) {
                before.push(frame);
            }
        }
    }

    /// Waits until this much of the stream is acknowledged, and returns the limit granted then.
    #[track_caller]
    pub fn acked(&mut self, stream: u64, acked: u64) -> u64 {
        let fits = |f: &Frame| f.kind == CREDIT && f.stream == stream && f.u64(0) >= acked;
        let frame = self.until("an acknowledgement", fits);
        assert_eq!(frame.u64(0), acked, "no more is acknowledged than was sent");
        frame.u64(8)
    }

    /// Nothing but heartbeats, receipts and credit for `time`.
    #[track_caller]
    pub fn quiet(&mut self, time: Duration) {
        let until = Instant::now() + time;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if let Some(frame) = self.raw.frame_within(left) {
                assert!(matches!(frame.kind, PING | RECEIPT | CREDIT), "unexpected: {frame:?}");
            }
            assert!(!self.raw.over, "the link has ended");
        }
    }

    /// The program closes the link, without CLOSE or GOAWAY: the session lives on.
    #[track_caller]
    pub fn closed(&mut self) -> Vec<Frame> {
        let rest = self.raw.rest();
        let last = rest.iter().find(|f| matches!(f.kind, CLOSE | GOAWAY | REFUSE));
        assert_eq!(last, None, "a link error says nothing to the peer");
        rest
    }

    /// Ends the session; the program answers and hangs up.
    #[track_caller]
    pub fn leave(mut self, code: u32) {
        self.put(&[close(code)]);
        let answer = self.kind(CLOSE);
        assert_eq!((answer.flags, code_of(&answer).0), (OWN, 0), "CLOSE with ACK and NO_ERROR");
        drop(self);
    }

    /// Waits for the program's CLOSE in order, and answers it.
    #[track_caller]
    pub fn farewell(mut self) {
        let frame = self.kind(CLOSE);
        assert_eq!((frame.flags, code_of(&frame).0), (0, 0), "CLOSE with NO_ERROR");
        self.put(&[close_ack()]);
        self.raw.rest();
    }

    /// Takes a stream whole: its OPEN, and its bytes if they are not encoded. Grants and
    /// acknowledges nothing.
    #[track_caller]
    pub fn stream(&mut self) -> (Open, Vec<u8>, Frame) {
        let open = Open::parse(&self.kind(OPEN));
        let mut bytes = Vec::new();
        loop {
            let frame = self.frame();
            match frame.kind {
                DATA => {
                    assert_eq!((frame.codec, frame.stream), (0, open.stream));
                    assert_eq!(frame.data, (bytes.len() as u64, frame.payload.len() as u32));
                    bytes.extend(frame.payload);
                }
                FIN => {
                    assert_eq!(frame.u64(0), bytes.len() as u64);
                    assert_eq!(frame.u64(8), xxh3(&bytes));
                    return (open, bytes, frame);
                }
                _ => panic!("unexpected: {frame:?}"),
            }
        }
    }
}

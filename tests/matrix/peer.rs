//! A peer that speaks the wire by hand: honest in the handshake, and then whatever a row wants.

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use p2_frame::{
    CodecId, Data, DecodeLimits, Frame, Open, Resume, ResumeStream, Role, StreamEnd, StreamId,
    decode,
};
use p2_mux::handshake::{
    ClientHandshake, Established, HandshakeError, Known, KnownState, Local, Purpose, Secret,
    ServerHandshake, Step,
};

use crate::support::PATIENCE;

/// One link, after its handshake.
pub struct Wire {
    socket: TcpStream,
    input: BytesMut,
}

impl Wire {
    /// Dials, shakes hands, and says what came of it.
    pub fn dial(address: &str, purpose: Purpose) -> Result<(Self, Established), HandshakeError> {
        Self::begin(address, purpose).finish()
    }

    /// Dials and exchanges HELLO; the proof is ready and not sent.
    pub fn begin(address: &str, purpose: Purpose) -> Proving {
        let mut wire = Self::raw(address);
        let mut handshake = ClientHandshake::new(local(), purpose).expect("small");
        wire.write(&handshake.output());
        loop {
            match handshake.receive(&mut wire.input) {
                Ok(None) => {}
                Ok(Some(_)) => panic!("a link before the proof"),
                Err(error) => return Proving { wire, handshake, proof: Err(error) },
            }
            let proof = handshake.output();
            if !proof.is_empty() {
                return Proving { wire, handshake, proof: Ok(proof) };
            }
            assert!(wire.more(), "the peer hung up before its HELLO");
        }
    }

    /// A connection over which nothing was said.
    pub fn raw(address: &str) -> Self {
        Self::over(TcpStream::connect(address).expect("it listens"))
    }

    /// Passes over so many bytes, fewer if the peer hangs up.
    pub fn skip(&mut self, bytes: usize) {
        while self.input.len() < bytes && self.more() {}
        let _ = self.input.split_to(bytes.min(self.input.len()));
    }

    fn over(socket: TcpStream) -> Self {
        socket.set_nodelay(true).expect("an option");
        socket.set_read_timeout(Some(Duration::from_millis(50))).expect("an option");
        Self { socket, input: BytesMut::new() }
    }

    /// Sends a frame. A peer that has hung up is found out by [`hear`](Self::hear).
    pub fn say(&mut self, frame: Frame) {
        let mut bytes = BytesMut::new();
        frame.encode(&mut bytes, false).expect("within the limits");
        self.write(&bytes);
    }

    /// The next frame; `None` once the peer has hung up.
    pub fn hear(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = decode(&mut self.input, &DecodeLimits::default()).expect("frames")
            {
                return Some(frame);
            }
            if !self.more() {
                return None;
            }
        }
    }

    /// Hears until `found` has an answer; fails if the peer hangs up before.
    pub fn until<T>(&mut self, what: &str, mut found: impl FnMut(&Frame) -> Option<T>) -> T {
        loop {
            let frame = self.hear().unwrap_or_else(|| panic!("the peer hung up before {what}"));
            if let Some(answer) = found(&frame) {
                return answer;
            }
        }
    }

    pub fn write(&mut self, bytes: &[u8]) {
        let _ = self.socket.write_all(bytes);
    }

    /// Reads what is there, and waits for something. False at the end.
    fn more(&mut self) -> bool {
        let mut chunk = [0; 16 * 1024];
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.socket.read(&mut chunk) {
                Ok(0) => return false,
                Ok(read) => {
                    self.input.extend_from_slice(&chunk[..read]);
                    return true;
                }
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) =>
                {
                    assert!(Instant::now() < deadline, "the peer is silent for {PATIENCE:?}");
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }
}

/// A client that is about to prove itself.
pub struct Proving {
    wire: Wire,
    handshake: ClientHandshake,
    proof: Result<BytesMut, HandshakeError>,
}

impl Proving {
    /// Sends the proof and waits for the answer.
    pub fn finish(mut self) -> Result<(Wire, Established), HandshakeError> {
        self.wire.write(&self.proof?);
        loop {
            if let Some(established) = self.handshake.receive(&mut self.wire.input)? {
                return Ok((self.wire, established));
            }
            if !self.wire.more() {
                return Err(HandshakeError::Protocol("the peer hung up"));
            }
        }
    }
}

/// A server with one session, which it remembers whatever happens.
pub struct Host {
    listener: TcpListener,
    epoch: u64,
}

impl Host {
    pub fn new() -> Self {
        Self { listener: TcpListener::bind("127.0.0.1:0").expect("a free port"), epoch: 0 }
    }

    pub fn address(&self) -> String {
        self.listener.local_addr().expect("bound").to_string()
    }

    /// Takes a client's link, and answers a resume with this list.
    pub fn accept(&mut self, list: impl Fn() -> Vec<Resume>) -> (Wire, Established) {
        let (socket, _) = self.listener.accept().expect("a client");
        let mut wire = Wire::over(socket);
        let secret = Secret::new([7; 32]);
        let mut handshake = ServerHandshake::new(local(), None, [9; 16], secret.clone());
        loop {
            let step = handshake.receive(&mut wire.input).expect("an honest client");
            wire.write(&handshake.output());
            match step {
                Step::NeedMore => assert!(wire.more(), "the client hung up"),
                Step::Lookup { .. } => {
                    let (secret, epoch) = (secret.clone(), self.epoch);
                    let known = Known { secret, epoch, state: KnownState::Live };
                    handshake.known(Some(known)).expect("asked");
                }
                Step::Proven(request) => {
                    self.epoch = request.epoch;
                    let parts = if request.resume { list() } else { Vec::new() };
                    let established = handshake.accept(parts).expect("asked");
                    wire.write(&handshake.output());
                    return (wire, established);
                }
            }
        }
    }
}

/// How to resume a session.
pub fn resume(established: &Established, epoch: u64, list: Vec<Resume>) -> Purpose {
    let (session, secret) = (established.session, established.secret.clone());
    Purpose::Resume { session, secret, epoch, parts: list }
}

/// A client's list of its one stream, of which it has sent so much.
pub fn list(stream: ResumeStream, local_opened: u64, peer_opened: u64) -> Vec<Resume> {
    let streams = vec![stream];
    vec![Resume { streams, local_opened, peer_opened, last: true, ext: Vec::new() }]
}

/// The client's first stream, in a list.
pub fn entry() -> ResumeStream {
    ResumeStream {
        stream: first(),
        received: 0,
        acked: 0,
        limit: 0,
        sent: 0,
        end: StreamEnd::Open,
        stop: false,
        recv_end: false,
    }
}

/// The client's first stream.
pub fn first() -> StreamId {
    StreamId::new(Role::Client, 0).expect("a small index")
}

/// OPEN of the first stream.
pub fn open(name: &str, unidirectional: bool) -> Frame {
    Frame::Open(Open {
        stream: first(),
        label: 1,
        name: name.to_owned(),
        priority: 2,
        unidirectional,
        metadata: Vec::new(),
        ext: Vec::new(),
    })
}

/// Raw bytes of the first stream.
pub fn data(offset: u64, bytes: &[u8]) -> Frame {
    Frame::Data(Data {
        stream: first(),
        offset,
        codec: CodecId::NONE,
        restart: false,
        raw_len: bytes.len() as u32,
        payload: Bytes::copy_from_slice(bytes),
    })
}

fn local() -> Local {
    let mut nonce = [0; 32];
    fastrand::fill(&mut nonce);
    Local {
        agent: "matrix".to_owned(),
        codecs: Vec::new(),
        require_codec: false,
        limits: p2_mux::default_limits(),
        boot_id: [3; 16],
        nonce,
        crc: false,
        session_name: "s".to_owned(),
        junk_limit: 0,
        max_listed: 1024,
    }
}

//! A peer that keeps no rules: an honest handshake at most, and then any bytes.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use p2_codec::Offer;
use p2_frame::{
    Close, CodecId, CrcPolicy, Data, DecodeLimits, Frame, Open, PeerLimits, Resume, Role, StreamId,
    decode,
};
use p2_mux::handshake::{
    ClientHandshake, Established, HandshakeError, Known, KnownState, Local, Purpose, Secret,
    ServerHandshake, Step,
};

/// How long one step of an honest handshake may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// A link to the program under test, after an honest handshake.
#[derive(Debug)]
pub struct Raw {
    /// The socket, for anything.
    pub socket: TcpStream,
    /// Read and not used.
    pub input: BytesMut,
    /// What it takes to resume.
    pub ticket: Ticket,
    /// Every byte that this side sent in its handshake.
    pub said: Vec<u8>,
}

/// What it takes to resume a session.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The session.
    pub session: [u8; 16],
    /// Its secret.
    pub secret: Secret,
    /// Of the last link.
    pub epoch: u64,
}

/// Why there is no link.
#[derive(Debug)]
pub enum Broken {
    /// The socket's error, or its end.
    Io(io::Error),
    /// The handshake's.
    Handshake(HandshakeError),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<HandshakeError> for Broken {
    fn from(error: HandshakeError) -> Self {
        Self::Handshake(error)
    }
}

/// What this side says of itself; honest unless it is changed.
pub fn local(name: &str) -> Local {
    let offer = |id, window_log| Offer { id, window_log, max_raw: 64 << 10 };
    let mut nonce = [0; 32];
    fastrand::fill(&mut nonce);
    Local {
        agent: "raw".to_owned(),
        codecs: vec![
            offer(CodecId::GZIP, 15),
            offer(CodecId::ZSTD, 17),
            offer(CodecId::LZ4, 16),
            offer(CodecId::SNAPPY, 0),
        ],
        require_codec: false,
        limits: PeerLimits { max_frame: 64 << 10, initial_window: 256 << 10, max_streams: 1024 },
        boot_id: [7; 16],
        nonce,
        crc: false,
        session_name: name.to_owned(),
        junk_limit: 0,
        max_listed: 4096,
    }
}

/// A connection without a word.
pub fn dial(address: &str) -> io::Result<TcpStream> {
    let address: SocketAddr = address.parse().map_err(io::Error::other)?;
    let socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_nodelay(true)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

impl Raw {
    /// Opens a session as any client does.
    pub fn open(address: &str, name: &str) -> Result<Self, Broken> {
        Self::shake(dial(address)?, local(name), Purpose::Open { token: None })
    }

    /// The same, tried again while the receiver has no room, as an honest client does.
    pub fn open_patiently(address: &str, name: &str) -> Self {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match Self::open(address, name) {
                Ok(raw) => return raw,
                Err(error) => assert!(Instant::now() < deadline, "no session: {error:?}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Goes on with a session, with `parts` as the list of streams.
    pub fn resume(
        address: &str,
        ticket: &Ticket,
        epoch: u64,
        parts: Vec<Resume>,
    ) -> Result<Self, Broken> {
        let Ticket { session, secret, .. } = ticket.clone();
        let purpose = Purpose::Resume { session, secret, epoch, parts };
        Self::shake(dial(address)?, local(""), purpose)
    }

    /// The client's half over any socket.
    pub fn shake(socket: TcpStream, local: Local, purpose: Purpose) -> Result<Self, Broken> {
        let mut handshake = ClientHandshake::new(local, purpose)?;
        let (mut input, mut said) = (BytesMut::new(), Vec::new());
        loop {
            say(&socket, &handshake.output(), &mut said)?;
            let established = handshake.receive(&mut input)?;
            say(&socket, &handshake.output(), &mut said)?;
            if let Some(established) = established {
                return Ok(Self { socket, input, ticket: Ticket::of(&established), said });
            }
            hear(&socket, &mut input)?;
        }
    }

    /// The server's half, for a client that wants a new session.
    pub fn welcome(socket: TcpStream, local: Local) -> Result<Self, Broken> {
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
        let mut handshake = ServerHandshake::new(local, None, [9; 16], Secret::new([3; 32]));
        let (mut input, mut said) = (BytesMut::new(), Vec::new());
        loop {
            let step = handshake.receive(&mut input);
            say(&socket, &handshake.output(), &mut said)?;
            match step? {
                Step::NeedMore => hear(&socket, &mut input)?,
                Step::Lookup { .. } => handshake.known(None)?,
                Step::Proven(_) => {
                    let established = handshake.accept(Vec::new())?;
                    say(&socket, &handshake.output(), &mut said)?;
                    return Ok(Self { socket, input, ticket: Ticket::of(&established), said });
                }
            }
        }
    }

    /// The server's half, for a client that resumes: whatever it proves, a newer link exists.
    pub fn turn_away_as_stale(socket: TcpStream, epoch: u64) -> Result<(), Broken> {
        socket.set_read_timeout(Some(PATIENCE))?;
        let secret = Secret::new([3; 32]);
        let mut handshake = ServerHandshake::new(local(""), None, [9; 16], secret.clone());
        let mut input = BytesMut::new();
        loop {
            let step = handshake.receive(&mut input);
            say(&socket, &handshake.output(), &mut Vec::new())?;
            match step? {
                Step::NeedMore => hear(&socket, &mut input)?,
                Step::Lookup { .. } => {
                    let state = KnownState::Live;
                    handshake.known(Some(Known { secret: secret.clone(), epoch, state }))?;
                }
                Step::Proven(_) => return Ok(()),
            }
        }
    }

    /// Sends frames that are well formed.
    pub fn send(&mut self, frames: &[Frame]) -> io::Result<()> {
        self.write(&encoded(frames))
    }

    /// Sends any bytes.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        (&self.socket).write_all(bytes)
    }

    /// Throws away what arrives, for as long as the link lasts.
    pub fn ignore(&self) {
        let Ok(mut socket) = self.socket.try_clone() else { return };
        let _ = socket.set_read_timeout(None);
        std::thread::spawn(move || io::copy(&mut socket, &mut io::sink()));
    }

    /// The next frame; `None` once the link has ended.
    pub fn frame(&mut self) -> Option<Frame> {
        let limits = DecodeLimits { crc: CrcPolicy::Off, ..DecodeLimits::default() };
        loop {
            if let Some(frame) = decode(&mut self.input, &limits).expect("an honest program") {
                return Some(frame);
            }
            hear(&self.socket, &mut self.input).ok()?;
        }
    }

    /// Waits until the peer hangs up; false if it does not within `patience`.
    pub fn hung_up(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut sink = [0; 4096];
        let _ = self.socket.set_read_timeout(Some(Duration::from_millis(50)));
        while Instant::now() < deadline {
            match (&self.socket).read(&mut sink) {
                Ok(1..) => {}
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
                    ) => {}
                Ok(0) | Err(_) => return true,
            }
        }
        false
    }

    /// Ends the session in order, so that it leaves nothing behind.
    pub fn close(&mut self) {
        let _ = self.send(&[Frame::Close(Close {
            code: p2_frame::ErrorCode::NO_ERROR,
            reason: String::new(),
            ack: false,
            ext: Vec::new(),
        })]);
    }
}

impl Ticket {
    fn of(established: &Established) -> Self {
        Self {
            session: established.session,
            secret: established.secret.clone(),
            epoch: established.attachment.epoch,
        }
    }
}

/// A port for programs that dial.
pub fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound").to_string();
    (listener, address)
}

/// The client's stream of this index.
pub fn stream(index: u64) -> StreamId {
    StreamId::new(Role::Client, index).expect("in range")
}

/// An OPEN.
pub fn open(stream: StreamId, name: impl Into<String>) -> Frame {
    Frame::Open(Open {
        stream,
        label: 1,
        name: name.into(),
        priority: 2,
        unidirectional: true,
        metadata: Vec::new(),
        ext: Vec::new(),
    })
}

/// A DATA of bytes as they are.
pub fn data(stream: StreamId, offset: u64, bytes: impl Into<Bytes>) -> Frame {
    let payload = bytes.into();
    let raw_len = u32::try_from(payload.len()).expect("short");
    Frame::Data(Data { stream, offset, codec: CodecId::NONE, restart: false, raw_len, payload })
}

/// A DATA whose payload claims to be `codec`'s, as the first of its context.
pub fn coded(stream: StreamId, offset: u64, codec: CodecId, raw_len: u32, payload: &[u8]) -> Frame {
    let payload = Bytes::copy_from_slice(payload);
    Frame::Data(Data { stream, offset, codec, restart: true, raw_len, payload })
}

/// Frames as their bytes.
pub fn encoded(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = BytesMut::new();
    for frame in frames {
        frame.encode(&mut bytes, false).expect("within the limits");
    }
    bytes.to_vec()
}

/// A header with any content, and a body of any length after it.
pub fn header(kind: u8, flags: u8, codec: u8, len: u32, stream: u64, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, flags, codec, 0];
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&stream.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

fn say(mut socket: &TcpStream, bytes: &[u8], said: &mut Vec<u8>) -> io::Result<()> {
    said.extend_from_slice(bytes);
    socket.write_all(bytes)
}

fn hear(mut socket: &TcpStream, input: &mut BytesMut) -> io::Result<()> {
    let mut chunk = [0; 16 << 10];
    match socket.read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => {
            input.extend_from_slice(&chunk[..read]);
            Ok(())
        }
    }
}

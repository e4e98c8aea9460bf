//! Two sessions joined by a link in memory; the test owns time, and may cut the link anywhere.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use p2_frame::{Data, DecodeLimits, Frame, decode};
use p2_mux::{
    Attachment, CodecId, Config, Event, LinkError, ProcessBudget, Read, Received, ResumeError,
    Role, SentFrame, Session, StreamId, Time, Transmit,
};

/// One end: the session and the wire towards it.
pub(crate) struct End {
    pub(crate) session: Session,
    pub(crate) events: Vec<Event>,
    wire: VecDeque<u8>,
    parser: BytesMut,
}

impl End {
    fn new(config: Config) -> Self {
        Self {
            session: Session::new(config, ProcessBudget::default()),
            events: Vec::new(),
            wire: VecDeque::new(),
            parser: BytesMut::new(),
        }
    }

    pub(crate) fn collect(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.events.push(event);
        }
    }
}

pub(crate) struct Pair {
    pub(crate) now: Time,
    pub(crate) client: End,
    pub(crate) server: End,
    epoch: u64,
}

impl Pair {
    pub(crate) fn new() -> Self {
        Self::with(Config::new(Role::Client), Config::new(Role::Server))
    }

    pub(crate) fn with(client: Config, server: Config) -> Self {
        let (client, server) = (End::new(client), End::new(server));
        let mut pair = Self { now: Time::default(), client, server, epoch: 0 };
        pair.connect().unwrap();
        pair
    }

    /// Joins the two by a fresh link, as a handshake would.
    pub(crate) fn connect(&mut self) -> Result<(), ResumeError> {
        self.cut();
        let first = self.epoch == 0;
        self.epoch += 1;
        let limits = |config: &Config| p2_mux::PeerLimits {
            max_frame: 64 << 10,
            initial_window: config.initial_window,
            max_streams: config.max_streams,
        };
        let mut client = Attachment::new(self.epoch, CodecId::NONE);
        let mut server = client.clone();
        client.peer = limits(self.server.session.config());
        server.peer = limits(self.client.session.config());
        if !first {
            client.resume = self.server.session.resume_parts();
            server.resume = self.client.session.resume_parts();
        }
        self.server.session.attach(self.now, server)?;
        self.client.session.attach(self.now, client)
    }

    /// The link is gone, with everything on it.
    pub(crate) fn cut(&mut self) {
        for end in [&mut self.client, &mut self.server] {
            end.session.detach(self.now);
            end.wire.clear();
            end.parser.clear();
            end.collect();
        }
    }

    pub(crate) fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
    }

    /// Moves at most `max` bytes each way; returns whether anything moved.
    pub(crate) fn step(&mut self, max: usize) -> Result<bool, LinkError> {
        let now = self.now;
        let forth = transfer(now, &mut self.client, &mut self.server, max)?;
        let back = transfer(now, &mut self.server, &mut self.client, max)?;
        self.client.collect();
        self.server.collect();
        Ok(forth || back)
    }

    /// Runs until nothing moves for the longest delay a frame may take.
    pub(crate) fn settle(&mut self) {
        loop {
            while self.step(usize::MAX).unwrap() {}
            self.wait(Duration::from_millis(25));
            self.client.session.handle_timeout(self.now).unwrap();
            self.server.session.handle_timeout(self.now).unwrap();
            if !self.step(usize::MAX).unwrap() {
                return;
            }
        }
    }
}

fn transfer(now: Time, from: &mut End, to: &mut End, max: usize) -> Result<bool, LinkError> {
    let mut batch = Vec::new();
    if to.wire.is_empty() {
        from.session.poll_transmit(now, &mut batch);
    }
    let moved = !batch.is_empty();
    if moved {
        let frames = batch.len() as u64;
        let mut bytes = BytesMut::new();
        let mut sent = Vec::new();
        for item in batch {
            match item {
                Transmit::Control(frame) => frame.encode(&mut bytes, false).unwrap(),
                Transmit::Data(job) => {
                    let before = bytes.len();
                    let payload = Bytes::from(job.chunks.concat());
                    let (stream, offset, raw_len) = (job.stream, job.offset, job.raw_len);
                    let codec = CodecId::NONE;
                    let data = Data { stream, offset, codec, restart: false, raw_len, payload };
                    Frame::Data(data).encode(&mut bytes, false).unwrap();
                    let wire = (bytes.len() - before) as u64;
                    sent.push(SentFrame { stream, raw_len, wire, codec });
                }
            }
        }
        from.session.sent(now, bytes.len() as u64, frames, &sent);
        to.wire.extend(bytes);
    }
    let take = max.min(to.wire.len());
    to.parser.extend(to.wire.drain(..take));
    let mut arrived = false;
    loop {
        let before = to.parser.len();
        let Some(frame) = decode(&mut to.parser, &DecodeLimits::default()).unwrap() else {
            break;
        };
        arrived = true;
        let wire = (before - to.parser.len()) as u64;
        if let Received::Decode(job) = to.session.receive(now, frame, wire)? {
            to.session.deliver(now, job.epoch, job.stream, job.offset, job.payload);
        }
    }
    Ok(moved || arrived || take > 0)
}

/// Reads what is there; the stream's bytes so far, and whether its end was reached.
pub(crate) fn drain(now: Time, session: &mut Session, id: StreamId, into: &mut Vec<u8>) -> bool {
    loop {
        match session.read(now, id, usize::MAX).unwrap() {
            Read::Data { offset, data } => {
                assert_eq!(offset, into.len() as u64);
                into.extend_from_slice(&data);
            }
            Read::Gap { .. } => {}
            Read::Finished => return true,
            Read::Blocked => return false,
        }
    }
}

//! The reading half of a link: large reads, many frames, one lock for a batch.

use std::{collections::VecDeque, pin::pin, sync::Arc};

use bytes::BytesMut;
use p2_frame::{CrcPolicy, DecodeLimits, Frame, StreamId, decode, limits::MAX_PAYLOAD};
use p2_mux::Received;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::oneshot,
    task::yield_now,
    time::timeout,
};

use super::{End, STALL, at_hand, blocks::Blocks, decode::Decoders, tidings::Tidings};
use crate::{clock, shared::Shared};

/// Raw bytes decoded at once: a read of a block may hold frames of a thousand times as many.
const PORTION: usize = 1024 * 1024;
/// Bytes read in one go before it is the turn of those who wait for them. While more bytes are at
/// hand the peer waits for nothing, so answers may wait that long for company.
const TURN: usize = 256 * 1024;
/// Frames taken from a block in one go: there may be thousands in it, and what they are parsed into
/// is larger than the shortest of them.
const FRAMES: usize = 512;

pub(super) struct Reader {
    pub(super) shared: Arc<Shared>,
    pub(super) epoch: u64,
    pub(super) input: BytesMut,
    pub(super) crc: bool,
    pub(super) decoders: Decoders,
    pub(super) heard: Option<oneshot::Sender<()>>,
    pub(super) blocks: Blocks,
    pub(super) tidings: Tidings,
    /// Bytes read since others had their turn.
    pub(super) turn: usize,
}

impl Reader {
    /// Reads until the link ends. Awaits nothing but the socket and the codec pool: granted credit
    /// means that there is room.
    pub(super) async fn run(mut self, mut reader: Box<dyn AsyncRead + Send + Unpin>) -> End {
        match self.read(&mut *reader).await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn read(
        &mut self,
        reader: &mut (dyn AsyncRead + Send + Unpin),
    ) -> Result<std::convert::Infallible, End> {
        let crc = if self.crc { CrcPolicy::Required } else { CrcPolicy::Off };
        let limits = DecodeLimits { max_payload: MAX_PAYLOAD, crc, handshake: false };
        let mut frames = VecDeque::new();
        let mut ended = Vec::new();
        let mut read = 0;
        loop {
            let parsed = parse(&mut self.input, &limits, &mut frames);
            if !frames.is_empty() {
                if let Some(heard) = self.heard.take() {
                    // The listener may have gone.
                    let _ = heard.send(());
                }
                while !frames.is_empty() {
                    self.receive(&mut frames, &mut ended)?;
                    self.decode().await?;
                }
                ended.drain(..).for_each(|stream| self.decoders.forget(stream));
            } else if read > 0 {
                self.trickle()?;
            }
            match parsed {
                Ok(More::AtHand) => {
                    self.tidings.tell_streams();
                    read = 0;
                }
                Ok(More::ToBeRead) => {
                    read = self.fill(reader).await?;
                    if read == 0 {
                        return Err(End::Eof);
                    }
                }
                Err(error) => {
                    self.shared.with(|state| state.tally.frame_damaged());
                    return Err(error.into());
                }
            }
        }
    }

    /// Reads once: what is at hand, else what comes after everyone else had a turn.
    async fn fill(&mut self, reader: &mut (dyn AsyncRead + Send + Unpin)) -> Result<usize, End> {
        if self.turn >= TURN {
            self.turn = 0;
            self.tidings.tell_all();
            yield_now().await;
        }
        self.blocks.make_room(&mut self.input);
        let room = self.input.capacity().saturating_sub(self.input.len());
        let waiting_for_more = !self.input.is_empty();
        let mut reading = pin!(reader.read_buf(&mut self.input));
        let read = match at_hand(reading.as_mut()).await {
            Some(read) => {
                self.tidings.tell_streams();
                read?
            }
            None => {
                self.turn = 0;
                self.tidings.tell_all();
                if waiting_for_more {
                    // A slow link is not a dead one: every byte starts the stall time anew.
                    timeout(STALL, reading).await.map_err(|_| End::Stalled("read"))??
                } else {
                    reading.await?
                }
            }
        };
        self.turn = self.turn.saturating_add(read);
        self.blocks.learn(read, room);
        Ok(read)
    }

    /// Bytes came, but no whole frame: the peer lives.
    fn trickle(&self) -> Result<(), End> {
        let now = clock::now();
        self.shared.with(|state| {
            if !state.carries(self.epoch) {
                return Err(End::Fenced);
            }
            state.session.heard(now);
            Ok(())
        })
    }

    /// Hands frames to the session, under one lock, until there is a portion to decode.
    fn receive(
        &mut self,
        frames: &mut VecDeque<(Frame, u64)>,
        ended: &mut Vec<StreamId>,
    ) -> Result<(), End> {
        let now = clock::now();
        let (epoch, decoders) = (self.epoch, &mut self.decoders);
        self.tidings.with(|state| {
            if !state.carries(epoch) {
                return Err(End::Fenced);
            }
            while decoders.queued() < PORTION {
                let Some((frame, wire)) = frames.pop_front() else { break };
                if let Frame::Fin(p2_frame::Fin { stream, .. })
                | Frame::Reset(p2_frame::Reset { stream, .. }) = &frame
                {
                    ended.push(*stream);
                }
                match state.session.receive(now, frame, wire)? {
                    Received::Decode(job) => decoders.push(job),
                    Received::Done => {}
                }
            }
            Ok(())
        })
    }

    /// Decodes outside the lock and delivers under it.
    async fn decode(&mut self) -> Result<(), End> {
        if self.decoders.is_idle() {
            return Ok(());
        }
        if self.decoders.queued() > 0 {
            // Codecs take their time, and more so on threads that others keep busy.
            self.tidings.tell_all();
        }
        self.decoders.run().await;
        let now = clock::now();
        let (epoch, decoders) = (self.epoch, &mut self.decoders);
        self.tidings.with(|state| {
            let session = &mut state.session;
            let trouble = decoders.take(|stream, offset, bytes| {
                session.deliver(now, epoch, stream, offset, bytes);
            });
            if !state.carries(epoch) {
                return Err(End::Fenced);
            }
            for (stream, error) in trouble.starved {
                state.starved(now, stream, &error);
            }
            match trouble.failure {
                Some(failure) => {
                    state.decode_failed(now, failure.stream, failure.offset);
                    Err(failure.error.into())
                }
                None => Ok(()),
            }
        })
    }
}

/// Where the next frame may be.
enum More {
    AtHand,
    ToBeRead,
}

/// Takes complete frames off the front of `input`, each with its length on the wire: all of them, or
/// as many as are taken at once.
fn parse(
    input: &mut BytesMut,
    limits: &DecodeLimits,
    frames: &mut VecDeque<(Frame, u64)>,
) -> Result<More, p2_frame::DecodeError> {
    while frames.len() < FRAMES {
        let before = input.len();
        let Some(frame) = decode(input, limits)? else { return Ok(More::ToBeRead) };
        frames.push_back((frame, before.saturating_sub(input.len()) as u64));
    }
    Ok(More::AtHand)
}

//! RESUME: what a side knows of its live streams, from which everything in flight follows.

use bytes::BytesMut;

use crate::body::{ResumeBody, ResumeStreamBody, check_extensions, from_bytes, to_bytes};
use crate::error::{DecodeError, EncodeError, FieldError, at_most, len_at_most};
use crate::header::put_frame;
use crate::limits::{MAX_OFFSET, MAX_RESUME, MAX_RESUME_STREAMS, MAX_STREAMS};
use crate::{Extensions, FrameKind, StreamId};

/// One part of a side's list of live streams; sent after PROOF on a link that resumes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// At most 256; the parts together name each live stream once.
    pub streams: Vec<ResumeStream>,
    /// Streams that the sender has opened so far: its next index.
    pub local_opened: u64,
    /// Streams of the receiver that the sender has seen opened.
    pub peer_opened: u64,
    /// No part follows. An empty list is one part with this set.
    pub last: bool,
    /// For later versions.
    pub ext: Extensions,
}

/// A live stream as the sender of RESUME sees it. Offsets count raw bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumeStream {
    /// The stream.
    pub stream: StreamId,
    /// Bytes received in order: where the peer is to go on. 0 to 2^62.
    pub received: u64,
    /// As in [`Credit::acked`](crate::Credit::acked). 0 to 2^62 + 1.
    pub acked: u64,
    /// As in [`Credit::limit`](crate::Credit::limit). 0 to 2^62.
    pub limit: u64,
    /// The end of what this side has sent so far, or the final offset. 0 to 2^62.
    pub sent: u64,
    /// How this side's sending half has ended, if it has.
    pub end: StreamEnd,
    /// This side has sent STOP.
    pub stop: bool,
    /// This side has received the peer's FIN or RESET.
    pub recv_end: bool,
}

/// How a sending half has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum StreamEnd {
    /// It has not.
    Open = 0,
    /// By FIN.
    Fin = 1,
    /// By RESET.
    Reset = 2,
}

impl Resume {
    pub(crate) fn parse(bytes: &[u8], last: bool) -> Result<Self, DecodeError> {
        let body: ResumeBody = from_bytes(FrameKind::RESUME, bytes)?;
        len_at_most(KIND, "number of streams", body.streams.len(), MAX_RESUME_STREAMS)?;
        let streams = body.streams.iter().map(ResumeStream::from_body);
        let frame = Self {
            streams: streams.collect::<Result<_, _>>()?,
            local_opened: body.local_opened,
            peer_opened: body.peer_opened,
            last,
            ext: body.ext,
        };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let body = ResumeBody {
            streams: self.streams.iter().map(|stream| stream.to_body()).collect(),
            local_opened: self.local_opened,
            peer_opened: self.peer_opened,
            ext: self.ext.clone(),
        };
        let bytes = to_bytes(KIND, &body, MAX_RESUME)?;
        put_frame(out, KIND, self.last, None, &bytes, crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        len_at_most(KIND, "number of streams", self.streams.len(), MAX_RESUME_STREAMS)?;
        self.streams.iter().try_for_each(ResumeStream::check)?;
        at_most(KIND, "local_opened", self.local_opened, MAX_STREAMS)?;
        at_most(KIND, "peer_opened", self.peer_opened, MAX_STREAMS)?;
        check_extensions(KIND, &self.ext)
    }
}

impl ResumeStream {
    fn check(&self) -> Result<(), FieldError> {
        at_most(KIND, "received", self.received, MAX_OFFSET)?;
        at_most(KIND, "acked", self.acked, MAX_OFFSET.saturating_add(1))?;
        at_most(KIND, "limit", self.limit, MAX_OFFSET)?;
        at_most(KIND, "sent", self.sent, MAX_OFFSET)
    }

    fn from_body(body: &ResumeStreamBody) -> Result<Self, FieldError> {
        let max = MAX_STREAMS.saturating_mul(2).saturating_sub(1);
        let Some(stream) = StreamId::from_wire(body.stream) else {
            let (value, min) = (body.stream, 0);
            return Err(FieldError::OutOfRange { kind: KIND, field: "stream", value, min, max });
        };
        at_most(KIND, "end", body.end.into(), 2)?;
        Ok(Self {
            stream,
            received: body.received,
            acked: body.acked,
            limit: body.limit,
            sent: body.sent,
            end: match body.end {
                0 => StreamEnd::Open,
                1 => StreamEnd::Fin,
                _ => StreamEnd::Reset,
            },
            stop: body.stop,
            recv_end: body.recv_end,
        })
    }

    fn to_body(self) -> ResumeStreamBody {
        ResumeStreamBody {
            stream: self.stream.to_wire(),
            received: self.received,
            acked: self.acked,
            limit: self.limit,
            sent: self.sent,
            end: self.end as u8,
            stop: self.stop,
            recv_end: self.recv_end,
        }
    }
}

const KIND: FrameKind = FrameKind::RESUME;

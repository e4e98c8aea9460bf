//! The frames: one file each, and the type that is any of them.

mod blocked;
mod close;
mod credit;
mod data;
mod fin;
mod gap;
mod goaway;
mod hello;
mod open;
mod ping;
mod proof;
mod receipt;
mod refuse;
mod reset;
mod resume;
mod stop;

use bytes::BytesMut;

pub use blocked::Blocked;
pub use close::Close;
pub use credit::Credit;
pub use data::{Data, DataHeader};
pub use fin::Fin;
pub use gap::Gap;
pub use goaway::GoAway;
pub use hello::{CodecOffer, Hello, PeerLimits};
pub use open::Open;
pub use ping::{Ping, Pong};
pub use proof::{CodecChoice, Proof};
pub use receipt::Receipt;
pub use refuse::Refuse;
pub use reset::Reset;
pub use resume::{Resume, ResumeStream, StreamEnd};
pub use stop::Stop;

use crate::FrameKind;
use crate::error::EncodeError;
use crate::kind::Known;

/// Any frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// See [`Hello`]. Once per link and far larger than what follows, as is [`Proof`].
    Hello(Box<Hello>),
    /// See [`Proof`].
    Proof(Box<Proof>),
    /// See [`Resume`].
    Resume(Resume),
    /// See [`Open`].
    Open(Open),
    /// See [`Data`].
    Data(Data),
    /// See [`Fin`].
    Fin(Fin),
    /// See [`Reset`].
    Reset(Reset),
    /// See [`Stop`].
    Stop(Stop),
    /// See [`Credit`].
    Credit(Credit),
    /// See [`Ping`].
    Ping(Ping),
    /// See [`Pong`].
    Pong(Pong),
    /// See [`GoAway`].
    GoAway(GoAway),
    /// See [`Close`].
    Close(Close),
    /// See [`Gap`].
    Gap(Gap),
    /// See [`Blocked`].
    Blocked(Blocked),
    /// See [`Receipt`].
    Receipt(Receipt),
    /// See [`Refuse`].
    Refuse(Refuse),
    /// A frame of a later version that said it may be skipped; its content is gone.
    Skipped {
        /// Its type.
        kind: u8,
        /// The length of its payload, in bytes.
        len: u32,
    },
}

impl Frame {
    /// The type of the frame.
    pub fn kind(&self) -> FrameKind {
        match self {
            Self::Hello(_) => FrameKind::HELLO,
            Self::Proof(_) => FrameKind::PROOF,
            Self::Resume(_) => FrameKind::RESUME,
            Self::Open(_) => FrameKind::OPEN,
            Self::Data(_) => FrameKind::DATA,
            Self::Fin(_) => FrameKind::FIN,
            Self::Reset(_) => FrameKind::RESET,
            Self::Stop(_) => FrameKind::STOP,
            Self::Credit(_) => FrameKind::CREDIT,
            Self::Ping(_) => FrameKind::PING,
            Self::Pong(_) => FrameKind::PONG,
            Self::GoAway(_) => FrameKind::GOAWAY,
            Self::Close(_) => FrameKind::CLOSE,
            Self::Gap(_) => FrameKind::GAP,
            Self::Blocked(_) => FrameKind::BLOCKED,
            Self::Receipt(_) => FrameKind::RECEIPT,
            Self::Refuse(_) => FrameKind::REFUSE,
            Self::Skipped { kind, .. } => FrameKind::new(*kind),
        }
    }

    /// Appends the frame to `out`, with a CRC32C trailer if `crc`.
    ///
    /// HELLO and REFUSE never carry a CRC, whatever `crc` says.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] if a field is outside its range; `out` is then as it was.
    ///
    /// ```
    /// use bytes::BytesMut;
    /// use p2_frame::{ErrorCode, Frame, Role, Stop, StreamId};
    ///
    /// let stream = StreamId::new(Role::Client, 2).unwrap();
    /// let mut out = BytesMut::new();
    /// Frame::Stop(Stop { stream, code: ErrorCode::CANCELLED }).encode(&mut out, false)?;
    /// assert_eq!(out[..], [8, 0, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0]);
    /// # Ok::<(), p2_frame::EncodeError>(())
    /// ```
    pub fn encode(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        let kind = self.kind();
        let crc = crc && kind.known().is_some_and(Known::may_carry_crc);
        match self {
            Self::Hello(frame) => frame.put(out),
            Self::Proof(frame) => frame.put(out, crc),
            Self::Resume(frame) => frame.put(out, crc),
            Self::Open(frame) => frame.put(out, crc),
            Self::Data(frame) => frame.put(out, crc),
            Self::Fin(frame) => frame.put(out, crc),
            Self::Reset(frame) => frame.put(out, crc),
            Self::Stop(frame) => frame.put(out, crc),
            Self::Credit(frame) => frame.put(out, crc),
            Self::Ping(frame) => frame.put(out, crc),
            Self::Pong(frame) => frame.put(out, crc),
            Self::GoAway(frame) => frame.put(out, crc),
            Self::Close(frame) => frame.put(out, crc),
            Self::Gap(frame) => frame.put(out, crc),
            Self::Blocked(frame) => frame.put(out, crc),
            Self::Receipt(frame) => frame.put(out, crc),
            Self::Refuse(frame) => frame.put(out),
            Self::Skipped { .. } => Err(EncodeError::Skipped { kind }),
        }
    }
}

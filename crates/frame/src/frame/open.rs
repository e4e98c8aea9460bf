//! OPEN: a new stream, with what people know it by.

use bytes::BytesMut;

use crate::body::{OpenBody, check_extensions, from_bytes, to_bytes};
use crate::error::{DecodeError, EncodeError, FieldError, at_most, len_at_most};
use crate::header::put_frame;
use crate::limits::{MAX_CONTROL, MAX_METADATA, MAX_METADATA_ENTRIES, MAX_NAME, MAX_PRIORITY};
use crate::{Extensions, FrameKind, StreamId};

/// The first frame of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// The stream: the next index of its initiator.
    pub stream: StreamId,
    /// The number that people see and set.
    pub label: u32,
    /// The name that people see and set; at most 255 bytes. It may hold any character: escape it
    /// before it reaches a terminal or a path.
    pub name: String,
    /// 0 realtime, 1 high, 2 normal, 3 low, 4 bulk.
    pub priority: u8,
    /// Only the initiator sends.
    pub unidirectional: bool,
    /// At most 32 pairs, with at most 1 KiB in all keys and values together.
    pub metadata: Vec<(String, String)>,
    /// For later versions.
    pub ext: Extensions,
}

impl Open {
    pub(crate) fn parse(stream: StreamId, bytes: &[u8]) -> Result<Self, DecodeError> {
        let body: OpenBody = from_bytes(FrameKind::OPEN, bytes)?;
        let frame = Self {
            stream,
            label: body.label,
            name: body.name,
            priority: body.priority,
            unidirectional: body.unidirectional,
            metadata: body.metadata,
            ext: body.ext,
        };
        frame.check()?;
        Ok(frame)
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        self.check()?;
        let body = OpenBody {
            label: self.label,
            name: self.name.clone(),
            priority: self.priority,
            unidirectional: self.unidirectional,
            metadata: self.metadata.clone(),
            ext: self.ext.clone(),
        };
        let bytes = to_bytes(FrameKind::OPEN, &body, MAX_CONTROL)?;
        put_frame(out, FrameKind::OPEN, false, Some(self.stream), &bytes, crc);
        Ok(())
    }

    fn check(&self) -> Result<(), FieldError> {
        const KIND: FrameKind = FrameKind::OPEN;
        len_at_most(KIND, "length of name", self.name.len(), MAX_NAME)?;
        at_most(KIND, "priority", self.priority.into(), MAX_PRIORITY.into())?;
        len_at_most(KIND, "metadata entries", self.metadata.len(), MAX_METADATA_ENTRIES)?;
        let lengths = self.metadata.iter().flat_map(|(key, value)| [key.len(), value.len()]);
        let bytes = lengths.fold(0, usize::saturating_add);
        len_at_most(KIND, "metadata bytes", bytes, MAX_METADATA)?;
        check_extensions(KIND, &self.ext)
    }
}

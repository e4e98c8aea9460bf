//! One stream: what it is called, its two halves, and what it owes the link.

mod buffer;
mod digest;
mod gaps;
mod inbox;
pub(crate) mod read;
pub(crate) mod recv;
mod recv_state;
pub(crate) mod send;
mod send_rare;
mod send_state;

use std::sync::Arc;

use p2_frame::{CodecId, Open, StreamId};

use crate::schedule::Priority;
use crate::stats::{Counters, StreamStats};
use recv::RecvHalf;
use send::SendHalf;

/// How a stream is to be opened.
///
/// ```
/// use p2_mux::{OpenOptions, Priority};
/// let options = OpenOptions { priority: Priority::High, ..OpenOptions::named("app") };
/// assert_eq!(options.name, "app");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenOptions {
    /// The name the peer sees; at most 255 bytes, need not be unique.
    pub name: String,
    /// The number people see (`[Stream 7]`); it need not be unique.
    pub label: u32,
    /// The class it is scheduled in, in both directions.
    pub priority: Priority,
    /// Only the opener sends.
    pub unidirectional: bool,
    /// Key and value pairs for the application; at most 1 KiB together.
    pub metadata: Vec<(String, String)>,
    /// The codec to send with, instead of the session's choice, if the peer can decode it.
    pub codec: Option<CodecId>,
    /// The codec's level, instead of its default.
    pub level: Option<i32>,
}

impl OpenOptions {
    /// A bidirectional stream of normal priority.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// What the peer's OPEN says of its stream.
    pub(crate) fn of_peer(open: Open) -> Self {
        Self {
            name: open.name,
            label: open.label,
            // A class we do not know is a newer peer's; it is served like the default.
            priority: Priority::from_repr(open.priority).unwrap_or_default(),
            unidirectional: open.unidirectional,
            metadata: open.metadata,
            codec: None,
            level: None,
        }
    }
}

/// Frames a stream owes the link, one bit each. What is owed can always be derived anew, so no
/// queue holds frames and none can overflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Owed(u8);

impl Owed {
    pub(crate) const OPEN: Self = Self(1);
    pub(crate) const CREDIT: Self = Self(2);
    pub(crate) const STOP: Self = Self(4);
    pub(crate) const RESET: Self = Self(8);
    pub(crate) const BLOCKED: Self = Self(16);

    pub(crate) const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Removes `other` and tells whether it was there.
    pub(crate) const fn take(&mut self, other: Self) -> bool {
        let had = self.0 & other.0 != 0;
        self.0 &= !other.0;
        had
    }

    pub(crate) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(crate) const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// All that a session knows of one stream. A table holds thousands of these that do nothing, so
/// what only a stream in motion needs, or an unusual one, is kept aside by whoever needs it.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) options: Arc<OpenOptions>,
    pub(crate) send: Option<SendHalf>,
    pub(crate) recv: Option<RecvHalf>,
    pub(crate) counters: Counters,
    pub(crate) owed: Owed,
    /// In the session's list of streams that owe something.
    pub(crate) listed: bool,
    /// In the session's list of acknowledgements that may wait a little.
    pub(crate) lazy: bool,
    /// Somebody here holds it; a peer's stream is not held until it is accepted.
    pub(crate) held: bool,
    pub(crate) accepted: bool,
    /// Over, and no longer counted as open.
    pub(crate) retired: bool,
}

impl Stream {
    pub(crate) fn new(options: Arc<OpenOptions>) -> Self {
        Self {
            options,
            send: None,
            recv: None,
            counters: Counters::default(),
            owed: Owed::default(),
            listed: false,
            lazy: false,
            held: false,
            accepted: false,
            retired: false,
        }
    }

    /// The OPEN that announces it.
    pub(crate) fn open_frame(&self, id: StreamId) -> Open {
        Open {
            stream: id,
            label: self.options.label,
            name: self.options.name.clone(),
            priority: self.options.priority as u8,
            unidirectional: self.options.unidirectional,
            metadata: self.options.metadata.clone(),
            ext: Vec::new(),
        }
    }

    /// Both halves have come to their acknowledged ends.
    pub(crate) fn is_over(&self) -> bool {
        let sent = self.send.as_ref().is_none_or(|half| half.state() == send::SendState::Over);
        let received = self.recv.as_ref().is_none_or(|half| half.is_over());
        sent && received
    }

    /// Over, and on an attached link the peer knows: it lives for those that hold it alone.
    pub(crate) fn is_settled(&self) -> bool {
        self.owed.is_empty() && self.is_over()
    }

    pub(crate) fn stats(&self, id: StreamId) -> StreamStats {
        StreamStats::of(id, self)
    }
}

//! What an application asks of one stream when it opens it.

use p2_mux::{CodecId, OpenOptions};

use crate::Priority;

/// Options of a stream: its name, its label, its priority, its codec.
///
/// The defaults: no label, [`Priority::Normal`], the codec that the session negotiated, both
/// directions, acknowledgement as the application reads.
///
/// ```
/// use p2_transport::{CodecId, Priority, StreamOptions};
///
/// let options = StreamOptions::named("app").label(7).priority(Priority::High).codec(CodecId::GZIP);
/// assert_eq!(options.name(), "app");
/// ```
#[derive(Debug, Clone, Default)]
pub struct StreamOptions {
    pub(crate) name: String,
    pub(crate) label: u32,
    pub(crate) priority: Priority,
    pub(crate) codec: Option<CodecId>,
    pub(crate) level: Option<i32>,
    pub(crate) unidirectional: bool,
    pub(crate) metadata: Vec<(String, String)>,
    pub(crate) manual_ack: bool,
}

impl StreamOptions {
    /// Options of a stream called `name`: at most 255 bytes, need not be unique.
    pub fn named(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The number that people see (`[Stream 7]`). It need not be unique and means nothing to P2.
    pub fn label(mut self, label: u32) -> Self {
        self.label = label;
        self
    }

    /// Who goes first when the link is busy. Lower classes still get a minimum share.
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// The codec to send with. If the peer cannot decode it, the session's own choice is used.
    pub fn codec(mut self, codec: CodecId) -> Self {
        self.codec = Some(codec);
        self
    }

    /// The codec's level; its meaning and range are the codec's. Default: the codec's default.
    pub fn level(mut self, level: i32) -> Self {
        self.level = Some(level);
        self
    }

    /// `true`: only the opener sends; the other side can read but not write.
    pub fn unidirectional(mut self, unidirectional: bool) -> Self {
        self.unidirectional = unidirectional;
        self
    }

    /// Adds one key and value for the peer's application; all together at most 1 KiB.
    pub fn metadata(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((key.into(), value.into()));
        self
    }

    /// `true`: bytes read are acknowledged only by [`acknowledge`](crate::Stream::acknowledge).
    pub fn manual_ack(mut self, manual: bool) -> Self {
        self.manual_ack = manual;
        self
    }

    /// The stream's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn to_open(&self) -> OpenOptions {
        OpenOptions {
            label: self.label,
            priority: self.priority,
            unidirectional: self.unidirectional,
            metadata: self.metadata.clone(),
            codec: self.codec,
            level: self.level,
            ..OpenOptions::named(self.name.clone())
        }
    }
}

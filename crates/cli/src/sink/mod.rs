//! Where received streams go: standard output as lines or raw, or one file for each stream.
//!
//! A [`SinkFactory`] makes one [`StreamSink`] for each stream; [`drain`] moves the stream's bytes
//! into it and acknowledges exactly what the sink says it has.

mod counted;
mod dir;
mod drain;
mod error;
pub(crate) mod escape;
mod file;
mod format;
pub(crate) mod name;
mod number;
mod settings;
mod stdout;
mod writer;

use std::io::{self, IsTerminal};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;

use self::counted::Counted;
use self::dir::Dir;
use self::file::FileSink;
use self::format::LineFormat;
use self::stdout::{LineSink, RawSink};

pub(crate) use self::drain::{Failure, Outcome, drain, refuse};
pub(crate) use self::error::{Problem, SinkError};
pub(crate) use self::escape::text as escape_text;
pub(crate) use self::format::json_string;
pub(crate) use self::settings::{Ack, Format, SinkSettings};
pub(crate) use self::writer::{Patient, Writer};

use crate::status::SinkCounters;

/// What a sink is told about its stream.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct StreamInfo {
    /// The session's name.
    pub(crate) session: String,
    /// The stream's label.
    pub(crate) label: u32,
    /// The stream's name.
    pub(crate) name: String,
    /// What its sender attached.
    pub(crate) metadata: Vec<(String, String)>,
}

/// Takes the bytes of one stream, in order and once each.
///
/// A sink owns what it was given only below [`offset`](Sink::offset): that is what may be
/// acknowledged, and where a journal would have the stream go on. After an error the sink takes
/// nothing more.
pub(crate) trait Sink: Send {
    /// Takes the chunks of `data`, the first of which starts at `offset`, and leaves it empty.
    /// Returns once they are written, except the start of a line whose end is still to come.
    fn write(
        &mut self,
        offset: u64,
        data: &mut Vec<Bytes>,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Records that the source dropped bytes: `dropped` in total, up to `offset`.
    fn gap(
        &mut self,
        offset: u64,
        dropped: u64,
    ) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// Puts everything below [`offset`](Sink::offset) on stable storage.
    fn sync(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// The stream ended in order: writes what is held, so that nothing is left to acknowledge.
    fn finish(&mut self) -> impl Future<Output = Result<(), SinkError>> + Send;

    /// The stream ended early. What is written stays.
    fn fail(&mut self, reason: &str) -> impl Future<Output = ()> + Send;

    /// Everything below is written.
    fn offset(&self) -> u64;
}

/// The sink of one stream.
#[derive(Debug)]
pub(crate) enum StreamSink {
    /// Lines on standard output.
    Lines(LineSink),
    /// Exact bytes on standard output.
    Raw(RawSink),
    /// A file of its own.
    File(FileSink),
}

/// Why a stream gets no sink.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OpenError {
    /// The user's choice of sinks has no place for it.
    #[error("{0}")]
    Refused(String),
    /// Its sink cannot be made.
    #[error(transparent)]
    Failed(#[from] SinkError),
}

/// Makes the sinks that the settings ask for.
#[derive(Debug)]
pub(crate) struct SinkFactory {
    settings: SinkSettings,
    place: Place,
    keys: AtomicU64,
    together: Arc<AtomicUsize>,
    raw_taken: AtomicBool,
    counters: Arc<SinkCounters>,
}

#[derive(Debug)]
enum Place {
    Stdout { out: Writer, terminal: bool },
    Dir(Dir),
}

impl SinkFactory {
    /// Prepares the directory, or takes over standard output.
    pub(crate) async fn new(settings: SinkSettings) -> Result<Self, SinkError> {
        let place = match &settings.dir {
            Some(dir) => Place::Dir(Dir::open(dir.clone(), settings.ack).await?),
            None => Place::Stdout {
                out: Writer::stdout().map_err(|e| SinkError::new("standard output", &e))?,
                terminal: io::stdout().is_terminal(),
            },
        };
        Ok(Self::with_place(settings, place))
    }

    /// Delivers lines to `out` instead of standard output.
    #[cfg(test)]
    pub(crate) fn with_writer(settings: SinkSettings, out: Writer, terminal: bool) -> Self {
        Self::with_place(settings, Place::Stdout { out, terminal })
    }

    fn with_place(settings: SinkSettings, place: Place) -> Self {
        let counters = SinkCounters {
            kind: if settings.dir.is_some() { "dir" } else { "stdout" },
            place: settings.dir.as_ref().map(|dir| dir.display().to_string()),
            ack: settings.ack.to_string(),
            ..SinkCounters::default()
        };
        Self {
            counters: Arc::new(counters),
            settings,
            place,
            keys: AtomicU64::new(1),
            together: Arc::default(),
            raw_taken: AtomicBool::new(false),
        }
    }

    /// What counts as delivered.
    pub(crate) fn ack(&self) -> Ack {
        self.settings.ack
    }

    /// What its sinks count, all together.
    pub(crate) fn counters(&self) -> Arc<SinkCounters> {
        Arc::clone(&self.counters)
    }

    /// Makes the sink of one stream, which is counted.
    ///
    /// Streams of one name in one session are numbered in the order of these calls: call it where
    /// streams are accepted, not in the task that drains them.
    pub(crate) async fn open(&self, stream: &StreamInfo) -> Result<Counted<StreamSink>, OpenError> {
        let made = self.make(stream).await;
        if let Err(OpenError::Failed(error)) = &made {
            self.counters.failed_by(error.problem.word());
        }
        Ok(Counted::new(made?, self.counters()))
    }

    async fn make(&self, stream: &StreamInfo) -> Result<StreamSink, OpenError> {
        let shown = escape::text(&stream.name);
        if let Some(only) = &self.settings.only {
            if *only != stream.name {
                return Err(OpenError::Refused(format!(
                    "stream {shown} is not the one asked for by --only"
                )));
            }
        }
        let (out, terminal) = match &self.place {
            Place::Dir(dir) => return Ok(StreamSink::File(dir.create(stream).await?)),
            Place::Stdout { out, terminal } => (out.clone(), *terminal),
        };
        let raw = self.settings.format == Format::Raw;
        if raw && self.raw_taken.swap(true, Ordering::Relaxed) {
            return Err(OpenError::Refused(format!(
                "stream {shown} has no place: raw output carries one stream; \
                 choose it with --only NAME, or use --dir"
            )));
        }
        if raw && !terminal {
            return Ok(StreamSink::Raw(RawSink::new(out)));
        }
        let key = self.keys.fetch_add(1, Ordering::Relaxed);
        let format = LineFormat::new(self.settings.format, stream, terminal);
        Ok(StreamSink::Lines(LineSink::new(out, key, format, self.together.clone())))
    }
}

impl Sink for StreamSink {
    async fn write(&mut self, offset: u64, data: &mut Vec<Bytes>) -> Result<(), SinkError> {
        match self {
            Self::Lines(sink) => sink.write(offset, data).await,
            Self::Raw(sink) => sink.write(offset, data).await,
            Self::File(sink) => sink.write(offset, data).await,
        }
    }

    async fn gap(&mut self, offset: u64, dropped: u64) -> Result<(), SinkError> {
        match self {
            Self::Lines(sink) => sink.gap(offset, dropped).await,
            Self::Raw(sink) => sink.gap(offset, dropped).await,
            Self::File(sink) => sink.gap(offset, dropped).await,
        }
    }

    async fn sync(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Lines(sink) => sink.sync().await,
            Self::Raw(sink) => sink.sync().await,
            Self::File(sink) => sink.sync().await,
        }
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        match self {
            Self::Lines(sink) => sink.finish().await,
            Self::Raw(sink) => sink.finish().await,
            Self::File(sink) => sink.finish().await,
        }
    }

    async fn fail(&mut self, reason: &str) {
        match self {
            Self::Lines(sink) => sink.fail(reason).await,
            Self::Raw(sink) => sink.fail(reason).await,
            Self::File(sink) => sink.fail(reason).await,
        }
    }

    fn offset(&self) -> u64 {
        match self {
            Self::Lines(sink) => sink.offset(),
            Self::Raw(sink) => sink.offset(),
            Self::File(sink) => sink.offset(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::writer::tests::Shared;
    use super::*;

    fn factory(format: Format, only: Option<&str>) -> SinkFactory {
        let settings =
            SinkSettings { format, only: only.map(str::to_owned), ..SinkSettings::default() };
        let out = Writer::spawn("test", Shared::default()).expect("thread");
        SinkFactory::with_writer(settings, out, false)
    }

    fn stream(name: &str) -> StreamInfo {
        StreamInfo { session: "s".into(), label: 1, name: name.into(), metadata: Vec::new() }
    }

    #[tokio::test]
    async fn raw_takes_one_stream_and_refuses_the_next() {
        let factory = factory(Format::Raw, None);
        assert!(matches!(factory.make(&stream("a")).await, Ok(StreamSink::Raw(_))));
        let refused = factory.open(&stream("b\n")).await.expect_err("one place");
        assert_eq!(
            refused.to_string(),
            "stream b\\n has no place: raw output carries one stream; \
             choose it with --only NAME, or use --dir"
        );
    }

    #[tokio::test]
    async fn only_refuses_every_other_name() {
        let factory = factory(Format::Raw, Some("b"));
        let refused = factory.open(&stream("a")).await.expect_err("not asked for");
        assert_eq!(refused.to_string(), "stream a is not the one asked for by --only");
        assert!(matches!(factory.make(&stream("b")).await, Ok(StreamSink::Raw(_))));
    }

    #[tokio::test]
    async fn raw_on_a_terminal_is_escaped_text() {
        let out = Shared::default();
        let settings = SinkSettings { format: Format::Raw, ..SinkSettings::default() };
        let writer = Writer::spawn("test", out.clone()).expect("thread");
        let factory = SinkFactory::with_writer(settings, writer, true);
        let mut sink = factory.open(&stream("a")).await.expect("first");
        sink.write(0, &mut vec![Bytes::from_static(b"\x1b[2Jx\n")]).await.expect("written");
        assert_eq!(out.text(), "\\x1b[2Jx\n");
    }
}

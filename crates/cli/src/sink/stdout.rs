//! Streams on standard output: as whole lines of many streams, or as the exact bytes of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

use super::format::LineFormat;
use super::writer::{Request, Writer};
use super::{Sink, SinkError};

/// A line is held until its end comes, up to this much; then it is written in pieces.
pub(crate) const HOLD: usize = 64 << 10;

/// What all streams together may hold. Beyond it a stream writes its piece at once: held bytes are
/// not acknowledged, and many unfinished lines must not use up the session's credit.
const HOLD_TOGETHER: usize = 16 << 20;

const WHAT: &str = "standard output";

/// Writes a stream line by line.
#[derive(Debug)]
pub(crate) struct LineSink {
    out: Writer,
    key: u64,
    format: LineFormat,
    held: Vec<u8>,
    counted: usize,
    together: Arc<AtomicUsize>,
    /// Everything below is written.
    offset: u64,
    /// The last piece written had no line end.
    unfinished: bool,
    dropped: u64,
}

impl LineSink {
    /// A sink for the stream that `key` names; `together` counts what all streams hold.
    pub(crate) fn new(
        out: Writer,
        key: u64,
        format: LineFormat,
        together: Arc<AtomicUsize>,
    ) -> Self {
        Self {
            out,
            key,
            format,
            held: Vec::new(),
            counted: 0,
            together,
            offset: 0,
            unfinished: false,
            dropped: 0,
        }
    }

    /// Writes `held` and whatever else `text` has, and accounts for it.
    async fn put(&mut self, text: Vec<u8>, resumed: bool, written: u64) -> Result<(), SinkError> {
        if !text.is_empty() {
            let request = Request {
                key: self.key,
                parts: vec![text.into()],
                resume: resumed.then(|| self.format.prefix()),
                unfinished: self.unfinished,
                ..Request::default()
            };
            self.out.write(request).await.map_err(|e| SinkError::new(WHAT, &e))?;
        }
        self.offset = written;
        Ok(())
    }

    /// Appends one piece to `out` and returns the offset after it.
    fn piece(&mut self, offset: u64, text: &[u8], ended: bool, out: &mut Vec<u8>) -> u64 {
        self.format.push(offset, text, ended, !self.unfinished, out);
        self.unfinished = !ended && self.format.continues();
        offset + text.len() as u64 + u64::from(ended)
    }

    /// Moves the held bytes into `out`: all of them, or whole pieces while there is too much.
    fn spill(&mut self, mut offset: u64, all: bool, out: &mut Vec<u8>) -> u64 {
        let mut held = std::mem::take(&mut self.held);
        while held.len() >= HOLD || (all && !held.is_empty()) {
            let cut = match held.len() {
                len if len <= HOLD => len,
                _ => character_boundary(&held, HOLD),
            };
            let rest = held.split_off(cut);
            offset = self.piece(offset, &held, false, out);
            held = rest;
        }
        self.held = held;
        offset
    }

    fn count_held(&mut self) -> usize {
        let now = self.held.len();
        let before = std::mem::replace(&mut self.counted, now);
        let all = self.together.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        all.wrapping_add(now.wrapping_sub(before))
    }
}

impl Sink for LineSink {
    async fn write(&mut self, offset: u64, data: &mut Vec<Bytes>) -> Result<(), SinkError> {
        if self.held.is_empty() {
            self.offset = offset;
        }
        let size: usize = data.iter().map(Bytes::len).sum();
        let mut out = Vec::with_capacity(size + size / 4);
        let resumed = self.unfinished;
        let mut offset = self.offset;
        for chunk in data.drain(..) {
            let mut rest: &[u8] = &chunk;
            while let Some(end) = rest.iter().position(|&b| b == b'\n') {
                let (text, after) = rest.split_at(end);
                rest = after.get(1..).unwrap_or_default();
                if self.held.is_empty() {
                    offset = self.piece(offset, text, true, &mut out);
                } else {
                    let mut whole = std::mem::take(&mut self.held);
                    whole.extend_from_slice(text);
                    offset = self.piece(offset, &whole, true, &mut out);
                }
            }
            self.held.extend_from_slice(rest);
            offset = self.spill(offset, false, &mut out);
        }
        if self.count_held() > HOLD_TOGETHER {
            offset = self.spill(offset, true, &mut out);
            self.count_held();
        }
        self.put(out, resumed, offset).await
    }

    async fn gap(&mut self, offset: u64, dropped: u64) -> Result<(), SinkError> {
        let missing = dropped.saturating_sub(self.dropped);
        self.dropped = dropped;
        let mut out = Vec::new();
        let resumed = self.unfinished;
        let written = self.spill(self.offset, true, &mut out);
        self.count_held();
        if self.unfinished {
            out.push(b'\n');
            self.unfinished = false;
        }
        self.format.push_gap(offset, missing, &mut out);
        self.put(out, resumed, written).await
    }

    async fn sync(&mut self) -> Result<(), SinkError> {
        sync(&self.out, self.key).await
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        let mut out = Vec::new();
        let resumed = self.unfinished;
        let written = self.spill(self.offset, true, &mut out);
        self.count_held();
        self.put(out, resumed, written).await?;
        if self.unfinished {
            self.unfinished = false;
            let end = Request { key: self.key, end: true, ..Request::default() };
            self.out.write(end).await.map_err(|e| SinkError::new(WHAT, &e))?;
        }
        Ok(())
    }

    async fn fail(&mut self, _reason: &str) {
        // What came is shown though it is not acknowledged: a cut line helps to see where.
        let _ = self.finish().await;
    }

    fn offset(&self) -> u64 {
        self.offset
    }
}

impl Drop for LineSink {
    fn drop(&mut self) {
        self.held = Vec::new();
        self.count_held();
    }
}

/// Writes the exact bytes of one stream.
#[derive(Debug)]
pub(crate) struct RawSink {
    out: Writer,
    offset: u64,
}

impl RawSink {
    /// A sink for the only stream.
    pub(crate) fn new(out: Writer) -> Self {
        Self { out, offset: 0 }
    }
}

impl Sink for RawSink {
    async fn write(&mut self, offset: u64, data: &mut Vec<Bytes>) -> Result<(), SinkError> {
        let size: usize = data.iter().map(Bytes::len).sum();
        let request = Request { parts: std::mem::take(data), ..Request::default() };
        self.out.write(request).await.map_err(|e| SinkError::new(WHAT, &e))?;
        self.offset = offset + size as u64;
        Ok(())
    }

    async fn gap(&mut self, _offset: u64, _dropped: u64) -> Result<(), SinkError> {
        Ok(()) // exact bytes have no room for it: the caller's warning and counters tell
    }

    async fn sync(&mut self) -> Result<(), SinkError> {
        sync(&self.out, 0).await
    }

    async fn finish(&mut self) -> Result<(), SinkError> {
        Ok(())
    }

    async fn fail(&mut self, _reason: &str) {}

    fn offset(&self) -> u64 {
        self.offset
    }
}

async fn sync(out: &Writer, key: u64) -> Result<(), SinkError> {
    let request = Request { key, sync: true, ..Request::default() };
    out.write(request).await.map_err(|e| SinkError::new(WHAT, &e))
}

/// The last place at or before `limit` that does not split a UTF-8 character; `limit` if there is
/// none near, because then it is no text.
fn character_boundary(bytes: &[u8], limit: usize) -> usize {
    (limit.saturating_sub(3)..=limit)
        .rev()
        .find(|&at| bytes.get(at).is_none_or(|b| b & 0xc0 != 0x80))
        .unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::writer::tests::Shared;
    use crate::sink::{Format, StreamInfo};

    struct Bench {
        out: Shared,
        writer: Writer,
        together: Arc<AtomicUsize>,
    }

    impl Bench {
        fn new() -> Self {
            let out = Shared::default();
            let writer = Writer::spawn("test", out.clone()).expect("thread");
            Self { out, writer, together: Arc::default() }
        }

        fn sink(&self, label: u32, format: Format) -> LineSink {
            let stream =
                StreamInfo { session: "s".into(), label, name: "app".into(), metadata: Vec::new() };
            let format = LineFormat::new(format, &stream, false);
            LineSink::new(self.writer.clone(), label.into(), format, self.together.clone())
        }
    }

    async fn write(sink: &mut LineSink, text: &[u8]) {
        let mut data = vec![Bytes::copy_from_slice(text)];
        let at = sink.offset() + sink.held.len() as u64;
        sink.write(at, &mut data).await.expect("written");
    }

    #[tokio::test]
    async fn a_partial_line_is_held_and_not_counted_as_written() {
        let bench = Bench::new();
        let (mut one, mut two) = (bench.sink(1, Format::Prefix), bench.sink(2, Format::Prefix));
        write(&mut one, b"first\nsec").await;
        assert_eq!(one.offset(), 6);
        write(&mut two, b"other\n").await;
        write(&mut one, b"ond\n").await;
        assert_eq!(one.offset(), 13);
        assert_eq!(bench.out.text(), "[Stream 1] first\n[Stream 2] other\n[Stream 1] second\n");
    }

    #[tokio::test]
    async fn a_last_line_without_an_end_gets_one() {
        let bench = Bench::new();
        let mut one = bench.sink(1, Format::Prefix);
        write(&mut one, b"tail").await;
        assert_eq!((one.offset(), bench.together.load(Ordering::Relaxed)), (0, 4));
        one.finish().await.expect("written");
        assert_eq!((one.offset(), bench.together.load(Ordering::Relaxed)), (4, 0));
        assert_eq!(bench.out.text(), "[Stream 1] tail\n");
    }

    #[tokio::test]
    async fn a_line_beyond_the_bound_goes_out_in_pieces_that_read_as_one_line() {
        let bench = Bench::new();
        let mut one = bench.sink(1, Format::Prefix);
        let long = "é".repeat(HOLD); // twice the bound, and no boundary falls on odd offsets
        write(&mut one, format!("x{long}").as_bytes()).await;
        assert!(one.offset() >= HOLD as u64, "credit must come back: {}", one.offset());
        write(&mut one, b"y\n").await;
        one.finish().await.expect("written");
        assert_eq!(bench.out.text(), format!("[Stream 1] x{long}y\n"));
        assert_eq!(one.offset(), 2 * HOLD as u64 + 3);
    }

    #[tokio::test]
    async fn another_stream_ends_a_long_line_and_its_rest_gets_a_prefix_again() {
        let bench = Bench::new();
        let (mut one, mut two) = (bench.sink(1, Format::Name), bench.sink(2, Format::Prefix));
        let long = "x".repeat(HOLD);
        write(&mut one, long.as_bytes()).await;
        write(&mut two, b"other\n").await;
        write(&mut one, b"rest\n").await;
        assert_eq!(bench.out.text(), format!("[app] {long}\n[Stream 2] other\n[app] rest\n"));
    }

    #[tokio::test]
    async fn pieces_of_a_json_line_are_marked_and_never_split_a_character() {
        let bench = Bench::new();
        let mut one = bench.sink(1, Format::Json);
        let long = format!("x{}", "é".repeat(HOLD));
        write(&mut one, format!("{long}\nend").as_bytes()).await;
        one.finish().await.expect("written");
        let mut whole = String::new();
        for line in bench.out.text().lines() {
            let object: serde_json::Value = serde_json::from_str(line).expect("one object");
            assert_eq!(object["offset"], whole.len());
            whole.push_str(object["data"].as_str().expect("text"));
            if object.get("partial").is_none() {
                whole.push('\n');
            }
        }
        assert_eq!(whole, format!("{long}\nend"));
        assert_eq!(one.offset(), whole.len() as u64);
    }

    #[tokio::test]
    async fn many_unfinished_lines_do_not_hold_more_than_their_common_bound() {
        let bench = Bench::new();
        bench.together.store(HOLD_TOGETHER, Ordering::Relaxed);
        let mut one = bench.sink(1, Format::Prefix);
        write(&mut one, b"part").await;
        assert_eq!(one.offset(), 4);
        drop(one);
        assert_eq!(bench.together.load(Ordering::Relaxed), HOLD_TOGETHER);
        assert_eq!(bench.out.text(), "[Stream 1] part");
    }

    #[tokio::test]
    async fn a_gap_stands_between_what_came_before_and_after() {
        let bench = Bench::new();
        let mut one = bench.sink(1, Format::Prefix);
        write(&mut one, b"a\nhal").await;
        one.gap(5, 100).await.expect("written");
        write(&mut one, b"b\n").await;
        one.gap(7, 130).await.expect("written");
        assert_eq!(
            bench.out.text(),
            "[Stream 1] a\n[Stream 1] hal\n\
             [Stream 1] --- 100 bytes dropped by the source before offset 5 ---\n[Stream 1] b\n\
             [Stream 1] --- 30 bytes dropped by the source before offset 7 ---\n"
        );
    }

    #[tokio::test]
    async fn raw_bytes_are_exact() {
        let bench = Bench::new();
        let mut raw = RawSink::new(bench.writer.clone());
        let mut data = vec![Bytes::from_static(b"a\0\xff"), Bytes::from_static(b"\nb")];
        raw.write(0, &mut data).await.expect("written");
        assert_eq!(raw.offset(), 5);
        assert_eq!(*bench.out.bytes.lock().expect("lock"), b"a\0\xff\nb");
    }

    #[tokio::test]
    async fn a_reader_that_went_away_is_named() {
        let out = Shared { room: Some(0), ..Shared::default() };
        let mut raw = RawSink::new(Writer::spawn("test", out).expect("thread"));
        let error = raw.write(0, &mut vec![Bytes::from_static(b"x")]).await.expect_err("closed");
        assert!(error.is_reader_gone());
        assert_eq!(raw.offset(), 0);
    }
}

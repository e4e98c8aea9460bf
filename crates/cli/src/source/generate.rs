//! Simulated traffic: deterministic lines or bytes, paced or as fast as the link takes them.

use super::pump::Produce;
use super::stop::StopSignal;
use crate::settings::source::{GenShape, GenSpec};
use bytes::{BufMut, Bytes, BytesMut};
use std::fmt::Write as _;
use std::io;
use std::time::Duration;
use tokio::time::Instant;

/// Messages are batched up to this many bytes.
const BATCH: usize = 64 * 1024;

/// The size of a message of raw bytes unless one is asked for.
const BLOCK: u64 = 1024;

/// A generator that was paused for longer than this does not catch up.
const CATCH_UP: Duration = Duration::from_secs(1);

/// One simulated stream.
pub(super) struct Generator {
    name: String,
    spec: GenSpec,
    rate: Option<f64>,
    rng: fastrand::Rng,
    sent: u64,
    bytes: u64,
    /// When the pace began and how many messages were sent by then.
    pace: Option<(Instant, u64)>,
    stop: StopSignal,
    buffer: BytesMut,
    line: String,
}

impl Generator {
    /// The stream called `name`; `seed` alone decides its content (times of `Message` excepted).
    pub(super) fn new(name: String, seed: u64, spec: GenSpec, stop: StopSignal) -> Self {
        let rate = spec.rate.or((spec.shape == GenShape::Message).then_some(1.0));
        Self {
            name,
            spec,
            rate,
            rng: fastrand::Rng::with_seed(seed),
            sent: 0,
            bytes: 0,
            pace: None,
            stop,
            buffer: BytesMut::new(),
            line: String::new(),
        }
    }

    fn ended(&self) -> bool {
        let endless = self.spec.count.is_none() && self.spec.total.is_none();
        self.spec.count.is_some_and(|count| self.sent >= count)
            || self.spec.total.is_some_and(|total| self.bytes >= total)
            // A paced generator may be hours from its count: nobody waits for that.
            || ((endless || self.rate.is_some()) && self.stop.draining())
    }

    /// How many messages may go now, after waiting for at least one.
    async fn due(&mut self) -> u64 {
        let Some(rate) = self.rate else {
            return u64::MAX;
        };
        loop {
            let now = Instant::now();
            let (start, base) = *self.pace.get_or_insert((now, self.sent));
            let since = self.sent.saturating_sub(base);
            // The first message goes at once.
            let due = ((now - start).as_secs_f64() * rate) as u64 + 1;
            if due > since {
                let behind = due - since;
                if behind as f64 > (rate * CATCH_UP.as_secs_f64()).max(1.0) {
                    self.pace = Some((now, self.sent));
                    return 1;
                }
                return behind;
            }
            let next = start
                + Duration::try_from_secs_f64(since as f64 / rate).unwrap_or(Duration::MAX / 4);
            tokio::select! {
                () = tokio::time::sleep_until(next) => {}
                () = self.stop.drain() => return 0,
            }
        }
    }

    fn message(&mut self) {
        let start = self.buffer.len();
        match self.spec.shape {
            GenShape::Zeros => self.buffer.put_bytes(0, self.block()),
            GenShape::Random => {
                self.buffer.resize(start + self.block(), 0);
                self.rng.fill(&mut self.buffer[start..]);
            }
            GenShape::Message => {
                let now = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
                self.line.clear();
                let _ = write!(self.line, "{} message {now}", self.name);
                self.put_line(" ", "");
            }
            GenShape::Log => {
                self.log_line();
                self.put_line(" ", "");
            }
            GenShape::Json => {
                self.json_line();
                self.put_line(",\"pad\":\"", "\"}");
            }
        }
        self.sent += 1;
        if let Some(total) = self.spec.total {
            let left = total.saturating_sub(self.bytes);
            let length = (self.buffer.len() - start) as u64;
            if length > left {
                self.buffer.truncate(start + left as usize);
            }
        }
        self.bytes += (self.buffer.len() - start) as u64;
    }

    fn block(&self) -> usize {
        self.spec.size.unwrap_or(BLOCK).max(1) as usize
    }

    /// Appends the line, filled up to the size asked for: `begin`, filler, `end`, newline. A line
    /// is never cut, so a size below its natural one has no effect.
    fn put_line(&mut self, begin: &str, end: &str) {
        let bare = if end.is_empty() { 1 } else { 2 };
        let natural = self.line.len() + bare;
        let size = self.spec.size.unwrap_or(0) as usize;
        self.buffer.put_slice(self.line.as_bytes());
        let framed = self.line.len() + begin.len() + end.len() + 1;
        if size > natural && size >= framed {
            self.buffer.put_slice(begin.as_bytes());
            for _ in framed..size {
                self.buffer.put_u8(b'a' + self.rng.u8(..26));
            }
            self.buffer.put_slice(end.as_bytes());
        } else if !end.is_empty() {
            self.buffer.put_u8(b'}');
        }
        self.buffer.put_u8(b'\n');
    }

    fn log_line(&mut self) {
        let rng = &mut self.rng;
        let (host, method, path, status) =
            (rng.u8(1..255), pick(rng, METHODS), pick(rng, PATHS), pick(rng, STATUS));
        let (id, bytes, micros) = (rng.u32(1..100_000), rng.u32(64..65_536), rng.u32(200..250_000));
        self.line.clear();
        let _ = write!(self.line, "10.0.{}.{host} - - [", self.sent % 16);
        clock(&mut self.line, self.sent);
        let _ = write!(
            self.line,
            "] \"{method} {path}/{id} HTTP/1.1\" {status} {bytes} {:.6}",
            f64::from(micros) / 1e6
        );
    }

    /// An object without its closing brace.
    fn json_line(&mut self) {
        let rng = &mut self.rng;
        let (level, path, status) = (pick(rng, LEVELS), pick(rng, PATHS), pick(rng, STATUS));
        let (id, micros) = (rng.u32(1..100_000), rng.u32(200..250_000));
        self.line.clear();
        self.line.push_str("{\"time\":\"");
        clock(&mut self.line, self.sent);
        let _ = write!(
            self.line,
            "\",\"seq\":{},\"level\":\"{level}\",\"path\":\"{path}/{id}\",\"status\":{status},\"micros\":{micros}",
            self.sent
        );
    }
}

impl Produce for Generator {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.ended() {
            return Ok(None);
        }
        let due = self.due().await;
        let left = self.spec.count.map_or(u64::MAX, |count| count - self.sent);
        let last = self.sent.saturating_add(due.min(left));
        if due == 0 {
            return Ok(None);
        }
        self.buffer.reserve(BATCH + self.spec.size.unwrap_or(0) as usize);
        while self.sent < last
            && self.buffer.len() < BATCH
            && self.spec.total.is_none_or(|total| self.bytes < total)
        {
            self.message();
        }
        Ok(Some(self.buffer.split().freeze()))
    }
}

const METHODS: &[&str] = &["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const PATHS: &[&str] =
    &["/api/items", "/api/users", "/static/app", "/health", "/api/orders", "/search"];
const STATUS: &[u16] = &[200, 200, 200, 200, 304, 404, 500];
const LEVELS: &[&str] = &["info", "info", "info", "debug", "warn", "error"];

fn pick<T: Copy>(rng: &mut fastrand::Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// The time of message `n` in a log of 128 messages a second.
fn clock(line: &mut String, n: u64) {
    let (seconds, millis) = (n / 128, n % 128 * 1000 / 128);
    let (day, hour) = (seconds / 86_400 % 28 + 1, seconds / 3_600 % 24);
    let (minute, second) = (seconds / 60 % 60, seconds % 60);
    let _ = write!(line, "2026-02-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z");
}

#[cfg(test)]
mod tests {
    use super::super::stop::Stop;
    use super::*;
    use tokio::sync::watch;

    fn spec(shape: GenShape) -> GenSpec {
        GenSpec { shape, ..GenSpec::default() }
    }

    async fn all(seed: u64, spec: GenSpec) -> Vec<u8> {
        let (_ask, stop) = watch::channel(Stop::Running);
        let mut generator = Generator::new("stream1".into(), seed, spec, StopSignal::new(stop));
        let mut out = Vec::new();
        while let Some(chunk) = generator.next().await.expect("no i/o") {
            out.extend_from_slice(&chunk);
        }
        out
    }

    #[tokio::test]
    async fn the_seed_decides_the_content() {
        for shape in [GenShape::Log, GenShape::Json, GenShape::Random] {
            let spec = GenSpec { count: Some(2_000), ..spec(shape) };
            let one = all(1, spec.clone()).await;
            assert_eq!(one, all(1, spec.clone()).await, "{shape}");
            assert_ne!(one, all(2, spec).await, "{shape}");
        }
    }

    #[tokio::test]
    async fn every_json_line_parses_with_and_without_filler() {
        for size in [None, Some(10), Some(130), Some(200), Some(1_000)] {
            let text = all(3, GenSpec { count: Some(300), size, ..spec(GenShape::Json) }).await;
            let lines: Vec<_> = text.split_inclusive(|byte| *byte == b'\n').collect();
            assert_eq!(lines.len(), 300);
            for (n, line) in lines.iter().enumerate() {
                let value: serde_json::Value = serde_json::from_slice(line).expect("json");
                assert_eq!(value["seq"], n);
                if size >= Some(200) {
                    assert_eq!(line.len() as u64, size.unwrap_or(0));
                }
            }
        }
    }

    #[tokio::test]
    async fn sizes_and_counts_are_exact() {
        for shape in [GenShape::Log, GenShape::Random, GenShape::Zeros] {
            let text = all(1, GenSpec { count: Some(777), size: Some(333), ..spec(shape) }).await;
            assert_eq!(text.len(), 777 * 333, "{shape}");
        }
        let cut = all(1, GenSpec { total: Some(100_001), ..spec(GenShape::Random) }).await;
        assert_eq!(cut.len(), 100_001);
        assert!(all(1, GenSpec { count: Some(0), ..spec(GenShape::Log) }).await.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn messages_are_the_classic_lines_one_a_second() {
        let start = Instant::now();
        let text =
            String::from_utf8(all(1, GenSpec { count: Some(4), ..spec(GenShape::Message) }).await)
                .expect("text");
        assert_eq!(text.lines().count(), 4);
        for line in text.lines() {
            let time = line.strip_prefix("stream1 message ").expect(line);
            assert!(time.len() == 20 && time.parse::<jiff::Timestamp>().is_ok(), "{line}");
        }
        let took = start.elapsed();
        assert!(took >= Duration::from_secs(3) && took < Duration::from_secs(4), "{took:?}");
    }

    #[tokio::test]
    async fn an_endless_generator_ends_when_asked() {
        let (ask, stop) = watch::channel(Stop::Running);
        let mut generator =
            Generator::new("x".into(), 1, spec(GenShape::Message), StopSignal::new(stop));
        assert!(generator.next().await.expect("no i/o").is_some());
        ask.send_replace(Stop::Drain);
        assert_eq!(generator.next().await.expect("no i/o"), None);
    }
}

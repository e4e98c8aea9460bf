//! Standard input and other inputs whose reads cannot be awaited: a thread of their own.

use super::pump::Produce;
use super::stop::StopSignal;
use bytes::Bytes;
use std::io::{self, Read};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::Instant;

/// One read.
const CHUNK: usize = 128 * 1024;

/// How long an input that has not ended is still listened to once the program drains.
const GRACE: Duration = Duration::from_millis(250);

/// Reads on a thread that is left behind when nobody wants its bytes any more: a blocked read
/// cannot be interrupted, and must not hold back the end of the program.
pub(super) struct ThreadReader {
    chunks: mpsc::Receiver<io::Result<Bytes>>,
    stop: StopSignal,
    deadline: Option<Instant>,
}

impl ThreadReader {
    pub(super) fn stdin(stop: StopSignal) -> io::Result<Self> {
        Self::spawn(|| Ok(io::stdin()), stop)
    }

    /// Reads what `open` opens; opening may block, too (a named pipe without a writer).
    pub(super) fn spawn<R: Read>(
        open: impl FnOnce() -> io::Result<R> + Send + 'static,
        stop: StopSignal,
    ) -> io::Result<Self> {
        let (send, chunks) = mpsc::channel(1);
        std::thread::Builder::new().name("p2-input".into()).spawn(move || {
            let result = open().and_then(|input| copy(input, &send));
            if let Err(error) = result {
                // Nobody listens when the stream is gone.
                let _ = send.blocking_send(Err(error));
            }
        })?;
        Ok(Self { chunks, stop, deadline: None })
    }
}

impl Produce for ThreadReader {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let deadline = self.deadline;
            tokio::select! {
                biased;
                () = tokio::time::sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    return Ok(None);
                }
                chunk = self.chunks.recv() => return chunk.transpose(),
                () = self.stop.drain(), if deadline.is_none() => {
                    self.deadline = Some(Instant::now() + GRACE);
                }
            }
        }
    }
}

fn copy(mut input: impl Read, send: &mpsc::Sender<io::Result<Bytes>>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    loop {
        let length = match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        // A large read gives its buffer away; a small one would pin far more than it carries.
        let chunk = if length >= CHUNK / 4 {
            let mut full = std::mem::replace(&mut buffer, vec![0; CHUNK]);
            full.truncate(length);
            Bytes::from(full)
        } else {
            Bytes::copy_from_slice(&buffer[..length])
        };
        if send.blocking_send(Ok(chunk)).is_err() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::stop::Stop;
    use super::super::testing::within;
    use super::*;
    use std::io::Write as _;
    use tokio::sync::watch;

    fn stop() -> (watch::Sender<Stop>, StopSignal) {
        let (ask, stop) = watch::channel(Stop::Running);
        (ask, StopSignal::new(stop))
    }

    async fn collect(reader: &mut ThreadReader) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(chunk) = within("a chunk", reader.next()).await.expect("read") {
            out.extend_from_slice(&chunk);
        }
        out
    }

    #[tokio::test]
    async fn everything_is_read_in_order() {
        let (_ask, stop) = stop();
        let data: Vec<u8> = (0..1_000_000u32).flat_map(u32::to_le_bytes).collect();
        let input = io::Cursor::new(data.clone());
        let mut reader = ThreadReader::spawn(move || Ok(input), stop).expect("thread");
        assert!(collect(&mut reader).await == data);
    }

    #[tokio::test]
    async fn an_input_that_never_ends_does_not_hold_back_a_drain() {
        let (ask, stop) = stop();
        let (mut writer, input) = std::os::unix::net::UnixStream::pair().expect("pair");
        let mut reader = ThreadReader::spawn(move || Ok(input), stop).expect("thread");
        writer.write_all(b"before").expect("write");
        assert_eq!(
            within("a chunk", reader.next()).await.expect("read").as_deref(),
            Some(&b"before"[..])
        );
        ask.send_replace(Stop::Drain);
        assert_eq!(within("the end", reader.next()).await.expect("read"), None);
    }

    #[tokio::test]
    async fn a_failure_to_open_is_told() {
        let (_ask, stop) = stop();
        let open = || Err::<io::Empty, _>(io::Error::other("no such thing"));
        let mut reader = ThreadReader::spawn(open, stop).expect("thread");
        assert_eq!(
            within("a chunk", reader.next()).await.expect_err("error").to_string(),
            "no such thing"
        );
    }
}

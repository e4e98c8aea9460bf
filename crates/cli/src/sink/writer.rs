//! One output, many tasks: a thread that writes whole requests in order, so that lines never mix.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{mpsc, oneshot};

/// Requests that may wait for a slow output. Each holds at most one batch of one stream, so memory
/// is bounded, and what waits is not acknowledged.
const QUEUE: usize = 64;

/// Requests answered by one flush.
const TOGETHER: usize = 64;

/// What the thread writes to.
pub(crate) trait Output: Write + Send + 'static {
    /// Puts what was written on stable storage, where there is such a thing.
    fn sync(&mut self) -> io::Result<()>;
}

/// One piece of output that is written without anything in between.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// The stream it belongs to; keys are never reused.
    pub(crate) key: u64,
    /// The bytes, in order.
    pub(crate) parts: Vec<Bytes>,
    /// Continues an unfinished line: what to write first if another stream wrote in between.
    pub(crate) resume: Option<Bytes>,
    /// The last line has no end yet. Another stream's request ends it first.
    pub(crate) unfinished: bool,
    /// Without parts: ends the stream's unfinished line, unless another stream already did.
    pub(crate) end: bool,
    /// Reach stable storage before the answer.
    pub(crate) sync: bool,
}

/// A handle to the thread; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Writer {
    queue: mpsc::Sender<(Request, oneshot::Sender<io::Result<()>>)>,
}

impl Writer {
    /// The process's standard output, without the line buffer of `std::io::stdout`.
    pub(crate) fn stdout() -> io::Result<Self> {
        Self::spawn("stdout", Patient::stdout()?)
    }

    /// Starts a thread that owns `output`; it ends with the last handle.
    pub(crate) fn spawn(name: &str, output: impl Output) -> io::Result<Self> {
        Self::with_queue(name, QUEUE, output)
    }

    /// As [`spawn`](Self::spawn), with room for `queue` requests that wait.
    pub(crate) fn with_queue(name: &str, queue: usize, output: impl Output) -> io::Result<Self> {
        let (queue, requests) = mpsc::channel(queue);
        std::thread::Builder::new()
            .name(format!("p2-{name}"))
            .spawn(move || serve(requests, output))?;
        Ok(Self { queue })
    }

    /// Returns once the output has taken every byte of `request`. Cancelled, the request is either
    /// written whole or not at all.
    pub(crate) async fn write(&self, request: Request) -> io::Result<()> {
        let (answer, answered) = oneshot::channel();
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.queue.send((request, answer)).await.map_err(|_| gone(()))?;
        answered.await.map_err(|_| gone(()))?
    }

    /// Returns once everything handed over before is written.
    pub(crate) async fn flush(&self) -> io::Result<()> {
        self.write(Request::default()).await
    }

    /// Hands over a finished line without waiting; false when the queue is full or the thread gone.
    pub(crate) fn offer(&self, line: Vec<u8>) -> bool {
        let request = Request { key: u64::MAX, parts: vec![line.into()], ..Request::default() };
        self.queue.try_send((request, oneshot::channel().0)).is_ok()
    }
}

fn serve<O: Output>(
    mut requests: mpsc::Receiver<(Request, oneshot::Sender<io::Result<()>>)>,
    output: O,
) {
    let mut state = State {
        output: BufWriter::with_capacity(64 << 10, output),
        unfinished: None,
        broken: None,
    };
    let mut answers = Vec::with_capacity(TOGETHER);
    while let Some(first) = requests.blocking_recv() {
        let mut next = Some(first);
        let mut sync = false;
        while let Some((request, answer)) = next {
            sync |= request.sync;
            state.take(&request);
            answers.push(answer);
            next = match answers.len() {
                TOGETHER => None,
                _ => requests.try_recv().ok(),
            };
        }
        state.settle(sync);
        for answer in answers.drain(..) {
            // Nobody waits for an offered line.
            let _ = answer.send(state.result());
        }
    }
}

struct State<O: Output> {
    output: BufWriter<O>,
    unfinished: Option<u64>,
    /// The first failure is the answer to everything after it.
    broken: Option<(io::ErrorKind, Option<i32>)>,
}

impl<O: Output> State<O> {
    fn take(&mut self, request: &Request) {
        if self.broken.is_none() {
            let written = self.put(request);
            self.note(written);
        }
    }

    fn put(&mut self, request: &Request) -> io::Result<()> {
        let continues = self.unfinished == Some(request.key);
        if request.end && continues {
            self.unfinished = None;
            return self.output.write_all(b"\n");
        }
        if request.parts.is_empty() {
            return Ok(());
        }
        if !continues {
            if self.unfinished.is_some() {
                self.output.write_all(b"\n")?;
            }
            if let Some(prefix) = &request.resume {
                self.output.write_all(prefix)?;
            }
        }
        for part in &request.parts {
            self.output.write_all(part)?;
        }
        self.unfinished = request.unfinished.then_some(request.key);
        Ok(())
    }

    fn settle(&mut self, sync: bool) {
        if self.broken.is_none() {
            let mut settled = self.output.flush();
            if sync && settled.is_ok() {
                settled = self.output.get_mut().sync();
            }
            self.note(settled);
        }
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.broken = Some((error.kind(), error.raw_os_error()));
        }
    }

    fn result(&self) -> io::Result<()> {
        match self.broken {
            None => Ok(()),
            Some((_, Some(code))) => Err(io::Error::from_raw_os_error(code)),
            Some((kind, None)) => Err(kind.into()),
        }
    }
}

/// A file that waits when whoever shares the descriptor made it non-blocking.
#[derive(Debug)]
pub(crate) struct Patient(pub(crate) File);

impl Patient {
    /// Standard output itself, without a buffer of its own.
    pub(crate) fn stdout() -> io::Result<Self> {
        Ok(Self(io::stdout().as_fd().try_clone_to_owned()?.into()))
    }
}

impl Write for Patient {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        loop {
            match self.0.write(data) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    std::thread::sleep(Duration::from_millis(2));
                }
                result => return result,
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Output for Patient {
    fn sync(&mut self) -> io::Result<()> {
        match self.0.sync_data() {
            // Pipes and terminals have no stable storage.
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported
                ) =>
            {
                Ok(())
            }
            result => result,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// An output that tests can read back, and break.
    #[derive(Debug, Clone, Default)]
    pub(crate) struct Shared {
        pub(crate) bytes: Arc<Mutex<Vec<u8>>>,
        pub(crate) syncs: Arc<Mutex<u32>>,
        pub(crate) room: Option<usize>,
    }

    impl Shared {
        pub(crate) fn text(&self) -> String {
            String::from_utf8(self.bytes.lock().expect("lock").clone()).expect("text")
        }
    }

    impl Write for Shared {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let mut bytes = self.bytes.lock().expect("lock");
            if self.room.is_some_and(|room| bytes.len() + data.len() > room) {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            bytes.extend_from_slice(data);
            Ok(data.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Output for Shared {
        fn sync(&mut self) -> io::Result<()> {
            *self.syncs.lock().expect("lock") += 1;
            Ok(())
        }
    }

    fn request(key: u64, text: &'static str) -> Request {
        Request { key, parts: vec![Bytes::from_static(text.as_bytes())], ..Request::default() }
    }

    #[tokio::test]
    async fn an_unfinished_line_is_ended_before_another_stream_writes() {
        let out = Shared::default();
        let writer = Writer::spawn("test", out.clone()).expect("thread");
        let part = |key, text, resume: Option<&'static str>| Request {
            resume: resume.map(|r| Bytes::from_static(r.as_bytes())),
            unfinished: true,
            ..request(key, text)
        };
        writer.write(part(1, "[1] ab", None)).await.expect("written");
        writer.write(part(1, "cd", Some("[1] "))).await.expect("written");
        writer.write(request(2, "[2] x\n")).await.expect("written");
        writer.write(part(1, "ef", Some("[1] "))).await.expect("written");
        let end = |key| Request { key, end: true, ..Request::default() };
        writer.write(end(3)).await.expect("nothing of its own to end");
        writer.write(end(1)).await.expect("written");
        writer.write(end(1)).await.expect("already ended");
        assert_eq!(out.text(), "[1] abcd\n[2] x\n[1] ef\n");
    }

    #[tokio::test]
    async fn the_first_failure_answers_everything_after_it() {
        let out = Shared { room: Some(4), ..Shared::default() };
        let writer = Writer::spawn("test", out.clone()).expect("thread");
        writer.write(request(1, "ok\n")).await.expect("fits");
        for _ in 0..2 {
            let error = writer.write(request(1, "too long\n")).await.expect_err("full");
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        }
        let error = writer.write(request(2, "x")).await.expect_err("still broken");
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(out.text(), "ok\n");
    }

    #[tokio::test]
    async fn sync_reaches_the_output_once_per_batch() {
        let out = Shared::default();
        let writer = Writer::spawn("test", out.clone()).expect("thread");
        let synced = Request { sync: true, ..request(1, "x\n") };
        writer.write(synced).await.expect("written");
        assert_eq!(*out.syncs.lock().expect("lock"), 1);
    }
}

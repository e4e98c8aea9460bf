//! Links over the standard input and output of a program, such as `ssh`.

use std::{
    ffi::OsString,
    fmt, io,
    pin::Pin,
    process::{ExitStatus, Stdio},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf},
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command},
    sync::{mpsc, watch},
    task::JoinHandle,
    time::timeout,
};

use super::{Dial, DialError, Dialling};
use crate::Link;

/// The end of its standard error that is kept.
const WORDS: usize = 8 * 1024;
/// How long a program may take to leave after it was asked to.
const LEAVE: Duration = Duration::from_secs(2);
/// How long its last words may take once it has gone: a child of its own may hold the pipe.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How long the end of its output may precede its own end.
const ENDING: Duration = Duration::from_secs(1);

/// How a program ended.
#[derive(Debug, Clone)]
pub struct CommandEnd {
    /// The program.
    pub program: String,
    /// Its exit status; `None` if even that could not be learnt.
    pub status: Option<ExitStatus>,
    /// The last 8 KiB of its standard error.
    pub stderr: String,
}

impl CommandEnd {
    /// Its exit code, if it had one.
    pub fn code(&self) -> Option<i32> {
        self.status.and_then(|status| status.code())
    }
}

impl fmt::Display for CommandEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.status {
            Some(status) => write!(f, "{} ended ({status})", self.program)?,
            None => write!(f, "{} ended", self.program)?,
        }
        match self.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty()) {
            Some(line) => write!(f, ": {}", crate::handshake::printable(line.as_bytes())),
            None => Ok(()),
        }
    }
}

/// Says what the end of a program means.
pub type Describe = Arc<dyn Fn(&CommandEnd) -> DialError + Send + Sync>;
/// Takes the lines of a program's standard error as they come.
pub type Hear = Arc<dyn Fn(&str) + Send + Sync>;

/// Starts a program for each link, without a shell in between, and speaks with it over its standard
/// input and output. It is asked to leave, and reaped, when the link ends.
///
/// ```
/// use p2_transport::dial::{CommandDial, Dial};
///
/// let dial = CommandDial::new("ssh", ["host", "p2", "recv", "--attach"], "host");
/// assert_eq!(dial.target(), "host");
/// ```
#[derive(Clone)]
pub struct CommandDial {
    program: OsString,
    arguments: Vec<OsString>,
    target: String,
    describe: Describe,
    hear: Option<Hear>,
    own_group: bool,
    integrity: bool,
    junk_limit: usize,
    patience: Duration,
}

impl CommandDial {
    /// Starts `program` with these arguments. `target` is who is reached by it, for people.
    pub fn new<I, S>(program: impl Into<OsString>, arguments: I, target: impl Into<String>) -> Self
    where
        I: IntoIterator<Item = S>,
        S: Into<OsString>,
    {
        let target = target.into();
        let named = target.clone();
        let describe = move |end: &CommandEnd| DialError::Failed {
            target: named.clone(),
            why: end.to_string(),
        };
        Self {
            program: program.into(),
            arguments: arguments.into_iter().map(Into::into).collect(),
            target,
            describe: Arc::new(describe),
            hear: None,
            own_group: true,
            integrity: false,
            junk_limit: 0,
            patience: Duration::ZERO,
        }
    }

    /// Says what its end before the end of the handshake means. Without it: a failure that may pass.
    pub fn describe(
        mut self,
        why: impl Fn(&CommandEnd) -> DialError + Send + Sync + 'static,
    ) -> Self {
        self.describe = Arc::new(why);
        self
    }

    /// Tells the lines of its standard error as they come.
    pub fn hear(mut self, line: impl Fn(&str) + Send + Sync + 'static) -> Self {
        self.hear = Some(Arc::new(line));
        self
    }

    /// `false`: the program stays in this process's group, so that it may ask on the terminal, and
    /// gets the terminal's signals. Default: it has a group of its own.
    pub fn own_group(mut self, own: bool) -> Self {
        self.own_group = own;
        self
    }

    /// Says whether the program protects what it carries.
    pub fn integrity(mut self, integrity: bool) -> Self {
        self.integrity = integrity;
        self
    }

    /// Allows up to `bytes` of foreign text before the peer's first byte.
    pub fn junk_limit(mut self, bytes: usize) -> Self {
        self.junk_limit = bytes;
        self
    }

    /// Gives the handshake this much longer: the program is still connecting when it begins.
    pub fn patience(mut self, more: Duration) -> Self {
        self.patience = more;
        self
    }

    fn start(&self) -> Result<Link, DialError> {
        let program = self.program.to_string_lossy().into_owned();
        let failed = |error: &io::Error| {
            let why = format!("cannot start {program}: {error}");
            let target = self.target.clone();
            match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => {
                    DialError::Permanent { target, why }
                }
                _ => DialError::Failed { target, why },
            }
        };
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if self.own_group {
            command.process_group(0);
        }
        let mut child = command.spawn().map_err(|error| failed(&error))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(failed(&io::Error::other("it has no pipes")));
        };
        let (hold, released) = mpsc::channel(1);
        let (tell, ended) = watch::channel(None);
        let words = tokio::spawn(listen(stderr, self.hear.clone()));
        tokio::spawn(mind(child, words, released, tell, program));
        let reader = Reader { stdout, ended: ended.clone(), ending: None, _hold: hold.clone() };
        let writer = Writer { stdin: Some(stdin), _hold: hold };
        let describe = self.describe.clone();
        Ok(Link::new(reader, writer, self.target.clone())
            .integrity(self.integrity)
            .junk_limit(self.junk_limit)
            .patience(self.patience)
            .explain(async move { over(ended).await.map(|end| describe(&end)) }))
    }
}

impl Dial for CommandDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async { self.start() })
    }

    fn target(&self) -> String {
        self.target.clone()
    }
}

impl fmt::Debug for CommandDial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandDial")
            .field("program", &self.program)
            .field("arguments", &self.arguments)
            .finish_non_exhaustive()
    }
}

type Ended = watch::Receiver<Option<Arc<CommandEnd>>>;

/// Reaps the program: when it ends, or when both halves of its link are gone.
async fn mind(
    mut child: Child,
    words: JoinHandle<String>,
    mut released: mpsc::Receiver<std::convert::Infallible>,
    tell: watch::Sender<Option<Arc<CommandEnd>>>,
    program: String,
) {
    let status = tokio::select! {
        status = child.wait() => status.ok(),
        _ = released.recv() => leave(&mut child).await,
    };
    let abort = words.abort_handle();
    let stderr = match timeout(LAST_WORDS, words).await {
        Ok(words) => words.unwrap_or_default(),
        Err(_) => {
            abort.abort();
            String::new()
        }
    };
    tell.send_replace(Some(Arc::new(CommandEnd { program, status, stderr })));
}

/// Asks the program to leave, and makes it leave.
async fn leave(child: &mut Child) -> Option<ExitStatus> {
    // It is not reaped yet, so the number is still its own.
    let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    if let Some(id) = id {
        let _ = kill_process(id, Signal::TERM);
    }
    if let Ok(status) = timeout(LEAVE, child.wait()).await {
        return status.ok();
    }
    let _ = child.start_kill();
    child.wait().await.ok()
}

/// Keeps the end of what the program says on its standard error.
async fn listen(mut stderr: ChildStderr, hear: Option<Hear>) -> String {
    let mut kept = Vec::new();
    let mut told = 0usize;
    let mut chunk = vec![0; 4 * 1024];
    while let Ok(read @ 1..) = stderr.read(&mut chunk).await {
        kept.extend_from_slice(chunk.get(..read).unwrap_or_default());
        while let Some(length) =
            kept.get(told..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let line = kept.get(told..told.saturating_add(length)).unwrap_or_default();
            let line = String::from_utf8_lossy(line);
            tracing::debug!(line = line.trim_end(), "stderr of the link's program");
            if let Some(hear) = &hear {
                hear(line.trim_end());
            }
            told = told.saturating_add(length).saturating_add(1);
        }
        let excess = kept.len().saturating_sub(WORDS);
        kept.drain(..excess);
        told = told.saturating_sub(excess);
    }
    String::from_utf8_lossy(&kept).into_owned()
}

async fn over(mut ended: Ended) -> Option<Arc<CommandEnd>> {
    ended.wait_for(Option::is_some).await.ok().and_then(|end| end.clone())
}

type Ending = Pin<Box<dyn Future<Output = Option<Arc<CommandEnd>>> + Send>>;

/// The program's output. Its end is an error unless the program ended well.
struct Reader {
    stdout: ChildStdout,
    ended: Ended,
    ending: Option<Ending>,
    _hold: mpsc::Sender<std::convert::Infallible>,
}

impl AsyncRead for Reader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.ending.is_none() {
            let before = buffer.filled().len();
            ready!(Pin::new(&mut this.stdout).poll_read(cx, buffer))?;
            if buffer.filled().len() > before || buffer.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            let ended = this.ended.clone();
            let ending = async move { timeout(ENDING, over(ended)).await.ok().flatten() };
            this.ending = Some(Box::pin(ending));
        }
        let Some(ending) = &mut this.ending else { return Poll::Ready(Ok(())) };
        let end = ready!(ending.as_mut().poll(cx));
        // Whoever asks again is told the plain end.
        this.ending = Some(Box::pin(std::future::ready(None)));
        Poll::Ready(match end {
            Some(end) if !end.status.is_some_and(|status| status.success()) => {
                Err(io::Error::other(end.to_string()))
            }
            _ => Ok(()),
        })
    }
}

/// The program's input, which ends with a shutdown.
struct Writer {
    stdin: Option<ChildStdin>,
    _hold: mpsc::Sender<std::convert::Infallible>,
}

impl Writer {
    fn with<T>(
        &mut self,
        act: impl FnOnce(Pin<&mut ChildStdin>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut self.stdin {
            Some(stdin) => act(Pin::new(stdin)),
            None => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }
}

impl AsyncWrite for Writer {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.with(|stdin| stdin.poll_write(cx, bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.with(|stdin| stdin.poll_write_vectored(cx, parts))
    }

    fn is_write_vectored(&self) -> bool {
        self.stdin.as_ref().is_some_and(AsyncWrite::is_write_vectored)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|stdin| stdin.poll_flush(cx))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stdin = None;
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt;

    use super::*;

    fn shell(script: &str) -> CommandDial {
        CommandDial::new("sh", ["-c", script], "there")
    }

    async fn said(link: &mut Link) -> (Vec<u8>, Option<String>) {
        let mut bytes = Vec::new();
        let error = link.reader.read_to_end(&mut bytes).await.err();
        (bytes, error.map(|error| error.to_string()))
    }

    #[tokio::test]
    async fn bytes_go_through_the_program_and_a_shutdown_is_its_end_of_input() {
        let mut link = CommandDial::new("cat", [] as [&str; 0], "there").dial().await.expect("cat");
        link.writer.write_all(b"there and back").await.expect("written");
        link.writer.shutdown().await.expect("ended");
        assert_eq!(said(&mut link).await, (b"there and back".to_vec(), None));
    }

    #[tokio::test]
    async fn a_failure_is_explained_by_exit_status_and_last_words() {
        let dial = shell("echo hello; echo first >&2; echo 'no entry' >&2; exit 7");
        let mut link = dial.clone().dial().await.expect("it starts");
        let (bytes, error) = said(&mut link).await;
        assert_eq!(bytes, b"hello\n");
        assert_eq!(error.expect("not an end in order"), "sh ended (exit status: 7): no entry");
        let why = link.explain.take().expect("it can").await.expect("it has ended");
        assert_eq!(why.to_string(), "cannot connect to there: sh ended (exit status: 7): no entry");
        let dial = dial.describe(|end| {
            assert_eq!((end.code(), end.stderr.as_str()), (Some(7), "first\nno entry\n"));
            DialError::Permanent { target: "there".into(), why: "it said no".into() }
        });
        let why = dial.dial().await.expect("it starts").explain.expect("it can").await;
        assert!(!why.expect("it has ended").is_transient());
    }

    #[tokio::test]
    async fn a_program_that_does_not_exist_is_no_matter_of_time() {
        let dial = CommandDial::new("/nowhere/ssh", [] as [&str; 0], "there");
        let error = dial.dial().await.expect_err("no such program");
        assert!(error.to_string().contains("cannot start /nowhere/ssh"), "{error}");
        assert!(!error.is_transient());
    }

    #[tokio::test]
    async fn a_link_that_is_dropped_takes_its_program_with_it() {
        // The second one does not leave when asked.
        for script in
            ["echo $$; exec sleep 1000", "trap '' TERM; echo $$; while :; do sleep 1; done"]
        {
            let mut link = shell(script).dial().await.expect("it starts");
            let mut line = Vec::new();
            while !line.ends_with(b"\n") {
                assert!(link.reader.read_buf(&mut line).await.expect("its number") > 0);
            }
            let id = String::from_utf8(line).expect("text").trim().to_owned();
            drop(link);
            let gone = async {
                while std::path::Path::new("/proc").join(&id).exists() {
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            timeout(Duration::from_secs(60), gone).await.expect("it ends and is reaped");
        }
    }

    #[tokio::test]
    async fn only_the_end_of_a_long_speech_is_kept_and_every_line_is_heard() {
        let lines = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let count = lines.clone();
        let dial = shell("i=0; while [ $i -lt 2000 ]; do echo \"line $i\"; i=$((i+1)); done >&2")
            .describe(|end| {
                assert!(end.stderr.len() <= WORDS && end.stderr.ends_with("line 1999\n"));
                DialError::Failed { target: String::new(), why: String::new() }
            })
            .hear(move |line| {
                assert!(line.starts_with("line "));
                count.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            });
        let link = dial.dial().await.expect("it starts");
        link.explain.expect("it can").await.expect("it has ended");
        assert_eq!(lines.load(std::sync::atomic::Ordering::SeqCst), 2000);
    }
}

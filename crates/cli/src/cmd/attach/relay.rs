//! The relay: finds or starts the receiver, and moves bytes without looking at them.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context;
use rustix::process::geteuid;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::place::Place;
use crate::error::UserError;
use crate::exit::Exit;
use crate::settings::AttachSettings;

/// How long a receiver may take to start, and to answer.
const START: Duration = Duration::from_secs(15);
/// How often to look whether it has.
const LOOK: Duration = Duration::from_millis(10);
/// One read.
const BLOCK: usize = 128 * 1024;
/// A log larger than this is begun anew.
const LOG: u64 = 1 << 20;
/// The end of the log that is shown when the receiver did not start.
const LAST_WORDS: usize = 2 * 1024;

pub(super) async fn run(settings: &AttachSettings) -> anyhow::Result<Exit> {
    if io::stdin().is_terminal() {
        let what = "--attach speaks with `p2 send --ssh`, not with a terminal";
        return Err(UserError::usage(what)
            .hint("on the other machine: `p2 send --ssh HOST`")
            .into());
    }
    let place = Place::of(settings)?;
    let (socket, first) = reach(&place).await?;
    let socket = socket.into_std()?;
    socket.set_nonblocking(false)?;
    tokio::task::spawn_blocking(move || relay(&socket, &first)).await??;
    Ok(Exit::Success)
}

/// A connection to the receiver that is there, or to one that is started now; and its first bytes.
async fn reach(place: &Place) -> anyhow::Result<(UnixStream, Vec<u8>)> {
    let gate = {
        let place = place.clone();
        tokio::task::spawn_blocking(move || place.gate()).await?
    };
    let gate = gate.context("cannot lock the place of the receiver")?;
    let mut socket = match connect(place).await? {
        Some(socket) => socket,
        None => start(place).await?,
    };
    // Until it has answered, it could take itself for unwanted and leave.
    let mut first = Vec::new();
    let answer = async {
        while !first.contains(&b'\n') {
            if socket.read_buf(&mut first).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        io::Result::Ok(())
    };
    match timeout(START, answer).await {
        Ok(answer) => answer.context("the receiver closed the connection")?,
        Err(_) => anyhow::bail!("the receiver does not answer; its log: {}", place.log().display()),
    }
    drop(gate);
    Ok((socket, first))
}

/// `None` if there is no receiver.
async fn connect(place: &Place) -> anyhow::Result<Option<UnixStream>> {
    let path = place.socket();
    match UnixStream::connect(&path).await {
        Ok(socket) => {
            let user = socket.peer_cred()?.uid();
            anyhow::ensure!(
                user == geteuid().as_raw(),
                "{} is served by user {user}",
                path.display()
            );
            Ok(Some(socket))
        }
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
            ) =>
        {
            Ok(None)
        }
        Err(error) => Err(error).with_context(|| format!("cannot connect to {}", path.display())),
    }
}

/// Starts a receiver that does not belong to this connection.
async fn start(place: &Place) -> anyhow::Result<UnixStream> {
    let path = place.log();
    let mut options = OpenOptions::new();
    let log = options.create(true).append(true).mode(0o600).open(&path);
    let log = log.with_context(|| format!("cannot open {}", path.display()))?;
    if log.metadata()?.len() > LOG {
        log.set_len(0)?;
    }
    let from = log.metadata()?.len();
    // The same line again: what the receiver is asked is what this process was asked.
    let mut receiver = Command::new(std::env::current_exe()?)
        .args(std::env::args_os().skip(1))
        .arg("--detached")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .context("cannot start the receiver")?;
    let deadline = Instant::now() + START;
    loop {
        if let Some(socket) = connect(place).await? {
            // It is reaped by whoever inherits it: it outlives this process.
            return Ok(socket);
        }
        let over = receiver.try_wait()?.is_some_and(|status| !status.success());
        if over || Instant::now() > deadline {
            return Err(UserError::new(
                Exit::Failure,
                format!("the receiver did not start{}", last_words(&path, from)),
            )
            .into());
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// What the receiver said since it was started.
fn last_words(path: &std::path::Path, from: u64) -> String {
    let text = std::fs::read(path).unwrap_or_default();
    let from =
        usize::try_from(from).unwrap_or(usize::MAX).max(text.len().saturating_sub(LAST_WORDS));
    let said = String::from_utf8_lossy(text.get(from..).unwrap_or_default()).into_owned();
    let said = said.trim().trim_start_matches("error: ").replace('\n', "; ");
    if said.is_empty() { format!("; its log is {}", path.display()) } else { format!(": {said}") }
}

/// Moves bytes both ways until the receiver or the other side hangs up.
fn relay(socket: &std::os::unix::net::UnixStream, first: &[u8]) -> io::Result<()> {
    // Not by the locked and buffered handles: nothing may stay behind in a buffer.
    let mut input = std::fs::File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut output = std::fs::File::from(io::stdout().as_fd().try_clone_to_owned()?);
    output.write_all(first)?;
    let mut up = socket.try_clone()?;
    thread::spawn(move || {
        let _ = copy(&mut input, &mut up);
        // The receiver learns that the link is over, and hangs up.
        let _ = up.shutdown(Shutdown::Write);
    });
    match copy(&mut &*socket, &mut output) {
        // The ssh connection has gone.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => Ok(()),
        done => done,
    }
}

fn copy(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut block = vec![0; BLOCK];
    loop {
        match from.read(&mut block) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(block.get(..read).unwrap_or_default())?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

//! Finds the processes of this user and asks them.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

use super::message::LONGEST_REPLY;
use super::{Reply, Request, place};
use crate::error::UserError;
use crate::exit::Exit;
use crate::status::Status;

/// How long an answer may take. It is longer than any look at a process.
const PATIENCE: Duration = Duration::from_secs(10);

/// A process that has a control socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// The process, if its socket's name tells.
    pub(crate) pid: Option<u32>,
    path: PathBuf,
}

/// The processes of this user; with `wanted` the one that it names: a process number, or the path of
/// a control socket. None is no error, but nothing under a given name is.
///
/// # Errors
/// [`UserError`] of exit code 4.
pub(crate) async fn find(wanted: Option<&str>) -> Result<Vec<Found>, UserError> {
    let Some(wanted) = wanted else {
        let all = place::all().await;
        return Ok(all.into_iter().map(|(pid, path)| Found { pid: Some(pid), path }).collect());
    };
    if let Ok(pid) = wanted.parse::<u32>() {
        let all = place::all().await.into_iter();
        let found: Vec<Found> = all
            .filter(|(found, _)| *found == pid)
            .map(|(pid, path)| Found { pid: Some(pid), path })
            .collect();
        return match found.is_empty() {
            false => Ok(found),
            true => Err(UserError::new(
                Exit::NoConnection,
                format!("process {pid} is no `p2 send` or `p2 recv` of this user"),
            )
            .hint("`p2 status` lists them; one started with --control off is not seen")),
        };
    }
    match wanted.contains('/') && Path::new(wanted).exists() {
        true => Ok(vec![Found { pid: None, path: wanted.into() }]),
        false => Err(UserError::new(
            Exit::NoConnection,
            format!("there is no process and no control socket `{wanted}`"),
        )
        .hint("name a process by its number, or its control socket by a path with a slash")),
    }
}

impl Found {
    /// Asks for a look at it; `None` if it ended meanwhile.
    ///
    /// # Errors
    /// It does not answer as it should.
    pub(crate) async fn status(&self) -> Result<Option<Status>, UserError> {
        match self.ask(&Request::Status).await? {
            None => Ok(None),
            Some(Reply { status: Some(status), .. }) => Ok(Some(status)),
            Some(reply) => Err(self.failed(&reply.message)),
        }
    }

    /// Asks; `None` if it ended meanwhile.
    ///
    /// # Errors
    /// It does not answer as it should.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Option<Reply>, UserError> {
        let asked = tokio::time::timeout(PATIENCE, self.exchange(request)).await;
        match asked {
            Ok(Ok(reply)) => Ok(Some(reply)),
            Ok(Err(error)) if is_gone(&error) => Ok(None),
            Ok(Err(error)) => Err(self.failed(&error.to_string())),
            Err(_) => Err(self.failed(&format!("no answer within {} s", PATIENCE.as_secs()))),
        }
    }

    async fn exchange(&self, request: &Request) -> io::Result<Reply> {
        let mut socket = UnixStream::connect(&self.path).await?;
        let peer = socket.peer_cred()?.uid();
        let user = geteuid().as_raw();
        if peer != user && user != 0 {
            return Err(io::Error::other(format!("it belongs to user {peer}")));
        }
        let mut line = serde_json::to_string(request)?;
        line.push('\n');
        socket.write_all(line.as_bytes()).await?;
        let mut reply = Vec::new();
        let mut reader = BufReader::new(socket.take(LONGEST_REPLY));
        if reader.read_until(b'\n', &mut reply).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(serde_json::from_slice(&reply)?)
    }

    fn failed(&self, why: &str) -> UserError {
        let who = match self.pid {
            Some(pid) => format!("process {pid}"),
            None => self.path.display().to_string(),
        };
        UserError::new(
            Exit::Failure,
            format!("{who} does not answer: {}", crate::sink::escape_text(why)),
        )
    }
}

/// Nobody is there any more.
fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionRefused, ConnectionReset, NotFound, UnexpectedEof};
    [NotFound, ConnectionRefused, ConnectionReset, BrokenPipe, UnexpectedEof]
        .contains(&error.kind())
}

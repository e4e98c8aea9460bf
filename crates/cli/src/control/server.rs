//! Answers on the control socket of this process, within bounds.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustix::process::geteuid;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::Semaphore;
use tokio::task::{AbortHandle, JoinSet};

use super::message::LONGEST_REQUEST;
use super::place::{self, Made};
use super::{Actions, Reply, Request};
use crate::report::Report;
use crate::settings::ControlPlace;

/// Connections at once; more of them wait to be accepted.
const CONNECTIONS: usize = if cfg!(test) { 4 } else { 16 };

/// Requests of one connection.
const REQUESTS: usize = 100;

/// A connection may be silent, and an answer may take to be read, for this long.
const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 10 });

/// A connection ends after this long whatever it does.
const LONGEST: Duration = Duration::from_secs(60);

/// How often to look whether the socket is still there: the directory can be cleared.
const LOOK: Duration = Duration::from_secs(if cfg!(test) { 1 } else { 5 });

/// Pause after a failed accept: out of descriptors, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The control socket of this process; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Control(Option<Running>);

#[derive(Debug)]
struct Running {
    task: AbortHandle,
    path: Arc<Mutex<PathBuf>>,
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(Running { task, path }) = &self.0 {
            task.abort();
            // The task may get no time to do so.
            let _ = std::fs::remove_file(&*path.lock().unwrap_or_else(PoisonError::into_inner));
        }
    }
}

impl Control {
    /// Begins to answer. If that cannot be, one warning says so and nothing else happens.
    pub(crate) async fn start(place: &ControlPlace, actions: &Actions, report: &Report) -> Self {
        let path = match place {
            ControlPlace::Off => return Self(None),
            ControlPlace::Auto => None,
            ControlPlace::At(path) => Some(path.clone()),
        };
        // Whoever comes tidies up.
        if path.is_none() {
            place::all().await;
        }
        match place::make(path.as_deref()).await {
            Ok(made) => {
                let shared = Arc::new(Mutex::new(made.path.clone()));
                let task = tokio::spawn(keep(made, path, actions.clone(), Arc::clone(&shared)));
                Self(Some(Running { task: task.abort_handle(), path: shared }))
            }
            Err(error) => {
                report.always(&format!(
                    "! no control socket: {error}; `p2 status` will not see this process \
                     (--control off keeps this quiet)"
                ));
                Self(None)
            }
        }
    }
}

/// Answers for ever, on a new socket if the old one was taken away.
async fn keep(made: Made, path: Option<PathBuf>, actions: Actions, shared: Arc<Mutex<PathBuf>>) {
    let mut made = Some(made);
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        if let Some(made) = &made {
            serve(made, &actions, &room, &mut connections).await;
        }
        made = None;
        match place::make(path.as_deref()).await {
            Ok(again) => {
                shared.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&again.path);
                made = Some(again);
            }
            Err(error) => {
                tracing::debug!(%error, "the control socket is gone and cannot be made again");
                tokio::time::sleep(LOOK).await;
            }
        }
    }
}

/// Answers until the socket is no longer where it was made.
async fn serve(
    made: &Made,
    actions: &Actions,
    room: &Arc<Semaphore>,
    connections: &mut JoinSet<()>,
) {
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            accepted = accept(made, room) => match accepted {
                Ok((socket, permit)) => {
                    let actions = actions.clone();
                    connections.spawn(async move {
                        let _ = tokio::time::timeout(LONGEST, talk(socket, &actions)).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot accept on the control socket");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            _ = look.tick() => {
                while connections.try_join_next().is_some() {}
                if !made.path.exists() {
                    return;
                }
            }
        }
    }
}

async fn accept(
    made: &Made,
    room: &Arc<Semaphore>,
) -> io::Result<(UnixStream, tokio::sync::OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (socket, _) = made.listener.accept().await?;
    Ok((socket, permit))
}

/// Answers one connection.
async fn talk(socket: UnixStream, actions: &Actions) -> io::Result<()> {
    let peer = socket.peer_cred()?.uid();
    if peer != geteuid().as_raw() && peer != 0 {
        tracing::warn!(peer, "turned away another user's process");
        return Ok(());
    }
    let (reader, mut writer) = socket.into_split();
    let mut reader = BufReader::new(reader);
    for _ in 0..REQUESTS {
        let mut line = Vec::new();
        let mut limited = (&mut reader).take(LONGEST_REQUEST as u64);
        let read = tokio::time::timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await??;
        if read == 0 {
            return Ok(());
        }
        let whole = line.last() == Some(&b'\n');
        let reply = match serde_json::from_slice::<Request>(&line) {
            _ if !whole && line.len() == LONGEST_REQUEST => {
                Reply::refused(format!("a request has at most {LONGEST_REQUEST} bytes"))
            }
            Ok(request) => actions.run(request).await,
            Err(error) => Reply::refused(format!("not a request: {error}")),
        };
        let line = reply.to_line();
        tokio::time::timeout(PATIENCE, writer.write_all(line.as_bytes())).await??;
        if !whole {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! Listeners on TCP and Unix sockets: each accepted connection becomes a stream, both ways.

use super::context::{Context, Identity};
use super::destination::{Destination, Reader};
use super::event::SourceEvent;
use super::pump::{Produce, deliver};
use super::stop::StopSignal;
use crate::settings::source::Source;
use bytes::{Bytes, BytesMut};
use rustix::fs::Mode;
use std::future::Future;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixSocket, UnixStream, tcp, unix};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

/// Connections at once on one listener; more of them wait to be accepted.
const CONNECTIONS: usize = 1_000;

/// One read.
const CHUNK: usize = 64 * 1024;

/// Reads that a connection still gets once the program drains.
const LAST_READS: u32 = 16;

/// Pause after a failed accept: out of descriptors, most likely, and trying on at once helps nobody.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Listens on a `HOST:PORT`.
pub(super) async fn tcp<D: Destination>(context: Arc<Context<D>>, source: Source, address: String) {
    let shown = source.name.clone().unwrap_or_else(|| address.clone());
    let bound = async {
        let listener = TcpListener::bind(&address).await?;
        let local = listener.local_addr()?;
        io::Result::Ok((listener, local))
    };
    let (listener, local) = match bound.await {
        Ok(bound) => bound,
        Err(error) => return context.record_unopened(&shown, &explain(&address, &error)),
    };
    if !local.ip().is_loopback() {
        context.observer.warn(
            &shown,
            format!("{local} accepts connections from other machines, without any check"),
        );
    }
    context.observer.tell(SourceEvent::Listening { name: shown, address: local.to_string() });
    let accept = || async {
        let (stream, peer) = listener.accept().await?;
        // Small messages go at once; that is all this can fail at.
        let _ = stream.set_nodelay(true);
        let (read, write) = stream.into_split();
        Ok((read, Socket::Tcp(write), peer.to_string()))
    };
    serve(&context, &source, accept).await;
}

/// Listens on a Unix socket that only this user can connect to.
pub(super) async fn unix<D: Destination>(context: Arc<Context<D>>, source: Source, path: PathBuf) {
    let shown = source.name.clone().unwrap_or_else(|| path.display().to_string());
    let (listener, _file) = match bind_unix(&path).await {
        Ok(bound) => bound,
        Err(error) => {
            return context.record_unopened(&shown, &explain(&path.display().to_string(), &error));
        }
    };
    context
        .observer
        .tell(SourceEvent::Listening { name: shown, address: format!("unix:{}", path.display()) });
    let accept = || async {
        let (stream, _) = listener.accept().await?;
        let peer = stream.peer_cred().map_or_else(
            |_| "unix".to_owned(),
            |peer| {
                format!(
                    "unix uid={}{}",
                    peer.uid(),
                    peer.pid().map_or_else(String::new, |pid| format!(" pid={pid}"))
                )
            },
        );
        let (read, write) = stream.into_split();
        Ok((read, Socket::Unix(write), peer))
    };
    serve(&context, &source, accept).await;
}

/// Accepts until a drain, then waits for the connections to end.
async fn serve<D, R, A, F>(context: &Arc<Context<D>>, source: &Source, accept: A)
where
    D: Destination,
    R: AsyncRead + Send + Unpin + 'static,
    A: Fn() -> F,
    F: Future<Output = io::Result<(R, Socket, String)>>,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let base = source.name.clone().unwrap_or_else(|| default_name(source));
    let source = Source { name: Some(base.clone()), spec: source.spec.clone() };
    let mut connections = JoinSet::new();
    let mut stop = context.stop.clone();
    let mut number = 0_u32;
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.drain() => break,
            accepted = async {
                let permit = room.clone().acquire_owned().await.map_err(io::Error::other)?;
                io::Result::Ok((permit, accept().await?))
            } => accepted,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((permit, (read, write, peer))) => {
                number = number.saturating_add(1);
                let identity = context.identify_as(&source.stream_name(number, number), &base);
                let context = context.clone();
                connections.spawn(async move {
                    connection(context, identity, read, write, peer).await;
                    drop(permit);
                });
            }
            Err(error) => {
                context
                    .observer
                    .warn(&base, format!("cannot accept a connection: {error}; trying again"));
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    while connections.join_next().await.is_some() {}
}

/// Carries one connection both ways until both have ended.
async fn connection<D: Destination>(
    context: Arc<Context<D>>,
    identity: Identity,
    read: impl AsyncRead + Send + Unpin + 'static,
    mut socket: Socket,
    peer: String,
) {
    let tally = context.enter(&identity);
    let stop = context.stop.clone();
    let result = context
        .unless_stopped(async {
            let (mut writer, mut reader) =
                context.open(&identity, true, vec![("peer".to_owned(), peer)]).await?;
            let mut source = SocketReader {
                read,
                buffer: BytesMut::new(),
                stop: stop.clone(),
                last: LAST_READS,
            };
            let (sent, sending) = watch::channel(false);
            let forward = async {
                let result = deliver(&mut source, &mut writer, &identity.live, &tally).await;
                sent.send_replace(true);
                result
            };
            let backward = async {
                back(&mut reader, &mut socket, sending, stop.clone()).await;
                Ok(())
            };
            tokio::try_join!(forward, backward).map(|_| ())
        })
        .await;
    match result {
        Ok(()) => {
            let _ = socket.shutdown().await;
        }
        // Cut off, so that the client does not take it for an orderly end.
        Err(_) => socket.abort(),
    }
    context.record(identity, &tally, result);
}

/// The peer's bytes into the socket. A peer that ends its half without having said anything is one
/// that only listens: many clients take a closed half for the end of the connection, so theirs is
/// left open until they have ended their own.
async fn back<R: Reader>(
    reader: &mut R,
    socket: &mut Socket,
    mut sending: watch::Receiver<bool>,
    mut stop: StopSignal,
) {
    let mut said = false;
    let over = async {
        // A drain ends what the client sends; what the peer still says is then of no use.
        let _ = sending.wait_for(|sent| *sent).await;
        stop.drain().await;
    };
    tokio::pin!(over);
    loop {
        tokio::select! {
            biased;
            chunk = reader.read() => match chunk {
                Ok(Some(chunk)) => {
                    said = true;
                    if socket.write_all(&chunk).await.is_err() {
                        return reader.stop();
                    }
                }
                Ok(None) => {
                    if said {
                        let _ = socket.shutdown().await;
                    }
                    return;
                }
                Err(_) => return,
            },
            () = &mut over => return reader.stop(),
        }
    }
}

struct SocketReader<R> {
    read: R,
    buffer: BytesMut,
    stop: StopSignal,
    last: u32,
}

impl<R: AsyncRead + Send + Unpin> Produce for SocketReader<R> {
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        if self.buffer.capacity() < CHUNK / 16 {
            self.buffer.reserve(CHUNK);
        }
        if self.stop.draining() {
            self.last = self.last.saturating_sub(1);
            if self.last == 0 {
                return Ok(None);
            }
        }
        tokio::select! {
            biased;
            length = self.read.read_buf(&mut self.buffer) => {
                let length = length.map_err(|error| io::Error::new(error.kind(), format!("the client broke off: {error}")))?;
                Ok((length > 0).then(|| self.buffer.split().freeze()))
            }
            () = self.stop.drain() => Ok(None),
        }
    }
}

/// The writing half of an accepted connection.
enum Socket {
    Tcp(tcp::OwnedWriteHalf),
    Unix(unix::OwnedWriteHalf),
}

impl Socket {
    fn half(&mut self) -> &mut (dyn AsyncWrite + Send + Unpin) {
        match self {
            Self::Tcp(half) => half,
            Self::Unix(half) => half,
        }
    }

    async fn write_all(&mut self, data: &[u8]) -> io::Result<()> {
        self.half().write_all(data).await
    }

    async fn shutdown(&mut self) -> io::Result<()> {
        self.half().shutdown().await
    }

    /// Closes with a reset where the socket has such a thing.
    fn abort(self) {
        match self {
            Self::Tcp(half) => {
                let stream: &TcpStream = half.as_ref();
                // Without it the client sees an ordinary end; nothing else is lost.
                let _ = stream.set_zero_linger();
                half.forget();
            }
            Self::Unix(half) => drop(half),
        }
    }
}

/// Removes the socket's file again, unless another has taken its place.
struct SocketFile {
    path: PathBuf,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.path.symlink_metadata().is_ok_and(|file| file.ino() == self.inode) {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

async fn bind_unix(path: &Path) -> io::Result<(UnixListener, SocketFile)> {
    match path.symlink_metadata() {
        Ok(file) if !file.file_type().is_socket() => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "a file is there that is no socket",
            ));
        }
        // Left behind by a process that is gone, if nobody answers.
        Ok(_) => match UnixStream::connect(path).await {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                std::fs::remove_file(path)?
            }
            Err(error) => return Err(error),
            Ok(_) => return Err(io::ErrorKind::AddrInUse.into()),
        },
        Err(_) => {}
    }
    let socket = UnixSocket::new_stream()?;
    // On Linux the file gets the mode that the socket has before it is bound, so there is no moment
    // in which others could connect.
    let early = rustix::fs::fchmod(&socket, Mode::RUSR | Mode::WUSR).is_ok();
    socket.bind(path)?;
    let metadata = path.symlink_metadata()?;
    let file = SocketFile { path: path.to_owned(), inode: metadata.ino() };
    if !early || metadata.permissions().mode() & 0o777 != 0o600 {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
    }
    Ok((socket.listen(1024)?, file))
}

fn default_name(source: &Source) -> String {
    use crate::settings::source::SourceSpec;
    match &source.spec {
        SourceSpec::UnixListen(_) => "unix".to_owned(),
        _ => "tcp".to_owned(),
    }
}

fn explain(address: &str, error: &io::Error) -> io::Error {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "another process listens there; choose another address or stop it".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            format!("{error}; ports below 1024 and foreign directories need rights")
        }
        _ => error.to_string(),
    };
    io::Error::new(error.kind(), format!("cannot listen on {address}: {hint}"))
}

#[cfg(test)]
mod tests;

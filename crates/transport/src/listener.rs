//! Where a server's links come from: a TCP port or a Unix socket that only its owner may use.

use std::{
    fs, io,
    net::IpAddr,
    os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};
use tokio::net::{TcpListener, UnixListener, lookup_host};

use crate::{
    BindError, Link,
    dial::{self, Target},
};

/// Connections the kernel holds for us until they are accepted.
const BACKLOG: i32 = 128;

/// A bound address.
#[derive(Debug)]
pub(crate) enum Listener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix socket.
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Binds `host:port` or `unix:/path`. Without `guarded` only addresses that other machines
    /// cannot reach are allowed.
    pub(crate) async fn bind(address: &str, guarded: bool) -> Result<Self, BindError> {
        let target: Target = address.parse().map_err(|why: dial::TargetError| {
            BindError::Address { address: address.into(), why: why.to_string() }
        })?;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::AddrInUse => BindError::InUse { address: address.into() },
            _ => BindError::Io { address: address.into(), source },
        };
        match target {
            Target::Unix(path) => bind_unix(&path).map_err(failed),
            Target::Tcp(host) => {
                let addresses: Vec<_> = lookup_host(&host).await.map_err(failed)?.collect();
                if !guarded && addresses.iter().any(|a| !a.ip().to_canonical().is_loopback()) {
                    return Err(BindError::Exposed { address: address.into() });
                }
                TcpListener::bind(addresses.as_slice()).await.map(Self::Tcp).map_err(failed)
            }
        }
    }

    /// The bound address, as a client would write it.
    pub(crate) fn address(&self) -> String {
        match self {
            Self::Tcp(listener) => {
                listener.local_addr().map_or_else(|e| e.to_string(), |a| a.to_string())
            }
            Self::Unix(_, file) => format!("unix:{}", file.path.display()),
        }
    }

    /// The next link and, if it comes from another machine, its address.
    ///
    /// Cancel safe.
    pub(crate) async fn accept(&self) -> io::Result<(Link, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer) = listener.accept().await?;
                let link = dial::tcp::link(stream)?;
                let ip = peer.ip().to_canonical();
                Ok((link, (!ip.is_loopback()).then_some(ip)))
            }
            Self::Unix(listener, file) => {
                let (stream, _) = listener.accept().await?;
                let peer = format!("unix:{}", file.path.display());
                Ok((dial::unix::link(stream, peer), None))
            }
        }
    }
}

/// The socket's name in the file system; removed with the listener if it is still ours.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    /// Device and inode, so that another process's newer socket is left alone.
    identity: Option<(u64, u64)>,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path) == self.identity {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|about| (about.dev(), about.ino()))
}

fn bind_unix(path: &Path) -> io::Result<Listener> {
    remove_stale(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?)?;
    let file = SocketFile { path: path.into(), identity: identity(path) };
    // Nobody can connect before `listen`, so nobody gets in before the mode is set.
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(Listener::Unix(UnixListener::from_std(socket.into())?, file))
}

/// Removes a socket whose process is gone; anything else in its place stays.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(about) if !about.file_type().is_socket() => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file that is not a socket is in the way",
        )),
        Ok(_) => match std::os::unix::net::UnixStream::connect(path) {
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_loopback_may_be_bound_without_a_token() {
        for open in ["0.0.0.0:0", "[::]:0"] {
            let error = Listener::bind(open, false).await.expect_err("reachable from outside");
            assert!(matches!(error, BindError::Exposed { .. }), "{error}");
        }
        Listener::bind("0.0.0.0:0", true).await.expect("guarded by a token");
        let listener = Listener::bind("127.0.0.1:0", false).await.expect("loopback");
        assert!(listener.address().starts_with("127.0.0.1:"));
        let error = Listener::bind(&listener.address(), false).await.expect_err("taken");
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
    }

    #[tokio::test]
    async fn a_unix_socket_is_private_and_leaves_with_its_listener() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("p2");
        let address = format!("unix:{}", path.display());
        let listener = Listener::bind(&address, false).await.expect("a free path");
        assert_eq!(listener.address(), address);
        let mode = fs::metadata(&path).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        let error = Listener::bind(&address, false).await.expect_err("taken");
        assert!(matches!(error, BindError::InUse { .. }), "{error}");
        drop(listener);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("p2");
        let address = format!("unix:{}", path.display());
        drop(std::os::unix::net::UnixListener::bind(&path).expect("a socket nobody serves"));
        Listener::bind(&address, false).await.expect("the stale socket is replaced");
        fs::write(&path, "precious").expect("a file");
        let error = Listener::bind(&address, false).await.expect_err("a file is in the way");
        assert!(error.to_string().contains("not a socket"), "{error}");
        assert_eq!(fs::read(&path).expect("it is still there"), b"precious");
    }
}

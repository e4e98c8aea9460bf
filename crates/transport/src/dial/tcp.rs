//! Links over TCP, with the socket options that keep queues short and deaths quick.

use std::{io, net::SocketAddr, time::Duration};

use socket2::SockRef;
use tokio::net::{TcpStream, lookup_host};

use super::{Dial, DialError, Dialling};
use crate::Link;

/// Unsent bytes the kernel may hold: anything there can no longer be overtaken. The cap on what is in
/// flight does not know that the kernel sends less after a loss or a pause.
const NOTSENT_LOWAT: u32 = 128 * 1024;
/// The same on this machine, where the kernel sends at once, and only the cap shall make a writer wait.
const NOTSENT_LOWAT_LOCAL: u32 = 1024 * 1024;
/// How long sent bytes may stay without an acknowledgement by the peer's kernel.
const USER_TIMEOUT: Duration = Duration::from_secs(30);

/// Dials `host:port`: every address of the host in turn, until one answers.
///
/// ```
/// use std::time::Duration;
/// use p2_transport::dial::{Dial, TcpDial};
///
/// let dial = TcpDial::new("127.0.0.1:9000").connect_timeout(Duration::from_secs(3));
/// assert_eq!(dial.target(), "127.0.0.1:9000");
/// ```
#[derive(Debug, Clone)]
pub struct TcpDial {
    address: String,
    timeout: Duration,
}

impl TcpDial {
    /// Dials `address`, written `host:port`, for at most 10 s.
    pub fn new(address: impl Into<String>) -> Self {
        Self { address: address.into(), timeout: Duration::from_secs(10) }
    }

    /// The limit for one attempt: name, all addresses, connect.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }

    async fn connect(&self) -> Result<Link, DialError> {
        let target = &self.address;
        let addresses: Vec<SocketAddr> = lookup_host(target)
            .await
            .map_err(|e| DialError::NotFound { target: target.clone(), why: e.to_string() })?
            .collect();
        let none = || DialError::NotFound { target: target.clone(), why: "no address".into() };
        let share = self.timeout / u32::try_from(addresses.len().max(1)).unwrap_or(u32::MAX);
        let mut last = None;
        for address in addresses {
            match tokio::time::timeout(share, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    return link(stream).map_err(|e| DialError::from_io(target, &e));
                }
                Ok(Err(error)) => last = Some(DialError::from_io(target, &error)),
                Err(_) => last = Some(self.timed_out()),
            }
        }
        Err(last.unwrap_or_else(none))
    }

    fn timed_out(&self) -> DialError {
        DialError::Timeout { target: self.address.clone(), limit: self.timeout }
    }
}

impl Dial for TcpDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            match tokio::time::timeout(self.timeout, self.connect()).await {
                Ok(result) => result,
                Err(_) => Err(self.timed_out()),
            }
        })
    }

    fn target(&self) -> String {
        self.address.clone()
    }
}

/// A link over a connected socket, dialled or accepted.
pub(crate) fn link(stream: TcpStream) -> io::Result<Link> {
    let peer = stream.peer_addr()?;
    stream.set_nodelay(true)?;
    let socket = SockRef::from(&stream);
    // The rest makes links better; a kernel without them still carries one.
    if let Err(error) = socket.set_tcp_user_timeout(Some(USER_TIMEOUT)) {
        tracing::debug!(%error, "no TCP_USER_TIMEOUT");
    }
    let local = peer.ip().to_canonical().is_loopback();
    let unsent = if local { NOTSENT_LOWAT_LOCAL } else { NOTSENT_LOWAT };
    if let Err(error) = socket.set_tcp_notsent_lowat(unsent) {
        tracing::debug!(%error, "no TCP_NOTSENT_LOWAT");
    }
    let (reader, writer) = stream.into_split();
    Ok(Link::new(reader, writer, peer.to_string()).integrity(local).local(local))
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn a_loopback_link_needs_no_checksums_and_waits_for_nothing() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let link = TcpDial::new(address.to_string()).dial().await.expect("someone listens");
        assert_eq!(link.peer, address.to_string());
        assert!(link.integrity && link.local);
        assert_eq!(link.junk_limit, 0);
    }

    #[tokio::test]
    async fn a_closed_port_says_that_nothing_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        drop(listener);
        let error = TcpDial::new(&address).dial().await.expect_err("nobody listens");
        assert!(matches!(&error, DialError::Refused { target } if *target == address), "{error}");
        assert!(error.is_transient());
    }

    #[tokio::test]
    async fn an_unknown_host_says_so() {
        let error = TcpDial::new("no-such-host.invalid:9").dial().await.expect_err("no such name");
        assert!(matches!(error, DialError::NotFound { .. }), "{error}");
    }
}

//! One byte pipe to the peer. It dies often; the session does not.

use std::{fmt, future::Future, pin::Pin, time::Duration};

use tokio::io::{AsyncRead, AsyncWrite};

use crate::dial::DialError;

/// What a dialler knows about a link that ended before its handshake did: for example the last
/// words of an ssh child.
pub type Explain = Pin<Box<dyn Future<Output = Option<DialError>> + Send>>;

/// A connected byte pipe, as a [`Dial`](crate::dial::Dial) or a listener hands it out.
///
/// ```
/// let (near, _far) = tokio::io::duplex(1024);
/// let (reader, writer) = tokio::io::split(near);
/// let link = p2_transport::Link::new(reader, writer, "in memory").integrity(true).local(true);
/// assert_eq!(link.peer, "in memory");
/// ```
pub struct Link {
    /// Bytes from the peer.
    pub reader: Box<dyn AsyncRead + Send + Unpin>,
    /// Bytes to the peer.
    pub writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// The peer's address, for people.
    pub peer: String,
    /// The link itself protects what it carries (ssh, TLS, Unix and loopback sockets). If not, both
    /// sides add a CRC32C to every frame.
    pub integrity: bool,
    /// How many bytes of foreign text may come before the peer's first byte (login banners on ssh).
    pub junk_limit: usize,
    /// Both ends are on this machine.
    pub local: bool,
    /// How much longer than usual the handshake may take: the link is still being made.
    pub patience: Duration,
    /// Asked, for two seconds at most, when the link ends before its handshake did.
    pub explain: Option<Explain>,
}

impl Link {
    /// A link over `reader` and `writer` without integrity of its own, not local, no junk allowed.
    pub fn new(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        peer: impl Into<String>,
    ) -> Self {
        Self {
            reader: Box::new(reader),
            writer: Box::new(writer),
            peer: peer.into(),
            integrity: false,
            junk_limit: 0,
            local: false,
            patience: Duration::ZERO,
            explain: None,
        }
    }

    /// Says whether the link protects what it carries.
    pub fn integrity(mut self, integrity: bool) -> Self {
        self.integrity = integrity;
        self
    }

    /// Allows up to `bytes` of foreign text before the peer's first byte.
    pub fn junk_limit(mut self, bytes: usize) -> Self {
        self.junk_limit = bytes;
        self
    }

    /// Says whether both ends are on this machine.
    pub fn local(mut self, local: bool) -> Self {
        self.local = local;
        self
    }

    /// Gives the handshake this much longer.
    pub fn patience(mut self, more: Duration) -> Self {
        self.patience = more;
        self
    }

    /// Gives the link a better explanation of its early death than "end of file".
    pub fn explain(
        mut self,
        why: impl Future<Output = Option<DialError>> + Send + 'static,
    ) -> Self {
        self.explain = Some(Box::pin(why));
        self
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("peer", &self.peer)
            .field("integrity", &self.integrity)
            .field("local", &self.local)
            .finish_non_exhaustive()
    }
}

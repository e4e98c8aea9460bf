//! Links over a Unix socket.

use std::{path::PathBuf, time::Duration};

use tokio::net::UnixStream;

use super::{Dial, DialError, Dialling};
use crate::Link;

/// Dials the Unix socket at a path.
///
/// ```
/// use p2_transport::dial::{Dial, UnixDial};
///
/// assert_eq!(UnixDial::new("/run/p2").target(), "unix:/run/p2");
/// ```
#[derive(Debug, Clone)]
pub struct UnixDial {
    path: PathBuf,
    timeout: Duration,
}

impl UnixDial {
    /// Dials the socket at `path` for at most 10 s.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), timeout: Duration::from_secs(10) }
    }

    /// The limit for one attempt.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.timeout = limit;
        self
    }
}

impl Dial for UnixDial {
    fn dial(&self) -> Dialling<'_> {
        Box::pin(async {
            let target = self.target();
            match tokio::time::timeout(self.timeout, UnixStream::connect(&self.path)).await {
                Ok(Ok(stream)) => Ok(link(stream, target)),
                // A receiver that restarts makes its socket anew, so a missing one may come back.
                Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                    Err(DialError::Refused { target })
                }
                Ok(Err(error)) => Err(DialError::from_io(&target, &error)),
                Err(_) => Err(DialError::Timeout { target, limit: self.timeout }),
            }
        })
    }

    fn target(&self) -> String {
        format!("unix:{}", self.path.display())
    }
}

/// A link over a connected socket, dialled or accepted.
pub(crate) fn link(stream: UnixStream, peer: String) -> Link {
    let (reader, writer) = stream.into_split();
    Link::new(reader, writer, peer).integrity(true).local(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_missing_socket_is_a_receiver_that_is_not_there_yet() {
        let error = UnixDial::new("/nowhere/p2").dial().await.expect_err("no such socket");
        assert!(matches!(error, DialError::Refused { .. }), "{error}");
        assert!(error.is_transient());
    }
}

//! How a client gets a link: one trait, with TCP, Unix sockets and programs built in.

mod command;
pub(crate) mod tcp;
pub(crate) mod unix;

use std::{fmt, future::Future, pin::Pin, str::FromStr, sync::Arc, time::Duration};

pub use command::{CommandDial, CommandEnd, Describe, Hear};
pub use tcp::TcpDial;
pub use unix::UnixDial;

use crate::Link;

/// The future of a [`Dial::dial`].
pub type Dialling<'a> = Pin<Box<dyn Future<Output = Result<Link, DialError>> + Send + 'a>>;

/// Makes links to one peer, again and again.
///
/// ```
/// use p2_transport::{Link, dial::{Dial, Dialling}};
///
/// struct InMemory;
///
/// impl Dial for InMemory {
///     fn dial(&self) -> Dialling<'_> {
///         Box::pin(async {
///             let (near, _far) = tokio::io::duplex(64 * 1024);
///             let (reader, writer) = tokio::io::split(near);
///             Ok(Link::new(reader, writer, "in memory").integrity(true).local(true))
///         })
///     }
///     fn target(&self) -> String {
///         "in memory".into()
///     }
/// }
/// ```
pub trait Dial: Send + Sync + 'static {
    /// Makes one link. Dropping the future gives the attempt up.
    fn dial(&self) -> Dialling<'_>;
    /// Who is dialled, for people.
    fn target(&self) -> String;
}

impl<D: Dial + ?Sized> Dial for Box<D> {
    fn dial(&self) -> Dialling<'_> {
        (**self).dial()
    }
    fn target(&self) -> String {
        (**self).target()
    }
}

impl<D: Dial + ?Sized> Dial for Arc<D> {
    fn dial(&self) -> Dialling<'_> {
        (**self).dial()
    }
    fn target(&self) -> String {
        (**self).target()
    }
}

/// An address as people write it.
///
/// ```
/// use p2_transport::dial::Target;
///
/// assert_eq!("localhost:9000".parse(), Ok(Target::Tcp("localhost:9000".into())));
/// assert_eq!("unix:/run/p2".parse(), Ok(Target::Unix("/run/p2".into())));
/// assert!("localhost".parse::<Target>().is_err());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// `host:port`, `1.2.3.4:port` or `[::1]:port`.
    Tcp(String),
    /// `unix:/path`.
    Unix(std::path::PathBuf),
}

impl Target {
    /// The dialler for this address.
    pub fn dialler(self, connect_timeout: Duration) -> Box<dyn Dial> {
        match self {
            Self::Tcp(address) => Box::new(TcpDial::new(address).connect_timeout(connect_timeout)),
            Self::Unix(path) => Box::new(UnixDial::new(path).connect_timeout(connect_timeout)),
        }
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path {
                "" => Err(TargetError("the path is empty")),
                path => Ok(Self::Unix(path.into())),
            };
        }
        let (host, port) = text.rsplit_once(':').ok_or(TargetError("the port is missing"))?;
        if port.parse::<u16>().is_err() {
            return Err(TargetError("the port is not a number up to 65535"));
        }
        let bracketed = host.starts_with('[') && host.ends_with(']');
        match host {
            "" => Err(TargetError("the host is missing")),
            _ if host.contains(':') && !bracketed => {
                Err(TargetError("an IPv6 address stands in brackets, as in [::1]:9000"))
            }
            _ => Ok(Self::Tcp(text.into())),
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(address) => f.write_str(address),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// What is wrong with an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct TargetError(&'static str);

/// Why there is no link.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum DialError {
    /// Nothing listens there.
    #[error("{target} refused the connection: nothing listens there; start the receiver first")]
    Refused {
        /// Who was dialled.
        target: String,
    },
    /// The name does not resolve (now).
    #[error("cannot find the host of {target}: {why}; check the name and the network")]
    NotFound {
        /// Who was dialled.
        target: String,
        /// What the resolver said.
        why: String,
    },
    /// No answer.
    #[error("{target} did not answer within {limit:?}; check the address and any firewall")]
    Timeout {
        /// Who was dialled.
        target: String,
        /// The limit.
        limit: Duration,
    },
    /// This user may not connect there.
    #[error("no permission to connect to {target}: {why}")]
    Permission {
        /// Who was dialled.
        target: String,
        /// What the system said.
        why: String,
    },
    /// Any other failure that may pass.
    #[error("cannot connect to {target}: {why}")]
    Failed {
        /// Who was dialled.
        target: String,
        /// What the system said.
        why: String,
    },
    /// A failure that retrying cannot cure (a refused key, a changed host key, no such program).
    #[error("cannot connect to {target}: {why}")]
    Permanent {
        /// Who was dialled.
        target: String,
        /// What to know and to do.
        why: String,
    },
    /// What a dialler of another kind has to say.
    #[error("{source}")]
    Other {
        /// In its own words, which name who was dialled.
        source: Arc<dyn std::error::Error + Send + Sync>,
        /// What is to come of it.
        retry: Retry,
    },
}

/// Whether and when to dial again after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Retry {
    /// As after any failure that may pass.
    Usual,
    /// Not before this time is over: haste would make it worse. A minute at most.
    After(Duration),
    /// Never.
    Never,
}

impl DialError {
    /// Whether dialling again may help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Permission { .. } | Self::Permanent { .. } => false,
            Self::Other { retry, .. } => *retry != Retry::Never,
            _ => true,
        }
    }

    /// How long to wait at least.
    pub(crate) fn retry_after(&self) -> Duration {
        match self {
            Self::Other { retry: Retry::After(wait), .. } => *wait,
            _ => Duration::ZERO,
        }
    }

    /// The error that says most about an I/O error of a connect.
    pub(crate) fn from_io(target: &str, error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let target = target.to_owned();
        match error.kind() {
            ErrorKind::ConnectionRefused => Self::Refused { target },
            ErrorKind::PermissionDenied => Self::Permission { target, why: error.to_string() },
            _ => Self::Failed { target, why: error.to_string() },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_people_write_them() {
        for good in ["127.0.0.1:9000", "[::1]:9000", "host.example:1"] {
            assert_eq!(good.parse(), Ok(Target::Tcp(good.into())), "{good}");
        }
        for bad in ["", "host", ":9000", "host:", "host:70000", "::1:9000", "unix:", "host:http"] {
            assert!(bad.parse::<Target>().is_err(), "{bad}");
        }
    }

    #[test]
    fn only_errors_that_time_cannot_cure_are_permanent() {
        let io = |kind| DialError::from_io("there", &std::io::Error::from(kind));
        assert!(io(std::io::ErrorKind::ConnectionRefused).is_transient());
        assert!(io(std::io::ErrorKind::NetworkUnreachable).is_transient());
        assert!(!io(std::io::ErrorKind::PermissionDenied).is_transient());
    }
}

//! Where to connect to or to listen: `HOST:PORT` or `unix:PATH`.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

/// The port of p2, when nothing else is said.
pub(crate) const DEFAULT_PORT: u16 = 9000;

/// An address of a stream socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Address {
    /// A host name or address, and a port.
    Tcp {
        /// As given, without the brackets of an IPv6 address.
        host: String,
        /// The port; 0 lets the system choose when listening.
        port: u16,
    },
    /// A path of a Unix socket.
    Unix(PathBuf),
}

/// Why an address was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum AddressError {
    /// Nothing was given.
    #[error("empty; write `HOST:PORT` or `unix:PATH`")]
    Empty,
    /// A host without a port.
    #[error("`{input}` has no port; did you mean `{hint}`?")]
    NoPort {
        /// What was given.
        input: String,
        /// The same with the default port.
        hint: String,
    },
    /// A port that is not one.
    #[error("`{port}` is not a port; write a number from 0 to 65535")]
    Port {
        /// What stood where the port should be.
        port: String,
    },
    /// `unix:` without a path.
    #[error("`unix:` needs a path, as in `unix:/run/p2.sock`")]
    NoPath,
    /// A URL.
    #[error("`{input}` is a URL; write `HOST:PORT`")]
    Url {
        /// What was given.
        input: String,
    },
    /// A colon too many.
    #[error("`{input}` has more than one colon; write an IPv6 address as `[::1]:9000`")]
    Brackets {
        /// What was given.
        input: String,
    },
}

impl Address {
    /// `127.0.0.1:9000`.
    #[must_use]
    pub(crate) fn local_default() -> Self {
        Self::Tcp { host: "127.0.0.1".to_owned(), port: DEFAULT_PORT }
    }

    /// Whether only this machine can reach it: a loopback address, `localhost` or a Unix socket.
    #[must_use]
    pub(crate) fn is_local(&self) -> bool {
        match self {
            Self::Unix(_) => true,
            Self::Tcp { host, .. } => match host.parse::<IpAddr>() {
                Ok(ip) => ip.to_canonical().is_loopback(),
                Err(_) => host.eq_ignore_ascii_case("localhost"),
            },
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    /// `HOST:PORT`, `[IPV6]:PORT`, `:PORT` (this machine) or `unix:PATH`.
    fn from_str(input: &str) -> Result<Self, AddressError> {
        let text = input.trim();
        if text.is_empty() {
            return Err(AddressError::Empty);
        }
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.is_empty() {
                Err(AddressError::NoPath)
            } else {
                Ok(Self::Unix(path.into()))
            };
        }
        if text.contains("://") {
            return Err(AddressError::Url { input: text.to_owned() });
        }
        let no_port = |host: &str| AddressError::NoPort {
            input: text.to_owned(),
            hint: format!("{host}:{DEFAULT_PORT}"),
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            match rest.split_once(']') {
                Some((host, port)) if host.parse::<IpAddr>().is_ok() => {
                    (host, port.strip_prefix(':').ok_or_else(|| no_port(&format!("[{host}]")))?)
                }
                _ => {
                    return Err(AddressError::Brackets { input: text.to_owned() });
                }
            }
        } else {
            match text.rsplit_once(':') {
                Some((host, _)) if host.contains(':') => {
                    return Err(AddressError::Brackets { input: text.to_owned() });
                }
                Some(parts) => parts,
                None if text.bytes().all(|b| b.is_ascii_digit()) => {
                    return Err(AddressError::NoPort {
                        input: text.to_owned(),
                        hint: format!("127.0.0.1:{text}"),
                    });
                }
                None => return Err(no_port(text)),
            }
        };
        let port = port.parse().map_err(|_| AddressError::Port { port: port.to_owned() })?;
        let host = if host.is_empty() { "127.0.0.1" } else { host };
        Ok(Self::Tcp { host: host.to_owned(), port })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_shown_alike() {
        for (text, shown) in [
            ("127.0.0.1:9000", "127.0.0.1:9000"),
            ("host.example:1", "host.example:1"),
            (":9000", "127.0.0.1:9000"),
            ("[::1]:9000", "[::1]:9000"),
            ("unix:/run/p2.sock", "unix:/run/p2.sock"),
            ("localhost:0", "localhost:0"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn a_wrong_address_says_what_to_write() {
        for (text, words) in [
            ("", "write `HOST:PORT`"),
            ("host", "did you mean `host:9000`?"),
            ("9000", "did you mean `127.0.0.1:9000`?"),
            ("host:", "`` is not a port"),
            ("host:http", "`http` is not a port"),
            ("host:70000", "`70000` is not a port"),
            ("::1", "write an IPv6 address as `[::1]:9000`"),
            ("[::1]", "did you mean `[::1]:9000`?"),
            ("[host]:1", "write an IPv6 address"),
            ("unix:", "needs a path"),
            ("http://host:80", "is a URL"),
        ] {
            let error = text.parse::<Address>().expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn only_loopback_and_unix_sockets_are_local() {
        for (text, local) in [
            ("127.0.0.1:1", true),
            ("127.9.9.9:1", true),
            ("[::1]:1", true),
            ("[::ffff:127.0.0.1]:1", true),
            ("localhost:1", true),
            ("unix:/x", true),
            ("0.0.0.0:1", false),
            ("[::]:1", false),
            ("192.168.1.2:1", false),
            ("host:1", false),
        ] {
            assert_eq!(text.parse::<Address>().expect(text).is_local(), local, "{text}");
        }
    }
}

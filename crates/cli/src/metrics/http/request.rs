//! A request as far as it matters here: the path and two headers.

/// Bytes that a request may have.
pub(super) const MOST: usize = 8 << 10;
/// Headers that it may have.
const HEADERS: usize = 64;

/// A GET or HEAD.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::metrics) struct Request {
    /// Without the query.
    pub(in crate::metrics) path: String,
    /// What the other end takes.
    pub(in crate::metrics) accept: String,
    /// Which host it believes to talk to.
    pub(in crate::metrics) host: String,
    /// It wants no body.
    pub(super) head: bool,
}

/// Why there is no request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Problem {
    /// The other end hung up.
    #[error("the connection was closed")]
    Gone,
    /// More than is ever needed to ask.
    #[error("the request is too large: {MOST} bytes and {HEADERS} headers at most")]
    TooLarge,
    /// Another method.
    #[error("only GET and HEAD are answered")]
    Method,
    /// Not HTTP, or not well formed.
    #[error("this is no HTTP/1.1 request: {0}")]
    Malformed(String),
}

impl Problem {
    pub(super) const fn status(&self) -> u16 {
        match self {
            Self::TooLarge => 431,
            Self::Method => 405,
            Self::Gone | Self::Malformed(_) => 400,
        }
    }
}

impl Request {
    /// The request that `bytes` begin with; `None` while its end is missing.
    pub(super) fn parse(bytes: &[u8]) -> Result<Option<Self>, Problem> {
        let mut headers = [httparse::EMPTY_HEADER; HEADERS];
        let mut request = httparse::Request::new(&mut headers);
        let complete = match request.parse(bytes) {
            Ok(status) => status.is_complete(),
            Err(httparse::Error::TooManyHeaders) => return Err(Problem::TooLarge),
            Err(error) => return Err(Problem::Malformed(error.to_string())),
        };
        let known = matches!(request.method, Some("GET" | "HEAD"));
        if request.method.is_some() && !known {
            return Err(Problem::Method);
        }
        if !complete {
            return Ok(None);
        }
        let target = request.path.unwrap_or_default();
        let head = request.method == Some("HEAD");
        let (mut accept, mut hosts) = (String::new(), Vec::new());
        for header in request.headers.iter() {
            let value = String::from_utf8_lossy(header.value).into_owned();
            if header.name.eq_ignore_ascii_case("accept") {
                accept = value;
            } else if header.name.eq_ignore_ascii_case("host") {
                hosts.push(value);
            }
        }
        if hosts.len() != 1 {
            return Err(Problem::Malformed("one Host header is needed".to_owned()));
        }
        let path = target.split('?').next().unwrap_or_default().to_owned();
        Ok(Some(Self { path, accept, host: hosts.concat(), head }))
    }

    /// The host without its port.
    pub(in crate::metrics) fn host_name(&self) -> &str {
        let host = self.host.trim();
        let colon = host.rfind(':').filter(|at| !host[*at..].contains(']'));
        colon.map_or(host, |at| &host[..at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_its_path_and_two_headers() {
        let text = b"GET /metrics?x=1 HTTP/1.1\r\nhost: a:1\r\nACCEPT: text/plain\r\nX: y\r\n\r\n";
        let request = Request::parse(text).expect("well formed").expect("whole");
        assert_eq!((request.path.as_str(), request.accept.as_str()), ("/metrics", "text/plain"));
        assert_eq!((request.host_name(), request.head), ("a", false));
        for cut in 0..text.len() {
            assert_eq!(Request::parse(&text[..cut]), Ok(None), "after {cut} bytes");
        }
    }

    #[test]
    fn what_is_no_request_is_refused_as_early_as_it_shows() {
        let many = format!("GET / HTTP/1.1\r\n{}\r\n", "a: b\r\n".repeat(65));
        for (text, status) in [
            ("POST / HTTP/1.1\r\n", 405),
            ("DELETE /metrics HTTP/1.1\r\nHost: a\r\n\r\n", 405),
            ("GET / HTTP/1.1\r\n\r\n", 400),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
            ("GET / HTTP/9.9\r\n", 400),
            ("\u{1}\u{2}\u{3}", 400),
            ("GET / HTTP/1.1\r\nno colon\r\n\r\n", 400),
            (many.as_str(), 431),
        ] {
            let problem = Request::parse(text.as_bytes()).expect_err(text);
            assert_eq!(problem.status(), status, "{text}");
        }
    }

    #[test]
    fn a_host_name_is_told_from_its_port() {
        for (host, name) in [
            ("localhost:9420", "localhost"),
            ("localhost", "localhost"),
            ("127.0.0.1:9420", "127.0.0.1"),
            ("[::1]:9420", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            let request = Request { host: host.to_owned(), ..Request::default() };
            assert_eq!(request.host_name(), name);
        }
    }
}

//! A very small HTTP/1.1 server: one GET a connection, answered and closed, everything bounded.
//!
//! A full server would bring bodies, upgrades and kept connections, none of which anybody needs to
//! read figures, and each of which needs limits of its own.

mod request;

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{sleep, timeout};

pub(super) use self::request::Request;
use self::request::{MOST, Problem};

/// Connections at once. The oldest goes when one more comes: whoever asks at once is answered at
/// once, so it is one that holds on.
const CONNECTIONS: usize = 32;
/// For the whole request to come, and for the whole answer to go.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long, and for how many bytes, to wait until the other end hangs up: closing on unread bytes
/// would destroy the answer on its way.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: u64 = 64 << 10;
/// How long to wait when no connection can be accepted: out of descriptors, most likely.
const PAUSE: Duration = Duration::from_millis(100);

/// What a request is answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) content_type: &'static str,
    pub(super) body: String,
}

impl Answer {
    /// Text for people.
    pub(super) fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() + "\n" }
    }
}

/// Whoever has the answers.
pub(super) trait Routes: Send + Sync + 'static {
    /// Answers a request that is whole and within its limits.
    fn answer(&self, request: &Request) -> impl Future<Output = Answer> + Send;
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, routes: Arc<impl Routes>) {
    let mut tasks = JoinSet::new();
    let mut open: Vec<AbortHandle> = Vec::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                while tasks.try_join_next().is_some() {}
                open.retain(|connection| !connection.is_finished());
                if open.len() >= CONNECTIONS {
                    open.remove(0).abort();
                }
                open.push(tasks.spawn(talk(stream, Arc::clone(&routes))));
            }
            Err(error) => {
                tracing::warn!(%error, "the metrics server cannot accept a connection");
                sleep(PAUSE).await;
            }
        }
    }
}

async fn talk(mut stream: TcpStream, routes: Arc<impl Routes>) {
    let (answer, head) = match timeout(PATIENCE, read(&mut stream)).await {
        Ok(Ok(request)) => (routes.answer(&request).await, request.head),
        Ok(Err(Problem::Gone)) => return,
        Ok(Err(problem)) => (Answer::text(problem.status(), problem.to_string()), false),
        Err(_) => (Answer::text(408, "the request took too long"), false),
    };
    let bytes = render(&answer, head);
    if let Ok(Ok(())) = timeout(PATIENCE, stream.write_all(&bytes)).await {
        let hang_up = async {
            let _ = stream.shutdown().await;
            let mut rest = stream.take(FAREWELL_BYTES);
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        };
        let _ = timeout(FAREWELL, hang_up).await;
    }
}

async fn read(stream: &mut TcpStream) -> Result<Request, Problem> {
    let mut bytes = Vec::new();
    loop {
        let room = MOST.saturating_sub(bytes.len());
        if room == 0 {
            return Err(Problem::TooLarge);
        }
        let read = (&mut *stream).take(room as u64).read_buf(&mut bytes).await;
        if read.unwrap_or(0) == 0 {
            return Err(Problem::Gone);
        }
        if let Some(request) = Request::parse(&bytes)? {
            return Ok(request);
        }
    }
}

fn render(answer: &Answer, head: bool) -> Vec<u8> {
    let Answer { status, content_type, body } = answer;
    let allow = if *status == 405 { "Allow: GET, HEAD\r\n" } else { "" };
    let mut bytes = format!(
        "HTTP/1.1 {status} {}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n{allow}\
         Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
        reason(*status),
        body.len(),
    )
    .into_bytes();
    if !head {
        bytes.extend_from_slice(body.as_bytes());
    }
    bytes
}

const fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        421 => "Misdirected Request",
        431 => "Request Header Fields Too Large",
        503 => "Service Unavailable",
        _ => "Error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_to_head_has_the_length_and_not_the_body() {
        let answer = Answer::text(200, "ok");
        let whole = String::from_utf8(render(&answer, false)).expect("text");
        let head = String::from_utf8(render(&answer, true)).expect("text");
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\n") && whole.ends_with("\r\n\r\nok\n"));
        assert!(head.contains("Content-Length: 3\r\n") && head.ends_with("\r\n\r\n"));
    }
}

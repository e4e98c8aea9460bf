//! The dialling side's handshake over a real link, and what its failures mean to people.

use std::{io, time::Duration};

use bytes::BytesMut;
use p2_frame::{Close, Frame, Refuse, RefuseCode};
use p2_mux::{
    ErrorCode, ResumeError,
    handshake::{ClientHandshake, Established, HandshakeError, Local, Peer, Purpose},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{ConnectError, Link, Negotiated, PeerInfo};

/// Bytes taken from the link at a time.
const READ: usize = 4 * 1024;
/// How long, and for how many bytes, to stay with a server that was turned away.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: u64 = 1024 * 1024;
/// How long a link that ended early may take to explain itself.
const EXPLAIN: Duration = Duration::from_secs(2);

/// A link that both sides have agreed on.
pub(crate) struct Shaken {
    pub(crate) established: Established,
    /// Read and not yet used.
    pub(crate) input: BytesMut,
    /// To be written before anything else.
    pub(crate) output: BytesMut,
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
}

/// Why there is no agreement.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The peer said why.
    Refused(Box<Refuse>),
    /// What a person should hear.
    Connect(ConnectError),
}

/// Shakes hands as the side that dialled, within `limit`.
pub(crate) async fn client(
    link: &mut Link,
    local: Local,
    purpose: Purpose,
    limit: Duration,
    target: &str,
) -> Result<Shaken, Failure> {
    let mut heard = 0;
    let limit = limit.saturating_add(link.patience);
    let shaken = tokio::time::timeout(limit, exchange(link, local, purpose, &mut heard)).await;
    let target = target.to_owned();
    let error = match shaken {
        Ok(Ok(shaken)) => return Ok(shaken),
        Ok(Err(Broken::Handshake(HandshakeError::Refused(refuse)))) => {
            return Err(Failure::Refused(refuse));
        }
        Ok(Err(Broken::Handshake(error))) => named(target, error),
        Ok(Err(Broken::Link(why))) => match explanation(link).await {
            Some(error) => error,
            None if heard == 0 => ConnectError::ClosedAtOnce { target },
            None => ConnectError::Interrupted { target, why },
        },
        Err(_) => match explanation(link).await {
            Some(error) => error,
            None => ConnectError::HandshakeTimeout { target, limit },
        },
    };
    Err(Failure::Connect(error))
}

/// A server that was told why its session cannot go on.
pub(crate) struct TurnedAway(Link);

/// Tells a server that its list contradicts what this side knows: the session is over for both.
/// `output` is what the handshake still has to say.
pub(crate) async fn turn_away(
    mut link: Link,
    mut output: BytesMut,
    crc: bool,
    error: &ResumeError,
) -> TurnedAway {
    let code = match error {
        ResumeError::SessionEnded(ended) => ended.code,
        ResumeError::ClaimsMore { .. }
        | ResumeError::ClaimsLess { .. }
        | ResumeError::SentLess { .. } => ErrorCode::OFFSET,
        _ => ErrorCode::PROTOCOL,
    };
    let reason = error.to_string().chars().take(60).collect();
    let close = Frame::Close(Close { code, reason, ack: false, ext: Vec::new() });
    let say = async {
        if close.encode(&mut output, crc).is_ok() {
            link.writer.write_all(&output).await?;
        }
        link.writer.shutdown().await
    };
    // A server that cannot be told any more learns of it when it is dialled no more.
    let _ = tokio::time::timeout(FAREWELL, say).await;
    TurnedAway(link)
}

impl TurnedAway {
    /// Waits a little for the server to hang up: hanging up on unread bytes could destroy what it
    /// was told.
    pub(crate) async fn hung_up(mut self) {
        let mut rest = (&mut self.0.reader).take(FAREWELL_BYTES);
        let mut nowhere = tokio::io::sink();
        let _ = tokio::time::timeout(FAREWELL, tokio::io::copy(&mut rest, &mut nowhere)).await;
    }
}

/// What the session may know of the peer.
pub(crate) fn introduce(
    established: &Established,
    ours: Vec<p2_mux::CodecId>,
    address: &str,
) -> (PeerInfo, Negotiated) {
    let Peer { agent, codecs, boot_id, .. } = &established.peer;
    let theirs: Vec<_> = codecs.iter().map(|offer| offer.id).collect();
    let peer = PeerInfo {
        agent: agent.clone(),
        address: address.to_owned(),
        codecs: theirs.clone(),
        boot_id: *boot_id,
    };
    let codecs = Negotiated {
        ours,
        theirs,
        to_peer: established.sending.codec,
        from_peer: established.receiving.codec,
    };
    (peer, codecs)
}

/// A refusal in words.
pub(crate) fn refused(target: &str, refuse: &Refuse, ours: String) -> ConnectError {
    let target = target.to_owned();
    let why = printable(refuse.reason.as_bytes());
    let retry_after = Duration::from_millis(refuse.retry_after_ms);
    match refuse.code {
        RefuseCode::DENIED => ConnectError::Denied { target, why },
        RefuseCode::VERSION => ConnectError::Version { target, why },
        RefuseCode::NO_CODEC => ConnectError::NoCodec { target, ours, theirs: "others".into() },
        RefuseCode::BUSY => ConnectError::Busy { target, why, retry_after },
        RefuseCode::PROTOCOL => ConnectError::Protocol { target, why },
        RefuseCode::SHUTTING_DOWN | RefuseCode::STALE => {
            ConnectError::Refused { target, why, transient: true }
        }
        _ => ConnectError::Refused { target, why, transient: false },
    }
}

enum Broken {
    Link(String),
    Handshake(HandshakeError),
}

async fn exchange(
    link: &mut Link,
    local: Local,
    purpose: Purpose,
    heard: &mut u64,
) -> Result<Shaken, Broken> {
    let mut handshake = ClientHandshake::new(local, purpose).map_err(Broken::Handshake)?;
    let mut input = BytesMut::new();
    let mut bytes_sent = 0u64;
    let mut unsent = None;
    loop {
        let output = handshake.output();
        if !output.is_empty() && unsent.is_none() {
            bytes_sent = bytes_sent.saturating_add(output.len() as u64);
            // A peer that refuses may hang up before it has read everything; read on, to hear why.
            unsent = send(link, &output).await.err();
        }
        let established = handshake.receive(&mut input).map_err(Broken::Handshake)?;
        let output = handshake.output();
        if let Some(established) = established {
            bytes_sent = bytes_sent.saturating_add(output.len() as u64);
            let unused = input.len() as u64;
            let bytes_received = heard.saturating_sub(unused);
            return Ok(Shaken { established, input, output, bytes_sent, bytes_received });
        }
        if !output.is_empty() && unsent.is_none() {
            bytes_sent = bytes_sent.saturating_add(output.len() as u64);
            unsent = send(link, &output).await.err();
        }
        input.reserve(READ);
        let end = match link.reader.read_buf(&mut input).await {
            Ok(0) => Some("end of file".to_owned()),
            Ok(read) => {
                *heard = heard.saturating_add(read as u64);
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(end) = end {
            return Err(Broken::Link(unsent.map_or(end, |error| error.to_string())));
        }
    }
}

async fn send(link: &mut Link, output: &[u8]) -> io::Result<()> {
    link.writer.write_all(output).await?;
    link.writer.flush().await
}

async fn explanation(link: &mut Link) -> Option<ConnectError> {
    let explain = link.explain.take()?;
    let error = tokio::time::timeout(EXPLAIN, explain).await.ok()??;
    Some(ConnectError::Dial(error))
}

fn named(target: String, error: HandshakeError) -> ConnectError {
    match error {
        HandshakeError::NotP2 { what, seen } => {
            ConnectError::NotP2 { target, why: what.to_string(), said: printable(&seen) }
        }
        HandshakeError::Version(why) => ConnectError::Version { target, why: why.to_string() },
        HandshakeError::TokenMismatch(why) => ConnectError::Denied { target, why: why.into() },
        HandshakeError::BadProof => ConnectError::Denied { target, why: error.to_string() },
        HandshakeError::NoCodec { ours, theirs } => ConnectError::NoCodec { target, ours, theirs },
        other => ConnectError::Protocol { target, why: other.to_string() },
    }
}

/// The peer's words without what could drive a terminal.
pub(crate) fn printable(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().chars().flat_map(char::escape_debug).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peers_words_cannot_drive_the_terminal() {
        assert_eq!(printable(b"\x1b[2Jhello\x07\n"), "\\u{1b}[2Jhello\\u{7}");
    }

    #[tokio::test]
    async fn a_server_whose_list_contradicts_is_told_so_after_the_rest_of_the_handshake() {
        let (near, mut far) = tokio::io::duplex(4096);
        let (reader, writer) = tokio::io::split(near);
        let output = BytesMut::from(&b"proof"[..]);
        let error = ResumeError::Counts { claimed: 1, known: 2 };
        let told = turn_away(Link::new(reader, writer, "far"), output, true, &error).await;
        let mut said = Vec::new();
        far.read_to_end(&mut said).await.expect("it hangs up");
        let mut frame = BytesMut::from(said.strip_prefix(b"proof").expect("that came first"));
        let limits = p2_frame::DecodeLimits {
            max_payload: 4096,
            crc: p2_frame::CrcPolicy::Required,
            handshake: false,
        };
        match p2_frame::decode(&mut frame, &limits) {
            Ok(Some(Frame::Close(close))) => {
                assert_eq!((close.code, close.ack), (ErrorCode::PROTOCOL, false));
                assert!(close.reason.contains("counts 1"), "{}", close.reason);
            }
            other => panic!("{other:?}"),
        }
        drop(far);
        told.hung_up().await;
    }
}

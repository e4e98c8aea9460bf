//! What a client is told when there is no session, and whether it tries again.

mod common;

use std::{
    sync::Arc,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use common::{client, pair, server, within};
use p2_transport::{
    Backoff, Client, CodecId, ConnectError, Dial, DialError, Server, Token, dial::Dialling,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

fn token(text: &str) -> Token {
    Token::from_bytes(text.as_bytes()).expect("long enough")
}

/// A port where `answer` is written to everyone, who is then left, or held, alone.
async fn port_that_says(answer: &'static [u8], hold: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(answer).await;
            if hold {
                held.push(stream);
            } else if !answer.is_empty() {
                let _ = stream.read(&mut [0; 4096]).await;
            }
        }
    });
    address
}

fn once() -> Backoff {
    Backoff { limit: Some(1), ..Backoff::default() }
}

async fn refusal(client: p2_transport::ClientBuilder, address: &str) -> ConnectError {
    within("refusal", client.connect(address)).await.expect_err("there is no session")
}

#[tokio::test]
async fn a_wrong_token_is_denied_and_not_tried_again() {
    let server = Server::builder()
        .token(token("the right token of the server"))
        .bind("127.0.0.1:0")
        .await
        .expect("a free port");
    let address = server.local_addr();
    let wrong = refusal(client().token(token("a wrong token of the client")), &address).await;
    assert!(matches!(wrong, ConnectError::Denied { .. }), "{wrong}");
    let without = refusal(client(), &address).await;
    assert!(matches!(without, ConnectError::Denied { .. }), "{without}");
    assert_eq!(server.stats().sessions, 0);
    assert_eq!(server.stats().links_accepted, 2, "one attempt each");
}

#[tokio::test]
async fn a_server_without_the_clients_token_is_not_trusted() {
    let server = server().await;
    let client = client().token(token("only the client has this one"));
    let error = refusal(client, &server.local_addr()).await;
    assert!(matches!(error, ConnectError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn retries_end_at_their_limit_and_say_why() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    drop(listener);
    let retry = Backoff { limit: Some(3), min: Duration::from_millis(1), ..Backoff::default() };
    let error = refusal(client().retry(retry), &address).await;
    let ConnectError::RetriesExhausted { attempts: 3, last, .. } = error else {
        panic!("{error:?}")
    };
    assert!(matches!(*last, ConnectError::Dial(DialError::Refused { .. })), "{last}");
}

#[tokio::test]
async fn a_permanent_dial_error_ends_the_attempts_at_once() {
    struct BadKey(Arc<AtomicU32>);
    impl Dial for BadKey {
        fn dial(&self) -> Dialling<'_> {
            self.0.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {
                Err(DialError::Permanent { target: self.target(), why: "the key is wrong".into() })
            })
        }
        fn target(&self) -> String {
            "somewhere".into()
        }
    }
    let attempts = Arc::new(AtomicU32::new(0));
    let dialled = client().connect_with(BadKey(attempts.clone()));
    let error = within("refusal", dialled).await.expect_err("no link").to_string();
    assert!(error.contains("the key is wrong"), "{error}");
    assert_eq!(attempts.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_port_that_closes_at_once_hints_at_the_far_end_of_ssh() {
    let address = port_that_says(b"", false).await;
    let error = refusal(client().retry(once()), &address).await;
    let ConnectError::RetriesExhausted { last, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*last, ConnectError::ClosedAtOnce { .. }), "{last}");
    assert!(last.to_string().contains("ssh -L"), "{last}");
}

#[tokio::test]
async fn other_protocols_are_named() {
    let cases: [(&[u8], &str); 2] = [
        (b"SSH-2.0-OpenSSH_9.6\r\n", "SSH"),
        (b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n", "HTTP"),
    ];
    for (answer, name) in cases {
        let address = port_that_says(answer, false).await;
        let error = refusal(client(), &address).await;
        assert!(matches!(&error, ConnectError::NotP2 { .. }), "{error:?}");
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[tokio::test]
async fn a_peer_that_never_answers_times_out() {
    let address = port_that_says(b"", true).await;
    let client = client().retry(once()).connect_timeout(Duration::from_millis(300));
    let error = refusal(client, &address).await;
    let ConnectError::RetriesExhausted { last, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*last, ConnectError::HandshakeTimeout { .. }), "{last}");
}

#[tokio::test]
async fn no_common_codec_is_refused_only_on_demand() {
    let server = server().await;
    let address = server.local_addr();
    let without = || client().codecs([]);
    let error = refusal(without().require_codec(true), &address).await;
    assert!(matches!(error, ConnectError::NoCodec { .. }), "{error}");
    let (near, _far) = tokio::join!(without().connect(&address), server.accept());
    assert_eq!(near.expect("connected").codecs().to_peer, CodecId::NONE);
}

#[tokio::test]
async fn strangers_on_the_port_do_not_disturb_a_session() {
    let server = server().await;
    let address = server.local_addr();
    let (near, far) = pair(&server, &address).await;
    let noise: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"SSH-2.0-x\r\n",
        &[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3],
        &[0; 5000],
        &[0xff; 70_000],
    ];
    for bytes in noise {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("it listens");
        let _ = stream.write_all(bytes).await;
        let mut answer = Vec::new();
        let _ = within("being left", stream.read_to_end(&mut answer)).await;
    }
    let (mut ours, mut theirs) = common::stream(&near, &far, "undisturbed").await;
    ours.write_chunk(bytes::Bytes::from_static(b"hello")).await.expect("written");
    ours.start_finish();
    assert_eq!(common::read_all(&mut theirs).await, b"hello");
    assert_eq!(near.stats().reconnects, 0);
    assert!(server.stats().links_refused >= 5);
}

#[tokio::test]
async fn a_server_that_shuts_down_takes_no_one_new_and_ends_what_it_has() {
    let server = server().await;
    let address = server.local_addr();
    let (near, far) = pair(&server, &address).await;
    let (mut ours, mut theirs) = common::stream(&near, &far, "last").await;
    let shutting = tokio::spawn({
        let server = server.clone();
        async move { server.shutdown(Duration::from_secs(30)).await }
    });
    assert!(within("accept", server.accept()).await.is_none());
    ours.write_chunk(bytes::Bytes::from_static(b"still here")).await.expect("written");
    ours.start_finish();
    assert_eq!(common::read_all(&mut theirs).await, b"still here");
    drop((ours, theirs));
    within("close", near.close()).await.expect("in order");
    within("shutdown", shutting).await.expect("no panic");
    let late = Client::builder().retry(once()).connect(&address);
    within("refusal", late).await.expect_err("nobody listens");
}

#[tokio::test]
async fn slow_strangers_cannot_lock_an_honest_client_out() {
    let server = server().await;
    let address = server.local_addr();
    let mut slow = Vec::new();
    for _ in 0..300 {
        let mut stream = tokio::net::TcpStream::connect(&address).await.expect("it listens");
        stream.write_all(b"\x89").await.expect("one byte");
        slow.push(stream);
    }
    let (near, far) = pair(&server, &address).await;
    let (mut ours, mut theirs) = common::stream(&near, &far, "honest").await;
    ours.write_chunk(bytes::Bytes::from_static(b"hello")).await.expect("written");
    ours.start_finish();
    assert_eq!(common::read_all(&mut theirs).await, b"hello");
    assert!(server.stats().handshakes <= 64);
}

#[tokio::test]
async fn a_full_server_says_that_it_is_busy() {
    let server = Server::builder().max_sessions(1).bind("127.0.0.1:0").await.expect("a free port");
    let address = server.local_addr();
    let (near, _far) = pair(&server, &address).await;
    let error = refusal(client().retry(once()), &address).await;
    let ConnectError::RetriesExhausted { last, .. } = error else { panic!("{error:?}") };
    assert!(matches!(*last, ConnectError::Busy { .. }), "{last}");
    assert!(near.stats().link_up);
}

#[tokio::test]
async fn links_may_come_from_anywhere() {
    use p2_transport::Link;
    struct InMemory(Server);
    impl Dial for InMemory {
        fn dial(&self) -> Dialling<'_> {
            Box::pin(async {
                let (near, far) = tokio::io::duplex(16 * 1024);
                let link = |end, name| {
                    let (reader, writer) = tokio::io::split(end);
                    Link::new(reader, writer, name).integrity(true).local(true)
                };
                self.0.serve_link(link(far, "near"));
                Ok(link(near, "far"))
            })
        }
        fn target(&self) -> String {
            "in memory".into()
        }
    }
    let server = Server::builder().without_listener();
    let dialled = client().connect_with(InMemory(server.clone()));
    let (near, far) = tokio::join!(dialled, server.accept());
    let (near, far) = (near.expect("connected"), far.expect("accepted"));
    let (mut ours, mut theirs) = common::stream(&near, &far, "log").await;
    let sent = common::log(1, 1_000_000);
    let writing = async {
        ours.write_chunk(sent.clone()).await.expect("written");
        ours.start_finish();
    };
    let ((), read) = tokio::join!(writing, common::read_all(&mut theirs));
    assert!(read == sent);
}

#[tokio::test]
async fn a_dialler_can_explain_an_early_end() {
    struct Explained;
    impl Dial for Explained {
        fn dial(&self) -> Dialling<'_> {
            Box::pin(async {
                let why =
                    DialError::Permanent { target: self.target(), why: "host key changed".into() };
                let link = p2_transport::Link::new(tokio::io::empty(), tokio::io::sink(), "ssh");
                Ok(link.explain(async move { Some(why) }))
            })
        }
        fn target(&self) -> String {
            "ssh host".into()
        }
    }
    let error = within("refusal", client().connect_with(Explained)).await.expect_err("no link");
    assert!(error.to_string().contains("host key changed"), "{error}");
}

//! A hub beside a real pair of sessions.

use p2_transport::{Client, StreamOptions};

use super::*;
use crate::status::SessionState;

async fn pair() -> (Server, Connection, Connection) {
    let server = Server::builder().bind("127.0.0.1:0").await.expect("a port");
    let client = Client::builder().session_name("web1").connect(&server.local_addr()).await;
    let client = client.expect("a session");
    let mut opened = client.open_stream(StreamOptions::named("first")).await.expect("a stream");
    opened.write_chunk("x".into()).await.expect("room");
    opened.start_finish();
    let accepted = server.accept().await.expect("the session");
    drop(accepted.accept_stream().await);
    (server, client, accepted)
}

#[tokio::test]
async fn what_begins_is_listed_and_what_ends_is_gone() {
    let hub = Hub::new();
    assert!(hub.status().roles.is_empty());
    let (server, client, accepted) = pair().await;
    let sources = Sources::default();
    let entry = sources.enter(7, "app");
    let places = (
        hub.session(Side::Sender, "host:9000", &client, &sources),
        hub.session(Side::Receiver, "", &accepted, &Sources::default()),
        hub.listener(server.local_addr(), &server),
        hub.sink(Arc::new(SinkCounters { kind: "stdout", ..SinkCounters::default() })),
    );
    let status = hub.status();
    assert_eq!(status.schema, SCHEMA);
    assert_eq!(status.roles, ["send", "recv"]);
    assert!(status.healthy, "{:?}", status.problems);
    let [sender, receiver] = &status.sessions[..] else { panic!("{:?}", status.sessions) };
    assert_eq!(
        (sender.number, sender.side.as_str(), sender.peer.as_str()),
        (1, "send", "host:9000")
    );
    assert_eq!((receiver.number, receiver.side.as_str()), (2, "recv"));
    assert!(receiver.peer.starts_with("127.0.0.1:"), "{}", receiver.peer);
    for session in &status.sessions {
        assert_eq!((session.name.as_str(), session.state), ("web1", SessionState::Up));
    }
    assert_eq!(sender.sources[0].name, "app");
    assert_eq!(status.listeners[0].sessions, 1);
    assert_eq!(status.sinks[0].kind, "stdout");

    drop((entry, places));
    let status = hub.status();
    assert!(status.sessions.is_empty() && status.listeners.is_empty() && status.sinks.is_empty());
}

#[tokio::test]
async fn streams_are_told_in_the_direction_of_their_session_with_rates_from_the_second_look_on() {
    let (_server, client, accepted) = pair().await;
    let hub = Hub::new();
    let _places = (
        hub.session(Side::Sender, "", &client, &Sources::default()),
        hub.session(Side::Receiver, "", &accepted, &Sources::default()),
    );
    let options = StreamOptions::named("app").label(9).priority(p2_transport::Priority::High);
    let mut stream = client.open_stream(options.unidirectional(true)).await.expect("a stream");
    let payload = bytes::Bytes::from(vec![b'a'; 10_000]);
    assert_eq!(hub.status().sessions[0].bytes_per_second, None, "nothing to compare with");
    stream.write_chunk(payload).await.expect("room");
    let mut arrived = loop {
        let arrived = accepted.accept_stream().await.expect("the stream");
        if arrived.name() == "app" {
            break arrived;
        }
    };
    arrived.set_manual_ack(true);
    let mut length = 0;
    while length < 10_000 {
        let chunk = arrived.read_chunk().await.expect("bytes");
        let Some(p2_transport::Chunk::Data { data, .. }) = chunk else { panic!("{chunk:?}") };
        length += data.len();
    }
    let status = hub.measured_status().await;
    let find = |at: usize| {
        let streams = &status.sessions[at].streams;
        streams.iter().find(|stream| stream.name == "app").expect("listed").clone()
    };
    for stream in [find(0), find(1)] {
        assert_eq!((stream.label, stream.priority.as_str()), (9, "high"));
        assert_eq!((stream.raw_bytes, stream.acked_bytes), (10_000, 0));
        assert_eq!((stream.unacked_bytes, stream.state.as_str()), (10_000, "open"));
    }
    assert!(status.sessions[0].bytes_per_second.is_some_and(|rate| rate > 0.0));
    assert!(find(0).ratio.is_some_and(|ratio| ratio > 2.0), "{:?}", find(0));

    arrived.acknowledge(10_000);
    let acknowledged = || client.stats().streams.iter().any(|s| s.acked_by_peer == 10_000);
    while !acknowledged() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let status = hub.status();
    let sent = status.sessions[0].streams.iter().find(|stream| stream.name == "app");
    let sent = sent.expect("listed");
    assert_eq!((sent.unacked_bytes, sent.lag_seconds), (0, Some(0.0)));
}

#[tokio::test]
async fn the_json_is_complete_and_holds_no_identity() {
    let (server, client, accepted) = pair().await;
    let hub = Hub::new();
    let _places = (
        hub.listener("127.0.0.1:1", &server),
        hub.session(Side::Sender, "", &client, &Sources::default()),
        hub.session(Side::Receiver, "", &accepted, &Sources::default()),
    );
    let status = hub.status();
    let text = serde_json::to_string(&status).expect("plain data");
    let id = client.id().to_string();
    assert!(!text.contains(&id) && !text.contains(&id[..12]), "{text}");
    let back: Status = serde_json::from_str(&text).expect("the same form");
    assert_eq!(back, status);
    let newer = text.replacen('{', "{\"a_later_field\": [1], ", 1);
    assert!(serde_json::from_str::<Status>(&newer).is_ok(), "fields may be added");
    for field in ["schema", "version", "pid", "uptime_seconds", "roles", "healthy", "problems"] {
        assert!(text.contains(&format!("\"{field}\":")), "{field}");
    }
}

//! The books beside a real pair of sessions.

use p2_transport::{Client, Connection, ErrorCode, Server, StreamOptions};

use super::text::render;
use super::*;
use crate::status::Sources;

async fn pair(server: &Server) -> (Connection, Connection) {
    let client = Client::builder().session_name("s").connect(&server.local_addr()).await;
    let client = client.expect("a session");
    (client, server.accept().await.expect("the session"))
}

/// Sends `bytes` on a stream of this name until they are acknowledged.
async fn send(near: &Connection, far: &Connection, name: &str, bytes: usize) {
    let options = StreamOptions::named(name).unidirectional(true);
    let mut ours = near.open_stream(options).await.expect("room");
    ours.write_chunk(vec![7; bytes].into()).await.expect("room");
    ours.start_finish();
    let mut theirs = far.accept_stream().await.expect("it was opened");
    while theirs.read_chunk().await.expect("readable").is_some() {}
    ours.finish().await.expect("acknowledged");
}

fn figure(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no {series} in\n{text}")).parse().expect("a number")
}

#[tokio::test]
async fn sessions_that_come_and_go_between_two_looks_are_counted_and_nothing_falls() {
    let hub = Hub::new();
    let state = Arc::new(State::new(&hub));
    let keeper = Arc::clone(&state);
    hub.when_left(move |left| lock(&keeper.books).close(left));
    let server = Server::builder().bind("127.0.0.1:0").await.expect("a port");
    let listening = hub.listener(server.local_addr(), &server);
    let text = || render(&lock(&state.books).sheet(&hub), Format::Plain);
    let sent = r#"p2_payload_bytes_total{stream="app",direction="sent"}"#;
    for round in 1..=3_u32 {
        let (near, far) = pair(&server).await;
        let sources = Sources::default();
        let place = hub.session(Side::Sender, "", &near, &sources);
        let source = sources.enter(1, "app");
        source.sent(1_000);
        send(&near, &far, "app", 1_000).await;
        if round == 2 {
            assert_eq!(figure(&text(), sent), 2_000.0, "while it lives");
            near.abort(ErrorCode::CANCELLED, "enough");
        } else {
            near.close().await.expect("in order");
        }
        near.hung_up().await;
        drop((source, place, near, far));
    }
    drop(listening);
    let text = text();
    for (series, wanted) in [
        (sent, 3_000.0),
        (r#"p2_acknowledged_bytes_total{stream="app",direction="sent"}"#, 3_000.0),
        (r#"p2_unacknowledged_bytes{stream="app",direction="sent"}"#, 0.0),
        ("p2_source_bytes_total", 3_000.0),
        (r#"p2_sources{state="running"}"#, 0.0),
        (r#"p2_sessions{side="send",state="up"}"#, 0.0),
        (r#"p2_sessions_opened_total{side="send"}"#, 3.0),
        (r#"p2_sessions_ended_total{side="send",result="ok"}"#, 2.0),
        (r#"p2_sessions_ended_total{side="send",result="aborted"}"#, 1.0),
        (r#"p2_streams_ended_total{side="send",result="complete"}"#, 3.0),
        ("p2_links_total", 3.0),
        ("p2_links_accepted_total", 3.0),
        ("p2_reconnects_total", 0.0),
        (r#"p2_outage_seconds_bucket{le="+Inf"}"#, 0.0),
    ] {
        assert_eq!(figure(&text, series), wanted, "{series}");
    }
    assert!(lock(&state.books).is_settled(), "ended sessions are let go");
}

#[test]
fn everything_that_can_be_known_beforehand_starts_at_zero() {
    let state = State::new(&Hub::new());
    let text = state.text(Format::Plain);
    for family in catalog::ALL {
        assert!(text.contains(&format!("# TYPE {} ", family.name)), "{}", family.name);
    }
    let counters = text.lines().filter(|line| {
        let name = line.split(['{', ' ']).next().unwrap_or_default();
        name.starts_with("p2_") && name.ends_with("_total")
    });
    assert!(counters.clone().count() > 80);
    assert!(counters.clone().all(|line| line.ends_with(" 0") || line.ends_with(" 0.0")), "{text}");
}

//! What a session's figures say of its links and of streams that have ended.

mod common;

use std::time::Duration;

use bytes::Bytes;
use common::{Relay, pair, read_all, server, stream, within};
use p2_transport::{ConnectFailure, DisconnectReason, LinkState};

#[tokio::test]
async fn links_failures_and_outages_are_counted_by_their_kind() {
    let server = server().await;
    let relay = Relay::to(&server.local_addr()).await;
    let (near, far) = pair(&server, &relay.address).await;
    let (mut ours, mut theirs) = stream(&near, &far, "log").await;
    let mut link = near.link();
    relay.cut();
    let down = |state: &LinkState| matches!(state, LinkState::Down { .. });
    within("noticing", link.wait_for(down)).await.expect("the session lives");
    let up = |state: &LinkState| matches!(state, LinkState::Up { resumed: true, .. });
    within("resuming", link.wait_for(up)).await.expect("the session lives");
    ours.write_chunk(Bytes::from_static(b"hello")).await.expect("room");
    ours.start_finish();
    theirs.start_finish();
    assert_eq!(read_all(&mut theirs).await, b"hello");
    within("the end", ours.finish()).await.expect("acknowledged");
    let stats = near.stats();
    assert_eq!((stats.links, stats.reconnects, stats.outages.count()), (2, 1, 1), "{stats:?}");
    assert_eq!(stats.outages.sum(), stats.outage);
    assert_eq!(stats.current_outage, Duration::ZERO);
    assert_eq!(stats.disconnects.values().sum::<u64>(), 1);
    drop((ours, theirs));
    within("close", near.close()).await.expect("in order");
    within("hanging up", near.hung_up()).await;
    let stats = near.stats();
    assert_eq!(stats.disconnects.get(&DisconnectReason::Finished), Some(&1), "{stats:?}");
    assert_eq!(stats.disconnects.values().sum::<u64>(), stats.links, "no link is open");
}

#[tokio::test]
async fn attempts_that_find_nobody_are_counted() {
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = nobody.local_addr().expect("an address").to_string();
    drop(nobody);
    let dial = address.parse::<p2_transport::dial::Target>().expect("an address");
    let near = common::client().start_with(dial.dialler(Duration::from_secs(5)));
    let failed = async {
        while near.stats().connect_failures.get(&ConnectFailure::Absent) < Some(&2) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("two attempts", failed).await;
    assert_eq!(near.stats().links, 0);
}

#[tokio::test]
async fn streams_that_have_ended_stay_in_the_account() {
    let server = server().await;
    let (near, far) = pair(&server, &server.local_addr()).await;
    for (index, text) in ["a", "bb", "ccc"].into_iter().enumerate() {
        let (mut ours, mut theirs) = stream(&near, &far, text).await;
        ours.write_chunk(Bytes::from_static(text.as_bytes())).await.expect("room");
        ours.start_finish();
        theirs.start_finish();
        assert_eq!(read_all(&mut theirs).await, text.as_bytes());
        within("the end", ours.finish()).await.expect("acknowledged");
        read_all(&mut ours).await;
        drop((ours, theirs));
        let gone = async {
            while near.stats().closed_streams <= index as u64 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        within("the stream is forgotten", gone).await;
    }
    let account = near.account(1);
    let names: Vec<_> = account.ended.iter().map(|stream| stream.name.as_str()).collect();
    assert_eq!(names, ["bb", "ccc"], "from the second on");
    assert_eq!(account.ended[1].acked_by_peer, 3);
    assert_eq!((account.verified_streams, account.reset_streams), (3, 0));
    assert_eq!(account.others.bytes_sent, 0);
    assert!(account.stats.streams.is_empty());
    assert!(near.account(3).ended.is_empty() && near.account(99).ended.is_empty());
}

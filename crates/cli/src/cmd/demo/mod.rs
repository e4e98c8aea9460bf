//! `p2 demo`: a receiver and a sender in one process, joined by real sockets and a relay that cuts
//! them on purpose.

mod relay;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2_transport::dial::Target;
use p2_transport::{Chunk, RecvStream, Server};
use tokio::task::JoinSet;

use self::relay::Scissors;
use super::send::observer;
use super::session::{close, patience};
use crate::control::{Actions, Control};
use crate::error::UserError;
use crate::exit::Exit;
use crate::report::{Report, Side, Watched, bytes, count};
use crate::settings::attributes::Assigned;
use crate::settings::simulation::{GenShape, GenSpec};
use crate::settings::{
    AttributeTable, ConnectionSettings, DemoSettings, Priority, RetrySettings, Source, SourceSpec,
};
use crate::signal::Signals;
use crate::source;
use crate::status::{Hub, Sources};

/// The show is paced to take about this many seconds: fast enough to wait for, slow enough to see.
const SECONDS: u64 = 3;

/// Runs it until its end.
///
/// # Errors
/// No free port, or a session that was lost.
pub(crate) async fn run(settings: DemoSettings) -> anyhow::Result<Exit> {
    let signals = Signals::listen()?;
    let report = Report::new(&settings.output, false)?;
    let shared = ConnectionSettings { codecs: settings.codecs.clone(), ..Default::default() };
    let server = shared.server().bind("127.0.0.1:0").await.map_err(UserError::from)?;
    let (address, scissors) = relay::start(server.local_addr()).await?;
    let arrived = Arc::new(AtomicU64::new(0));
    let receiver = tokio::spawn(receive(server, arrived.clone()));
    report.say(&format!(
        "demo   {} of {} each, from a sender to a receiver through {address}; the link is cut {} \
         on the way",
        count(settings.streams.into(), "stream"),
        bytes(settings.size),
        count(settings.cuts.into(), "time"),
    ));

    let retry = RetrySettings::default();
    let dial = Target::Tcp(address.clone()).dialler(retry.connect_timeout);
    let connection = shared.client(&retry).session_name("demo").start_with(dial);
    let (hub, list) = (Hub::new(), Sources::default());
    let _place = hub.session(Side::Sender, address.clone(), &connection, &list);
    let actions = Actions::new(&hub, shared.drain_timeout);
    let _control = Control::start(&settings.output.control, &actions, &report).await;
    let watched = Watched { side: Side::Sender, peer: address };
    let telling = tokio::spawn(report.clone().watch(connection.clone(), watched));
    let total = settings.size.saturating_mul(settings.streams.into());
    let cutting = tokio::spawn(cut_on_the_way(arrived, total, settings.cuts, scissors));

    let stop = patience(&signals, &report, &connection, shared.drain_timeout, Arc::default());
    let (sources, attributes) = traffic(&settings);
    let tell = observer(report.clone());
    let sent = source::run(sources, attributes, connection.clone(), stop.clone(), tell, list);
    let sent = sent.await;
    cutting.abort();
    let stats = connection.stats();
    let closed = close(&connection, stop).await;
    let _ = telling.await;
    let Some(summary) = closed.transpose().map_err(UserError::from)? else {
        return Ok(signals.exit().unwrap_or(Exit::Unacknowledged));
    };
    let delivered = receiver.await?;
    report.done(Side::Sender, &summary, Some(&stats));
    report.say(&format!(
        "the receiver has {} of {} in {}, {} with the sender's digest",
        bytes(delivered.bytes),
        bytes(sent.bytes),
        count(delivered.streams, "stream"),
        delivered.verified,
    ));
    report.finish().await;
    let whole = sent.failed == 0
        && delivered.bytes == sent.bytes
        && delivered.verified == delivered.streams;
    Ok(if whole { Exit::Success } else { Exit::Unacknowledged })
}

/// What the receiving side found.
#[derive(Debug, Default)]
struct Delivered {
    streams: u64,
    bytes: u64,
    verified: u64,
}

/// Takes one session and reads its streams to their ends, counting.
async fn receive(server: Server, arrived: Arc<AtomicU64>) -> Delivered {
    let mut delivered = Delivered::default();
    let Some(connection) = server.accept().await else { return delivered };
    let mut readers: JoinSet<(u64, bool)> = JoinSet::new();
    while let Some(stream) = connection.accept_stream().await {
        let (mut send, receive) = stream.split();
        send.start_finish();
        readers.spawn(count_bytes(receive, arrived.clone()));
    }
    while let Some(read) = readers.join_next().await {
        let (bytes, verified) = read.unwrap_or_default();
        delivered.streams += 1;
        delivered.bytes = delivered.bytes.saturating_add(bytes);
        delivered.verified += u64::from(verified);
    }
    delivered
}

/// The stream's length, and whether it came to its verified end.
async fn count_bytes(mut stream: RecvStream, arrived: Arc<AtomicU64>) -> (u64, bool) {
    let mut length = 0_u64;
    loop {
        match stream.read_chunk().await {
            Ok(Some(Chunk::Data { data, .. })) => {
                length = length.saturating_add(data.len() as u64);
                arrived.fetch_add(data.len() as u64, Ordering::Relaxed);
            }
            Ok(Some(_)) => {}
            Ok(None) => return (length, true),
            Err(_) => return (length, false),
        }
    }
}

/// Cuts the link at even distances of the whole transfer.
async fn cut_on_the_way(arrived: Arc<AtomicU64>, total: u64, cuts: u32, scissors: Scissors) {
    let pieces = u64::from(cuts).saturating_add(1);
    for cut in 1..pieces {
        let mark = total / pieces * cut;
        while arrived.load(Ordering::Relaxed) < mark {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        scissors.cut();
    }
}

/// Streams of every shape and class, each paced to the length of the show.
fn traffic(settings: &DemoSettings) -> (Vec<Source>, AttributeTable) {
    const KINDS: [(&str, GenShape, Priority); 3] = [
        ("log", GenShape::Log, Priority::High),
        ("events", GenShape::Json, Priority::Normal),
        ("blob", GenShape::Random, Priority::Bulk),
    ];
    let mut attributes = AttributeTable::default();
    attributes.limit.push(Assigned { name: None, value: (settings.size / SECONDS).max(1 << 10) });
    let mut sources = Vec::new();
    for (index, (kind, shape, priority)) in (0..settings.streams).zip(KINDS.into_iter().cycle()) {
        let name = match index / 3 {
            0 => kind.to_owned(),
            round => format!("{kind}{}", round + 1),
        };
        attributes.priority.push(Assigned { name: Some(name.clone()), value: priority });
        let spec = GenSpec { total: Some(settings.size), shape, ..GenSpec::default() };
        sources.push(Source { name: Some(name), spec: SourceSpec::Gen(spec) });
    }
    (sources, attributes)
}

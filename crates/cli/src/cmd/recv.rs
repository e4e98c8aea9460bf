//! `p2 recv`: streams into sinks, for any number of senders.

use std::sync::Arc;
use std::time::Duration;

use p2_transport::{Connection, ErrorCode, SessionError, Stream};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;

use super::descriptors;
use super::process::Process;
use crate::error::{UserError, session_exit};
use crate::exit::Exit;
use crate::metrics::Metrics;
use crate::report::{Report, Side, Watched};
use crate::settings::RecvSettings;
use crate::sink::{self, Failure, OpenError, Outcome, SinkFactory, StreamInfo, escape_text};
use crate::status::{Hub, Sources};

/// How long links may take for their last words.
const LEAVE: Duration = Duration::from_secs(2);

/// Runs one receiver until its end, whatever else the process does.
///
/// # Errors
/// An address or a sink that cannot be used.
pub(super) async fn receiver(mut settings: RecvSettings, process: Process) -> anyhow::Result<Exit> {
    let Process { mut signals, report, hub, metrics, .. } = process;
    settings.connection.registry = metrics.as_ref().map(Metrics::registry);
    let factory = SinkFactory::new(settings.sink.clone()).await;
    let factory =
        Arc::new(factory.map_err(|error| UserError::new(Exit::Endpoint, error.to_string()))?);
    let address = settings.listen.to_string();
    descriptors::raise_limit();
    let server = settings.connection.server().session_ttl(settings.session_ttl);
    let server = server.max_sessions(settings.max_sessions);
    let server = server.bind(&address).await.map_err(UserError::from)?;
    let _places = (hub.listener(server.local_addr(), &server), hub.sink(factory.counters()));
    report.say(&format!("listening on {}", server.local_addr()));
    tokio::spawn(tell(server.events(), report.clone()));

    let mut sessions = JoinSet::new();
    let exit = loop {
        tokio::select! {
            connection = server.accept() => match connection {
                Some(connection) => {
                    sessions.spawn(serve(connection, factory.clone(), report.clone(), hub.clone()));
                }
                None => break Exit::Success,
            },
            Some(ended) = sessions.join_next() => {
                let end = ended.unwrap_or(SessionEnd { exit: Exit::Failure, reader_gone: false });
                if settings.once || end.reader_gone {
                    break end.exit;
                }
            }
            _ = signals.draining() => {
                if sessions.is_empty() {
                    break Exit::Success;
                }
                report.say("draining: sessions may end in order; again to stop at once");
                let limit = settings.connection.drain_timeout;
                let drained = tokio::time::timeout(limit.saturating_add(LEAVE), async {
                    server.shutdown(limit).await;
                    let mut exit = Exit::Success;
                    while let Some(ended) = sessions.join_next().await {
                        exit = exit.worse(ended.map_or(Exit::Failure, |end| end.exit));
                    }
                    exit
                });
                let mut again = signals.clone();
                break tokio::select! {
                    exit = drained => exit.unwrap_or(Exit::Unacknowledged),
                    exit = again.stopping() => exit,
                };
            }
        }
    };
    server.shutdown(LEAVE).await;
    sessions.shutdown().await;
    Ok(exit)
}

/// How a session's delivery ended.
#[derive(Debug)]
pub(super) struct SessionEnd {
    pub(super) exit: Exit,
    pub(super) reader_gone: bool,
}

/// Delivers one session's streams until it ends.
pub(super) async fn serve(
    connection: Connection,
    factory: Arc<SinkFactory>,
    report: Report,
    hub: Hub,
) -> SessionEnd {
    let _place = hub.session(Side::Receiver, "", &connection, &Sources::default());
    let watched = Watched { side: Side::Receiver, peer: connection.peer().address };
    let telling = tokio::spawn(report.clone().watch(connection.clone(), watched));
    let mut streams: JoinSet<Outcome> = JoinSet::new();
    let mut end = SessionEnd { exit: Exit::Success, reader_gone: false };
    loop {
        tokio::select! {
            stream = connection.accept_stream() => match stream {
                Some(stream) => accept(stream, &connection, &factory, &mut streams).await,
                None => break,
            },
            Some(outcome) = streams.join_next() => {
                if let Ok(outcome) = outcome {
                    note(&outcome, &mut end, &report);
                }
                if end.reader_gone {
                    connection.abort(ErrorCode::SINK_FAILED, "nobody reads the output any more");
                }
            }
        }
    }
    while let Some(outcome) = streams.join_next().await {
        if let Ok(outcome) = outcome {
            note(&outcome, &mut end, &report);
        }
    }
    let stats = connection.stats();
    match connection.closed().await {
        Ok(summary) => {
            let _ = telling.await;
            report.done(Side::Receiver, &summary, Some(&stats));
        }
        Err(error) => {
            let _ = telling.await;
            end.exit = end.exit.worse(lost(&error, &connection, &report, end.reader_gone));
        }
    }
    // Its last words are still on their way; without them the sender would dial on for nothing.
    let _ = tokio::time::timeout(LEAVE, connection.hung_up()).await;
    end
}

/// Finds a place for a stream. In order: streams of one name are numbered by their arrival.
async fn accept(
    stream: Stream,
    connection: &Connection,
    factory: &Arc<SinkFactory>,
    streams: &mut JoinSet<Outcome>,
) {
    let info = StreamInfo {
        session: connection.name(),
        label: stream.label(),
        name: stream.name().to_owned(),
        metadata: stream.metadata().to_vec(),
    };
    let (mut send, receive) = stream.split();
    // Nothing is ever said to a sender's source: a connection behind it sees that half end.
    send.start_finish();
    match factory.open(&info).await {
        Ok(sink) => {
            let ack = factory.ack();
            streams.spawn(sink::drain(receive, sink, ack, info));
        }
        Err(error) => {
            let failure = match error {
                OpenError::Refused(why) => Failure::Refused(why),
                OpenError::Failed(error) => Failure::Sink(error),
            };
            let outcome = sink::refuse(receive, failure, info);
            streams.spawn(std::future::ready(outcome));
        }
    }
}

fn note(outcome: &Outcome, end: &mut SessionEnd, report: &Report) {
    report.delivered(outcome);
    if let Some(failure) = &outcome.failure {
        end.exit = end.exit.worse(match failure {
            Failure::Sink(error) => {
                end.reader_gone |= error.is_reader_gone();
                Exit::Endpoint
            }
            // Not asked for: that is the user's choice, not a failure.
            Failure::Refused(_) => Exit::Success,
            Failure::Stream(error) => crate::error::stream_exit(error),
        });
    }
}

/// Says why a session did not end in order.
fn lost(error: &SessionError, connection: &Connection, report: &Report, quiet: bool) -> Exit {
    if !quiet {
        report.warn(&format!(
            "! session {} ended early: {}",
            escape_text(&connection.name()),
            escape_text(&error.to_string())
        ));
    }
    session_exit(error)
}

async fn tell(
    mut events: tokio::sync::broadcast::Receiver<p2_transport::ServerEvent>,
    report: Report,
) {
    loop {
        match events.recv().await {
            Ok(event) => report.server_event(&event),
            Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return,
        }
    }
}

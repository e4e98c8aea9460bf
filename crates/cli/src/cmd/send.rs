//! `p2 send`: sources into streams, until everything is acknowledged.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use p2_transport::dial::{Dial, Target};
use p2_transport::{Connection, ErrorCode, LinkState, SessionError};
use tokio::sync::watch;

use super::process::Process;
use super::session::{close, patience, retry_on_hangup};
use crate::config::{Plan, Task};
use crate::error::UserError;
use crate::exit::Exit;
use crate::report::{Report, Side, Watched};
use crate::settings::{Address, SendSettings, Source, SourceOrigin};
use crate::signal::Signals;
use crate::sink::escape_text;
use crate::source::{self, Observer, SourceEvent, SourcesOutcome, Stop, Wanted};
use crate::ssh::SshDial;
use crate::status::Sources;

/// How long the link may take for its last frames.
const LAST_WORDS: std::time::Duration = std::time::Duration::from_secs(1);

/// Finds out before anybody is dialled that there is nothing to send.
///
/// # Errors
/// The sources are files, and none of them can be read.
pub(super) fn check(plan: &Plan) -> Result<(), UserError> {
    for member in &plan.members {
        let Task::Send(settings) = &member.task else { continue };
        let errors = source::nothing_to_send(&settings.sources).unwrap_or_default();
        let words: Vec<_> = errors.iter().map(ToString::to_string).collect();
        if !words.is_empty() {
            return Err(UserError::new(Exit::Endpoint, words.join("\n")));
        }
    }
    Ok(())
}

/// Runs one session until its end, whatever else the process does. What is wanted may change.
///
/// # Errors
/// A session that could not be made, or was lost.
pub(super) async fn session(
    mut settings: SendSettings,
    wanted: watch::Receiver<Wanted>,
    process: Process,
) -> anyhow::Result<Exit> {
    let Process { mut signals, report, hub, metrics, .. } = process;
    if let Some(metrics) = &metrics {
        settings.connection.registry = Some(metrics.registry());
        let names = settings.sources.iter().flat_map(Source::known_streams);
        metrics.expect(Side::Sender, &names.collect::<Vec<_>>());
    }
    match settings.origin {
        SourceOrigin::Demo => report.say(
            "no source was given: sending demo traffic, three streams of a line a second; \
             `p2 send --help` shows the sources",
        ),
        SourceOrigin::PipedStdin => report.say("no source was given: sending standard input"),
        SourceOrigin::Given => {}
    }
    let ssh = settings.ssh.clone().map(SshDial::new);
    let connection = start(&settings, ssh.clone());
    retry_on_hangup(&signals, &connection);
    let peer = ssh.as_ref().map_or_else(|| settings.target.to_string(), Dial::target);
    let sources = Sources::default();
    let _place = hub.session(Side::Sender, peer.clone(), &connection, &sources);
    let watched = Watched { side: Side::Sender, peer };
    let telling = tokio::spawn(report.clone().watch(connection.clone(), watched));
    let result = tokio::select! {
        up = first_link(&connection) => match up {
            Ok(()) => {
                if let Some(ssh) = &ssh {
                    settle(ssh, &connection, &report);
                }
                deliver(&settings, wanted, &connection, &signals, &report, sources).await
            }
            Err(error) => Err(error),
        },
        exit = signals.draining() => {
            connection.abort(ErrorCode::CANCELLED, "interrupted before the first link");
            Ok(exit)
        }
    };
    // The story ends with the session; a session that never began has none.
    if connection.stats().links > 0 {
        let _ = telling.await;
    } else {
        telling.abort();
    }
    // The answer to the peer's farewell may still be on its way out.
    let _ = tokio::time::timeout(LAST_WORDS, connection.hung_up()).await;
    Ok(result?)
}

/// Begins a session; the first link is made in the background.
fn start(settings: &SendSettings, ssh: Option<SshDial>) -> Connection {
    let name = settings.session.clone().unwrap_or_else(default_name);
    let client = settings.connection.client(&settings.retry).session_name(name);
    if let Some(ssh) = ssh {
        return client.start_with(ssh);
    }
    let target = match &settings.target {
        Address::Unix(path) => Target::Unix(path.clone()),
        tcp @ Address::Tcp { .. } => Target::Tcp(tcp.to_string()),
    };
    let dial = target.dialler(settings.retry.connect_timeout);
    client.start_with(dial)
}

/// From now on there is a session: it goes on where it is, and the user is asked nothing more.
fn settle(ssh: &SshDial, connection: &Connection, report: &Report) {
    ssh.settle();
    if let Some(greeting) = ssh.greeting() {
        let place = format!("{}:{}/{}", ssh.target(), greeting.dir, connection.name());
        report.say(&format!("streams become files in {}", escape_text(&place)));
    }
}

/// Unique enough that two senders of one machine do not write into one directory.
fn default_name() -> String {
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!("{machine}-{}", std::process::id())
}

/// Waits until there is a link; sources are not begun before there is somebody to send to.
async fn first_link(connection: &Connection) -> Result<(), UserError> {
    let mut link = connection.link();
    let state = link.wait_for(|state| matches!(state, LinkState::Up { .. } | LinkState::Closed));
    let up = matches!(state.await.as_deref(), Ok(LinkState::Up { .. }));
    match (up, up || connection.stats().links > 0) {
        (_, true) => Ok(()),
        _ => match connection.closed().await {
            Ok(_) => Ok(()),
            Err(error) => Err(never_began(error)),
        },
    }
}

/// There was no session to lose: the words are those of the attempt.
fn never_began(error: SessionError) -> UserError {
    match &error {
        SessionError::Refused(attempt) => UserError::from(attempt.as_ref()),
        SessionError::RetriesExhausted { last, .. } => UserError::from(last.as_ref()),
        _ => UserError::from(error),
    }
}

async fn deliver(
    settings: &SendSettings,
    wanted: watch::Receiver<Wanted>,
    connection: &Connection,
    signals: &Signals,
    report: &Report,
    sources: Sources,
) -> Result<Exit, UserError> {
    let held = Arc::new(AtomicU64::new(0));
    let limit = settings.connection.drain_timeout;
    let stop = patience(signals, report, connection, limit, held.clone());
    let tell = observer(report.clone());
    let outcome = source::follow(wanted, connection.clone(), stop.clone(), tell, sources).await;
    let stopped = *stop.borrow() == Stop::Now;
    let stats = connection.stats();
    if stopped {
        connection.abort(ErrorCode::CANCELLED, "the sender was stopped");
    }
    let closed = close(connection, stop).await;
    match (&closed, stopped) {
        (Some(Ok(summary)), _) => report.done(Side::Sender, summary, Some(&stats)),
        (Some(Err(error)), false) => return Err(UserError::from(error)),
        (None, _) | (Some(Err(_)), true) => {
            let what = match held.load(Ordering::Relaxed) {
                0 => "stopped before every stream's end was acknowledged".to_owned(),
                held => format!(
                    "stopped with {} unacknowledged; what is before them is delivered",
                    crate::report::bytes(held)
                ),
            };
            // Stopped by the user: the signal is the answer. By the timeout: the data is.
            let exit = match signals.exit() {
                Some(exit) if second(signals) => exit,
                _ => Exit::Unacknowledged,
            };
            return Err(UserError::new(exit, what).hint("a longer --drain-timeout waits for more"));
        }
    }
    Ok(exit_of(&outcome, report))
}

fn second(signals: &Signals) -> bool {
    *signals.stop().borrow() == Stop::Now
}

fn exit_of(outcome: &SourcesOutcome, report: &Report) -> Exit {
    if outcome.failed == 0 {
        return Exit::Success;
    }
    let failed = crate::report::count(outcome.failed, "stream");
    report
        .always(&format!("! {failed} of {} not delivered in full; the others were", outcome.total));
    match outcome {
        SourcesOutcome { damaged: true, .. } => Exit::Integrity,
        SourcesOutcome { permanent: true, .. } => Exit::Endpoint,
        _ => Exit::Unacknowledged,
    }
}

/// Says what sources have to say.
pub(super) fn observer(report: Report) -> Observer {
    Observer::new(move |event| match event {
        SourceEvent::Listening { name, address } => {
            report.say(&format!("listening on {address} for {}", escape_text(&name)));
        }
        SourceEvent::Stderr { name, line } => {
            report.always(&format!("[{}] {}", escape_text(&name), escape_text(&line)));
        }
        SourceEvent::Warning { name, text } => {
            report.always(&format!("! {}: {}", escape_text(&name), escape_text(&text)));
        }
        SourceEvent::Ended(outcome) => {
            if let Some(failure) = &outcome.failure {
                let name = escape_text(&outcome.name);
                report.always(&format!("! {name}: {}", escape_text(&failure.to_string())));
            }
        }
    })
}

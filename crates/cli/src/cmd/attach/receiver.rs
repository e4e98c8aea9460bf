//! The receiver that relays lead to: one for each directory of a user, without a terminal, without a
//! port, until nobody has needed it for a while.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use p2_transport::{Link, Server};
use rustix::fs::Mode;
use rustix::process::{geteuid, setsid, umask};
use tokio::io::AsyncWriteExt;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use super::super::descriptors;
use super::super::recv::{SessionEnd, serve};
use super::place::Place;
use crate::control::{Actions, Control};
use crate::error::UserError;
use crate::exit::Exit;
use crate::metrics::Metrics;
use crate::report::Report;
use crate::settings::{AttachSettings, OutputSettings, ProgressMode};
use crate::signal::Signals;
use crate::sink::{SinkFactory, SinkSettings};
use crate::ssh::greeting::Greeting;
use crate::status::Hub;

/// How often to look whether it is still needed.
const LOOK: Duration = Duration::from_millis(250);
/// How long a predecessor may take to leave.
const SUCCESSION: Duration = Duration::from_secs(10);
/// How long links may take for their last words.
const LEAVE: Duration = Duration::from_secs(2);

pub(super) async fn run(mut settings: AttachSettings, hub: &Hub) -> anyhow::Result<Exit> {
    // It fails only for who has a session of its own already.
    let _ = setsid();
    umask(Mode::RWXG | Mode::RWXO);
    let mut signals = Signals::listen()?;
    let place = Place::of(&settings)?;
    let Some(throne) = succeed(&place).await? else { return Ok(Exit::Success) };
    let sink = SinkSettings {
        dir: Some(settings.dir.clone()),
        ack: settings.ack,
        only: settings.only.clone(),
        ..SinkSettings::default()
    };
    let factory = SinkFactory::new(sink).await;
    let factory =
        Arc::new(factory.map_err(|error| UserError::new(Exit::Endpoint, error.to_string()))?);
    // Whatever file system it was started on can be unmounted.
    std::env::set_current_dir("/")?;
    let output =
        OutputSettings { progress: ProgressMode::None, quiet: true, ..OutputSettings::default() };
    let report = Report::new(&output, false)?;
    let listener = listen(&place.socket())?;
    // A port that another receiver of this user has is no reason to receive nothing.
    let metrics = Metrics::start(settings.metrics.as_ref(), hub, &report).await;
    let metrics = metrics.inspect_err(|error| report.always(&format!("! {error}"))).ok().flatten();
    settings.connection.registry = metrics.as_ref().map(Metrics::registry);
    descriptors::raise_limit();
    let server = settings.connection.server().session_ttl(settings.session_ttl);
    let server = server.max_sessions(settings.max_sessions).without_listener();
    let _places = (hub.listener("ssh", &server), hub.sink(factory.counters()));
    let actions = Actions::new(hub, settings.connection.drain_timeout);
    let _control = Control::start(&settings.control, &actions, &report).await;
    let greeting = Greeting {
        agent: format!("p2/{}", env!("CARGO_PKG_VERSION")),
        dir: settings.dir.display().to_string(),
        process: std::process::id(),
    };
    let line: Arc<[u8]> = greeting.to_line().into();
    let say = |text: &str| report.always(&format!("{} {text}", jiff::Timestamp::now()));
    say(&format!("receiving into {}, process {}", greeting.dir, greeting.process));

    let mut sessions: JoinSet<SessionEnd> = JoinSet::new();
    let mut needed = Instant::now();
    let mut look = tokio::time::interval(LOOK);
    let gate = loop {
        tokio::select! {
            accepted = listener.accept() => {
                needed = Instant::now();
                match accepted {
                    Ok((socket, _)) => welcome(socket, &server, line.clone()),
                    Err(error) => {
                        say(&format!("cannot accept a link: {error}"));
                        tokio::time::sleep(LOOK).await;
                    }
                }
            }
            Some(connection) = server.accept() => {
                say(&format!("session {} began", crate::sink::escape_text(&connection.name())));
                sessions.spawn(serve(connection, factory.clone(), report.clone(), hub.clone()));
            }
            Some(ended) = sessions.join_next() => {
                let exit = ended.map_or(Exit::Failure, |end| end.exit);
                say(&format!("a session ended: {}", exit.meaning()));
            }
            _ = look.tick() => {
                let stats = server.stats();
                if !sessions.is_empty() || stats.sessions > 0 || stats.handshakes > 0 {
                    needed = Instant::now();
                }
                if needed.elapsed() >= settings.linger {
                    // With the gate in hand nobody is on the way here.
                    if let Some(gate) = place.try_gate()? {
                        break Some(gate);
                    }
                }
            }
            _ = signals.draining() => {
                hub.set_draining();
                let limit = settings.connection.drain_timeout;
                let _ = tokio::time::timeout(limit + LEAVE, async {
                    server.shutdown(limit).await;
                    while sessions.join_next().await.is_some() {}
                }).await;
                break None;
            }
        }
    };
    let _ = fs::remove_file(place.socket());
    server.shutdown(LEAVE).await;
    say("ended");
    report.finish().await;
    // In this order: who comes through the gate finds the throne free.
    drop((throne, listener));
    drop(gate);
    Ok(Exit::Success)
}

/// The throne; `None` if another receiver serves here.
async fn succeed(place: &Place) -> anyhow::Result<Option<fs::File>> {
    let deadline = Instant::now() + SUCCESSION;
    loop {
        if let Some(throne) = place.try_throne()? {
            return Ok(Some(throne));
        }
        if UnixStream::connect(place.socket()).await.is_ok() || Instant::now() > deadline {
            return Ok(None);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Listens where only this user can connect.
fn listen(path: &Path) -> io::Result<UnixListener> {
    // Whoever left it there is gone: the throne was free.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Greets a relay of the same user and serves what comes through it.
fn welcome(mut socket: UnixStream, server: &Server, line: Arc<[u8]>) {
    let same = socket.peer_cred().is_ok_and(|peer| peer.uid() == geteuid().as_raw());
    if !same {
        tracing::warn!("turned away another user's process");
        return;
    }
    let server = server.clone();
    tokio::spawn(async move {
        if socket.write_all(&line).await.is_ok() {
            let (reader, writer) = socket.into_split();
            server.serve_link(Link::new(reader, writer, "ssh").integrity(true).local(true));
        }
    });
}

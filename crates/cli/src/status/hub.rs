//! The list of what runs in this process; everything in it takes its place and gives it back.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use p2_transport::{Connection, Server, ServerStats};

use super::look::{self, Tracks};
use super::{SCHEMA, SinkCounters, Sources, Status, health};
use crate::report::Side;

/// How long a first look waits for a second one, so that there are rates.
const BETWEEN_LOOKS: Duration = Duration::from_millis(400);

/// What runs in this process. Clones are the same hub; it is made once and passed around.
#[derive(Debug, Clone)]
pub(crate) struct Hub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    started: Instant,
    started_at: Timestamp,
    next: AtomicU64,
    next_session: AtomicU64,
    draining: AtomicBool,
    shelves: Mutex<Shelves>,
    keeper: OnceLock<Keeper>,
}

/// Told what has left, for the last figures.
struct Keeper(Box<dyn Fn(Left) + Send + Sync>);

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keeper")
    }
}

/// What is no longer listed.
#[derive(Debug)]
pub(crate) enum Left {
    /// A session; its link may still have last words.
    Session(Arc<Running>),
    /// A listener, by its last figures.
    Listener(ServerStats),
    /// A sink.
    Sink(Arc<SinkCounters>),
}

#[derive(Debug, Default)]
struct Shelves {
    sessions: BTreeMap<u64, Arc<Running>>,
    listeners: BTreeMap<u64, Listener>,
    sinks: BTreeMap<u64, Arc<SinkCounters>>,
}

/// A session that runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// Its number in this process, from 1.
    pub(crate) number: u64,
    /// Which end of it this is.
    pub(crate) side: Side,
    /// The peer in words; its address if empty.
    pub(crate) target: String,
    /// Its handle: [`Connection::stats`], [`Connection::link`].
    pub(crate) connection: Connection,
    /// What feeds its streams.
    pub(crate) sources: Sources,
    pub(super) since: Instant,
    pub(super) since_at: Timestamp,
    pub(super) tracks: Mutex<Tracks>,
}

#[derive(Clone)]
struct Listener {
    address: String,
    server: Server,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.address)
    }
}

/// A place in the hub, given back when this is dropped.
#[derive(Debug)]
#[must_use = "what it stands for is listed only while this lives"]
pub(crate) struct Place {
    hub: Weak<Inner>,
    key: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        let Some(hub) = self.hub.upgrade() else { return };
        let mut shelves = hub.shelves();
        let session = shelves.sessions.remove(&self.key);
        let listener = shelves.listeners.remove(&self.key);
        let sink = shelves.sinks.remove(&self.key);
        // The last handle of a session does more when it is dropped than the lock should see.
        drop(shelves);
        let session = session.map(Left::Session);
        let listener = listener.map(|listener| Left::Listener(listener.server.stats()));
        let left = [session, listener, sink.map(Left::Sink)].into_iter().flatten();
        match hub.keeper.get() {
            Some(Keeper(keep)) => left.for_each(keep),
            None => drop(left.collect::<Vec<_>>()),
        }
    }
}

impl Hub {
    /// A hub with nothing in it.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Inner {
            started: Instant::now(),
            started_at: Timestamp::now(),
            next: AtomicU64::new(0),
            next_session: AtomicU64::new(1),
            draining: AtomicBool::new(false),
            shelves: Mutex::default(),
            keeper: OnceLock::new(),
        }))
    }

    /// Lists a session. `target` is the peer as the user named it, if that was so.
    pub(crate) fn session(
        &self,
        side: Side,
        target: impl Into<String>,
        connection: &Connection,
        sources: &Sources,
    ) -> Place {
        let number = self.0.next_session.fetch_add(1, Relaxed);
        self.place(|shelves, key| {
            let running = Running {
                number,
                side,
                target: target.into(),
                connection: connection.clone(),
                sources: sources.clone(),
                since: Instant::now(),
                since_at: Timestamp::now(),
                tracks: Mutex::default(),
            };
            shelves.sessions.insert(key, Arc::new(running));
        })
    }

    /// Lists a listener; `address` in words.
    pub(crate) fn listener(&self, address: impl Into<String>, server: &Server) -> Place {
        let listener = Listener { address: address.into(), server: server.clone() };
        self.place(|shelves, key| drop(shelves.listeners.insert(key, listener)))
    }

    /// Lists where a receiver puts streams.
    pub(crate) fn sink(&self, counters: Arc<SinkCounters>) -> Place {
        self.place(|shelves, key| drop(shelves.sinks.insert(key, counters)))
    }

    /// From now on the process is about to end.
    pub(crate) fn set_draining(&self) {
        self.0.draining.store(true, Relaxed);
    }

    /// Has `keep` told of everything that leaves from now on, so that sums can outlive it. The first
    /// to ask is the only one.
    pub(crate) fn when_left(&self, keep: impl Fn(Left) + Send + Sync + 'static) {
        let _ = self.0.keeper.set(Keeper(Box::new(keep)));
    }

    /// The sessions that run, the oldest first.
    pub(crate) fn sessions(&self) -> Vec<Arc<Running>> {
        self.0.shelves().sessions.values().cloned().collect()
    }

    /// Whether nothing runs, not yet or no longer.
    pub(crate) fn is_empty(&self) -> bool {
        let shelves = self.0.shelves();
        shelves.sessions.is_empty() && shelves.listeners.is_empty()
    }

    /// The figures of each listener, with its address.
    pub(crate) fn listeners(&self) -> Vec<(String, ServerStats)> {
        let listeners: Vec<Listener> = self.0.shelves().listeners.values().cloned().collect();
        listeners.into_iter().map(|one| (one.address, one.server.stats())).collect()
    }

    /// What each sink counts.
    pub(crate) fn sinks(&self) -> Vec<Arc<SinkCounters>> {
        self.0.shelves().sinks.values().cloned().collect()
    }

    /// A look at everything. Rates and lags are known from the second look on.
    pub(crate) fn status(&self) -> Status {
        let sessions = self.sessions();
        let listeners = self.listeners();
        let mut roles = Vec::new();
        if sessions.iter().any(|session| session.side == Side::Sender) {
            roles.push("send".to_owned());
        }
        if !listeners.is_empty() {
            roles.push("recv".to_owned());
        }
        let mut status = Status {
            schema: SCHEMA,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started: self.0.started_at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            uptime_seconds: self.0.started.elapsed().as_secs_f64(),
            roles,
            draining: self.0.draining.load(Relaxed),
            healthy: true,
            problems: Vec::new(),
            listeners: listeners.iter().map(|(address, stats)| listener(address, stats)).collect(),
            sessions: look::at(&sessions),
            sinks: self.sinks().iter().map(|sink| sink.status()).collect(),
        };
        status.problems = health::problems(&status);
        status.healthy = status.problems.is_empty();
        status
    }

    /// The same with rates: if nobody has looked of late, it looks twice.
    pub(crate) async fn measured_status(&self) -> Status {
        let now = Instant::now();
        let sessions = self.sessions();
        if sessions.iter().any(|session| !session.is_measured(now)) {
            drop(look::at(&sessions));
            drop(sessions);
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
        self.status()
    }

    fn place(&self, put: impl FnOnce(&mut Shelves, u64)) -> Place {
        let key = self.0.next.fetch_add(1, Relaxed);
        put(&mut self.0.shelves(), key);
        Place { hub: Arc::downgrade(&self.0), key }
    }
}

impl Inner {
    fn shelves(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn listener(address: &str, stats: &ServerStats) -> super::ListenerStatus {
    super::ListenerStatus {
        address: address.to_owned(),
        sessions: stats.sessions as u64,
        sessions_down: stats.detached as u64,
        sessions_ended: stats.sessions_ended,
        sessions_expired: stats.sessions_expired,
        handshakes: stats.handshakes as u64,
        links_accepted: stats.links_accepted,
        links_refused: stats.links_refused,
    }
}

#[cfg(test)]
mod tests;

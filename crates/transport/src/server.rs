//! The side that listens: sessions come, survive their links, and go.

mod accept;
mod hold;
mod talk;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use p2_codec::Registry;
use p2_mux::{CodecId, ErrorCode, ProcessBudget, Role};
use tokio::{
    sync::{Mutex, broadcast, mpsc},
    task::AbortHandle,
    time::timeout,
};

use crate::{
    BindError, Connection, Link, ServerEvent, ServerStats, SessionError, Token,
    driver::Codecs,
    gate::Gate,
    listener::Listener,
    sessions::{SESSIONS, Sessions},
    settings::{Settings, random},
    shared::Shared,
};

/// Events an observer may be behind before it misses the oldest.
const EVENTS: usize = 256;
/// How long aborted sessions have to say so.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A listening server. Clones are handles of the same one; when the last is dropped it stops
/// listening, and its sessions go on with the links they have.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use p2_transport::Server;
///
/// let server = Server::builder().bind("127.0.0.1:9000").await?;
/// while let Some(connection) = server.accept().await {
///     tokio::spawn(async move {
///         while let Some(stream) = connection.accept_stream().await {
///             println!("{} opened {}", connection.name(), stream.name());
///         }
///     });
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
pub struct Server {
    inner: Arc<Inner>,
    listening: Arc<Listening>,
}

/// Settings of a server.
#[derive(Debug, Clone)]
pub struct ServerBuilder {
    settings: Settings,
    max_sessions: usize,
    session_ttl: Duration,
    budget: u64,
}

/// What a server's tasks share.
#[derive(Debug)]
struct Inner {
    settings: Settings,
    codecs: Codecs,
    budget: ProcessBudget,
    ttl: Duration,
    boot_id: [u8; 16],
    address: String,
    sessions: Sessions,
    gate: Arc<Gate>,
    arrivals: std::sync::Mutex<Option<mpsc::Sender<Connection>>>,
    accepted: Mutex<mpsc::Receiver<Connection>>,
    events: broadcast::Sender<ServerEvent>,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    accepted: AtomicU64,
    refused: AtomicU64,
    ended: AtomicU64,
    expired: AtomicU64,
}

/// Stops listening when dropped.
#[derive(Debug)]
struct Listening(Option<AbortHandle>);

impl Drop for Listening {
    fn drop(&mut self) {
        if let Some(task) = &self.0 {
            task.abort();
        }
    }
}

impl ServerBuilder {
    /// Codecs in order of preference, for both directions. Default: all of the registry.
    pub fn codecs(mut self, preference: impl IntoIterator<Item = CodecId>) -> Self {
        self.settings.codecs = Some(preference.into_iter().collect());
        self
    }

    /// `true`: refuse a client without a common codec instead of sending raw bytes.
    pub fn require_codec(mut self, require: bool) -> Self {
        self.settings.require_codec = require;
        self
    }

    /// The codecs of this program. Default: those built in.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.settings.registry = Arc::new(registry);
        self
    }

    /// The program and its version, shown to clients; at most 64 bytes.
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.settings.agent = agent.into();
        self
    }

    /// The secret that every client has to prove to know. Needed to listen on an address that
    /// other machines can reach.
    pub fn token(mut self, token: Token) -> Self {
        self.settings.token = Some(token);
        self
    }

    /// Time between heartbeats: at least 100 ms, less is taken as that. Default 5 s.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.settings.config.heartbeat = every;
        self
    }

    /// Silence after which a link counts as dead. Default 15 s. No more than the time between
    /// heartbeats would end every link: twice that time is taken instead.
    pub fn heartbeat_timeout(mut self, silence: Duration) -> Self {
        self.settings.heartbeat_timeout(silence);
        self
    }

    /// Raw bytes held per session for the client before writers wait, and as many for the
    /// application to read. Default 64 MiB each.
    pub fn buffer(mut self, bytes: u64) -> Self {
        self.settings.config.send_buffer = bytes;
        self.settings.config.receive_buffer = bytes;
        self
    }

    /// Streams that one client may have open at once: 1 to 1,000,000. Default 1,024.
    pub fn max_streams(mut self, streams: u64) -> Self {
        let most = p2_mux::limits::MAX_STREAMS_SETTABLE;
        self.settings.config.max_streams = streams.clamp(1, most);
        self
    }

    /// Sessions at once. Default 128.
    pub fn max_sessions(mut self, sessions: usize) -> Self {
        self.max_sessions = sessions;
        self
    }

    /// How long a session may be without a link before it is given up. Default 24 h.
    pub fn session_ttl(mut self, ttl: Duration) -> Self {
        self.session_ttl = ttl;
        self
    }

    /// Raw bytes that the streams of all sessions together may grow their windows by. Default
    /// 512 MiB.
    pub fn budget(mut self, bytes: u64) -> Self {
        self.budget = bytes;
        self
    }

    /// Listens on `host:port` (port 0 takes any free one) or `unix:/path`, a socket of mode 0600.
    ///
    /// # Errors
    /// A [`BindError`]; [`BindError::Exposed`] for an address that other machines can reach while
    /// there is no [`token`](Self::token).
    pub async fn bind(self, address: &str) -> Result<Server, BindError> {
        let listener = Listener::bind(address, self.settings.token.is_some()).await?;
        let inner = self.inner(listener.address());
        let task = tokio::spawn(accept::listen(inner.clone(), listener)).abort_handle();
        Ok(Server { inner, listening: Arc::new(Listening(Some(task))) })
    }

    /// A server without a listener of its own: links come by [`Server::serve_link`].
    pub fn without_listener(self) -> Server {
        Server { inner: self.inner(String::new()), listening: Arc::new(Listening(None)) }
    }

    fn inner(mut self, address: String) -> Arc<Inner> {
        self.settings.bound_heartbeat();
        let (arrivals, accepted) = mpsc::channel(self.max_sessions.max(1));
        Arc::new(Inner {
            codecs: Codecs::new(&self.settings.registry, &self.settings.preference()),
            settings: self.settings,
            budget: ProcessBudget::new(self.budget),
            ttl: self.session_ttl,
            boot_id: random().unwrap_or_default(),
            address,
            sessions: Sessions::new(self.max_sessions),
            gate: Arc::default(),
            arrivals: std::sync::Mutex::new(Some(arrivals)),
            accepted: Mutex::new(accepted),
            events: broadcast::Sender::new(EVENTS),
            counts: Counts::default(),
        })
    }
}

impl Server {
    /// Settings of a server; the defaults suit most.
    pub fn builder() -> ServerBuilder {
        ServerBuilder {
            settings: Settings::new(Role::Server),
            max_sessions: SESSIONS,
            session_ttl: Duration::from_secs(24 * 60 * 60),
            budget: p2_mux::limits::PROCESS_BUDGET,
        }
    }

    /// The address it listens on, as a client would write it; empty without a listener.
    pub fn local_addr(&self) -> String {
        self.inner.address.clone()
    }

    /// The next new session; sessions that come back stay with the connection they have. `None`
    /// after [`shutdown`](Self::shutdown) has begun.
    ///
    /// # Cancel safety
    /// Safe: no session is lost.
    pub async fn accept(&self) -> Option<Connection> {
        self.inner.accepted.lock().await.recv().await
    }

    /// Serves a link that no listener of this server has accepted, for example a process's own
    /// stdin and stdout.
    ///
    /// Call it inside a tokio runtime.
    pub fn serve_link(&self, link: Link) {
        let place = self.inner.gate.enter(None);
        tokio::spawn(accept::serve(self.inner.clone(), link, place));
    }

    /// Stops listening, takes no new sessions, asks every client to end (they may finish their
    /// streams, but open no new ones), waits up to `deadline` for that, and aborts what is left.
    pub async fn shutdown(&self, deadline: Duration) {
        if let Some(task) = &self.listening.0 {
            task.abort();
        }
        let sessions = self.inner.sessions.close();
        self.inner.close_arrivals();
        for shared in &sessions {
            shared.with(|state| state.close("the receiver is shutting down"));
        }
        let _ = timeout(deadline, all_ended(&sessions)).await;
        let mut aborted = false;
        for shared in &sessions {
            let open = shared.with(|state| state.session.ended().is_none());
            aborted |= open;
            if open {
                shared.fail(SessionError::Aborted {
                    code: ErrorCode::SHUTTING_DOWN,
                    reason: "the receiver has shut down".into(),
                });
            }
        }
        if aborted {
            tokio::time::sleep(LAST_WORDS).await;
        }
    }

    /// What it holds and has seen.
    pub fn stats(&self) -> ServerStats {
        let (sessions, detached) = self.inner.sessions.count();
        let counts = &self.inner.counts;
        ServerStats {
            links_accepted: counts.accepted.load(Ordering::Relaxed),
            handshakes: self.inner.gate.len(),
            links_refused: counts.refused.load(Ordering::Relaxed),
            sessions,
            detached,
            sessions_ended: counts.ended.load(Ordering::Relaxed),
            sessions_expired: counts.expired.load(Ordering::Relaxed),
        }
    }

    /// What happens from now on. A receiver that is 256 events behind misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<ServerEvent> {
        self.inner.events.subscribe()
    }
}

impl Inner {
    fn announce(&self, event: ServerEvent) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }

    /// Where new sessions go; `None` once the server takes no more.
    fn arrivals(&self) -> Option<mpsc::Sender<Connection>> {
        self.arrivals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    fn close_arrivals(&self) {
        self.arrivals.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    }
}

async fn all_ended(sessions: &[Arc<Shared>]) {
    for shared in sessions {
        // How each one ended is its own connection's business.
        let _ = shared.ended().await;
    }
}

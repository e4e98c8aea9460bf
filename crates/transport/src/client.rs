//! The side that dials.

use std::{sync::Arc, time::Duration};

use p2_codec::Registry;
use p2_mux::{CodecId, ProcessBudget, Role, Session};
use tokio::sync::oneshot;

use crate::{
    Backoff, ConnectError, Connection, Token,
    dial::{Dial, Target},
    settings::Settings,
    shared::Shared,
    supervisor::Supervisor,
};

/// The side that dials, and dials again. See [`Client::builder`].
#[derive(Debug)]
pub struct Client;

impl Client {
    /// Settings of a client; the defaults suit most.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), p2_transport::ConnectError> {
    /// use p2_transport::{Client, CodecId};
    ///
    /// let connection = Client::builder()
    ///     .codecs([CodecId::ZSTD, CodecId::GZIP])
    ///     .session_name("web1-logs")
    ///     .connect("127.0.0.1:9000")
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn builder() -> ClientBuilder {
        ClientBuilder {
            settings: Settings::new(Role::Client),
            session_name: String::new(),
            connect_timeout: Duration::from_secs(10),
            retry: Backoff::default(),
        }
    }
}

/// Settings of a client.
#[derive(Debug, Clone)]
pub struct ClientBuilder {
    settings: Settings,
    session_name: String,
    connect_timeout: Duration,
    retry: Backoff,
}

impl ClientBuilder {
    /// Codecs in order of preference, for both directions. Those that this build lacks are left
    /// out; [`CodecId::NONE`] stands for raw bytes. Default: all of the registry.
    pub fn codecs(mut self, preference: impl IntoIterator<Item = CodecId>) -> Self {
        self.settings.codecs = Some(preference.into_iter().collect());
        self
    }

    /// `true`: refuse a peer without a common codec instead of sending raw bytes.
    pub fn require_codec(mut self, require: bool) -> Self {
        self.settings.require_codec = require;
        self
    }

    /// The codecs of this program. Default: those built in.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.settings.registry = Arc::new(registry);
        self
    }

    /// What people call the session; at most 255 bytes.
    pub fn session_name(mut self, name: impl Into<String>) -> Self {
        self.session_name = name.into();
        self
    }

    /// The program and its version, shown to the peer; at most 64 bytes.
    pub fn agent(mut self, agent: impl Into<String>) -> Self {
        self.settings.agent = agent.into();
        self
    }

    /// The secret that both sides prove to know.
    pub fn token(mut self, token: Token) -> Self {
        self.settings.token = Some(token);
        self
    }

    /// Time between heartbeats: at least 100 ms, less is taken as that. Default 5 s.
    pub fn heartbeat(mut self, every: Duration) -> Self {
        self.settings.config.heartbeat = every;
        self
    }

    /// Silence after which a link counts as dead. Default 15 s; under twice the heartbeat a single
    /// late answer ends a healthy link. No more than the time between heartbeats would end every
    /// link: twice that time is taken instead.
    pub fn heartbeat_timeout(mut self, silence: Duration) -> Self {
        self.settings.heartbeat_timeout(silence);
        self
    }

    /// The limit for one connect, and for the handshake after it. Default 10 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How often and how long to retry, the first connect included.
    pub fn retry(mut self, backoff: Backoff) -> Self {
        self.retry = backoff;
        self
    }

    /// Raw bytes held for the peer before writers wait, and as many for the application to read;
    /// all streams together. Default 64 MiB each.
    pub fn buffer(mut self, bytes: u64) -> Self {
        self.settings.config.send_buffer = bytes;
        self.settings.config.receive_buffer = bytes;
        self
    }

    /// Streams that the peer may have open at once: up to 1,000,000, and 0 for a side that takes
    /// none. Default 1,024.
    pub fn max_streams(mut self, streams: u64) -> Self {
        let most = p2_mux::limits::MAX_STREAMS_SETTABLE;
        self.settings.config.max_streams = streams.min(most);
        self
    }

    /// Connects to `host:port` or `unix:/path`, retrying as [`retry`](Self::retry) says.
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection up.
    ///
    /// # Errors
    /// A [`ConnectError`] that retrying cannot cure, or [`ConnectError::RetriesExhausted`].
    pub async fn connect(self, target: &str) -> Result<Connection, ConnectError> {
        let parsed: Target = target.parse().map_err(|why: crate::dial::TargetError| {
            ConnectError::Target { target: target.to_owned(), why: why.to_string() }
        })?;
        let dial = parsed.dialler(self.connect_timeout);
        self.connect_with(dial).await
    }

    /// Connects by `dial`, retrying as [`retry`](Self::retry) says.
    ///
    /// # Cancel safety
    /// Dropping the future gives the connection up.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub async fn connect_with(self, dial: impl Dial) -> Result<Connection, ConnectError> {
        let (tell, told) = oneshot::channel();
        let connection = self.start(Arc::new(dial), Some(tell));
        match told.await {
            Ok(Ok(())) => Ok(connection),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(ConnectError::Cancelled),
        }
    }

    /// Returns at once; links are made in the background from the first one on. Streams can be
    /// opened and written to already. [`Connection::link`] shows how it goes, and
    /// [`Connection::closed`] why it failed for good.
    ///
    /// Call it inside a tokio runtime.
    pub fn start_with(self, dial: impl Dial) -> Connection {
        self.start(Arc::new(dial), None)
    }

    fn start(
        mut self,
        dial: Arc<dyn Dial>,
        first: Option<oneshot::Sender<Result<(), ConnectError>>>,
    ) -> Connection {
        self.settings.bound_heartbeat();
        let process = ProcessBudget::new(p2_mux::limits::PROCESS_BUDGET);
        let session = Session::new(self.settings.config.clone(), process);
        let shared = Arc::new(Shared::new(session, self.session_name.clone()));
        let supervisor = Supervisor::new(
            shared.clone(),
            dial,
            self.settings,
            self.session_name,
            self.connect_timeout,
            self.retry,
            first,
        );
        tokio::spawn(supervisor.run());
        Connection::new(shared)
    }
}

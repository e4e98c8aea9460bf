//! Figures over HTTP: `/metrics` for Prometheus, `/livez` and `/readyz` for whoever keeps the process
//! running, `/api/v1/status` for programs.
//!
//! Nothing is counted here. What runs keeps its own figures and lists itself in the
//! [`Hub`]; a request looks at all of it, adds what has ended ([`books`]), and writes it down
//! ([`text`]). [`catalog`] is the one place that knows names and meanings.

mod books;
pub(crate) mod catalog;
mod codec;
mod http;
mod process;
mod routes;
mod sheet;
mod streams;
mod text;
mod totals;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use p2_transport::Registry;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;

use self::books::Books;
use self::codec::Codecs;
use self::routes::Endpoints;
use self::sheet::Sheet;
use self::text::Format;
use crate::error::UserError;
use crate::exit::Exit;
use crate::report::{Report, Side};
use crate::settings::MetricsSettings;
use crate::status::Hub;

/// Figures younger than this are told again: asking often costs no more than asking now and then.
const FRESH: Duration = Duration::from_millis(100);

/// The figures of a process, and the server that tells them. Clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Metrics(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Arc<State>,
    serving: AbortHandle,
}

/// What requests look at.
#[derive(Debug)]
struct State {
    hub: Hub,
    codecs: Codecs,
    books: Mutex<Books>,
    last: Mutex<Option<(Instant, Arc<Sheet>)>>,
}

impl Metrics {
    /// Listens where the settings say, says where that is, and serves until the last clone is
    /// dropped. Call it before anything takes a place in `hub`: what left before is not known.
    ///
    /// # Errors
    /// The address cannot be listened on.
    pub(crate) async fn start(
        settings: Option<&MetricsSettings>,
        hub: &Hub,
        report: &Report,
    ) -> Result<Option<Self>, UserError> {
        let Some(settings) = settings else { return Ok(None) };
        let wanted = settings.address.to_string();
        let failed = |error: std::io::Error| {
            let what = format!("cannot serve metrics on {wanted}: {error}");
            UserError::new(Exit::Failure, what).hint("another address: --metrics HOST:PORT")
        };
        let listener = TcpListener::bind(&wanted).await.map_err(failed)?;
        let local = listener.local_addr().map_err(failed)?;
        let state = Arc::new(State::new(hub));
        let keeper = Arc::downgrade(&state);
        hub.when_left(move |left| {
            if let Some(state) = keeper.upgrade() {
                lock(&state.books).close(left);
            }
        });
        let endpoints = Endpoints::new(Arc::clone(&state), local.ip().is_loopback());
        let serving = tokio::spawn(http::serve(listener, Arc::new(endpoints))).abort_handle();
        report.say(&format!("metrics on http://{local}/metrics"));
        Ok(Some(Self(Arc::new(Inner { state, serving }))))
    }

    /// The codecs of this build, which count what they do. For every session of this process.
    pub(crate) fn registry(&self) -> Registry {
        self.0.state.codecs.registry()
    }

    /// Streams of these names are about to begin: their series start at 0.
    pub(crate) fn expect(&self, side: Side, names: &[String]) {
        lock(&self.0.state.books).expect(side, names);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl State {
    fn new(hub: &Hub) -> Self {
        Self {
            hub: hub.clone(),
            codecs: Codecs::new(),
            books: Mutex::default(),
            last: Mutex::default(),
        }
    }

    /// Every figure as text.
    fn text(&self, format: Format) -> String {
        text::render(&self.sheet(), format)
    }

    fn sheet(&self) -> Arc<Sheet> {
        // One at a time: the others wait for this look instead of taking their own.
        let mut last = lock(&self.last);
        if let Some((when, sheet)) = &*last {
            if when.elapsed() < FRESH {
                return Arc::clone(sheet);
            }
        }
        let mut sheet = lock(&self.books).sheet(&self.hub);
        self.codecs.put(&mut sheet);
        sheet.put(&catalog::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1_u64);
        process::put(&mut sheet);
        let sheet = Arc::new(sheet);
        *last = Some((Instant::now(), Arc::clone(&sheet)));
        sheet
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;

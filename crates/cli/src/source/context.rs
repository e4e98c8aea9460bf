//! What every source of a run shares: the session, the attributes, the numbers and the ledger.

use super::destination::{Destination, Plan, Writer};
use super::event::{Observer, SourceEvent};
use super::labels::Labels;
use super::live::{Live, Register, attributes_of};
use super::outcome::{Failure, SourcesOutcome, StreamOutcome};
use super::pump::{Produce, deliver};
use super::stop::{Stop, StopSignal};
use crate::settings::attributes::{AttributeTable, StreamAttributes};
use crate::status::{SourceCounters, SourceEntry, Sources};
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::watch;

/// How long a stream waits for room before somebody is told.
const PATIENCE: Duration = Duration::from_secs(10);

/// The shared state as one source sees it; one `Arc` in every task.
pub(super) struct Context<D> {
    shared: Arc<Shared<D>>,
    pub(super) stop: StopSignal,
    pub(super) observer: Observer,
}

struct Shared<D> {
    destination: D,
    attributes: Mutex<AttributeTable>,
    labels: Mutex<Labels>,
    open: Mutex<Register>,
    ledger: Mutex<SourcesOutcome>,
    sources: Sources,
    lost: Mutex<Option<String>>,
}

/// A stream before it is opened.
#[derive(Clone)]
pub(super) struct Identity {
    pub(super) name: String,
    pub(super) label: u32,
    pub(super) attributes: StreamAttributes,
    /// The attributes as they hold from now on.
    pub(super) live: Arc<Live>,
}

impl<D: Destination> Context<D> {
    pub(super) fn new(
        destination: D,
        attributes: AttributeTable,
        stop: StopSignal,
        observer: Observer,
        sources: Sources,
    ) -> Self {
        let mut labels = Labels::default();
        for assigned in &attributes.id {
            labels.reserve(assigned.value);
        }
        let shared = Shared {
            destination,
            attributes: Mutex::new(attributes),
            labels: Mutex::new(labels),
            open: Mutex::default(),
            ledger: Mutex::default(),
            sources,
            lost: Mutex::default(),
        };
        Self { shared: Arc::new(shared), stop, observer }
    }

    /// The same for a source that can be ended alone.
    pub(super) fn of_source(&self, own: watch::Receiver<Stop>) -> Arc<Self> {
        Arc::new(Self {
            shared: Arc::clone(&self.shared),
            stop: self.stop.or(own),
            observer: self.observer.clone(),
        })
    }

    /// Lets other attributes hold: of open streams limit and class, of later ones all.
    pub(super) fn change(&self, attributes: AttributeTable) {
        let mut labels = lock(&self.shared.labels);
        let before = std::mem::replace(&mut *lock(&self.shared.attributes), attributes.clone());
        for assigned in attributes.id.iter().filter(|id| !before.id.contains(id)) {
            labels.reserve(assigned.value);
        }
        lock(&self.shared.open).change(&attributes);
    }

    /// Gives a stream its attributes and its number.
    pub(super) fn identify(&self, name: &str) -> Identity {
        self.identify_as(name, name)
    }

    /// The same for one of many streams of the source called `base`: what is set for `base` holds
    /// unless something else is set for the stream itself.
    pub(super) fn identify_as(&self, name: &str, base: &str) -> Identity {
        let name = shortened(name);
        let attributes = attributes_of(&lock(&self.shared.attributes), &name, base);
        let label = lock(&self.shared.labels).assign(attributes.id);
        let live = Arc::new(Live::new(&name, base, attributes.clone()));
        lock(&self.shared.open).add(&live);
        Identity { name, label, attributes, live }
    }

    /// Opens the stream.
    pub(super) async fn open(
        &self,
        identity: &Identity,
        bidirectional: bool,
        metadata: Vec<(String, String)>,
    ) -> Result<(D::Writer, D::Reader), Failure> {
        let plan = Plan {
            name: identity.name.clone(),
            label: identity.label,
            bidirectional,
            attributes: identity.attributes.clone(),
            metadata,
        };
        let open = self.shared.destination.open(plan);
        tokio::pin!(open);
        let opened = match tokio::time::timeout(PATIENCE, &mut open).await {
            Ok(opened) => opened,
            Err(_) => {
                let why = "still waits for room: as many streams are open as the session may have";
                self.observer.warn(&identity.name, why);
                open.await
            }
        };
        let (writer, reader) = opened?;
        identity.live.opened(identity.attributes.priority, writer.steer());
        Ok((writer, reader))
    }

    /// Lists the source of a stream for as long as the entry lives.
    pub(super) fn enter(&self, identity: &Identity) -> SourceEntry {
        self.shared.sources.enter(identity.label, &identity.name)
    }

    /// Sends all of a source on a stream of its own and records how that ended.
    pub(super) async fn carry<P: Produce>(
        self: Arc<Self>,
        identity: Identity,
        source: io::Result<P>,
    ) {
        let tally = self.enter(&identity);
        let result = self
            .unless_stopped(async {
                let mut source = source.map_err(|error| self.failed(&error))?;
                source.counted_by(tally.shared());
                let (mut writer, _reader) = self.open(&identity, false, Vec::new()).await?;
                deliver(&mut source, &mut writer, &identity.live, &tally).await
            })
            .await;
        self.record(identity, &tally, result);
    }

    /// Runs `work` until everything has to end at once.
    pub(super) async fn unless_stopped(
        &self,
        work: impl Future<Output = Result<(), Failure>>,
    ) -> Result<(), Failure> {
        let mut stop = self.stop.clone();
        let mut work = std::pin::pin!(work);
        tokio::select! {
            biased;
            // First: a source that ends because of the stop has not ended well.
            () = stop.now() => {}
            result = &mut work => return result,
        }
        // Its last acknowledgement may have come together with the end of the session.
        tokio::select! {
            biased;
            result = work => result,
            () = std::future::ready(()) => Err(self.stopped()),
        }
    }

    pub(super) fn record(
        &self,
        identity: Identity,
        tally: &SourceCounters,
        result: Result<(), Failure>,
    ) {
        let Identity { name, label, .. } = identity;
        self.record_outcome(StreamOutcome::new(name, label, tally, result.err()));
    }

    /// Records a stream that was never begun, because the program ends.
    pub(super) fn record_stopped(&self, identity: Identity) {
        self.record(identity, &SourceCounters::default(), Err(self.stopped()));
    }

    /// Records a source that failed before it had a stream.
    pub(super) fn record_unopened(&self, name: &str, error: &io::Error) {
        let (nothing, failure) = (SourceCounters::default(), Some(self.failed(error)));
        self.record_outcome(StreamOutcome::new(name.to_owned(), 0, &nothing, failure));
    }

    fn record_outcome(&self, outcome: StreamOutcome) {
        self.observer.tell(SourceEvent::Ended(outcome.clone()));
        lock(&self.shared.ledger).record(outcome);
    }

    pub(super) fn failed(&self, error: &io::Error) -> Failure {
        Failure::Source(error.to_string())
    }

    fn stopped(&self) -> Failure {
        lock(&self.shared.lost).clone().map_or(Failure::Stopped, Failure::Lost)
    }

    /// Waits until the session has ended, and remembers why.
    pub(super) async fn ended(&self) {
        let why = self.shared.destination.ended().await;
        *lock(&self.shared.lost) = Some(why);
    }

    /// Everything recorded so far; the ledger is empty afterwards.
    pub(super) fn take_outcome(&self) -> SourcesOutcome {
        std::mem::take(&mut *lock(&self.shared.ledger))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name within the wire's bound of 255 bytes.
fn shortened(name: &str) -> String {
    let mut end = name.len().min(crate::settings::source::MAX_NAME);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name[..end].to_owned()
}

//! A destination in memory that tests look into.

use super::destination::{Destination, Plan, Reader, Writer};
use super::outcome::Failure;
use crate::settings::source::StreamAttributes;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// Keeps every stream's bytes; `hold` makes all writers wait.
#[derive(Clone)]
pub(crate) struct Memory {
    streams: Arc<Mutex<BTreeMap<String, Entry>>>,
    held: Arc<watch::Sender<bool>>,
    ended: Arc<watch::Sender<Option<String>>>,
}

struct Entry {
    plan: Plan,
    data: Vec<u8>,
    finished: bool,
    reset: bool,
    back: Option<mpsc::Sender<Bytes>>,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            streams: Arc::default(),
            held: Arc::new(watch::channel(false).0),
            ended: Arc::new(watch::channel(None).0),
        }
    }
}

impl Memory {
    pub(crate) fn text(&self, name: &str) -> String {
        String::from_utf8_lossy(&self.bytes(name)).into_owned()
    }
    pub(crate) fn bytes(&self, name: &str) -> Vec<u8> {
        self.with(name, |entry| entry.data.clone()).unwrap_or_default()
    }
    pub(crate) fn finished(&self, name: &str) -> bool {
        self.with(name, |entry| entry.finished).unwrap_or(false)
    }
    pub(crate) fn was_reset(&self, name: &str) -> bool {
        self.with(name, |entry| entry.reset).unwrap_or(false)
    }
    pub(crate) fn plan(&self, name: &str) -> Plan {
        self.with(name, |entry| entry.plan.clone()).expect("an open stream")
    }
    pub(crate) fn names(&self) -> Vec<String> {
        self.streams.lock().expect("lock").keys().cloned().collect()
    }
    pub(crate) fn hold(&self) {
        self.held.send_replace(true);
    }
    pub(crate) fn release(&self) {
        self.held.send_replace(false);
    }
    pub(crate) fn end(&self, why: &str) {
        self.ended.send_replace(Some(why.to_owned()));
    }
    /// Sends bytes back on a stream.
    pub(crate) async fn answer(&self, name: &str, data: &'static str) {
        let back =
            self.with(name, |entry| entry.back.clone()).flatten().expect("an open return way");
        back.send(Bytes::from_static(data.as_bytes())).await.expect("a reader");
    }
    /// Ends the way back.
    pub(crate) fn end_answer(&self, name: &str) {
        self.with(name, |entry| entry.back = None);
    }

    fn with<T>(&self, name: &str, look: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        self.streams.lock().expect("lock").get_mut(name).map(look)
    }
}

impl Destination for Memory {
    type Writer = MemoryWriter;
    type Reader = MemoryReader;

    async fn open(&self, plan: Plan) -> Result<(MemoryWriter, MemoryReader), Failure> {
        let (back, reader) = mpsc::channel(8);
        let name = plan.name.clone();
        let back = plan.bidirectional.then_some(back);
        let entry = Entry { plan, data: Vec::new(), finished: false, reset: false, back };
        let old = self.streams.lock().expect("lock").insert(name.clone(), entry);
        assert!(old.is_none(), "stream {name} opened twice");
        Ok((MemoryWriter { memory: self.clone(), name }, MemoryReader(reader)))
    }

    async fn ended(&self) -> String {
        let mut ended = self.ended.subscribe();
        let why = ended.wait_for(Option::is_some).await.expect("a sender");
        why.clone().unwrap_or_default()
    }
}

pub(crate) struct MemoryWriter {
    memory: Memory,
    name: String,
}

impl Writer for MemoryWriter {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Failure> {
        let mut held = self.memory.held.subscribe();
        held.wait_for(|held| !held).await.expect("a sender");
        self.memory.with(&self.name, |entry| entry.data.extend_from_slice(&chunk));
        Ok(())
    }
    fn record_gap(&mut self, dropped: u64) -> Result<(), Failure> {
        self.memory.with(&self.name, |entry| {
            entry.data.extend_from_slice(format!("[gap {dropped}]").as_bytes())
        });
        Ok(())
    }
    async fn finish(&mut self) -> Result<(), Failure> {
        let mut held = self.memory.held.subscribe();
        held.wait_for(|held| !held).await.expect("a sender");
        // As with a real session: nobody acknowledges an end any more.
        if let Some(why) = self.memory.ended.borrow().clone() {
            return Err(Failure::Lost(why));
        }
        self.memory.with(&self.name, |entry| entry.finished = true);
        Ok(())
    }
    fn reset(&mut self) {
        self.memory.with(&self.name, |entry| entry.reset = true);
    }
}

pub(crate) struct MemoryReader(mpsc::Receiver<Bytes>);

impl Reader for MemoryReader {
    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        Ok(self.0.recv().await)
    }
    fn stop(&mut self) {
        self.0.close();
    }
}

pub(crate) fn attributes() -> StreamAttributes {
    StreamAttributes::default()
}

pub(crate) fn plan(name: &str, label: u32) -> Plan {
    Plan {
        name: name.to_owned(),
        label,
        bidirectional: false,
        attributes: attributes(),
        metadata: Vec::new(),
    }
}

/// Polls `condition` until it holds; the bound is far beyond any sane delay.
pub(crate) async fn until(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await;
}

/// Awaits `future` with the same generous bound.
pub(crate) async fn within<F: Future>(what: &str, future: F) -> F::Output {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(output) => output,
        Err(_) => panic!("still waiting for: {what}"),
    }
}

//! The books: what has ended is summed once and kept, what runs is looked at when somebody asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use p2_transport::{LinkState, ServerStats, SessionAccount};

use super::catalog;
use super::sheet::Sheet;
use super::streams::{Seen, Streams};
use super::totals::{Totals, result};
use crate::report::Side;
use crate::sink::Problem;
use crate::status::{Hub, Left, Running, SinkTotals, SourceTotals};

/// Sums that survive what they are sums of.
#[derive(Debug, Default)]
pub(super) struct Books {
    streams: Streams,
    totals: Totals,
    sources: SourceTotals,
    sinks: SinkTotals,
    listeners: Listeners,
    /// Sessions whose sums are not final yet, by their number in this process.
    open: BTreeMap<u64, Open>,
}

#[derive(Debug)]
struct Open {
    running: Arc<Running>,
    seen: Seen,
    /// It has left the hub; only its link may still have last words.
    left: bool,
}

impl Open {
    fn new(running: Arc<Running>) -> Self {
        let seen = Seen::nothing(running.side);
        Self { running, seen, left: false }
    }

    fn account(&mut self, streams: &mut Streams) -> SessionAccount {
        let account = self.running.connection.account(self.seen.ended());
        streams.add(&mut self.seen, &account);
        account
    }

    fn end(&self) -> Option<&'static str> {
        let outcome = self.running.connection.outcome();
        match outcome.as_ref().map(result) {
            None if self.left => Some("aborted"),
            end => end,
        }
    }
}

impl Books {
    /// Streams of these names are about to begin.
    pub(super) fn expect(&mut self, side: Side, names: &[String]) {
        names.iter().for_each(|name| self.streams.expect(side, name));
    }

    /// Something is over: its sums are kept.
    pub(super) fn close(&mut self, left: Left) {
        match left {
            Left::Session(running) => {
                let number = running.number;
                self.open.entry(number).or_insert_with(|| Open::new(running)).left = true;
                self.sweep();
            }
            Left::Sink(counters) => self.sinks.add(&counters.totals()),
            Left::Listener(stats) => {
                // Whoever shook hands with it no longer does.
                self.listeners.add(&stats);
                self.listeners.handshakes = 0;
            }
        }
    }

    /// Every figure as of now.
    pub(super) fn sheet(&mut self, hub: &Hub) -> Sheet {
        for running in hub.sessions() {
            self.open.entry(running.number).or_insert_with(|| Open::new(running));
        }
        self.streams.begin();
        let mut totals = self.totals.clone();
        let mut sources = self.sources;
        let mut now = Now::default();
        for open in self.open.values_mut() {
            let account = open.account(&mut self.streams);
            totals.add(open.running.side, &account, open.end());
            sources.add(&open.running.sources.totals());
            if !open.left {
                now.add(&open.running, &account);
            }
        }
        self.sweep();
        let mut sinks = self.sinks.clone();
        hub.sinks().iter().for_each(|sink| sinks.add(&sink.totals()));
        let mut listeners = self.listeners;
        hub.listeners().iter().for_each(|(_, stats)| listeners.add(stats));

        let mut sheet = Sheet::default();
        self.streams.put(&mut sheet);
        totals.put(&mut sheet);
        now.put(&mut sheet);
        listeners.put(&mut sheet);
        put_sources(&mut sheet, &sources);
        put_sinks(&mut sheet, &sinks);
        sheet
    }

    /// Whether no session is held on to.
    #[cfg(test)]
    pub(super) fn is_settled(&mut self) -> bool {
        self.sweep();
        self.open.is_empty()
    }

    /// Sums up the sessions that have left and have no link any more: nothing of them changes.
    fn sweep(&mut self) {
        let Self { open, streams, totals, sources, .. } = self;
        open.retain(|_, one| {
            if !one.left || one.running.connection.stats().link_up {
                return true;
            }
            let account = one.account(streams);
            totals.add(one.running.side, &account, one.end());
            sources.add(&one.running.sources.totals());
            false
        });
    }
}

/// What is only true now.
#[derive(Debug, Default)]
struct Now {
    /// By side; connecting, up, down.
    sessions: [[u64; 3]; 2],
    streams: [u64; 2],
    retained: u64,
    capacity: u64,
    outage: Duration,
}

impl Now {
    fn add(&mut self, running: &Running, account: &SessionAccount) {
        let stats = &account.stats;
        let side = match running.side {
            Side::Sender => 0,
            Side::Receiver => 1,
        };
        let state = match &*running.connection.link().borrow() {
            LinkState::Up { .. } => Some(1),
            LinkState::Closed => None,
            _ if stats.links == 0 => Some(0),
            _ => Some(2),
        };
        if let Some(state) = state {
            self.sessions[side][state] += 1;
            self.outage = self.outage.max(stats.current_outage);
        }
        self.streams[side] += stats.streams.len() as u64;
        self.retained = self.retained.saturating_add(stats.retained);
        self.capacity = self.capacity.saturating_add(stats.retained_limit);
    }

    fn put(&self, sheet: &mut Sheet) {
        for (side, word) in ["send", "recv"].into_iter().enumerate() {
            for (at, state) in ["connecting", "up", "down"].into_iter().enumerate() {
                sheet.put(&catalog::SESSIONS, &[word, state], self.sessions[side][at]);
            }
            sheet.put(&catalog::STREAMS_OPEN, &[word], self.streams[side]);
        }
        sheet.put(&catalog::CURRENT_OUTAGE, &[], self.outage);
        sheet.put(&catalog::RETAINED_BYTES, &[], self.retained);
        sheet.put(&catalog::RETAINED_CAPACITY, &[], self.capacity);
    }
}

/// What listeners have come to together.
#[derive(Debug, Clone, Copy, Default)]
struct Listeners {
    handshakes: usize,
    accepted: u64,
    refused: u64,
}

impl Listeners {
    fn add(&mut self, stats: &ServerStats) {
        self.handshakes += stats.handshakes;
        self.accepted += stats.links_accepted;
        self.refused += stats.links_refused;
    }

    fn put(&self, sheet: &mut Sheet) {
        sheet.put(&catalog::HANDSHAKES, &[], self.handshakes);
        sheet.put(&catalog::LINKS_ACCEPTED, &[], self.accepted);
        sheet.put(&catalog::LINKS_REFUSED, &[], self.refused);
    }
}

fn put_sources(sheet: &mut Sheet, sources: &SourceTotals) {
    let running = sources.running.saturating_sub(sources.paused);
    sheet.put(&catalog::SOURCES, &["running"], running);
    sheet.put(&catalog::SOURCES, &["paused"], sources.paused);
    sheet.put(&catalog::SOURCE_BYTES, &[], sources.bytes);
    sheet.put(&catalog::SOURCE_BACKLOG, &[], sources.backlog);
    sheet.put(&catalog::SOURCE_PAUSES, &[], sources.pauses);
    sheet.put(&catalog::SOURCE_PAUSED, &[], sources.paused_for);
    sheet.put(&catalog::SOURCE_ROTATIONS, &[], sources.rotations);
}

fn put_sinks(sheet: &mut Sheet, sinks: &SinkTotals) {
    sheet.put(&catalog::SINK_STREAMS, &[], sinks.open);
    sheet.put(&catalog::SINK_BYTES, &[], sinks.bytes);
    sheet.put(&catalog::SINK_WRITES, &[], sinks.writes);
    sheet.put(&catalog::SINK_SYNCS, &[], sinks.syncs);
    for reason in Problem::WORDS {
        let count = sinks.errors.get(reason).copied().unwrap_or(0);
        sheet.put(&catalog::SINK_ERRORS, &[reason], count);
    }
}

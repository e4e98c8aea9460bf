//! What the program says about itself: lines and a status on stderr, events as NDJSON, a receipt.

mod events;
mod flood;
mod human;
mod ledger;
mod negotiated;
mod pace;
mod progress;
mod screen;
mod stats_lines;
mod story;
mod summary;
mod trace;

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use p2_transport::{ServerEvent, SessionStats, SessionSummary};

use self::events::EventLog;
use crate::logging;
use crate::settings::{OutputSettings, ProgressMode};
use crate::sink::{Outcome, escape_text};

pub(crate) use self::events::Event;
pub(crate) use self::flood::{Flood, Verdict};
pub(crate) use self::human::{bytes, count, of, rtt, span};
pub(crate) use self::progress::{Side, Watched, moved};
pub(crate) use self::screen::Screen;

/// How often progress is said when it was asked for without an interval.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// Speaks for the whole program; clones share it. One of several parts begins its lines with its
/// name.
#[derive(Debug, Clone)]
pub(crate) struct Report(Arc<Inner>, Option<Arc<str>>);

#[derive(Debug)]
struct Inner {
    mode: Mode,
    quiet: bool,
    /// Every line is an object, as those of the log are.
    objects: bool,
    every: Option<Duration>,
    screen: Screen,
    events: Option<EventLog>,
    /// Lines that peers cause.
    flood: Flood,
    /// Their heartbeats have a count of their own, or they would crowd out what matters.
    beats: Flood,
    /// Rows of the tables of a receiver: its peers say how many streams there are.
    rows: Flood,
    sessions: Mutex<BTreeMap<u64, Shown>>,
    next: AtomicU64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Bar,
    Plain,
    Json,
    Silent,
}

/// What the status line knows of one session.
#[derive(Debug, Default)]
struct Shown {
    status: String,
    up: bool,
    streams: usize,
    raw: u64,
}

impl Report {
    /// Opens what the settings name. `payload_on_stdout` says that standard output carries streams:
    /// on the same terminal a status line would run into them, so there is none then.
    ///
    /// # Errors
    /// The events' file cannot be opened.
    pub(crate) fn new(settings: &OutputSettings, payload_on_stdout: bool) -> io::Result<Self> {
        let mixed = payload_on_stdout && io::stdout().is_terminal();
        let dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let terminal = io::stderr().is_terminal() && !dumb;
        // Beside objects a status line would be noise.
        let mode = Mode::choose(settings.progress, terminal && !logging::is_json(), mixed);
        let screen = Screen::stderr(mode == Mode::Bar);
        logging::beside(screen.clone());
        let events = settings.events.as_ref().map(EventLog::open).transpose()?;
        Ok(Self::with(settings, mode, screen, events))
    }

    fn with(
        settings: &OutputSettings,
        mode: Mode,
        screen: Screen,
        events: Option<EventLog>,
    ) -> Self {
        let asked = matches!(settings.progress, ProgressMode::Plain | ProgressMode::Json);
        let inner = Inner {
            mode,
            quiet: settings.quiet,
            objects: logging::is_json(),
            every: settings.stats_interval.or(asked.then_some(SAY_EVERY)),
            screen,
            events,
            flood: Flood::new(Instant::now()),
            beats: Flood::new(Instant::now()),
            rows: Flood::of_rows(Instant::now()),
            sessions: Mutex::default(),
            next: AtomicU64::new(0),
        };
        Self(Arc::new(inner), None)
    }

    /// The same voice for one part of the process.
    pub(crate) fn of_part(&self, name: &str) -> Self {
        Self(Arc::clone(&self.0), Some(escape_text(name).into()))
    }

    /// Says a line, unless quiet.
    pub(crate) fn say(&self, line: &str) {
        if !self.0.quiet {
            self.always(line);
        }
    }

    /// Says a line even when quiet: an error or a warning.
    pub(crate) fn always(&self, line: &str) {
        let named = self.1.as_ref().map(|name| format!("{name}: {line}"));
        let line = named.as_deref().unwrap_or(line);
        if self.0.mode == Mode::Json {
            self.0.screen.line(&Event::message(line).to_line(jiff::Timestamp::now()));
        } else if self.0.objects {
            self.0.screen.line(&logging::say_json(logging::level_of(line), line));
        } else {
            self.0.screen.line(line);
        }
    }

    /// The line of a heartbeat that came: stream 0, on stderr.
    pub(crate) fn heartbeat(&self) {
        if self.0.mode != Mode::Json && self.0.beats.judge(Instant::now()) != Verdict::LeaveOut {
            self.say("[Stream 0] PING");
        }
    }

    /// Records an event, and shows it with `--progress json`.
    pub(crate) fn event(&self, event: &Event) {
        if let Some(events) = &self.0.events {
            events.emit(event);
        }
        if self.0.mode == Mode::Json {
            self.0.screen.line(&event.to_line(jiff::Timestamp::now()));
        }
    }

    /// Whether anybody gets events.
    fn records(&self) -> bool {
        self.0.events.is_some() || self.0.mode == Mode::Json
    }

    /// Records what a server says.
    pub(crate) fn server_event(&self, event: &ServerEvent) {
        trace::server(event);
        if let Some(record) = Event::from_server(event) {
            self.event(&record);
        }
        if let ServerEvent::LinkRefused { address, reason } = event {
            self.caused(&format!(
                "! refused a link from {}: {}",
                escape_text(address),
                escape_text(reason)
            ));
        }
    }

    /// Says how the delivery of a stream ended, if that was early.
    pub(crate) fn delivered(&self, outcome: &Outcome) {
        self.event(&Event::delivered(outcome));
        let name = escape_text(&outcome.stream.name);
        if let Some(failure) = &outcome.failure {
            self.warn(&format!(
                "! stream {name} ended early after {}: {}",
                human::bytes(outcome.bytes),
                escape_text(&failure.to_string()),
            ));
        } else if outcome.dropped > 0 {
            let dropped = human::bytes(outcome.dropped);
            self.caused(&format!(
                "! stream {name}: {dropped} dropped by its source, as it was told"
            ));
        }
    }

    /// The receipt of a session; `stats` adds the table of its streams.
    pub(crate) fn done(&self, side: Side, summary: &SessionSummary, stats: Option<&SessionStats>) {
        self.event(&Event::summary(summary));
        // A sender has one session and one end, which is what everything was for. At a receiver the
        // end has room of its own: a link that was lost often must not crowd it out.
        let room = side == Side::Sender || self.0.rows.fits(Instant::now(), 1) || self.admits();
        if !room {
            return;
        }
        if let Some(stats) = stats {
            let table = summary::table(summary, stats);
            let rows = table.lines().count();
            if side == Side::Sender || self.0.rows.fits(Instant::now(), rows) {
                table.lines().for_each(|row| self.line(row));
            }
        }
        self.line(&summary::done_line(side, summary));
    }

    /// Removes the status line and returns once every event is written.
    pub(crate) async fn finish(&self) {
        self.0.screen.status("");
        if let Some(count) = self.0.flood.rest() {
            self.left_out(count);
        }
        if let Some(events) = &self.0.events {
            if let Err(error) = events.flush().await {
                self.always(&format!("! --events: {error}; the last events are missing"));
            }
        }
    }

    /// A line that a peer caused, unless there were too many of late.
    fn caused(&self, line: &str) {
        if self.admits() {
            self.line(line);
        }
    }

    /// The same for a warning, which is said even when quiet.
    pub(crate) fn warn(&self, line: &str) {
        if self.admits() {
            self.always(line);
        }
    }

    /// Whether there is room for more words that a peer caused; says how many there was none for.
    fn admits(&self) -> bool {
        match self.0.flood.judge(Instant::now()) {
            Verdict::Say(left_out) => {
                left_out.into_iter().for_each(|count| self.left_out(count));
                true
            }
            Verdict::LeaveOut => false,
        }
    }

    fn left_out(&self, count: u64) {
        let lines = human::count(count, "line");
        self.line(&format!("! {lines} about peers left out: too many; --events FILE has them all"));
    }

    /// A line for people; with `--progress json` the event has said it already.
    fn line(&self, line: &str) {
        if self.0.mode != Mode::Json {
            self.say(line);
        }
    }
}

impl Mode {
    fn choose(asked: ProgressMode, terminal: bool, mixed: bool) -> Self {
        match asked {
            ProgressMode::Bar => Self::Bar,
            ProgressMode::Auto if terminal && !mixed => Self::Bar,
            ProgressMode::Auto | ProgressMode::Plain => Self::Plain,
            ProgressMode::Json => Self::Json,
            ProgressMode::None => Self::Silent,
        }
    }
}

/// One session's place in the status line, given back when its watch ends.
struct Slot {
    inner: Arc<Inner>,
    key: u64,
}

impl Slot {
    fn new(inner: &Arc<Inner>) -> Self {
        let key = inner.next.fetch_add(1, Ordering::Relaxed);
        inner.shown().insert(key, Shown::default());
        Self { inner: Arc::clone(inner), key }
    }

    fn show(&self, status: String, stats: &SessionStats, side: Side) {
        let shown = Shown {
            status,
            up: stats.link_up,
            streams: stats.streams.len(),
            raw: moved(side, stats).0,
        };
        self.inner.shown().insert(self.key, shown);
        self.inner.draw();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.inner.shown().remove(&self.key);
        self.inner.draw();
    }
}

impl Inner {
    fn shown(&self) -> MutexGuard<'_, BTreeMap<u64, Shown>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn draw(&self) {
        let status = overview(&self.shown());
        self.screen.status(&status);
    }
}

/// One session in full, several in sum.
fn overview(sessions: &BTreeMap<u64, Shown>) -> String {
    let mut all = sessions.values();
    match (all.next(), all.next()) {
        (None, _) => String::new(),
        (Some(only), None) => only.status.clone(),
        _ => {
            let down = sessions.values().filter(|one| !one.up).count();
            let streams: usize = sessions.values().map(|one| one.streams).sum();
            let raw = sessions.values().fold(0_u64, |sum, one| sum.saturating_add(one.raw));
            let without = match down {
                0 => String::new(),
                down => format!(" ({down} without a link)"),
            };
            format!(
                "{}{without}   {}   {}",
                human::count(sessions.len() as u64, "session"),
                human::count(streams as u64, "stream"),
                human::bytes(raw),
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::screen::tests::Captured;
    use super::*;
    use crate::sink::{Failure, StreamInfo};

    fn report(captured: &Captured, mode: Mode, quiet: bool) -> Report {
        let settings = OutputSettings { quiet, ..OutputSettings::default() };
        Report::with(&settings, mode, captured.screen(mode == Mode::Bar), None)
    }

    #[test]
    fn the_status_line_needs_a_terminal_of_its_own() {
        use ProgressMode as Asked;
        for (asked, terminal, mixed, mode) in [
            (Asked::Auto, true, false, Mode::Bar),
            (Asked::Auto, true, true, Mode::Plain),
            (Asked::Auto, false, false, Mode::Plain),
            (Asked::Bar, false, true, Mode::Bar),
            (Asked::Plain, true, false, Mode::Plain),
            (Asked::Json, true, false, Mode::Json),
            (Asked::None, true, false, Mode::Silent),
        ] {
            assert_eq!(Mode::choose(asked, terminal, mixed), mode, "{asked}");
        }
    }

    #[test]
    fn quiet_keeps_warnings_and_nothing_else() {
        let captured = Captured::default();
        let report = report(&captured, Mode::Plain, true);
        report.say("hello");
        report.heartbeat();
        report.always("! careful");
        assert_eq!(captured.take(), "! careful\n");
    }

    #[test]
    fn heartbeats_are_lines_of_stream_zero() {
        let captured = Captured::default();
        report(&captured, Mode::Plain, false).heartbeat();
        assert_eq!(captured.take(), "[Stream 0] PING\n");
    }

    #[test]
    fn json_progress_is_objects_only() {
        let captured = Captured::default();
        let report = report(&captured, Mode::Json, false);
        report.say("a \"line\"");
        report.heartbeat();
        report.done(Side::Sender, &SessionSummary::default(), None);
        let kinds: Vec<String> = captured
            .take()
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object"))
            .map(|value| value["event"].as_str().expect("text").to_owned())
            .collect();
        assert_eq!(kinds, ["message", "summary"]);
    }

    #[test]
    fn a_stream_that_ended_early_is_told_with_its_reason() {
        let captured = Captured::default();
        let outcome = Outcome {
            stream: StreamInfo { name: "a\u{1b}".into(), ..StreamInfo::default() },
            bytes: 2048,
            dropped: 0,
            verified: false,
            failure: Some(Failure::Refused("no\nplace".into())),
        };
        report(&captured, Mode::Plain, true).delivered(&outcome);
        assert_eq!(
            captured.take(),
            "! stream a\\x1b ended early after 2 KiB: refused: no\\nplace\n"
        );
    }

    #[test]
    fn several_sessions_are_summed_in_the_status_line() {
        let shown = |up, streams, raw| Shown { status: "full".into(), up, streams, raw };
        let mut sessions = BTreeMap::from([(1, shown(true, 2, 1 << 20))]);
        assert_eq!(overview(&sessions), "full");
        sessions.insert(2, shown(false, 1, 2 << 20));
        assert_eq!(overview(&sessions), "2 sessions (1 without a link)   3 streams   3 MiB");
        assert_eq!(overview(&BTreeMap::new()), "");
    }
}

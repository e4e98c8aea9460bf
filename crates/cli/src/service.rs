//! Tells a service manager how it goes: ready, reloading, stopping, a status line, and signs of life
//! only while every session makes progress.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use p2_transport::LinkState;
use sd_notify::NotifyState;
use tokio::task::AbortHandle;

use crate::cmd::{Process, Reload};
use crate::report::{Side, count};
use crate::signal::Signals;
use crate::status::{Hub, Running};

/// How often the status line is looked at, and signs of life are given at least.
const LOOK: Duration = Duration::from_secs(5);

/// How often to look whether there is something to be ready with.
const SOON: Duration = Duration::from_millis(50);

/// Added to every limit: a busy machine is not a stuck session, and what a person has to cure is tried
/// only once a minute.
const SLACK: Duration = Duration::from_secs(120);

/// How long a session may take for a sign of progress before it counts as stuck.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Limits {
    /// With a link: heartbeats come at least this often.
    pub(crate) silence: Duration,
    /// Without one: an attempt takes no longer.
    pub(crate) attempt: Duration,
    /// Between two attempts: no wait is longer.
    pub(crate) wait: Duration,
}

impl Limits {
    /// The longer ones of both.
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            silence: self.silence.max(other.silence),
            attempt: self.attempt.max(other.attempt),
            wait: self.wait.max(other.wait),
        }
    }
}

/// Tells it until this is dropped, which is the end.
#[derive(Debug)]
pub(crate) struct Service(Option<(AbortHandle, Arc<Stopping>)>);

impl Drop for Service {
    fn drop(&mut self) {
        if let Some((task, stopping)) = &self.0 {
            task.abort();
            // With nothing to drain the end comes before the task has seen the signal.
            stopping.tell();
        }
    }
}

/// Whether it was told that this process stops.
#[derive(Debug, Default)]
struct Stopping(Mutex<bool>);

impl Stopping {
    /// Tells it once; by the time this returns it was told.
    fn tell(&self) {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !std::mem::replace(&mut *told, true) {
            tell(&[NotifyState::Stopping]);
        }
    }
}

impl Service {
    /// Begins to tell, if there is a service manager.
    pub(crate) fn start(process: &Process, limits: Limits) -> Self {
        if std::env::var_os("NOTIFY_SOCKET").is_none() {
            return Self(None);
        }
        let watchdog = sd_notify::watchdog_enabled();
        process.reloads.call(|reload| match reload {
            Reload::Begins => {
                if let Ok(now) = NotifyState::monotonic_usec_now() {
                    tell(&[NotifyState::Reloading, now]);
                }
            }
            Reload::Done => tell(&[NotifyState::Ready]),
        });
        let (hub, signals) = (process.hub.clone(), process.signals.clone());
        let stopping = Arc::<Stopping>::default();
        let task = tokio::spawn(run(hub, signals, limits, watchdog, stopping.clone()));
        Self(Some((task.abort_handle(), stopping)))
    }
}

async fn run(
    hub: Hub,
    mut signals: Signals,
    limits: Limits,
    watchdog: Option<Duration>,
    stopping: Arc<Stopping>,
) {
    // Ready once it listens or dials: a sender does not wait for its receiver to be there.
    while hub.is_empty() {
        tokio::time::sleep(SOON).await;
    }
    let mut said = line(&hub);
    tell(&[NotifyState::Ready, NotifyState::Status(&said)]);
    let every = watchdog.map_or(LOOK, |limit| (limit / 3).min(LOOK)).max(SOON);
    let mut look = tokio::time::interval(every);
    let mut pulses = Pulses::default();
    let mut stops = false;
    loop {
        tokio::select! {
            _ = look.tick() => {
                let now = Instant::now();
                if watchdog.is_some() && pulses.all_well(&hub, now, limits) {
                    tell(&[NotifyState::Watchdog]);
                }
                let text = line(&hub);
                if text != said {
                    tell(&[NotifyState::Status(&text)]);
                    said = text;
                }
            }
            _ = signals.draining(), if !stops => {
                stops = true;
                stopping.tell();
            }
        }
    }
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}

/// `2 sessions, 1 without a link`.
fn line(hub: &Hub) -> String {
    let sessions = hub.sessions();
    let up =
        |session: &Running| matches!(*session.connection.link().borrow(), LinkState::Up { .. });
    let down = sessions.iter().filter(|session| !up(session)).count();
    let mut text = count(sessions.len() as u64, "session");
    if down > 0 {
        text.push_str(&format!(", {down} without a link"));
    }
    text
}

/// When each session last showed that it is alive.
#[derive(Debug, Default)]
struct Pulses(HashMap<u64, Pulse>);

/// What changes while a session is alive, and since when it has not.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Pulse {
    beat: [u64; 4],
    since: Instant,
}

impl Pulses {
    /// Whether every session has shown progress within its limit.
    fn all_well(&mut self, hub: &Hub, now: Instant, limits: Limits) -> bool {
        let sessions = hub.sessions();
        self.0.retain(|number, _| sessions.iter().any(|session| session.number == *number));
        let mut well = true;
        for session in sessions {
            let (beat, limit) = beat(&session, limits);
            let fresh = self.beats(session.number, beat, now, limit);
            if !fresh {
                tracing::error!(session = session.number, "a session makes no progress");
            }
            well &= fresh;
        }
        well
    }

    fn beats(&mut self, number: u64, beat: [u64; 4], now: Instant, limit: Duration) -> bool {
        let pulse = self.0.entry(number).or_insert(Pulse { beat, since: now });
        if pulse.beat != beat {
            *pulse = Pulse { beat, since: now };
        }
        now.saturating_duration_since(pulse.since) <= limit
    }
}

/// What must change within the second. Taking it needs the session's lock: one that is held for ever
/// is found out as well.
fn beat(session: &Running, limits: Limits) -> ([u64; 4], Duration) {
    let link = session.connection.link().borrow().clone();
    let stats = session.connection.stats();
    match link {
        LinkState::Up { .. } => {
            let frames = stats.frames_sent.wrapping_add(stats.frames_received);
            let limit = limits.silence.saturating_mul(3).saturating_add(SLACK);
            ([1, stats.links, frames, stats.pings_sent], limit)
        }
        // A receiver waits for its sender for as long as it takes.
        LinkState::Down { .. } if session.side == Side::Receiver => ([0; 4], Duration::MAX),
        LinkState::Down { attempt, retry_in, .. } => {
            let wait = retry_in.unwrap_or_default();
            let limit = wait.saturating_add(limits.attempt).saturating_add(SLACK);
            ([2, stats.links, attempt.into(), u64::from(retry_in.is_some())], limit)
        }
        LinkState::Connecting { attempt } => {
            // The wait between first attempts is not told.
            let limit = limits.wait.saturating_add(limits.attempt).saturating_add(SLACK);
            ([3, attempt.into(), 0, 0], limit)
        }
        _ => ([0; 4], Duration::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_well_while_something_about_it_changes() {
        let (start, limit) = (Instant::now(), Duration::from_secs(60));
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut pulses = Pulses::default();
        assert!(pulses.beats(1, [1, 1, 10, 0], start, limit));
        assert!(pulses.beats(1, [1, 1, 10, 0], at(60), limit));
        assert!(!pulses.beats(1, [1, 1, 10, 0], at(61), limit), "stuck");
        assert!(pulses.beats(1, [1, 1, 11, 0], at(62), limit), "and on it goes");
        assert!(pulses.beats(1, [1, 1, 11, 0], at(122), limit));
        assert!(pulses.beats(2, [0; 4], at(500), Duration::MAX));
        assert!(!pulses.beats(1, [1, 1, 11, 0], at(123), limit));
    }
}

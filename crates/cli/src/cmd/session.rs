//! What the commands share: an end that a signal or a timeout brings forward.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use p2_transport::{Connection, ErrorCode, SessionError, SessionSummary};
use tokio::sync::watch;

use crate::report::Report;
use crate::signal::Signals;
use crate::source::Stop;

/// What sources follow: the first signal drains, the second stops at once, and so does a drain
/// that takes longer than `limit`. `held` gets what was unacknowledged when it came to that.
pub(super) fn patience(
    signals: &Signals,
    report: &Report,
    connection: &Connection,
    limit: Duration,
    held: Arc<AtomicU64>,
) -> watch::Receiver<Stop> {
    let (ask, stop) = watch::channel(Stop::Running);
    let (mut signals, report, connection) = (signals.clone(), report.clone(), connection.clone());
    tokio::spawn(async move {
        tokio::select! {
            _ = signals.draining() => {}
            // The session is over, and the process goes on.
            () = ask.closed() => return,
        }
        report.say("draining: what was read is delivered; again to stop at once");
        ask.send_replace(Stop::Drain);
        tokio::select! {
            _ = signals.stopping() => {}
            () = tokio::time::sleep(limit) => {
                report.always(&format!(
                    "! --drain-timeout {} is over",
                    crate::units::format_duration(limit)
                ));
            }
        }
        held.store(connection.stats().retained, Ordering::Relaxed);
        ask.send_replace(Stop::Now);
        // The receivers live on the value, not on this task; it waits until nobody listens.
        ask.closed().await;
    });
    stop
}

/// Ends the session in order; `None` if the user or the timeout would not wait for it.
pub(super) async fn close(
    connection: &Connection,
    mut stop: watch::Receiver<Stop>,
) -> Option<Result<SessionSummary, SessionError>> {
    tokio::select! {
        closed = connection.close() => Some(closed),
        _ = stop.wait_for(|step| *step == Stop::Now) => {
            connection.abort(ErrorCode::CANCELLED, "the sender was stopped");
            None
        }
    }
}

/// Passes each SIGHUP on: skip the present wait and dial now.
pub(super) fn retry_on_hangup(signals: &Signals, connection: &Connection) {
    let (mut signals, connection) = (signals.clone(), connection.clone());
    tokio::spawn(async move {
        loop {
            tokio::select! {
                () = signals.retry() => connection.retry_now(),
                _ = connection.closed() => return,
            }
        }
    });
}

//! The same story for the log: every event, at the level of how often it happens.

use p2_transport::{ServerEvent, SessionEvent};
use tracing::{debug, info, trace};

/// What happens to a session. Lines for people tell the rare part of it in better words, so here it
/// is for those who ask for `debug`.
pub(super) fn session(session: &str, event: &SessionEvent) {
    match event {
        SessionEvent::LinkUp { resumed, address } => debug!(session, resumed, address, "link up"),
        SessionEvent::LinkDown { reason } => debug!(session, reason, "link down"),
        SessionEvent::AttemptFailed { attempt, reason, retry_in } => {
            debug!(session, attempt, reason, ?retry_in, "attempt failed");
        }
        SessionEvent::Resumed { outage, replayed, streams } => {
            debug!(session, ?outage, replayed, streams, "resumed");
        }
        SessionEvent::HeartbeatSent => trace!(session, "heartbeat sent"),
        SessionEvent::HeartbeatReceived => trace!(session, "heartbeat received"),
        SessionEvent::HeartbeatAnswered { rtt } => trace!(session, ?rtt, "heartbeat answered"),
        SessionEvent::StreamOpened { label, name, ours, .. } => {
            debug!(session, stream = label, name, ours, "stream opened");
        }
        SessionEvent::StreamClosed { id } => debug!(session, %id, "stream closed"),
        SessionEvent::GoingAway => debug!(session, "the peer goes away"),
        SessionEvent::Closed(Ok(_)) => debug!(session, "closed"),
        SessionEvent::Closed(Err(error)) => debug!(session, %error, "closed"),
        _ => {}
    }
}

/// What happens to a server.
pub(super) fn server(event: &ServerEvent) {
    match event {
        ServerEvent::LinkAccepted { address } => debug!(address, "link accepted"),
        ServerEvent::LinkRefused { address, reason } => debug!(address, reason, "link refused"),
        ServerEvent::SessionOpened { name, address, .. } => {
            info!(session = name, address, "session opened");
        }
        ServerEvent::SessionResumed { name, address, .. } => {
            info!(session = name, address, "session resumed");
        }
        ServerEvent::SessionEnded { name, outcome: Ok(_), .. } => {
            info!(session = name, "session ended");
        }
        ServerEvent::SessionEnded { name, outcome: Err(error), .. } => {
            info!(session = name, %error, "session ended");
        }
        _ => {}
    }
}

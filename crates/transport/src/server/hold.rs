//! How long a session is kept without a link.

use std::time::Duration;

use tokio::time::sleep;

use super::Inner;
use crate::{SessionError, shared::Shared};

/// For a client that has shown no sign that it knows of its session: it may have another by now,
/// or still be on its way back over a bad link.
const UNHEARD: Duration = Duration::from_secs(120);
/// For the answer to CLOSE, when that is all that is missing: a client that got it has gone, and
/// will not come back to say so.
const FAREWELL: Duration = Duration::from_secs(10);

/// Holds a session that has lost the link of `epoch`, until the next one comes or its time is up.
pub(super) async fn hold(inner: &Inner, shared: &Shared, session: &[u8; 16], epoch: u64) {
    let farewell = shared.with(|state| state.awaits_farewell());
    let patience = if farewell {
        FAREWELL.min(inner.ttl)
    } else if inner.sessions.is_unheard(session) {
        UNHEARD.min(inner.ttl)
    } else {
        inner.ttl
    };
    let mut fence = shared.fence.subscribe();
    tokio::select! {
        () = sleep(patience) => {
            if shared.with(|state| state.session.epoch() != epoch) {
                return;
            }
            shared.with(|state| state.presume_farewell());
            expire(shared);
        }
        _ = fence.wait_for(|current| *current != epoch) => {}
        _ = shared.ended() => {}
    }
}

/// Gives up a session that has no link, unless it has ended.
pub(super) fn expire(shared: &Shared) {
    let waiting =
        shared.with(|state| (!state.session.is_attached()).then(|| state.unacknowledged()));
    if let Some(unacknowledged) = waiting {
        shared.fail(SessionError::Expired { unacknowledged });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use p2_mux::{
        Attachment, CodecId, Config, OpenOptions, ProcessBudget, Role, Session, handshake::Secret,
    };
    use tokio::time::Instant;

    use super::*;
    use crate::{Server, clock, shared::Outcome};

    const ID: [u8; 16] = [1; 16];

    /// A session that had a link, at a server that keeps sessions for a day.
    fn held(heard: bool) -> (Arc<Inner>, Arc<Shared>) {
        let inner = Server::builder().inner(String::new());
        let session = Session::new(Config::new(Role::Server), ProcessBudget::default());
        let shared = Arc::new(Shared::new(session, String::new()));
        shared.with(|state| {
            let link = Attachment::new(1, CodecId::NONE);
            state.session.attach(clock::now(), link).expect("attached");
            state.first_up = Some(clock::now());
        });
        shared.up(1, std::time::Instant::now(), false, "");
        let place = inner.arrivals().and_then(|arrivals| arrivals.try_reserve_owned().ok());
        inner.sessions.add(ID, Secret::new([7; 32]), shared.clone(), place.filter(|_| !heard));
        (inner, shared)
    }

    /// Whether CLOSE goes out now, after which the link dies.
    fn say_goodbye(shared: &Shared) -> bool {
        shared.with(|state| {
            let mut batch = Vec::new();
            state.session.poll_transmit(clock::now(), &mut batch);
            let close = format!("{batch:?}").contains("Close");
            state.farewell_sent = close;
            state.session.detach(clock::now());
            close
        })
    }

    async fn outcome(inner: &Inner, shared: &Shared) -> (Duration, Outcome) {
        let began = Instant::now();
        hold(inner, shared, &ID, 1).await;
        (began.elapsed(), shared.ended().await)
    }

    fn about(time: Duration, expected: u64) -> bool {
        time.as_secs().abs_diff(expected) <= 1
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_never_spoke_has_two_minutes_to_come_back() {
        let (inner, shared) = held(false);
        shared.with(|state| state.session.detach(clock::now()));
        let (time, outcome) = outcome(&inner, &shared).await;
        assert!(about(time, 120), "{time:?}");
        assert!(matches!(outcome, Err(SessionError::Expired { .. })), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_spoke_has_the_whole_time() {
        let (inner, shared) = held(true);
        shared.with(|state| state.session.detach(clock::now()));
        let (time, outcome) = outcome(&inner, &shared).await;
        assert!(about(time, 24 * 60 * 60), "{time:?}");
        assert!(matches!(outcome, Err(SessionError::Expired { .. })), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_goodbye_that_nobody_answers_is_the_end_in_order() {
        let (inner, shared) = held(true);
        shared.with(|state| state.close(""));
        assert!(say_goodbye(&shared), "CLOSE is due: there is no stream");
        let (time, outcome) = outcome(&inner, &shared).await;
        assert!(about(time, 10), "{time:?}");
        assert!(outcome.is_ok(), "{outcome:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_goodbye_that_could_not_be_said_yet_is_waited_for() {
        let (inner, shared) = held(true);
        shared.with(|state| {
            state.session.open(clock::now(), OpenOptions::named("app")).expect("room");
            state.close("");
        });
        assert!(!say_goodbye(&shared), "a stream is open");
        let (time, outcome) = outcome(&inner, &shared).await;
        assert!(about(time, 24 * 60 * 60), "{time:?}");
        assert!(matches!(outcome, Err(SessionError::Expired { .. })), "{outcome:?}");
    }
}

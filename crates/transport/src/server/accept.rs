//! A server's links: accept them, carry their sessions, and keep those whose link has died.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Instant,
};

use p2_mux::handshake::KnownState;
use tokio::{sync::oneshot, time::sleep};

use super::{
    Inner,
    hold::hold,
    talk::{Admitted, admit},
};
use crate::{
    Connection, Link, LinkState, ServerEvent, SessionError, SessionEvent, SessionId, driver,
    gate::Place, listener::Listener, shared::Shared,
};

/// How long to wait when no link can be accepted: it passes, and asking at once would spin.
const PAUSE: std::time::Duration = std::time::Duration::from_millis(100);

/// Accepts links for as long as the task lives.
pub(super) async fn listen(inner: Arc<Inner>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok((link, source)) => {
                // Here, not in the task: places go by the order of arrival.
                let place = inner.gate.enter(source);
                tokio::spawn(serve(inner.clone(), link, place));
            }
            Err(error) => {
                // Out of descriptors, most likely.
                tracing::warn!(%error, "cannot accept a link");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Serves one link from its first byte to its last.
pub(super) async fn serve(inner: Arc<Inner>, mut link: Link, place: Place) {
    inner.counts.accepted.fetch_add(1, Ordering::Relaxed);
    inner.announce(ServerEvent::LinkAccepted { address: link.peer.clone() });
    match admit(&inner, &mut link, &place).await {
        Ok(admitted) => {
            drop(place);
            carry(inner, link, admitted).await;
        }
        Err(reason) => {
            inner.counts.refused.fetch_add(1, Ordering::Relaxed);
            inner.announce(ServerEvent::LinkRefused { address: link.peer, reason });
        }
    }
}

/// Carries a session over its link, and then holds it until the next one comes or its time is up.
async fn carry(inner: Arc<Inner>, link: Link, admitted: Admitted) {
    let Admitted { shared, session, epoch, crc, input, output, uncompressed, resumed } = admitted;
    let Link { reader, writer, peer: address, .. } = link;
    shared.up(epoch, Instant::now(), resumed, &address);
    if uncompressed {
        shared.announce(SessionEvent::Uncompressed);
    }
    if !resumed {
        tokio::spawn(bury_when_over(inner.clone(), shared.clone(), session));
    }
    let heard = if resumed {
        introduce(&inner, &shared, session, resumed, address);
        None
    } else {
        let (heard, hearing) = oneshot::channel();
        let (inner, shared) = (inner.clone(), shared.clone());
        tokio::spawn(async move {
            if hearing.await.is_ok() {
                introduce(&inner, &shared, session, resumed, address);
            }
        });
        Some(heard)
    };
    let link = driver::Established { reader, writer, input, output, epoch, crc, heard };
    let end = driver::run(shared.clone(), link, &inner.codecs).await;
    if shared.with(|state| state.session.ended().is_some()) {
        return;
    }
    if matches!(end, driver::End::Fenced) {
        return;
    }
    let reason = end.to_string();
    tracing::debug!(%reason, "link lost");
    shared.announce(SessionEvent::LinkDown { reason: reason.clone() });
    let detached = shared.with(|state| {
        // A new link may have come already; then its state stands.
        let detached = !state.session.is_attached();
        if detached {
            let (since, held) = (Instant::now(), state.session.retained());
            shared.set_link(LinkState::Down { reason, attempt: 0, retry_in: None, since, held });
        }
        detached
    });
    if detached {
        inner.sessions.detach(&session);
    }
    hold(&inner, &shared, &session, epoch).await;
}

/// The client has spoken, and so knows of its session: lets everyone else know.
fn introduce(
    inner: &Inner,
    shared: &Arc<Shared>,
    session: [u8; 16],
    resumed: bool,
    address: String,
) {
    let id = SessionId::from_bytes(session);
    let name = shared.with(|state| state.name.clone());
    if let Some(place) = inner.sessions.heard(&session) {
        inner.announce(ServerEvent::SessionOpened { id, name, address });
        place.send(Connection::new(shared.clone()));
    } else if resumed {
        inner.announce(ServerEvent::SessionResumed { id, name, address });
    }
}

/// Moves a session to the dead when it is over.
async fn bury_when_over(inner: Arc<Inner>, shared: Arc<Shared>, session: [u8; 16]) {
    let outcome = shared.ended().await;
    let expired = matches!(outcome, Err(SessionError::Expired { .. }));
    let state = if expired { KnownState::Expired } else { KnownState::Closed };
    if !inner.sessions.bury(&session, Some(state)) {
        return;
    }
    let count = if expired { &inner.counts.expired } else { &inner.counts.ended };
    count.fetch_add(1, Ordering::Relaxed);
    let name = shared.with(|state| state.name.clone());
    let id = SessionId::from_bytes(session);
    inner.announce(ServerEvent::SessionEnded { id, name, outcome });
}

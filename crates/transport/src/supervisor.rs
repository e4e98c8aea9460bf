//! A client's session from its first attempt to its end: dial, shake hands, carry, and again.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use p2_frame::RefuseCode;
use p2_mux::{
    ErrorCode,
    handshake::{Purpose, Secret},
};
use tokio::sync::oneshot;

use crate::{
    Backoff, ConnectError, Link, LinkState, SessionError, SessionEvent, SessionId,
    backoff::Attempts,
    clock,
    dial::Dial,
    driver::{self, Codecs},
    handshake::{self, Failure, Shaken},
    settings::{Settings, random},
    shared::Shared,
};

/// Answers in a row that make no sense before they count as the peer's last word: a bit that
/// flipped on the way may garble one, but hardly three.
const NONSENSE: u32 = 3;

/// Failed attempts after which the answer to CLOSE is no longer waited for.
const FAREWELLS: u32 = 3;

pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    dial: Arc<dyn Dial>,
    settings: Settings,
    codecs: Codecs,
    name: String,
    timeout: Duration,
    attempts: Attempts,
    first: Option<oneshot::Sender<Result<(), ConnectError>>>,
    boot_id: [u8; 16],
    known: Option<Known>,
    down_since: Instant,
    reason: String,
    nonsense: u32,
    /// What the session had moved when its last link ended.
    progress: u64,
    random: fastrand::Rng,
}

/// What it takes to resume.
struct Known {
    session: [u8; 16],
    secret: Secret,
    /// Of the last link tried.
    epoch: u64,
    peer_boot: [u8; 16],
}

/// What an attempt came to if it made no link.
enum Miss {
    /// Try again at once.
    Now,
    /// Try again later.
    Later(ConnectError),
    /// Never again.
    Final(ConnectError),
    /// The session is over and everybody knows.
    Over,
}

impl Supervisor {
    pub(crate) fn new(
        shared: Arc<Shared>,
        dial: Arc<dyn Dial>,
        settings: Settings,
        name: String,
        timeout: Duration,
        retry: Backoff,
        first: Option<oneshot::Sender<Result<(), ConnectError>>>,
    ) -> Self {
        Self {
            shared,
            dial,
            codecs: Codecs::new(&settings.registry, &settings.preference()),
            settings,
            name,
            timeout,
            attempts: Attempts::new(retry),
            first,
            boot_id: random().unwrap_or_default(),
            known: None,
            down_since: Instant::now(),
            reason: String::new(),
            nonsense: 0,
            progress: 0,
            random: fastrand::Rng::new(),
        }
    }

    /// Runs until the session is over.
    pub(crate) async fn run(mut self) {
        let mut last = None;
        loop {
            let patience = last.as_ref().map_or(Duration::ZERO, ConnectError::retry_after);
            let without = self.down_since.elapsed();
            let Some(wait) = self.attempts.wait(without, patience, &mut self.random) else {
                return self.exhausted(last.unwrap_or(ConnectError::Cancelled));
            };
            if !self.pause(wait, last.as_ref()).await {
                return;
            }
            self.publish(None);
            let shared = self.shared.clone();
            let attempt = tokio::select! {
                attempt = self.attempt() => attempt,
                _ = shared.ended() => return,
            };
            match attempt {
                Ok((link, shaken)) => {
                    if !self.carry(link, shaken).await {
                        return;
                    }
                    last = None;
                }
                Err(Miss::Now) => {}
                Err(Miss::Later(error)) => {
                    self.attempts.failure();
                    self.failed(&error);
                    if self.farewell_presumed() {
                        return;
                    }
                    self.reason = error.to_string();
                    last = Some(error);
                }
                Err(Miss::Final(error)) => {
                    self.failed(&error);
                    return self.give_up(error);
                }
                Err(Miss::Over) => return,
            }
        }
    }

    fn failed(&self, error: &ConnectError) {
        self.shared.with(|state| state.tally.connect_failed(error.kind()));
    }

    /// Everything is acknowledged and CLOSE was sent; only its answer is missing, and nobody is
    /// there any more to give it. After a few attempts that is an end in order.
    fn farewell_presumed(&self) -> bool {
        let over = |state: &mut crate::state::State| {
            let over = self.attempts.failed() >= FAREWELLS && state.awaits_farewell();
            if over {
                state.presume_farewell();
            }
            over
        };
        self.shared.with(over)
    }

    /// Waits, unless told to hurry. `false` when the session has ended meanwhile.
    async fn pause(&mut self, wait: Duration, last: Option<&ConnectError>) -> bool {
        if self.shared.with(|state| state.session.ended().is_some()) {
            return false;
        }
        if wait.is_zero() {
            return true;
        }
        let shared = self.shared.clone();
        let hurry = shared.retry.notified();
        tokio::pin!(hurry);
        // Takes back a call for hurry from before there was anything to wait for.
        if hurry.as_mut().enable() {
            hurry.set(shared.retry.notified());
            hurry.as_mut().enable();
        }
        self.publish(Some(wait));
        if let Some(error) = last {
            self.shared.announce(SessionEvent::AttemptFailed {
                attempt: self.attempts.failed(),
                reason: error.to_string(),
                retry_in: wait,
            });
        }
        tokio::select! {
            () = tokio::time::sleep(wait) => true,
            () = &mut hurry => true,
            _ = shared.ended() => false,
        }
    }

    async fn attempt(&mut self) -> Result<(Link, Shaken), Miss> {
        let target = self.dial.target();
        let mut link = match self.dial.dial().await {
            Ok(link) => link,
            Err(error) if error.is_transient() => return Err(Miss::Later(error.into())),
            Err(error) => return Err(Miss::Final(error.into())),
        };
        let live = self.shared.with(|state| state.session.live());
        let local = self.settings.local(&link, self.boot_id, self.name.clone(), live);
        let local = local.map_err(|e| {
            Miss::Later(ConnectError::Interrupted { target: target.clone(), why: e.to_string() })
        })?;
        let purpose = match &mut self.known {
            None => Purpose::Open { token: self.settings.key() },
            Some(known) => {
                // Whatever becomes of this attempt, the next one is newer.
                known.epoch = known.epoch.saturating_add(1);
                Purpose::Resume {
                    session: known.session,
                    secret: known.secret.clone(),
                    epoch: known.epoch,
                    parts: self.shared.with(|state| state.session.resume_parts()),
                }
            }
        };
        let shaken = handshake::client(&mut link, local, purpose, self.timeout, &target).await;
        match shaken {
            Ok(shaken) => Ok((link, shaken)),
            Err(Failure::Connect(error)) => Err(self.judge(error)),
            Err(Failure::Refused(refuse)) => Err(self.refused(&target, &refuse)),
        }
    }

    /// Whether an error is the last word.
    fn judge(&mut self, error: ConnectError) -> Miss {
        let nonsense = matches!(error, ConnectError::Protocol { .. } | ConnectError::NotP2 { .. });
        if error.is_transient() {
            return Miss::Later(error);
        }
        self.nonsense = self.nonsense.saturating_add(1);
        // A session has something to lose.
        if self.known.is_some() && nonsense && self.nonsense < NONSENSE {
            return Miss::Later(error);
        }
        Miss::Final(error)
    }

    fn refused(&mut self, target: &str, refuse: &p2_frame::Refuse) -> Miss {
        let ours: Vec<String> =
            self.settings.preference().iter().map(ToString::to_string).collect();
        let error = handshake::refused(target, refuse, ours.join(", "));
        let Some(known) = &mut self.known else {
            return if error.is_transient() { Miss::Later(error) } else { Miss::Final(error) };
        };
        match refuse.code {
            RefuseCode::STALE => {
                let newer = refuse.epoch > known.epoch;
                known.epoch = known.epoch.max(refuse.epoch);
                if newer { Miss::Now } else { Miss::Later(error) }
            }
            RefuseCode::UNKNOWN if refuse.boot_id != known.peer_boot => {
                self.over(|unacknowledged| SessionError::PeerRestarted { unacknowledged })
            }
            RefuseCode::UNKNOWN => {
                self.nonsense = self.nonsense.saturating_add(1);
                if self.nonsense < NONSENSE {
                    return Miss::Later(error);
                }
                self.over(|unacknowledged| SessionError::Unknown { unacknowledged })
            }
            RefuseCode::EXPIRED => {
                self.over(|unacknowledged| SessionError::Expired { unacknowledged })
            }
            RefuseCode::CLOSED => self.over(|unacknowledged| SessionError::ClosedByPeer {
                code: ErrorCode::NO_ERROR,
                reason: String::new(),
                unacknowledged,
            }),
            _ => self.judge(error),
        }
    }

    fn over(&self, why: impl FnOnce(Vec<crate::Unacknowledged>) -> SessionError) -> Miss {
        self.shared.with(|state| state.forgotten(why));
        Miss::Over
    }

    /// Attaches the link and carries the session until the link dies. `false` when the session is
    /// over with it.
    async fn carry(&mut self, link: Link, shaken: Shaken) -> bool {
        let Shaken { established, input, output, bytes_sent, bytes_received } = shaken;
        let ours = self.settings.preference();
        let (peer, negotiated) = handshake::introduce(&established, ours, &link.peer);
        let attachment = established.attachment;
        let epoch = attachment.epoch;
        let resumed = self.known.is_some();
        let uncompressed = established.sending.is_fallback();
        self.known = Some(Known {
            session: established.session,
            secret: established.secret,
            epoch,
            peer_boot: peer.boot_id,
        });
        self.nonsense = 0;
        let attached = self.shared.with(|state| {
            let now = clock::now();
            state.session.attach(now, attachment)?;
            state.id = SessionId::from_bytes(established.session);
            state.handshakes_sent = state.handshakes_sent.saturating_add(bytes_sent);
            state.handshakes_received = state.handshakes_received.saturating_add(bytes_received);
            state.link_up(now, peer, negotiated);
            Ok::<(), p2_mux::ResumeError>(())
        });
        if let Err(error) = attached {
            let told = handshake::turn_away(link, output, established.crc, &error).await;
            self.shared.fail_protocol(error.to_string());
            told.hung_up().await;
            return false;
        }
        if resumed {
            self.attempts.resumed()
        } else {
            self.attempts.connected()
        }
        let since = Instant::now();
        self.shared.up(epoch, since, resumed, &link.peer);
        if uncompressed {
            self.shared.announce(SessionEvent::Uncompressed);
        }
        if let Some(first) = self.first.take() {
            // Whoever asked may have lost interest; then the connection is dropped as well.
            let _ = first.send(Ok(()));
        }
        let Link { reader, writer, .. } = link;
        let crc = established.crc;
        let link = driver::Established { reader, writer, input, output, epoch, crc, heard: None };
        let end = driver::run(self.shared.clone(), link, &self.codecs).await;
        if self.shared.with(|state| state.session.ended().is_some()) {
            return false;
        }
        // What a resume learns to have arrived was moved by the link before, and counts as well.
        let progress = self.shared.with(|state| state.session.progress());
        self.attempts.link_ended(since.elapsed(), progress > self.progress);
        self.progress = progress;
        self.down_since = Instant::now();
        self.reason = end.to_string();
        tracing::debug!(reason = %self.reason, "link lost");
        self.shared.announce(SessionEvent::LinkDown { reason: self.reason.clone() });
        true
    }

    fn publish(&self, retry_in: Option<Duration>) {
        let attempt = self.attempts.next();
        let state = if self.known.is_none() && retry_in.is_none() {
            LinkState::Connecting { attempt }
        } else {
            LinkState::Down {
                reason: self.reason.clone(),
                attempt,
                retry_in,
                since: self.down_since,
                held: self.shared.with(|state| state.session.retained()),
            }
        };
        self.shared.set_link(state);
    }

    fn exhausted(&mut self, last: ConnectError) {
        let attempts = self.attempts.failed();
        let elapsed = self.down_since.elapsed();
        if self.known.is_none() {
            return self.give_up(ConnectError::RetriesExhausted {
                attempts,
                elapsed,
                last: Box::new(last),
            });
        }
        let unacknowledged = self.shared.with(|state| state.unacknowledged());
        self.shared.fail(SessionError::RetriesExhausted {
            attempts,
            outage: elapsed,
            last: Arc::new(last),
            unacknowledged,
        });
    }

    fn give_up(&mut self, error: ConnectError) {
        match self.first.take() {
            Some(first) => {
                self.shared.fail(SessionError::Closed);
                let _ = first.send(Err(error));
            }
            None => self.shared.fail(SessionError::Refused(Arc::new(error))),
        }
    }
}

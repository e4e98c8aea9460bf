//! A server's half of a handshake over a real link, up to the session that it opens or takes over.

use std::{io, sync::Arc, time::Duration};

use bytes::BytesMut;
use p2_frame::RefuseCode;
use p2_mux::{
    ResumeError, Session,
    handshake::{Established, HandshakeError, KnownState, Request, Secret, ServerHandshake, Step},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use super::{Inner, hold::expire};
use crate::{
    Link, SessionId, clock, gate::Place, handshake, sessions::Denied, settings::random,
    shared::Shared,
};

/// From the first byte to the proof.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Bytes taken from a stranger at a time.
const READ: usize = 4 * 1024;
/// How long, and for how many bytes, to wait until a refused peer hangs up: hanging up on unread
/// bytes would destroy the refusal on its way.
const FAREWELL: Duration = Duration::from_secs(1);
const FAREWELL_BYTES: u64 = 256 * 1024;
/// What a full server asks newcomers to wait.
const FULL: Duration = Duration::from_secs(5);

/// A link that carries a session now.
pub(super) struct Admitted {
    pub(super) shared: Arc<Shared>,
    pub(super) session: [u8; 16],
    pub(super) epoch: u64,
    pub(super) crc: bool,
    pub(super) input: BytesMut,
    pub(super) output: BytesMut,
    pub(super) uncompressed: bool,
    pub(super) resumed: bool,
}

/// One handshake and its bytes.
struct Talk<'a> {
    link: &'a mut Link,
    handshake: ServerHandshake,
    input: BytesMut,
    sent: u64,
    received: u64,
}

/// Shakes hands, and opens or takes over a session. `Err` says why there is none.
pub(super) async fn admit(
    inner: &Inner,
    link: &mut Link,
    place: &Place,
) -> Result<Admitted, String> {
    // Which session it will be is not known yet; the list of any must fit.
    let live = inner.sessions.most_live();
    let local = inner.settings.local(link, inner.boot_id, String::new(), live);
    let fresh = (random(), random(), local);
    let (Ok(session), Ok(secret), Ok(local)) = fresh else {
        return Err("the system has no randomness".into());
    };
    let key = inner.settings.key();
    let handshake = ServerHandshake::new(local, key, session, Secret::new(secret));
    let mut talk = Talk { link, handshake, input: BytesMut::new(), sent: 0, received: 0 };
    let request = tokio::select! {
        request = timeout(HANDSHAKE, talk.until_proven(inner)) => match request {
            Ok(Ok(request)) => request,
            Ok(Err(reason)) => {
                talk.farewell().await;
                return Err(reason);
            }
            Err(_) => return Err(format!("no handshake within {} s", HANDSHAKE.as_secs())),
        },
        () = place.evicted() => return Err("too many handshakes at once".into()),
    };
    let decided =
        if request.resume { talk.take_over(inner, &request) } else { talk.open(inner, &request) };
    if decided.is_err() {
        let _ = timeout(FAREWELL, talk.send()).await;
        talk.farewell().await;
    }
    decided
}

impl Talk<'_> {
    /// Speaks with the peer until it has proven itself.
    async fn until_proven(&mut self, inner: &Inner) -> Result<Request, String> {
        loop {
            let step = self.handshake.receive(&mut self.input);
            let step = match step {
                Ok(Step::Lookup { session }) => {
                    let known = inner.sessions.look_up(&session);
                    self.handshake.known(known).map(|()| None)
                }
                Ok(Step::Proven(request)) => return Ok(*request),
                Ok(Step::NeedMore) => Ok(Some(())),
                Err(error) => Err(error),
            };
            let sent = self.send().await;
            let more = step.map_err(|error| describe(&error))?;
            sent.map_err(|error| error.to_string())?;
            if more.is_some() {
                self.input.reserve(READ);
                let read = self.link.reader.read_buf(&mut self.input).await;
                match read.map_err(|error| error.to_string())? {
                    0 => return Err("the peer hung up during the handshake".into()),
                    read => self.received = self.received.saturating_add(read as u64),
                }
            }
        }
    }

    async fn send(&mut self) -> io::Result<()> {
        let output = self.handshake.output();
        if output.is_empty() {
            return Ok(());
        }
        self.sent = self.sent.saturating_add(output.len() as u64);
        self.link.writer.write_all(&output).await?;
        self.link.writer.flush().await
    }

    /// Lets a refusal reach the peer.
    async fn farewell(&mut self) {
        let hang_up = async {
            let _ = self.link.writer.shutdown().await;
            let mut rest = (&mut self.link.reader).take(FAREWELL_BYTES);
            let _ = tokio::io::copy(&mut rest, &mut tokio::io::sink()).await;
        };
        let _ = timeout(FAREWELL, hang_up).await;
    }

    fn refuse(&mut self, code: RefuseCode, wait: Duration, why: &str) -> String {
        let wait = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.handshake.refuse(code, wait, 0, why);
        why.to_owned()
    }

    /// A new session for a proven peer.
    fn open(&mut self, inner: &Inner, request: &Request) -> Result<Admitted, String> {
        match inner.sessions.make_room() {
            Ok(Some(victim)) => expire(&victim),
            Ok(None) => {}
            Err(why) => return Err(self.refuse(RefuseCode::BUSY, FULL, why)),
        }
        let Some(arrivals) = inner.arrivals() else {
            return Err(self.refuse(RefuseCode::SHUTTING_DOWN, FULL, "shutting down"));
        };
        let Ok(place) = arrivals.try_reserve_owned() else {
            return Err(self.refuse(
                RefuseCode::BUSY,
                FULL,
                "too many sessions wait to be accepted",
            ));
        };
        let session = Session::new(inner.settings.config.clone(), inner.budget.clone());
        let name = request.peer.session_name.clone();
        let shared = Arc::new(Shared::new(session, name));
        let established = self.handshake.accept(Vec::new()).map_err(|e| e.to_string())?;
        let secret = established.secret.clone();
        if !inner.sessions.add(request.session, secret, shared.clone(), Some(place)) {
            // The answer is not on its way yet: it becomes a refusal.
            drop(self.handshake.output());
            return Err(self.refuse(RefuseCode::BUSY, FULL, "too many sessions"));
        }
        let attached = self.attach(inner, &shared, &established);
        if let Err(error) = attached {
            inner.sessions.bury(&request.session, None);
            return Err(error.to_string());
        }
        Ok(self.admitted(shared, established, false))
    }

    /// A proven peer goes on with its session: the old link is fenced, this one takes its place.
    fn take_over(&mut self, inner: &Inner, request: &Request) -> Result<Admitted, String> {
        let shared = match inner.sessions.take_over(&request.session, request.epoch) {
            Ok(shared) => shared,
            Err(Denied::Gone) => {
                let code = match inner.sessions.look_up(&request.session).map(|it| it.state) {
                    Some(KnownState::Closed) => RefuseCode::CLOSED,
                    Some(KnownState::Expired) => RefuseCode::EXPIRED,
                    // On its way out: the next attempt will be told more.
                    Some(KnownState::Live) | None => RefuseCode::BUSY,
                };
                return Err(self.refuse(code, Duration::ZERO, "the session has just ended"));
            }
            Err(Denied::Often(wait)) => {
                return Err(self.refuse(RefuseCode::BUSY, wait, "too many takeovers"));
            }
        };
        // One lock from the look at the epoch to the new link: two that race cannot both win.
        let won = shared.with(|state| {
            let epoch = state.session.epoch();
            if request.epoch <= epoch {
                return Err(Lost::Stale(epoch));
            }
            let now = clock::now();
            let old = state.session.epoch();
            state.link_down(now, old);
            let parts = state.session.resume_parts();
            let established = self.handshake.accept(parts).map_err(Lost::Handshake)?;
            let (peer, codecs) =
                handshake::introduce(&established, inner.settings.preference(), &self.link.peer);
            state.session.attach(now, established.attachment.clone()).map_err(Lost::Resume)?;
            state.link_up(now, peer, codecs);
            Ok(established)
        });
        let lost = match won {
            Ok(established) => {
                self.account(&shared);
                return Ok(self.admitted(shared, established, true));
            }
            Err(lost) => lost,
        };
        drop(self.handshake.output());
        Err(match lost {
            Lost::Stale(epoch) => {
                self.handshake.refuse(RefuseCode::STALE, 0, epoch, "a newer link exists");
                "a newer link exists".into()
            }
            Lost::Handshake(error) => error.to_string(),
            Lost::Resume(error) => {
                // The two ends do not remember the same session: guessing would lose or repeat.
                let why = error.to_string();
                shared.fail_protocol(why.clone());
                self.refuse(RefuseCode::PROTOCOL, Duration::ZERO, &why)
            }
        })
    }

    fn attach(
        &self,
        inner: &Inner,
        shared: &Shared,
        established: &Established,
    ) -> Result<(), ResumeError> {
        let ours = inner.settings.preference();
        let (peer, codecs) = handshake::introduce(established, ours, &self.link.peer);
        shared.with(|state| {
            let now = clock::now();
            state.session.attach(now, established.attachment.clone())?;
            state.id = SessionId::from_bytes(established.session);
            state.link_up(now, peer, codecs);
            Ok(())
        })?;
        self.account(shared);
        Ok(())
    }

    fn account(&self, shared: &Shared) {
        let unused = self.input.len() as u64;
        let (sent, received) = (self.sent, self.received.saturating_sub(unused));
        shared.with(|state| {
            state.handshakes_sent = state.handshakes_sent.saturating_add(sent);
            state.handshakes_received = state.handshakes_received.saturating_add(received);
        });
    }

    fn admitted(
        &mut self,
        shared: Arc<Shared>,
        established: Established,
        resumed: bool,
    ) -> Admitted {
        Admitted {
            shared,
            session: established.session,
            epoch: established.attachment.epoch,
            crc: established.crc,
            uncompressed: established.sending.is_fallback(),
            input: std::mem::take(&mut self.input),
            output: self.handshake.output(),
            resumed,
        }
    }
}

/// Why a proven link did not get its session.
enum Lost {
    Stale(u64),
    Handshake(HandshakeError),
    Resume(ResumeError),
}

/// An error of a stranger, in words that cannot drive a terminal.
fn describe(error: &HandshakeError) -> String {
    handshake::printable(error.to_string().as_bytes())
}

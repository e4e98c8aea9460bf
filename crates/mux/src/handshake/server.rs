//! The listening side of a handshake.

use bytes::BytesMut;
use p2_frame::{Frame, Hello, Preface, Proof, Refuse, RefuseCode, Resume, Role};

use super::channel::{Channel, Codecs, Parts, hello, peer};
use super::proof::{
    Secret, Token, Transcript, client_proof, derived_secret, opening_key, server_proof,
};
use super::{Established, HandshakeError, Local, Peer};
use crate::link::Attachment;

/// A session the client asks for, as the listening side remembers it.
#[derive(Debug, Clone)]
pub struct Known {
    /// Its secret.
    pub secret: Secret,
    /// Number of its last link.
    pub epoch: u64,
    /// Whether it can go on.
    pub state: KnownState,
}

/// What became of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KnownState {
    /// It can go on.
    Live,
    /// It ended in order; this is its tombstone.
    Closed,
    /// Nobody resumed it in time.
    Expired,
}

/// What the handshake needs next.
#[derive(Debug)]
pub enum Step {
    /// More bytes.
    NeedMore,
    /// Whatever is known of this session: answer by [`ServerHandshake::known`].
    Lookup {
        /// The id the client sent; anybody can know it.
        session: [u8; 16],
    },
    /// The client has proven itself: answer by [`ServerHandshake::accept`] or
    /// [`ServerHandshake::refuse`]. Only now may a live session change.
    Proven(Box<Request>),
}

/// What a proven client asks for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The session; a fresh one or one that was looked up.
    pub session: [u8; 16],
    /// Whether it goes on with that session.
    pub resume: bool,
    /// The link's number.
    pub epoch: u64,
    /// The client.
    pub peer: Peer,
}

#[derive(Debug)]
enum State {
    Preface,
    Hello,
    Lookup(Box<Hello>),
    Proof(Box<Open>),
    Resume(Box<Open>, Parts),
    Answer(Box<Open>, Parts),
    Over,
}

/// Everything about a handshake whose HELLOs are exchanged.
#[derive(Debug)]
struct Open {
    hello: Box<Hello>,
    session: [u8; 16],
    key: Secret,
    known: Option<Known>,
    codecs: Codecs,
    transcript: [u8; 32],
}

/// The server's half: feed what arrives to [`receive`](Self::receive), send
/// [`output`](Self::output) after each call, answer what a [`Step`] asks.
#[derive(Debug)]
pub struct ServerHandshake {
    local: Local,
    token: Option<Token>,
    fresh_session: [u8; 16],
    fresh_secret: Secret,
    channel: Channel,
    transcript: Transcript,
    state: State,
}

impl ServerHandshake {
    /// Begins with a preface. `fresh_session` and `fresh_secret` are random bytes for a session
    /// that may come of it.
    pub fn new(
        local: Local,
        token: Option<Token>,
        fresh_session: [u8; 16],
        fresh_secret: Secret,
    ) -> Self {
        let mut channel = Channel::default();
        channel.output.extend_from_slice(&Preface::default().encode());
        let transcript = Transcript::default();
        let state = State::Preface;
        Self { local, token, fresh_session, fresh_secret, channel, transcript, state }
    }

    /// Bytes to send; also after an error, which they may explain to the client.
    pub fn output(&mut self) -> BytesMut {
        self.channel.output.split()
    }

    /// Takes what the handshake needs off the front of `input`.
    ///
    /// # Errors
    /// [`HandshakeError`]: send the output and drop the connection.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Step, HandshakeError> {
        loop {
            match &self.state {
                State::Preface => {
                    let preface = self.channel.preface(input, &self.local);
                    if matches!(preface, Err(HandshakeError::Version(_))) {
                        self.refuse(RefuseCode::VERSION, 0, 0, "no common protocol version");
                    }
                    let Some(preface) = preface? else { return Ok(Step::NeedMore) };
                    self.transcript.add(&preface);
                    self.state = State::Hello;
                }
                State::Lookup(hello) => {
                    return Ok(Step::Lookup { session: hello.session });
                }
                State::Answer(open, _) => return Ok(Step::Proven(Box::new(open.request()))),
                _ => {}
            }
            let Some((frame, bytes)) = self.channel.frame(input)? else {
                return Ok(Step::NeedMore);
            };
            self.state = match (std::mem::replace(&mut self.state, State::Over), frame) {
                (State::Hello, Frame::Hello(hello)) => {
                    if hello.role != Role::Client {
                        let what = "the peer listens too";
                        self.refuse(RefuseCode::PROTOCOL, 0, 0, what);
                        return Err(HandshakeError::Protocol(what));
                    }
                    if !hello.is_resume() && (hello.session != [0; 16] || hello.epoch != 1) {
                        let what = "a new session has no id and begins with epoch 1";
                        self.refuse(RefuseCode::PROTOCOL, 0, 0, what);
                        return Err(HandshakeError::Protocol(what));
                    }
                    self.transcript.add(&bytes);
                    if hello.is_resume() {
                        State::Lookup(hello)
                    } else {
                        let key = opening_key(self.token.as_ref());
                        self.greet(hello, self.fresh_session, key, None)?
                    }
                }
                (State::Proof(open), Frame::Proof(proof)) => self.verify(open, &proof)?,
                (State::Resume(open, mut parts), Frame::Resume(part)) => {
                    if parts.add(part, self.local.max_listed)? {
                        State::Answer(open, parts)
                    } else {
                        State::Resume(open, parts)
                    }
                }
                _ => return Err(HandshakeError::Protocol("a frame out of order")),
            };
        }
    }

    /// Answers [`Step::Lookup`]. An unknown session costs the same work and gets the same answer
    /// as a wrong proof: nobody learns which ids exist.
    ///
    /// # Errors
    /// [`HandshakeError`] as [`receive`](Self::receive).
    pub fn known(&mut self, known: Option<Known>) -> Result<(), HandshakeError> {
        let State::Lookup(hello) = std::mem::replace(&mut self.state, State::Over) else {
            return Err(HandshakeError::Protocol("nothing was asked"));
        };
        let key = known.as_ref().map_or(&self.fresh_secret, |known| &known.secret).clone();
        let session = hello.session;
        self.state = self.greet(hello, session, key, known)?;
        Ok(())
    }

    /// Answers [`Step::Proven`]: the link stands once the output is sent. On a resume, `parts` is
    /// the session's [`resume_parts`](crate::Session::resume_parts), made after its old link was
    /// detached.
    ///
    /// # Errors
    /// [`HandshakeError::Protocol`] when nothing was asked.
    pub fn accept(&mut self, parts: Vec<Resume>) -> Result<Established, HandshakeError> {
        let State::Answer(open, mut peer_parts) = std::mem::replace(&mut self.state, State::Over)
        else {
            return Err(HandshakeError::Protocol("nothing was asked"));
        };
        let (sent_secret, secret) = match (&open.known, &self.token) {
            (Some(known), _) => (None, known.secret.clone()),
            (None, Some(_)) => (None, derived_secret(&open.key, &open.transcript)),
            (None, None) => (Some(*self.fresh_secret.expose()), self.fresh_secret.clone()),
        };
        let proof = Proof {
            mac: *server_proof(&open.key, &open.transcript).expose(),
            secret: sent_secret,
            choice: open.codecs.choice(Role::Server),
            ext: Vec::new(),
        };
        self.channel.send(&Frame::Proof(proof.into()))?;
        for part in parts {
            self.channel.send(&Frame::Resume(part))?;
        }
        Ok(Established {
            session: open.session,
            secret,
            attachment: Attachment {
                epoch: open.hello.epoch,
                peer: open.hello.limits,
                codec: open.codecs.sending.codec,
                common: open.codecs.sending.common.clone(),
                offers: peer(&open.hello).codecs,
                resume: peer_parts.take(),
            },
            peer: peer(&open.hello),
            sending: open.codecs.sending.clone(),
            receiving: open.codecs.receiving.clone(),
            crc: self.channel.crc,
        })
    }

    /// Ends the handshake with a reason for the client.
    pub fn refuse(&mut self, code: RefuseCode, retry_after_ms: u64, epoch: u64, reason: &str) {
        self.state = State::Over;
        let reason = reason.chars().take(60).collect();
        let boot_id = self.local.boot_id;
        let refuse = Refuse { code, retry_after_ms, boot_id, epoch, reason, ext: Vec::new() };
        // A refusal that could not be encoded would leave the client with a plain close.
        let _ = self.channel.send(&Frame::Refuse(refuse));
    }

    fn greet(
        &mut self,
        client: Box<Hello>,
        session: [u8; 16],
        key: Secret,
        known: Option<Known>,
    ) -> Result<State, HandshakeError> {
        let mut auth = client.auth & Hello::AUTH_RESUME;
        if self.token.is_some() && !client.is_resume() {
            auth |= Hello::AUTH_TOKEN;
        }
        self.transcript.add(&Preface::default().encode());
        let frame =
            Frame::Hello(hello(&self.local, Role::Server, session, client.epoch, auth).into());
        let bytes = self.channel.send(&frame)?;
        self.transcript.add(&bytes);
        let codecs = match Codecs::agree(&self.local, &peer(&client)) {
            Ok(codecs) => codecs,
            Err(error) => {
                self.refuse(RefuseCode::NO_CODEC, 0, 0, "no common codec");
                return Err(error);
            }
        };
        self.channel.crc = self.local.crc || client.wants_crc();
        let transcript = self.transcript.hash();
        Ok(State::Proof(Box::new(Open { hello: client, session, key, known, codecs, transcript })))
    }

    fn verify(&mut self, open: Box<Open>, proof: &Proof) -> Result<State, HandshakeError> {
        let right = Secret::new(proof.mac) == client_proof(&open.key, &open.transcript);
        let resume = open.hello.is_resume();
        // Whoever says that it has no token is not let in by one, and the other way round.
        let right = right && (resume || open.hello.has_token() == self.token.is_some());
        if !right || (resume && open.known.is_none()) {
            if resume {
                self.refuse(RefuseCode::UNKNOWN, 0, 0, "unknown session or wrong proof");
            } else {
                self.refuse(RefuseCode::DENIED, 0, 0, "wrong token");
            }
            return Err(HandshakeError::BadProof);
        }
        if proof.secret.is_some() {
            let what = "only a server sends the resume secret";
            self.refuse(RefuseCode::PROTOCOL, 0, 0, what);
            return Err(HandshakeError::Protocol(what));
        }
        if proof.choice != open.codecs.choice(Role::Server) {
            self.refuse(RefuseCode::PROTOCOL, 0, 0, "the offers were changed on the way");
            return Err(HandshakeError::ChoiceMismatch);
        }
        self.channel.proven = true;
        let Some(known) = &open.known else {
            return Ok(State::Answer(open, Parts::default()));
        };
        let refusal = match known.state {
            KnownState::Closed => Some((RefuseCode::CLOSED, "the session has ended in order")),
            KnownState::Expired => Some((RefuseCode::EXPIRED, "the session was given up")),
            KnownState::Live if open.hello.epoch <= known.epoch => {
                Some((RefuseCode::STALE, "a newer link exists"))
            }
            KnownState::Live => None,
        };
        if let Some((code, reason)) = refusal {
            let epoch = if code == RefuseCode::STALE { known.epoch } else { 0 };
            self.refuse(code, 0, epoch, reason);
            return Err(HandshakeError::Protocol(reason));
        }
        Ok(State::Resume(open, Parts::default()))
    }
}

impl Open {
    fn request(&self) -> Request {
        Request {
            session: self.session,
            resume: self.known.is_some(),
            epoch: self.hello.epoch,
            peer: peer(&self.hello),
        }
    }
}

//! The dialling side of a handshake.

use bytes::BytesMut;
use p2_frame::{Frame, Hello, Preface, Proof, Resume, Role};

use super::channel::{Channel, Codecs, Parts, hello, peer};
use super::proof::{
    Secret, Token, Transcript, client_proof, derived_secret, opening_key, server_proof,
};
use super::{Established, HandshakeError, Local};
use crate::link::Attachment;

/// What the client wants.
#[derive(Debug, Clone)]
pub enum Purpose {
    /// A new session.
    Open {
        /// The secret both ends share, if they do.
        token: Option<Token>,
    },
    /// To go on with one.
    Resume {
        /// Its id.
        session: [u8; 16],
        /// Its secret.
        secret: Secret,
        /// One more than the last epoch tried.
        epoch: u64,
        /// [`Session::resume_parts`](crate::Session::resume_parts).
        parts: Vec<Resume>,
    },
}

#[derive(Debug)]
enum State {
    Preface,
    Hello,
    Proof { hello: Box<Hello>, codecs: Box<Codecs>, key: Secret, transcript: [u8; 32] },
    Resume { established: Box<Established>, parts: Parts },
    Over,
}

/// The client's half: send [`output`](Self::output), feed what arrives to
/// [`receive`](Self::receive), until it returns a link.
///
/// ```
/// # use p2_mux::handshake::{ClientHandshake, Local, Purpose};
/// # let local = Local { agent: "doc".into(), codecs: vec![], require_codec: false,
/// #     limits: p2_mux::default_limits(), boot_id: [0; 16], nonce: [1; 32], crc: false,
/// #     session_name: String::new(), junk_limit: 0, max_listed: 0 };
/// let mut client = ClientHandshake::new(local, Purpose::Open { token: None }).unwrap();
/// assert_eq!(&client.output()[..3], b"\x89P2");
/// let mut silence = bytes::BytesMut::new();
/// assert!(client.receive(&mut silence).unwrap().is_none());
/// ```
#[derive(Debug)]
pub struct ClientHandshake {
    local: Local,
    purpose: Purpose,
    channel: Channel,
    transcript: Transcript,
    state: State,
}

impl ClientHandshake {
    /// Begins; there is output at once.
    ///
    /// # Errors
    /// Only if `local` exceeds the limits of a HELLO.
    pub fn new(local: Local, purpose: Purpose) -> Result<Self, HandshakeError> {
        let (session, epoch, auth) = match &purpose {
            Purpose::Open { token: None } => ([0; 16], 1, 0),
            Purpose::Open { token: Some(_) } => ([0; 16], 1, Hello::AUTH_TOKEN),
            Purpose::Resume { session, epoch, .. } => (*session, *epoch, Hello::AUTH_RESUME),
        };
        let mut channel = Channel::default();
        let mut transcript = Transcript::default();
        let preface = Preface::default().encode();
        channel.output.extend_from_slice(&preface);
        transcript.add(&preface);
        let frame = Frame::Hello(hello(&local, Role::Client, session, epoch, auth).into());
        transcript.add(&channel.send(&frame)?);
        Ok(Self { local, purpose, channel, transcript, state: State::Preface })
    }

    /// Bytes to send; empty when there are none.
    pub fn output(&mut self) -> BytesMut {
        self.channel.output.split()
    }

    /// Takes what the handshake needs off the front of `input`. After a link was returned, the
    /// rest of `input` belongs to it, and [`output`](Self::output) must still be sent.
    ///
    /// # Errors
    /// [`HandshakeError`]: drop the connection.
    pub fn receive(&mut self, input: &mut BytesMut) -> Result<Option<Established>, HandshakeError> {
        loop {
            if matches!(self.state, State::Preface) {
                let Some(preface) = self.channel.preface(input, &self.local)? else {
                    return Ok(None);
                };
                self.transcript.add(&preface);
                self.state = State::Hello;
            }
            let Some((frame, bytes)) = self.channel.frame(input)? else {
                return Ok(None);
            };
            self.state = match (std::mem::replace(&mut self.state, State::Over), frame) {
                (State::Hello, Frame::Hello(hello)) => {
                    self.transcript.add(&bytes);
                    self.greeted(hello)?
                }
                (State::Proof { hello, codecs, key, transcript }, Frame::Proof(proof)) => {
                    let established = self.proven(&hello, &codecs, &key, &transcript, &proof)?;
                    if matches!(self.purpose, Purpose::Open { .. }) {
                        return Ok(Some(established));
                    }
                    let established = Box::new(established);
                    State::Resume { established, parts: Parts::default() }
                }
                (State::Resume { mut established, mut parts }, Frame::Resume(part)) => {
                    if parts.add(part, self.local.max_listed)? {
                        established.attachment.resume = parts.take();
                        return Ok(Some(*established));
                    }
                    State::Resume { established, parts }
                }
                _ => return Err(HandshakeError::Protocol("a frame out of order")),
            };
        }
    }

    /// The server's HELLO is here: everything to be proven is known.
    fn greeted(&mut self, hello: Box<Hello>) -> Result<State, HandshakeError> {
        if hello.role != Role::Server {
            return Err(HandshakeError::Protocol("the peer dialled too"));
        }
        let key = match &self.purpose {
            Purpose::Open { token } => {
                if hello.is_resume() || hello.epoch != 1 || hello.session == [0; 16] {
                    let what = "a new session has an id, epoch 1 and nothing to resume";
                    return Err(HandshakeError::Protocol(what));
                }
                match (token.is_some(), hello.has_token()) {
                    (false, true) => {
                        let what = "the receiver wants a token and this side has none";
                        return Err(HandshakeError::TokenMismatch(what));
                    }
                    (true, false) => {
                        let what = "this side has a token and the receiver does not ask for one";
                        return Err(HandshakeError::TokenMismatch(what));
                    }
                    _ => {}
                }
                opening_key(token.as_ref())
            }
            Purpose::Resume { session, secret, epoch, .. } => {
                if hello.session != *session || hello.epoch != *epoch || !hello.is_resume() {
                    return Err(HandshakeError::Protocol("the server answers for another session"));
                }
                secret.clone()
            }
        };
        let codecs = Codecs::agree(&self.local, &peer(&hello))?;
        let transcript = self.transcript.hash();
        self.channel.crc = self.local.crc || hello.wants_crc();
        let proof = Proof {
            mac: *client_proof(&key, &transcript).expose(),
            secret: None,
            choice: codecs.choice(Role::Client),
            ext: Vec::new(),
        };
        self.channel.send(&Frame::Proof(proof.into()))?;
        if let Purpose::Resume { parts, .. } = &self.purpose {
            for part in parts.clone() {
                self.channel.send(&Frame::Resume(part))?;
            }
        }
        Ok(State::Proof { hello, codecs: Box::new(codecs), key, transcript })
    }

    fn proven(
        &mut self,
        hello: &Hello,
        codecs: &Codecs,
        key: &Secret,
        transcript: &[u8; 32],
        proof: &Proof,
    ) -> Result<Established, HandshakeError> {
        if Secret::new(proof.mac) != server_proof(key, transcript) {
            return Err(HandshakeError::BadProof);
        }
        if proof.choice != codecs.choice(Role::Client) {
            return Err(HandshakeError::ChoiceMismatch);
        }
        self.channel.proven = true;
        let secret = match (&self.purpose, proof.secret) {
            (Purpose::Resume { secret, .. }, None) => secret.clone(),
            (Purpose::Open { token: Some(_) }, None) => derived_secret(key, transcript),
            (Purpose::Open { token: None }, Some(secret)) => Secret::new(secret),
            _ => {
                return Err(HandshakeError::Protocol(
                    "the resume secret is missing or superfluous",
                ));
            }
        };
        Ok(Established {
            session: hello.session,
            secret,
            attachment: Attachment {
                epoch: hello.epoch,
                peer: hello.limits,
                codec: codecs.sending.codec,
                common: codecs.sending.common.clone(),
                offers: peer(hello).codecs,
                resume: Vec::new(),
            },
            peer: peer(hello),
            sending: codecs.sending.clone(),
            receiving: codecs.receiving.clone(),
            crc: self.channel.crc,
        })
    }
}

//! `p2 send` under test: this side listens, and is the server byte by byte.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::link::{Greeted, Link, Raw, Ticket};
use super::message::{Hello, Proof, RESUMES, Refuse, Resume};
use super::receiver::PREFACE;
use super::wire::*;
use crate::support::{Ended, Env, PATIENCE, Process};

/// The resume secret that this server hands out.
pub const SECRET: [u8; 32] = [0x77; 32];

/// A sender that dials this side.
#[derive(Debug)]
pub struct Sender {
    pub process: Process,
    pub env: Env,
    listener: TcpListener,
}

/// The client's greeting as it came.
#[derive(Debug)]
pub struct Call {
    pub raw: Raw,
    pub hello: Hello,
    transcript: Sha256,
}

impl Sender {
    /// `p2 send` with a file `app` of these bytes.
    pub fn of(bytes: &[u8], arguments: &[&str]) -> Self {
        let env = Env::new();
        env.write("app", bytes);
        Self::on(env, &[&["--file=app"], arguments].concat())
    }

    pub fn on(env: Env, arguments: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.set_nonblocking(true).expect("a socket");
        let address = listener.local_addr().expect("bound").to_string();
        let process = env.send(&address, &[&["--events=events"], arguments].concat()).start();
        Self { process, env, listener }
    }

    /// The next connection within `time`.
    pub fn dialled_within(&self, time: Duration) -> Option<Raw> {
        let until = Instant::now() + time;
        loop {
            if let Ok((socket, _)) = self.listener.accept() {
                socket.set_nonblocking(false).expect("a socket");
                return Some(Raw::on(socket));
            }
            if Instant::now() >= until {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// The next connection, its preface and HELLO.
    #[track_caller]
    pub fn call(&self) -> Call {
        let mut raw = self.dialled_within(PATIENCE).expect("it dials");
        let preface = raw.preface();
        assert_eq!(preface, PREFACE);
        let frame = raw.frame();
        let transcript = Sha256::new_with_prefix(preface).chain_update(frame.bytes(false));
        let hello = Hello::parse(&frame);
        assert_eq!(hello.role, 0);
        Call { raw, hello, transcript }
    }

    /// The first link of a session, whose server offers no codec.
    #[track_caller]
    pub fn link(&self) -> Link {
        self.link_with(|_| ())
    }

    /// The same with something else in HELLO.
    #[track_caller]
    pub fn link_with(&self, change: impl FnOnce(&mut Hello)) -> Link {
        let call = self.call();
        assert_eq!((call.hello.session, call.hello.epoch), ([0; 16], 1), "a new session");
        assert_eq!(call.hello.auth & RESUMES, 0, "a new session");
        call.greet(Hello::server().with(change)).accept(None)
    }

    /// The next link of a session, with this list.
    #[track_caller]
    pub fn resumed(&self, ticket: &Ticket, list: &Resume) -> Link {
        self.call().again(ticket).accept(Some((ticket, list)))
    }

    /// The reason of the last event of this kind.
    #[track_caller]
    pub fn reason(&self, kind: &str) -> String {
        crate::support::eventually(kind, || {
            let text = std::fs::read_to_string(self.env.path("events")).unwrap_or_default();
            let lines = text.lines().rev().filter_map(|line| serde_json::from_str(line).ok());
            let mut found = lines.filter(|event: &serde_json::Value| event["event"] == kind);
            found.next().and_then(|event| event["reason"].as_str().map(str::to_owned))
        })
    }

    /// The link ends for the reason that `words` are part of, and the sender dials again.
    #[track_caller]
    pub fn breaks(&self, mut link: Link, words: &str) -> Call {
        link.closed();
        let reason = self.reason("link_down");
        assert!(reason.contains(words), "{words:?} expected, but: {reason}");
        let call = self.call();
        assert_eq!(call.hello.session, link.ticket.session, "the same session");
        assert_eq!(call.hello.epoch, link.ticket.epoch + 1);
        call
    }

    /// It ends with this code and does not dial again.
    #[track_caller]
    pub fn ends(self, code: i32) -> Ended {
        let Self { process, listener, .. } = self;
        let ended = process.wait().exits(code);
        assert!(listener.accept().is_err(), "it dialled again");
        ended
    }
}

impl Call {
    /// Answers with preface and HELLO.
    pub fn greet(mut self, hello: Hello) -> Greeted {
        let frame = hello.frame().bytes(false);
        self.raw.send(&[&PREFACE[..], &frame].concat());
        let t = self.transcript.chain_update(PREFACE).chain_update(&frame).finalize().into();
        let mut greeted = Greeted { raw: self.raw, client: self.hello, server: hello, t };
        greeted.agree();
        greeted
    }

    /// Repeats the session, epoch and RESUME of the client.
    #[track_caller]
    pub fn again(self, ticket: &Ticket) -> Greeted {
        let (session, epoch) = (self.hello.session, self.hello.epoch);
        assert_eq!(session, ticket.session, "the same session");
        assert!(epoch > ticket.epoch, "a greater epoch");
        assert_eq!(self.hello.auth & RESUMES, RESUMES);
        self.greet(Hello::server().with(|hello| {
            (hello.session, hello.epoch) = (session, epoch);
            hello.auth |= RESUMES;
        }))
    }

    /// Says why there is no link.
    pub fn refuse(mut self, refuse: &Refuse) {
        self.raw.send(&[&PREFACE[..], &refuse.frame().bytes(false)].concat());
        self.raw.half_close();
        self.raw.rest();
    }
}

impl Greeted {
    /// Checks the client's PROOF, and its list on a resume.
    #[track_caller]
    pub fn proven(&mut self, key: &[u8]) -> Option<Resume> {
        let proof = Proof::parse(&self.raw.frame());
        assert_eq!(proof.mac, self.mac(key, "p2 v1 client proof"));
        assert_eq!((proof.choice, proof.secret), (self.choice(), None));
        (self.client.auth & RESUMES != 0).then(|| {
            let part = self.raw.frame();
            assert_eq!(part.flags, OWN, "one part");
            Resume::parse(&part)
        })
    }

    /// Proves itself in turn; the link stands.
    #[track_caller]
    pub fn accept(mut self, resume: Option<(&Ticket, &Resume)>) -> Link {
        let secret = resume.map_or(SECRET, |(ticket, _)| ticket.secret);
        let key = if resume.is_some() { secret } else { [0; 32] };
        let theirs = self.proven(&key);
        let mut proof = self.proof(&key, "server");
        proof.secret = resume.is_none().then_some(SECRET);
        let list = resume.map(|(_, list)| list.frame());
        self.raw.put(&[vec![proof.frame()], list.into_iter().collect()].concat());
        let (session, epoch) = (self.server.session, self.client.epoch);
        let ticket = Ticket { session, secret, epoch, name: self.client.session_name.clone() };
        Link::new(self.raw, ticket, self.client, theirs)
    }
}

//! `p2 recv` under test, this client's way into it, and what it says of its links.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::link::{Greeted, Link, Raw, Ticket, hmac};
use super::message::{Hello, Proof, RESUMES, Refuse, Resume};
use super::wire::*;
use crate::support::{Env, Process, eventually};

/// Section 2: magic, versions 1 to 1, six zeros.
pub const PREFACE: [u8; 16] = *b"\x89P2\r\n\0\xFF\n\x01\x01\0\0\0\0\0\0";

/// The token of [`Receiver::with_token`].
pub const TOKEN: &str = "correct horse battery staple";

/// A receiver that writes files and events.
#[derive(Debug)]
pub struct Receiver {
    pub process: Mutex<Process>,
    pub env: Env,
    pub address: String,
    /// How many sessions it was asked for.
    pub sessions: AtomicU32,
}

/// The receivers that cases share, to be ended with the last of them.
static ALL: Mutex<Vec<Arc<Receiver>>> = Mutex::new(Vec::new());

thread_local! {
    /// This thread's own: one for all cases, and one whose clients need a token.
    static MINE: RefCell<[Option<Arc<Receiver>>; 2]> = const { RefCell::new([None, None]) };
}

/// Sessions after which another receiver is taken: many cases leave theirs without a link, and it
/// keeps no more than 64 of these.
const SESSIONS: u32 = 30;

/// The receiver that this thread's cases share.
pub fn shared() -> Arc<Receiver> {
    own(0, || Receiver::start(&["--dir=out"]))
}

/// The one whose clients need a token.
pub fn shared_with_token() -> Arc<Receiver> {
    own(1, || {
        let env = Env::new();
        let token = format!("--token-file={}", env.token("token", TOKEN));
        Receiver::on(env, &["--dir=out", &token])
    })
}

fn own(at: usize, make: fn() -> Receiver) -> Arc<Receiver> {
    MINE.with_borrow_mut(|own| {
        own[at]
            .get_or_insert_with(|| {
                let receiver = Arc::new(make());
                lock(&ALL).push(receiver.clone());
                receiver
            })
            .clone()
    })
}

/// A case begins on this thread: a receiver that has seen many sessions is ended.
pub fn begin() {
    MINE.with_borrow_mut(|own| {
        for place in own {
            if let Some(used) = place.take_if(|r| r.sessions.load(Ordering::Relaxed) >= SESSIONS) {
                lock(&ALL).retain(|receiver| !Arc::ptr_eq(receiver, &used));
            }
        }
    });
}

/// Ends the shared receivers; returns what they said.
pub fn stop() -> Vec<String> {
    let all = std::mem::take(&mut *lock(&ALL));
    let end = |receiver: &Arc<Receiver>| {
        lock(&receiver.process).kill();
        receiver.stderr()
    };
    all.iter().map(end).collect()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A name that no other session has.
pub fn name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("c{}", NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Receiver {
    pub fn start(arguments: &[&str]) -> Self {
        Self::on(Env::new(), arguments)
    }

    pub fn on(env: Env, arguments: &[&str]) -> Self {
        let arguments = [&["--events=events"], arguments].concat();
        let (process, address) = env.recv(&arguments);
        Self::of(process, env, address)
    }

    pub fn of(process: Process, env: Env, address: String) -> Self {
        Self { process: Mutex::new(process), env, address, sessions: AtomicU32::new(0) }
    }

    pub fn stderr(&self) -> String {
        lock(&self.process).stderr()
    }

    /// Sends preface and HELLO, and takes the server's.
    #[track_caller]
    pub fn greet(&self, hello: Hello) -> Greeted {
        self.sessions.fetch_add(1, Ordering::Relaxed);
        let (mut raw, ours) = (Raw::dial(&self.address), hello.frame());
        let sent = [&PREFACE[..], &ours.bytes(false)].concat();
        raw.send(&sent);
        let preface = raw.preface();
        assert_eq!(preface, PREFACE);
        let theirs = raw.frame();
        let t = Sha256::new_with_prefix(&sent).chain_update(preface);
        let t = t.chain_update(theirs.bytes(false)).finalize().into();
        let mut greeted = Greeted { raw, client: hello, server: Hello::parse(&theirs), t };
        greeted.agree();
        greeted
    }

    /// A new session without a token.
    #[track_caller]
    pub fn link(&self) -> Link {
        self.link_with(|_| ())
    }

    /// The same with something else in HELLO.
    #[track_caller]
    pub fn link_with(&self, change: impl FnOnce(&mut Hello)) -> Link {
        let greeted = self.greet(Hello::client(&name()).with(change));
        let proof = greeted.proof(&[0; 32], "client");
        opened(greeted, &[0; 32], proof, false)
    }

    /// A new session with the token.
    #[track_caller]
    pub fn link_with_token(&self) -> Link {
        let greeted = self.greet(Hello::client(&name()).with(|hello| hello.auth |= 1));
        let key = hmac(TOKEN.as_bytes(), b"p2 v1 token", &[]);
        let proof = greeted.proof(&key, "client");
        opened(greeted, &key, proof, true)
    }

    /// Up to the server's HELLO, to resume.
    #[track_caller]
    pub fn greet_again(&self, ticket: &Ticket) -> Greeted {
        let greeted = self.greet(Hello::client(&ticket.name).with(|hello| {
            hello.auth |= RESUMES;
            (hello.session, hello.epoch) = (ticket.session, ticket.epoch);
        }));
        let server = &greeted.server;
        assert_eq!((server.session, server.epoch), (ticket.session, ticket.epoch), "repeated");
        assert_eq!(server.auth & RESUMES, RESUMES, "repeated");
        greeted
    }

    /// Goes on with a session under its next epoch.
    #[track_caller]
    pub fn resume(&self, ticket: &Ticket, list: &Resume) -> Result<Link, Refuse> {
        self.resume_parts(ticket, &[list.frame()])
    }

    #[track_caller]
    pub fn resume_parts(&self, ticket: &Ticket, parts: &[Frame]) -> Result<Link, Refuse> {
        let ticket = Ticket { epoch: ticket.epoch + 1, ..ticket.clone() };
        let mut greeted = self.greet_again(&ticket);
        let proof = greeted.proof(&ticket.secret, "client").frame();
        greeted.raw.put(&[&[proof][..], parts].concat());
        let answer = greeted.raw.frame();
        if answer.kind == REFUSE {
            assert_eq!(greeted.raw.rest(), [], "nothing follows a REFUSE");
            return Err(Refuse::parse(&answer));
        }
        let proof = Proof::parse(&answer);
        assert_eq!(proof.mac, greeted.mac(&ticket.secret, "p2 v1 server proof"));
        assert_eq!(proof.secret, None, "only on the first link");
        let first = greeted.raw.frame();
        let mut list = Resume::parse(&first);
        let mut last = first.flags & OWN != 0;
        while !last {
            let part = greeted.raw.frame();
            last = part.flags & OWN != 0;
            list.streams.extend(Resume::parse(&part).streams);
        }
        Ok(Link::new(greeted.raw, ticket, greeted.server, Some(list)))
    }

    /// A new session that the receiver watches: what becomes of its links is told.
    #[track_caller]
    pub fn watched(&self) -> Link {
        self.watched_with(|_| ())
    }

    /// The same with something else in HELLO.
    #[track_caller]
    pub fn watched_with(&self, change: impl FnOnce(&mut Hello)) -> Link {
        let mut link = self.link_with(change);
        // A session is watched from its first frame on, or a little later.
        let heard = format!("\"heartbeat_received\",\"session\":\"{}\"", link.ticket.name);
        while !self.told().contains(&heard) {
            link.alive();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        link
    }

    /// Why the link of this session ended, in the receiver's words.
    #[track_caller]
    pub fn link_down(&self, session: &str) -> String {
        let ours = format!("\"link_down\",\"session\":\"{session}\"");
        self.event("a link_down", &ours, |event| {
            Some(event["reason"].as_str().expect("a reason").to_owned())
        })
    }

    /// Why the link from this address was refused.
    #[track_caller]
    pub fn link_refused(&self, local: &str) -> String {
        let ours = format!("\"link_refused\",\"address\":\"{local}\"");
        self.event("a link_refused", &ours, |event| {
            Some(event["reason"].as_str().expect("a reason").to_owned())
        })
    }

    /// Waits for the last event whose line holds `words`.
    #[track_caller]
    pub fn event<T>(&self, what: &str, words: &str, pick: impl Fn(&Value) -> Option<T>) -> T {
        eventually(what, || {
            let told = self.told();
            let mut lines = told.lines().rev().filter(|line| line.contains(words));
            // The last line may be incomplete.
            lines.find_map(|line| pick(&serde_json::from_str(line).ok()?))
        })
    }

    /// How many bytes of its one stream a session's source has dropped.
    #[track_caller]
    pub fn dropped(&self, session: &str) -> u64 {
        let ours = format!("\"stream_delivered\",\"session\":\"{session}\"");
        self.event("a stream_delivered", &ours, |event| event["dropped"].as_u64())
    }

    /// The events so far.
    fn told(&self) -> String {
        std::fs::read_to_string(self.env.path("events")).unwrap_or_default()
    }

    /// What a stream delivered so far.
    pub fn file(&self, session: &str, stream: &str) -> Vec<u8> {
        let path = self.env.path("out").join(session).join(stream);
        std::fs::read(path).unwrap_or_default()
    }

    /// The link ends, and for this reason.
    #[track_caller]
    pub fn breaks(&self, mut link: Link, words: &str) {
        link.closed();
        let reason = self.link_down(&link.ticket.name);
        assert!(reason.contains(words), "{words:?} expected, but: {reason}");
    }
}

/// The second half of a client's first handshake.
#[track_caller]
fn opened(mut greeted: Greeted, key: &[u8; 32], proof: Proof, token: bool) -> Link {
    greeted.raw.put(&[proof.frame()]);
    let frame = greeted.raw.frame();
    if frame.kind == REFUSE {
        panic!("{:?}", Refuse::parse(&frame));
    }
    let answer = Proof::parse(&frame);
    assert_eq!(answer.mac, greeted.mac(key, "p2 v1 server proof"));
    assert_eq!(answer.choice, greeted.choice());
    assert_eq!(answer.secret.is_none(), token, "sent only where there is no token");
    let derived = greeted.mac(key, "p2 v1 resume secret");
    let secret = answer.secret.unwrap_or(derived);
    let (session, epoch) = (greeted.server.session, 1);
    let ticket = Ticket { session, secret, epoch, name: greeted.client.session_name.clone() };
    Link::new(greeted.raw, ticket, greeted.server, None)
}

/// On one link `setup` and `honest` are accepted; on another `setup` and `wrong` end the link for
/// the reason that `words` are part of.
#[track_caller]
pub fn twin(setup: &[Frame], honest: &[Frame], wrong: &[Frame], words: &str) {
    twin_with(|_| (), setup, honest, wrong, words);
}

#[track_caller]
pub fn twin_with(
    change: impl Fn(&mut Hello),
    setup: &[Frame],
    honest: &[Frame],
    wrong: &[Frame],
    words: &str,
) {
    let crc = shared().greet(Hello::client(&name()).with(&change)).raw.crc;
    let bytes = |frames: &[Frame]| frames.iter().flat_map(|f| f.bytes(crc)).collect::<Vec<_>>();
    let (honest, wrong) = (bytes(&[setup, honest].concat()), bytes(&[setup, wrong].concat()));
    bytes_twin(change, &honest, &wrong, words);
}

/// The same with bytes instead of frames.
#[track_caller]
pub fn bytes_twin(change: impl Fn(&mut Hello), honest: &[u8], wrong: &[u8], words: &str) {
    let receiver = shared();
    let mut link = receiver.link_with(&change);
    link.send(honest);
    link.alive();
    link.leave(1);
    let mut link = receiver.watched_with(&change);
    link.send(wrong);
    receiver.breaks(link, words);
}

/// With `honest` in its HELLO a client is answered; with `wrong` its link ends for this reason.
#[track_caller]
pub fn hello_twin(honest: impl Fn(&mut Hello), wrong: impl Fn(&mut Hello), words: &str) {
    let receiver = shared();
    receiver.link_with(honest).leave(0);
    let hello = Hello::client(&name()).with(wrong).frame();
    handshake_error(&receiver, &[&PREFACE[..], &hello.bytes(false)].concat(), words);
}

/// These bytes end a link without an answer but the preface.
#[track_caller]
pub fn handshake_error(receiver: &Receiver, bytes: &[u8], words: &str) {
    let mut raw = Raw::dial(&receiver.address);
    raw.send(bytes);
    assert_eq!(raw.preface(), PREFACE);
    raw.silently_closed();
    let reason = receiver.link_refused(&raw.local());
    assert!(reason.contains(words), "{words:?} expected, but: {reason}");
}

/// These bytes, a HELLO among them, end a link without an answer but preface and HELLO.
#[track_caller]
pub fn handshake_error_after_hello(receiver: &Receiver, bytes: &[u8], words: &str) {
    let mut raw = Raw::dial(&receiver.address);
    raw.send(bytes);
    assert_eq!(raw.preface(), PREFACE);
    assert_eq!(raw.frame().kind, HELLO);
    raw.silently_closed();
    let reason = receiver.link_refused(&raw.local());
    assert!(reason.contains(words), "{words:?} expected, but: {reason}");
}

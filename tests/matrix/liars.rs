//! Peers that speak by hand: what they remember of a session is wrong, or not theirs.

use p2_frame::{Close, Credit, ErrorCode, Fin, Frame, RefuseCode, ResumeStream};
use p2_mux::handshake::{HandshakeError, Purpose, Secret};

use crate::peer::{Host, Wire, data, entry, first, list, open, resume};
use crate::source::Steady;
use crate::stage::{BEATS, ROOM, Sender, Stage};
use crate::support::table::Outcome;
use crate::support::{Cut, Ended, Env, assert_file, eventually, long_or, random, seed};

/// Less than what needs a receipt to be sent on.
const SIZE: u64 = 30_000;

/// Two parts of a text, and the XXH3-64 of the whole.
const TEXT: [&[u8]; 2] = [b"first lines\n\n", b"of the log\n"];
const DIGEST: u64 = 0x0AC1_1489_D459_5842;

/// What a receiver by hand did with the first link of a sender: it has all bytes and the end.
struct Heard {
    host: Host,
    sender: Sender,
    _env: Env,
}

/// R04: the last acknowledgement is lost with the link. The list of the resume says it again, the
/// sender trims, and sends nothing twice.
pub fn last_acknowledgement() -> Outcome {
    let Heard { mut host, sender, .. } = heard(0);
    let list = || list_of(ResumeStream { received: SIZE, acked: SIZE + 1, ..over() });
    let (mut wire, _) = host.accept(list);
    let mut repeated = 0;
    wire.until("CLOSE", |frame| {
        repeated += u64::from(matches!(frame, Frame::Data(_) | Frame::Fin(_) | Frame::Open(_)));
        matches!(frame, Frame::Close(close) if close.code == ErrorCode::NO_ERROR).then_some(())
    });
    wire.say(close(true));
    assert_eq!(repeated, 0, "nothing that was acknowledged is sent again");
    let sent = sender.receipt();
    assert!(sent.peak <= ROOM, "{}", sent.peak);
    Outcome::Passed(format!("{SIZE} bytes trimmed, 0 frames repeated, exit 0"))
}

/// R05: a peer that claims more than was sent, on both sides of a session.
pub fn claims_more() -> Outcome {
    let Heard { mut host, sender, .. } = heard(0);
    let said = refused(&mut host, sender, ResumeStream { received: SIZE + 1, ..over() });
    assert!(said.stderr.contains("only 30000 were sent"), "{}", said.stderr);
    // The receiver sends no byte on a stream, so one is too many.
    let lie = ResumeStream { sent: 13, received: 1, ..entry() };
    let why = contradicted(lie, "only 0 were sent");
    Outcome::Passed(format!("sender: exit {:?}; receiver: {why}", said.code.unwrap_or(-1)))
}

/// R06: a peer that claims less than it had acknowledged, or had sent.
pub fn claims_less() -> Outcome {
    let Heard { mut host, sender, .. } = heard(20_000);
    let less = ResumeStream { received: 19_999, recv_end: false, ..over() };
    let said = refused(&mut host, sender, less);
    assert!(said.stderr.contains("had acknowledged 20000"), "{}", said.stderr);
    let why = contradicted(ResumeStream { sent: 12, ..entry() }, "but 13 arrived");
    Outcome::Passed(format!("sender: exit {:?}; receiver: {why}", said.code.unwrap_or(-1)))
}

/// R08: two links race for one session, in both orders and at once: the highest epoch has it.
pub fn race() -> Outcome {
    let sessions = long_or(40, 2);
    let stage = Stage::new(1, &[]);
    let stale: usize = (0..sessions).map(|_| race_for_one(&stage.address)).sum();
    let mut files = std::fs::read_dir(stage.env.path("out/s")).expect("a directory");
    assert_eq!(files.by_ref().count(), sessions);
    for number in 1..=sessions {
        let name = if number == 1 { "app".to_owned() } else { format!("app~{number}") };
        assert_file(&stage.env.out(&name), &TEXT.concat());
    }
    let held = stage.finish(sessions, &[]);
    let rounds = sessions * TEXT.concat().len() / PIECE;
    Outcome::Passed(format!("{rounds} races, {stale} refused as stale, {held}"))
}

/// Bytes of [`TEXT`] that move between two races. Takeovers of a link that moved nothing, one in
/// each race, are limited to ten a minute.
const PIECE: usize = 3;

/// Races for one session until its text is sent; how many were refused as stale.
fn race_for_one(address: &str) -> usize {
    let text = TEXT.concat();
    let (mut wire, mut known) = Wire::dial(address, Purpose::Open { token: None }).expect("new");
    let acked = |frame: &Frame, end: u64| {
        matches!(frame, Frame::Credit(credit) if credit.acked >= end).then_some(())
    };
    wire.say(open("app", true));
    let (mut epoch, mut sent, mut stale) = (1, 0, 0);
    for (round, piece) in text.chunks(PIECE).enumerate() {
        wire.say(data(sent, piece));
        sent += piece.len() as u64;
        wire.until("an acknowledgement", |frame| acked(frame, sent));
        let entry = ResumeStream { sent, ..entry() };
        let begin = |epoch| Wire::begin(address, resume(&known, epoch, list(entry, 1, 0)));
        let (low, high) = (begin(epoch + 1), begin(epoch + 2));
        epoch += 2;
        let (low, high) = match round % 3 {
            0 => {
                let low = low.finish();
                (low, high.finish())
            }
            1 => {
                let high = high.finish();
                (low.finish(), high)
            }
            _ => std::thread::scope(|scope| {
                let low = scope.spawn(|| low.finish());
                let high = high.finish();
                (low.join().expect("no panic"), high)
            }),
        };
        match low {
            // It came first, and is fenced now: nothing of it counts any more.
            Ok((mut old, _)) => {
                assert_ne!(round % 3, 1, "the lower epoch came second");
                old.say(data(sent, b"from an old link"));
                while old.hear().is_some() {}
            }
            Err(HandshakeError::Refused(refuse)) => {
                assert_eq!(refuse.code, RefuseCode::STALE, "{refuse:?}");
                assert_eq!(refuse.epoch, epoch);
                stale += 1;
            }
            // Fenced between its proof and the answer to it.
            Err(HandshakeError::Protocol(_)) if round % 3 == 2 => {}
            Err(error) => panic!("round {round}: {error}"),
        }
        (wire, known) = high.expect("the higher epoch");
    }
    wire.say(Frame::Fin(Fin { stream: first(), final_offset: sent, digest: DIGEST }));
    wire.until("the last acknowledgement", |frame| acked(frame, sent + 1));
    wire.say(close(false));
    while wire.hear().is_some() {}
    stale
}

/// R09: somebody knows the session's id and tries proofs: made up, and recorded from its own
/// links. The live session notices nothing.
pub fn takeover() -> Outcome {
    let seed = seed();
    let tries = long_or(20_000, 300);
    let stage = Stage::new(seed, &[]);
    let line = [&["--events=s.ndjson", "--stdin=app"], &BEATS[..]].concat();
    let mut sender = Sender::start(stage.env.send(&stage.relay.address(), &line).pipe());
    let source = Steady::start(sender.process.take_stdin(), seed);
    stage.part_written("app", 100_000);
    stage.relay.cut(Cut::Fin);
    sender.process.say("resumed after");
    let recorded = eventually("the handshake of the second link", || {
        stage.relay.heads().first().filter(|[up, _]| up.len() >= 600).map(|[up, _]| up.clone())
    });
    let id = stage.events("session_opened")[0]["id"].as_str().expect("an id").to_owned();
    let id: Vec<u8> = (0..16)
        .map(|at| u8::from_str_radix(&id[2 * at..2 * at + 2], 16).expect("hexadecimal"))
        .collect();
    let session: [u8; 16] = id.try_into().expect("16 bytes");
    let mut chance = fastrand::Rng::with_seed(seed);
    for round in 0..tries {
        let refused = if round % 3 == 0 {
            replay(&stage.address, &recorded)
        } else {
            let mut secret = [0; 32];
            chance.fill(&mut secret);
            let (secret, epoch) = (Secret::new(secret), chance.u64(1..1 << 60));
            let parts = list(entry(), 1, 0);
            let guess = Purpose::Resume { session, secret, epoch, parts };
            match Wire::dial(&stage.address, guess) {
                Err(HandshakeError::Refused(refuse)) => Some(refuse.code),
                other => panic!("a guess was answered by {:?}", other.map(|(_, link)| link)),
            }
        };
        assert_eq!(refused, Some(RefuseCode::UNKNOWN), "try {round}");
    }
    assert_eq!(stage.events("session_resumed").len(), 1, "only its own");
    let content = source.end();
    let sent = sender.receipt();
    assert!(sent.ended.stderr.contains("reconnects 1 "), "{}", sent.ended.stderr);
    assert_file(&stage.env.out("app"), &content);
    let held = stage.finish(1, &[sent]);
    Outcome::Passed(format!("{tries} tries refused, 0 links lost, {held}"))
}

/// Says what somebody said before, and returns the code of the refusal.
fn replay(address: &str, recorded: &[u8]) -> Option<RefuseCode> {
    let mut wire = Wire::raw(address);
    wire.write(recorded);
    wire.skip(16);
    loop {
        if let Frame::Refuse(refuse) = wire.hear()? {
            return Some(refuse.code);
        }
    }
}

/// A sender of [`SIZE`] bytes whose first link ended after all of them, and the end, had arrived
/// and `acked` of them were acknowledged.
fn heard(acked: u64) -> Heard {
    let env = Env::new();
    let mut host = Host::new();
    let content = random(4, SIZE as usize);
    env.write("in", &content);
    let sender = Sender::start(env.send(&host.address(), &["--file=app=in", "--codecs=none"]));
    let (mut wire, _) = host.accept(Vec::new);
    let mut found = Vec::new();
    wire.until("FIN", |frame| match frame {
        Frame::Data(data) => {
            assert_eq!(data.offset, found.len() as u64);
            found.extend_from_slice(&data.payload);
            None
        }
        Frame::Fin(fin) => {
            assert_eq!(fin.final_offset, SIZE);
            Some(())
        }
        _ => None,
    });
    assert!(found == content, "the bytes of the source");
    if acked > 0 {
        let limit = acked + (256 << 10);
        wire.say(Frame::Credit(Credit { stream: first(), acked, limit }));
        // Answered after the credit was seen.
        wire.say(Frame::Ping(p2_frame::Ping { id: 1, time: 1 }));
        wire.until("PONG", |frame| matches!(frame, Frame::Pong(_)).then_some(()));
    }
    drop(wire);
    Heard { host, sender, _env: env }
}

/// What an honest receiver says of the stream of [`heard`] when it had read nothing of it.
fn over() -> ResumeStream {
    ResumeStream { received: SIZE, limit: SIZE + (256 << 10), recv_end: true, ..entry() }
}

fn close(ack: bool) -> Frame {
    let (code, reason, ext) = (ErrorCode::NO_ERROR, String::new(), Vec::new());
    Frame::Close(Close { code, reason, ack, ext })
}

fn list_of(stream: ResumeStream) -> Vec<p2_frame::Resume> {
    list(stream, 0, 1)
}

/// The sender's end after a list that contradicts what it knows.
fn refused(host: &mut Host, sender: Sender, lie: ResumeStream) -> Ended {
    let (mut wire, _) = host.accept(|| list_of(lie));
    while wire.hear().is_some() {}
    let sent = sender.end();
    assert_eq!(sent.ended.code, Some(3), "{}", sent.ended.stderr);
    sent.ended.says(&["error: ", "the peer claims", "not acknowledged: app from offset "])
}

/// What the receiver says of a session whose sender lies about its stream.
fn contradicted(lie: ResumeStream, words: &str) -> String {
    let mut stage = Stage::new(1, &[]);
    let open_it = Purpose::Open { token: None };
    let (mut wire, known) = Wire::dial(&stage.address, open_it).expect("a session");
    wire.say(open("app", false));
    wire.say(data(0, TEXT[0]));
    wire.until("an acknowledgement", |frame| {
        matches!(frame, Frame::Credit(credit) if credit.acked == 13).then_some(())
    });
    drop(wire);
    match Wire::dial(&stage.address, resume(&known, 2, list(lie, 1, 0))) {
        Err(HandshakeError::Refused(refuse)) => {
            assert_eq!(refuse.code, RefuseCode::PROTOCOL, "{refuse:?}");
        }
        other => panic!("the lie was answered by {:?}", other.map(|(_, link)| link)),
    }
    stage.settled(1);
    let ended = &stage.events("session_ended")[0];
    assert_eq!(ended["ok"], false);
    let why = ended["reason"].as_str().expect("a reason").to_owned();
    assert!(why.contains(words), "{why}");
    assert_file(&stage.env.out("app"), TEXT[0]);
    stage.close(ROOM);
    why
}

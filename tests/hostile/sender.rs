//! The same from the other end: a sender that has dialled somebody who keeps no rules.

use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use p2_frame::{
    CodecId, Credit, ErrorCode, Frame, GoAway, PeerLimits, Ping, Receipt, Role, Stop, StreamId,
};
use p2_mux::handshake::Local;

use crate::bombs;
use crate::raw::{self, Raw, coded, encoded, header, listen, open, stream};
use crate::siege::{MEMORY, cpu, mib};
use crate::support::table::Outcome;
use crate::support::{Env, Process, eventually, log, peak_memory, random};

/// A sender, and how often it has dialled.
struct Caller {
    _env: Env,
    sender: Process,
    dialled: Arc<AtomicU64>,
    began: Instant,
}

/// A sender of `bytes` and what meets each of its links; the first has number 0.
fn caller(
    bytes: &[u8],
    arguments: &[&str],
    meet: impl Fn(u64, TcpStream) + Send + Sync + 'static,
) -> Caller {
    let (listener, address) = listen();
    let dialled = Arc::new(AtomicU64::new(0));
    let (count, meet) = (Arc::clone(&dialled), Arc::new(meet));
    thread::spawn(move || {
        for socket in listener.incoming().flatten() {
            let (number, meet) = (count.fetch_add(1, Ordering::SeqCst), Arc::clone(&meet));
            thread::spawn(move || meet(number, socket));
        }
    });
    let env = Env::new();
    env.write("in", bytes);
    let line = [&["send", &address, "--session=s", "--file=in"], arguments].concat();
    let sender = env.p2(&line).start();
    Caller { _env: env, sender, dialled, began: Instant::now() }
}

impl Caller {
    /// Judges what holds for every sender, and says the figures.
    fn judge(&mut self, most_dialled: u64) -> String {
        let lasted = self.began.elapsed();
        let (peak, spent) = match self.sender.poll() {
            true => (0, 0.0),
            false => (peak_memory(self.sender.id()), cpu(&self.sender)),
        };
        let dialled = self.dialled.load(Ordering::SeqCst);
        let said = self.sender.stderr();
        let lines = said.lines().count();
        let figures = format!(
            "{} peak, {lines} lines, dialled {dialled} times in {lasted:.1?}, cpu {spent:.2} s",
            mib(peak)
        );
        let allowed = 60 + 20 * lasted.as_secs() as usize;
        assert!(peak <= MEMORY, "{figures}");
        assert!(lines <= allowed, "{allowed} lines are allowed: {figures}");
        assert!(dialled <= most_dialled, "{figures}");
        let raw = |c: char| c.is_control() && c != '\n';
        assert!(!said.contains(raw), "raw characters on stderr");
        figures
    }
}

fn theirs(index: u64) -> StreamId {
    StreamId::new(Role::Server, index).expect("in range")
}

/// Keeps a link open without a word, until the other end goes.
fn linger(raw: &Raw) {
    raw.hung_up(Duration::from_secs(60));
}

pub fn streams_opened_at_a_sender() -> Outcome {
    // It takes none. They may not fill its memory all the same.
    let noughts = bombs::gzip(&vec![0; 64 << 10]);
    let mut caller = caller(&log(1, 1 << 20), &[], move |_, socket| {
        let Ok(mut raw) = Raw::welcome(socket, raw::local("")) else { return };
        raw.ignore();
        for n in 0..1000 {
            if raw.send(&[open(theirs(n), "gift")]).is_err() {
                return;
            }
        }
        for turn in 0..4 {
            for n in 0..1000 {
                let at = turn * (64 << 10);
                if raw.send(&[coded(theirs(n), at, CodecId::GZIP, 64 << 10, &noughts)]).is_err() {
                    return;
                }
            }
        }
        linger(&raw);
    });
    thread::sleep(Duration::from_secs(3));
    Outcome::Passed(caller.judge(20))
}

pub fn nothing_acknowledged() -> Outcome {
    // All the credit there is, and never an acknowledgement, with a source of any speed.
    let mut caller = caller(&random(1, 200 << 20), &[], |_, socket| {
        let limits = PeerLimits { max_frame: 64 << 10, initial_window: 1 << 62, max_streams: 1024 };
        let local = Local { limits, ..raw::local("") };
        let Ok(raw) = Raw::welcome(socket, local) else { return };
        let mut raw = raw;
        let mut read = 0;
        while let Some(frame) = raw.frame() {
            if let Frame::Data(data) = frame {
                read += u64::from(data.raw_len);
                let _ = raw.send(&[Frame::Receipt(Receipt { received: read.min(1) })]);
            }
        }
    });
    thread::sleep(Duration::from_secs(3));
    Outcome::Passed(caller.judge(2))
}

pub fn never_any_credit() -> Outcome {
    let mut caller = caller(&random(1, 200 << 20), &["--gen=load=streams=50"], |_, socket| {
        let limits = PeerLimits { max_frame: 1024, initial_window: 0, max_streams: 1024 };
        let local = Local { limits, ..raw::local("") };
        let Ok(raw) = Raw::welcome(socket, local) else { return };
        raw.ignore();
        linger(&raw);
    });
    thread::sleep(Duration::from_secs(3));
    Outcome::Passed(caller.judge(2))
}

pub fn credit_for_a_sender() -> Outcome {
    // Each link tells another lie; the sender names it, and tries again with growing pauses.
    let reasons =
        ["bytes that were not sent", "a frame is damaged", "more bytes received than were sent"];
    for (reason, which) in reasons.into_iter().zip(0..) {
        let mut caller = caller(&log(1, 1 << 20), &[], move |_, socket| {
            let Ok(mut raw) = Raw::welcome(socket, raw::local("")) else { return };
            // Its first stream is there before anything is said of it.
            while !matches!(raw.frame(), Some(Frame::Data(_)) | None) {}
            let credit = |acked, limit| Frame::Credit(Credit { stream: stream(0), acked, limit });
            let lie = match which {
                0 => encoded(&[credit(1 << 40, 1 << 40)]),
                1 => header(9, 0, 0, 16, 0, &[255; 16]),
                _ => encoded(&[Frame::Receipt(Receipt { received: 1 << 40 })]),
            };
            let _ = raw.write(&lie);
            linger(&raw);
        });
        let said = caller.sender.say("link lost: ");
        assert!(said.contains(reason), "{reason:?} is not in {said}");
        caller.judge(20);
    }
    Outcome::Passed(format!("{} lies, each named", reasons.len()))
}

pub fn goaways_at_a_sender() -> Outcome {
    let mut caller = caller(&log(1, 1 << 20), &[], |_, socket| {
        let Ok(mut raw) = Raw::welcome(socket, raw::local("")) else { return };
        raw.ignore();
        let reason = "\u{1b}[2Jgo".repeat(20);
        let (code, last_stream, deadline_ms) = (ErrorCode::NO_ERROR, 0, u64::MAX);
        let goaway = GoAway { code, last_stream, deadline_ms, reason, ext: Vec::new() };
        let block = encoded(&vec![Frame::GoAway(goaway); 1000]);
        while raw.write(&block).is_ok() {
            thread::sleep(Duration::from_millis(2));
        }
    });
    thread::sleep(Duration::from_secs(3));
    Outcome::Passed(caller.judge(20))
}

pub fn always_stale() -> Outcome {
    // The first link is fine and dies; after it, somebody always was faster.
    let mut caller = caller(&log(1, 1 << 20), &[], |number, socket| {
        if number == 0 {
            let Ok(mut raw) = Raw::welcome(socket, raw::local("")) else { return };
            let _ = raw.frame();
        } else {
            let _ = Raw::turn_away_as_stale(socket, number * 1000);
        }
    });
    thread::sleep(Duration::from_secs(3));
    Outcome::Passed(caller.judge(30))
}

pub fn smallest_frames_wanted() -> Outcome {
    // The least that a HELLO may ask for: less is refused, for a frame of one byte is 29 on the wire.
    let counts = Arc::new((AtomicU64::new(0), AtomicU64::new(0)));
    let seen = Arc::clone(&counts);
    let mut caller = caller(&log(1, 4 << 20), &[], move |_, socket| {
        let mut local = raw::local("");
        local.codecs.iter_mut().for_each(|offer| offer.max_raw = 1024);
        let Ok(mut raw) = Raw::welcome(socket, local) else { return };
        while let Some(frame) = raw.frame() {
            if let Frame::Data(data) = frame {
                seen.0.fetch_add(1, Ordering::SeqCst);
                seen.1.fetch_add(u64::from(data.raw_len), Ordering::SeqCst);
            }
        }
    });
    thread::sleep(Duration::from_secs(3));
    let figures = caller.judge(20);
    let (frames, bytes) = (counts.0.load(Ordering::SeqCst), counts.1.load(Ordering::SeqCst));
    let figures = format!("{bytes} bytes in {frames} frames, {figures}");
    assert!(frames > 0 && bytes >= frames * 500, "{figures}");
    Outcome::Passed(figures)
}

pub fn lengths_at_a_sender() -> Outcome {
    let mut caller =
        caller(&log(1, 1 << 20), &["--retry-min=20ms", "--retry-max=50ms"], |n, socket| {
            let Ok(mut raw) = Raw::welcome(socket, raw::local("")) else { return };
            let _ = raw.write(&header((n % 18) as u8, 0, 0, u32::MAX, 0, &[]));
            linger(&raw);
        });
    caller.sender.say("link lost: a frame is damaged");
    thread::sleep(Duration::from_secs(2));
    Outcome::Passed(caller.judge(200))
}

pub fn bombs_and_pings_at_a_sender() -> Outcome {
    // A sender takes no streams: what would be a bomb comes to nothing before it is decoded.
    for (what, reason) in [(0, "a limit: PING frames"), (1, "streams open at once (at most 0)")] {
        let mut caller = caller(&log(1, 1 << 20), &[], move |_, socket| {
            let Ok(mut raw) = Raw::welcome(socket, raw::local("")) else { return };
            if what == 0 {
                let pings: Vec<Frame> =
                    (0..1000).map(|id| Frame::Ping(Ping { id, time: 0 })).collect();
                let _ = raw.send(&pings);
            } else {
                let zeros = bombs::gzip(&vec![0; 10 << 20]);
                let bomb = coded(theirs(0), 0, CodecId::GZIP, 64 << 10, &zeros);
                let _ = raw.send(&[open(theirs(0), "gift"), bomb]);
            }
            linger(&raw);
        });
        let said = caller.sender.say("link lost: ");
        assert!(said.contains(reason), "{reason:?} is not in {said}");
        caller.judge(20);
    }
    Outcome::Passed("both named".to_owned())
}

pub fn links_that_die_at_once() -> Outcome {
    // Each handshake is fine, and the link is gone after it.
    let mut caller = caller(&log(1, 1 << 20), &[], |number, socket| {
        if number == 0 {
            drop(Raw::welcome(socket, raw::local("")));
        }
    });
    thread::sleep(Duration::from_secs(3));
    Outcome::Passed(caller.judge(30))
}

pub fn noise_without_end_at_a_sender() -> Outcome {
    // A port that talks and talks, before and after what could be a preface.
    for start in [&b""[..], b"\x89P2\r\n\0\xff\n\x01\x01\0\0\0\0\0\0"] {
        let mut caller = caller(&log(1, 1 << 20), &["--retry-limit=2"], move |_, mut socket| {
            use std::io::Write;
            let _ = socket.write_all(start);
            let noise = random(3, 64 << 10);
            while socket.write_all(&noise).is_ok() {}
        });
        eventually("it gives up", || caller.sender.poll().then_some(()));
        let ended = caller.sender.wait();
        assert!(ended.code.is_some_and(|code| code != 0), "{}", ended.stderr);
        assert!(ended.stderr.len() < 4096, "{} bytes", ended.stderr.len());
    }
    Outcome::Passed("given up, both times".to_owned())
}

pub fn every_stream_stopped() -> Outcome {
    let mut caller = caller(&log(1, 1 << 20), &["--file=b=in", "--file=c=in"], |_, socket| {
        let Ok(mut raw) = Raw::welcome(socket, raw::local("")) else { return };
        while let Some(frame) = raw.frame() {
            if let Frame::Open(open) = frame {
                let stop = Stop { stream: open.stream, code: ErrorCode::new(4_000_000_000) };
                let _ = raw.send(&vec![Frame::Stop(stop); 1000]);
            }
        }
    });
    let said = caller.sender.say("4000000000");
    assert!(said.lines().count() < 60, "{said}");
    Outcome::Passed(caller.judge(20))
}

//! Links that prove nothing: slow ones, guesses, replays, other protocols, and far too many.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use p2_mux::handshake::{ClientHandshake, Purpose, Secret};

use crate::raw::{self, Raw, Ticket, header};
use crate::siege::{Siege, open_descriptors};
use crate::support::table::Outcome;
use crate::support::{eventually, long_or, random};

/// A client's preface and HELLO, as honest ones are.
fn greeting() -> Vec<u8> {
    let open = Purpose::Open { token: None };
    let mut handshake = ClientHandshake::new(raw::local("slow"), open).expect("within limits");
    handshake.output().to_vec()
}

pub fn slow_handshakes() -> Outcome {
    // A thousand of them, each with a byte a second; whoever was hung up on comes again.
    let greeting = greeting();
    let siege = Siege::new(&[]);
    let id = siege.receiver.id();
    let most = Mutex::new(0);
    let held: Mutex<Vec<TcpStream>> = Mutex::default();
    let outcome = siege.tolerated().run(&["too many handshakes at once"], |target| {
        let mut held = held.lock().expect("nobody panicked");
        let missing = held.len()..1000;
        held.extend(missing.filter_map(|_| target.dial()));
        for byte in &greeting {
            let mut sent = 0;
            held.retain(|mut socket| {
                let fine = socket.write_all(&[*byte]).is_ok() && !is_closed(socket);
                sent += u64::from(fine);
                fine
            });
            let mut most = most.lock().expect("nobody panicked");
            *most = (*most).max(descriptors(id));
            if target.is_over() {
                return sent;
            }
            thread::sleep(long_or(Duration::from_secs(1), Duration::from_millis(50)));
        }
        greeting.len() as u64
    });
    let most = most.into_inner().expect("nobody panicked");
    more(outcome, &format!("{most} descriptors at most"))
}

fn is_closed(socket: &TcpStream) -> bool {
    let _ = socket.set_nonblocking(true);
    let mut byte = [0; 64];
    let mut reader = socket;
    let closed = match reader.read(&mut byte) {
        Ok(read) => read == 0,
        Err(error) => error.kind() != std::io::ErrorKind::WouldBlock,
    };
    let _ = socket.set_nonblocking(false);
    closed
}

fn descriptors(id: u32) -> usize {
    std::fs::read_dir(format!("/proc/{id}/fd")).map_or(0, Iterator::count)
}

fn more(outcome: Outcome, figure: &str) -> Outcome {
    match outcome {
        Outcome::Passed(figures) => Outcome::Passed(format!("{figures}, {figure}")),
        skipped @ Outcome::Skipped(_) => skipped,
    }
}

pub fn connections_without_a_word() -> Outcome {
    // As fast as they can be made. Whoever is honest comes through between them.
    let held: Mutex<VecDeque<TcpStream>> = Mutex::default();
    let outcome = Siege::new(&[]).tolerated().run(&["too many handshakes at once"], |target| {
        let mut held = held.lock().expect("nobody panicked");
        for _ in 0..200 {
            held.extend(target.dial());
            if held.len() > 2000 {
                held.pop_front();
            }
        }
        0
    });
    drop(held);
    outcome
}

pub fn other_protocols_that_stay() -> Outcome {
    // Each is turned away; none hangs up, and so none may be waited for in any number.
    let noise = random(2, 1_000);
    let words: [&[u8]; 7] = [
        b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x89P2\r\n\0\xff\n\x01\x01\0\0\0\0\0\0\x05\0\0\0\xff\xff\xff\xff\0\0\0\0\0\0\0\0",
        b"\x89P2\r\n\0\xff\n\x07\x09\0\0\0\0\0\0",
        b"\x89P2\n\0\xff\n\x01\x01\0\0\0\0\0\0\0",
        &noise,
    ];
    let held: Mutex<VecDeque<TcpStream>> = Mutex::default();
    let outcome = Siege::new(&["--events=events"]).tolerated().run(
        &["HTTP", "SSH", "TLS", "! refused a link from"],
        |target| {
            let mut held = held.lock().expect("nobody panicked");
            let mut sent = 0;
            for word in words.iter().cycle().take(1500) {
                let Some(mut socket) = target.dial() else { continue };
                if socket.write_all(word).is_ok() {
                    sent += word.len() as u64;
                }
                held.push_back(socket);
                if held.len() > 3000 {
                    held.pop_front();
                }
            }
            sent
        },
    );
    drop(held);
    outcome
}

pub fn resume_guesses() -> Outcome {
    // Somebody knows a session's id, and guesses at its secret.
    let siege = Siege::new(&[]);
    let owner = Raw::open(&siege.address, "owner").expect("room");
    let session = owner.ticket.session;
    let guesses = std::sync::atomic::AtomicU64::new(0);
    let each = long_or(250_000, 250);
    let began = Instant::now();
    let outcome = siege.settled().tolerated().run(&["secret of this session"], |target| {
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..each {
                        let mut secret = [0; 32];
                        fastrand::fill(&mut secret);
                        let guess = Ticket { session, secret: Secret::new(secret), epoch: 1 };
                        let answer = Raw::resume(target.address, &guess, 2, Vec::new());
                        assert!(answer.is_err(), "a guess was right");
                        guesses.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    }
                });
            }
        });
        0
    });
    drop(owner);
    let guesses = guesses.into_inner();
    let rate = guesses as f64 / began.elapsed().as_secs_f64();
    more(outcome, &format!("{guesses} guesses, {rate:.0}/s"))
}

pub fn replayed_handshakes() -> Outcome {
    Siege::new(&[]).tolerated().run(&["refused a link from"], |target| {
        let Some(mut honest) = target.open() else { return 0 };
        let said = honest.said.clone();
        let mut sent = 0;
        for _ in 0..20 {
            let Some(mut socket) = target.dial() else { continue };
            let _ = socket.write_all(&said);
            sent += said.len() as u64;
            let mut answer = Vec::new();
            let _ = socket.read_to_end(&mut answer);
            // REFUSE in place of PROOF: a frame of type 17, with code 4, DENIED.
            let refused = answer.windows(8).any(|bytes| bytes[0] == 17 && bytes[1..4] == [0; 3]);
            assert!(refused, "{answer:02x?}");
        }
        // Its own session has noticed nothing.
        let ping = p2_frame::Frame::Ping(p2_frame::Ping { id: 5, time: 6 });
        honest.send(&[ping]).expect("the link lives");
        let pong = p2_frame::Frame::Pong(p2_frame::Pong { id: 5, time: 6 });
        while honest.frame().expect("the link lives") != pong {}
        honest.close();
        sent
    })
}

pub fn takeovers_with_a_wrong_proof() -> Outcome {
    // A wrong secret, an old epoch, and the proof of an earlier link sent again.
    Siege::new(&[]).tolerated().run(&["refused a link from"], |target| {
        let Some(first) = target.open() else { return 0 };
        let ticket = first.ticket.clone();
        let part = crate::sessions::empty_list(0, 0);
        let again = Raw::resume(target.address, &ticket, 2, vec![part.clone()]);
        let Ok(mut live) = again else { return 0 };
        let mut sent = 0;
        for n in 0..10_u64 {
            let wrong = Ticket { secret: Secret::new([n as u8; 32]), ..ticket.clone() };
            assert!(Raw::resume(target.address, &wrong, 1000, vec![part.clone()]).is_err());
            assert!(Raw::resume(target.address, &ticket, n % 3, vec![part.clone()]).is_err());
            if let Some(mut socket) = target.dial() {
                let _ = socket.write_all(&live.said);
                let _ = socket.read_to_end(&mut Vec::new());
                sent += live.said.len() as u64;
            }
        }
        let ping = p2_frame::Frame::Ping(p2_frame::Ping { id: 5, time: 6 });
        live.send(&[ping]).expect("the live link noticed nothing");
        let pong = p2_frame::Frame::Pong(p2_frame::Pong { id: 5, time: 6 });
        while live.frame().expect("the live link noticed nothing") != pong {}
        live.close();
        sent
    })
}

pub fn handshakes_that_lie() -> Outcome {
    // Lengths, junk without end, frames out of order, and 16 KiB before the proof.
    let preface = b"\x89P2\r\n\0\xff\n\x01\x01\0\0\0\0\0\0".to_vec();
    let greeting = greeting();
    let with = |rest: &[u8]| [&preface[..], rest].concat();
    let mut words: Vec<Vec<u8>> =
        (0..=18).map(|kind| with(&header(kind, 0, 0, u32::MAX, 0, &[0; 64]))).collect();
    words.extend((0..=18).map(|kind| with(&header(kind, 0, 0, 4, 0, &[0; 64]))));
    words.push(with(&header(1, 0, 0, 4096, 0, &[255; 4096])));
    words.push([&greeting[..], &greeting[16..]].concat());
    words.push([&greeting[..], &header(2, 0, 0, 4000, 0, &[0; 4000])].concat());
    words.push([&greeting[..], &vec![0; 1 << 20]].concat());
    words.push(vec![b'x'; 1 << 20]);
    Siege::new(&[]).tolerated().run(&["malformed handshake"], |target| {
        let mut sent = 0;
        for word in &words {
            let Some(mut socket) = target.dial() else { continue };
            if socket.write_all(word).is_ok() {
                sent += word.len() as u64;
            }
            let _ = socket.shutdown(std::net::Shutdown::Write);
            let _ = socket.read_to_end(&mut Vec::new());
        }
        sent
    })
}

pub fn a_handshake_that_stops() -> Outcome {
    // Ten seconds are all that a stranger gets, whichever byte it stops after.
    let mut siege = Siege::beside(&[]);
    let greeting = greeting();
    let before = open_descriptors(&siege.receiver);
    let began = Instant::now();
    let held: Vec<TcpStream> = (0..greeting.len().min(60))
        .filter_map(|cut| {
            let mut socket = raw::dial(&siege.address).ok()?;
            socket.write_all(&greeting[..cut]).ok()?;
            Some(socket)
        })
        .collect();
    siege.receiver.say("no handshake within 10 s");
    eventually("they are gone", || (open_descriptors(&siege.receiver) <= before).then_some(()));
    let lasted = began.elapsed();
    assert!(lasted < Duration::from_secs(20), "{lasted:?}");
    drop(held);
    Outcome::Passed(format!("60 strangers gone after {lasted:.1?}"))
}

pub fn a_frame_that_stops() -> Outcome {
    // Half a frame, and then only what keeps a heartbeat content would be needed: nothing comes.
    let mut siege = Siege::beside(&["--heartbeat-timeout=90s"]);
    let mut raw = Raw::open(&siege.address, "evil").expect("room");
    raw.ignore();
    let half = raw::encoded(&[raw::open(raw::stream(0), "x"), raw::data(raw::stream(0), 0, "xyz")]);
    raw.write(&half[..half.len() - 1]).expect("it listens");
    let began = Instant::now();
    siege.receiver.say("link lost: nothing could be read for 30 s");
    let lasted = began.elapsed();
    assert!((25.0..50.0).contains(&lasted.as_secs_f64()), "{lasted:?}");
    Outcome::Passed(format!("closed after {lasted:.1?}"))
}

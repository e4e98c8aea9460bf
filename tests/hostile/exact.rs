//! Limits to the last one: as many as are allowed pass, and one more does not.

use std::io::Read;
use std::net::TcpStream;
use std::time::Duration;

use p2_frame::{ErrorCode, Frame, Open, Ping, Pong, Reset, StreamId};

use crate::raw::{self, Raw, data, encoded, header, open, stream};
use crate::sessions::empty_list;
use crate::siege::Siege;
use crate::support::eventually;
use crate::support::table::Outcome;

/// Whether the link still answers. The PING counts against its own limit.
fn lives(raw: &mut Raw) -> bool {
    let (id, time) = (u64::MAX, 7);
    if raw.send(&[Frame::Ping(Ping { id, time })]).is_err() {
        return false;
    }
    loop {
        match raw.frame() {
            Some(frame) if frame == Frame::Pong(Pong { id, time }) => return true,
            Some(_) => {}
            None => return false,
        }
    }
}

/// `most` passes on a link of its own; `more` ends one, for this reason.
fn at(siege: &Siege, words: &str, most: &[u8], more: &[u8]) {
    let (receiver, address) = (&siege.receiver, &siege.address);
    let mut fine = Raw::open_patiently(address, "exact");
    fine.write(most).expect("it listens");
    assert!(lives(&mut fine), "{words}: the limit itself was refused: {}", receiver.stderr());
    fine.close();
    let mut over = Raw::open_patiently(address, "exact");
    // Its watch has begun before the link ends.
    assert!(lives(&mut over));
    std::thread::sleep(Duration::from_millis(50));
    let _ = over.write(more);
    assert!(over.hung_up(Duration::from_secs(10)), "{words}: one more passed");
    // In the events, which have every line: on stderr a thousand streams that ended may be before it.
    eventually(&format!("{words:?} among the events"), || {
        let events = std::fs::read_to_string(siege.env.path("events")).ok()?;
        let down = |line: &&str| line.contains("\"link_down\"") && line.contains(words);
        events.lines().find(down).map(|_| ())
    });
}

fn described(name: usize, metadata: usize, entries: usize) -> Frame {
    let each = metadata / entries.max(1);
    let mut list = vec![(String::new(), "v".repeat(each)); entries];
    if let Some((key, _)) = list.first_mut() {
        *key = "k".repeat(metadata - each * entries);
    }
    Frame::Open(Open {
        stream: stream(0),
        label: 1,
        name: "n".repeat(name),
        priority: 4,
        unidirectional: true,
        metadata: list,
        ext: Vec::new(),
    })
}

/// An OPEN whose name has 256 bytes: no encoder of ours makes one.
fn longer_name() -> Vec<u8> {
    let mut body = vec![1, 0xfb, 0, 1];
    body.extend_from_slice(&[b'n'; 256]);
    body.extend_from_slice(&[2, 1, 0, 0]);
    header(4, 0, 0, 264, 0, &body)
}

/// An OPEN whose metadata has 1,025 bytes.
fn longer_metadata() -> Vec<u8> {
    let mut body = vec![1, 1, b'x', 2, 1, 1, 1, b'k', 0xfb, 0, 4];
    body.extend_from_slice(&[b'v'; 1024]);
    body.push(0);
    header(4, 0, 0, u32::try_from(body.len()).expect("short"), 0, &body)
}

pub fn frames() -> Outcome {
    let siege = Siege::beside(&["--events=events"]);
    let id = stream(0);
    let opens = |n| encoded(&(0..n).map(|n| open(stream(n), "x")).collect::<Vec<_>>());
    let pings =
        |n| encoded(&(0..n).map(|id| Frame::Ping(Ping { id, time: 0 })).collect::<Vec<_>>());
    let resets = |n: u64| {
        let pair = |n| {
            let (stream, code) = (StreamId::from_wire(n * 2).expect("small"), ErrorCode::CANCELLED);
            [open(stream, "x"), Frame::Reset(Reset { stream, code, final_offset: 0 })]
        };
        encoded(&(0..n).flat_map(pair).collect::<Vec<_>>())
    };
    let empty = |n: usize| {
        let mut all = vec![open(id, "x")];
        all.extend(vec![data(id, 0, ""); n]);
        encoded(&all)
    };
    let window = |more: &[u8]| {
        let mut all = vec![open(id, "x")];
        all.extend((0..4_u64).map(|n| data(id, n << 16, vec![1; 1 << 16])));
        let mut all = encoded(&all);
        all.extend_from_slice(more);
        all
    };
    let skipped = |n: u32| header(0x70, 0x40, 0, n, 0, &vec![0; n as usize]);
    let raw_len = |n: u32| {
        let mut body = 0_u64.to_le_bytes().to_vec();
        body.extend_from_slice(&n.to_le_bytes());
        body.extend_from_slice(&vec![0; n as usize]);
        [encoded(&[open(id, "x")]), header(5, 0, 0, n, 0, &body)].concat()
    };
    let cases: Vec<(&str, Vec<u8>, Vec<u8>)> = vec![
        ("streams open at once (at most 1024)", opens(1024), opens(1025)),
        // One of a hundred is the question whether the link lives, one more asks before.
        ("PING frames (at most 100)", pings(99), pings(130)),
        ("resets in 10 s (at most 1000)", resets(990), resets(1400)),
        ("empty DATA frames in a row (at most 100)", empty(100), empty(101)),
        (
            "beyond the granted credit",
            window(&[]),
            encoded(&[open(id, "x"), data(id, (256 << 10) - 1, "xy")]),
        ),
        ("4097", skipped(4096), skipped(4097)),
        ("65537", raw_len(65_536), raw_len(65_537)),
        ("256", encoded(&[described(255, 0, 0)]), longer_name()),
        ("1025", encoded(&[described(1, 1024, 32)]), longer_metadata()),
    ];
    for (words, most, more) in &cases {
        at(&siege, words, most, more);
    }
    Outcome::Passed(format!("{} limits", cases.len()))
}

pub fn sessions() -> Outcome {
    // Takeovers: ten in a minute.
    let siege = Siege::beside(&[]);
    let first = Raw::open_patiently(&siege.address, "exact");
    let ticket = first.ticket.clone();
    let mut links = vec![first];
    for epoch in 2..=11 {
        let next = Raw::resume(&siege.address, &ticket, epoch, vec![empty_list(0, 0)]);
        links.push(next.unwrap_or_else(|error| panic!("takeover {}: {error:?}", epoch - 1)));
    }
    let eleventh = Raw::resume(&siege.address, &ticket, 12, vec![empty_list(0, 0)]);
    let refused = format!("{:?}", eleventh.expect_err("the eleventh has to wait"));
    assert!(refused.contains("too many takeovers"), "{refused}");
    assert!(lives(links.last_mut().expect("the tenth")));
    // Sessions: 128, the one above among them, as long as each has a link.
    let speak = |n: usize| {
        let mut raw = Raw::open_patiently(&siege.address, &format!("e{n}"));
        assert!(lives(&mut raw));
        raw
    };
    let held: Vec<Raw> = (1..128).map(speak).collect();
    let refused = format!("{:?}", Raw::open(&siege.address, "one more").err());
    assert!(refused.contains("too many sessions"), "{refused}");
    drop(held);
    Outcome::Passed("10 takeovers, 128 sessions".to_owned())
}

pub fn strangers() -> Outcome {
    let mut siege = Siege::beside(&[]);
    let mut all: Vec<_> = (0..64).map(|_| raw::dial(&siege.address).expect("room")).collect();
    std::thread::sleep(Duration::from_millis(300));
    let said = siege.receiver.stderr();
    assert!(!said.contains("too many handshakes"), "64 are allowed: {said}");
    all.push(raw::dial(&siege.address).expect("room"));
    siege.receiver.say("too many handshakes at once");
    // One of the oldest: which of two that came together was first, the receiver says.
    std::thread::sleep(Duration::from_millis(300));
    let closed = |mut socket: &TcpStream| {
        socket.set_nonblocking(true).expect("a socket");
        // The preface has come to all of them; then nothing, or the end.
        let mut bytes = [0; 64];
        while let Ok(read) = socket.read(&mut bytes) {
            if read == 0 {
                return true;
            }
        }
        false
    };
    let gone: Vec<usize> = (0..all.len()).filter(|n| closed(&all[*n])).collect();
    assert!(gone.len() == 1 && gone[0] < 32, "{gone:?} of 65 were closed");
    Outcome::Passed("64, and one of the oldest goes for one more".to_owned())
}

//! Proven peers that misuse what a session is: its takeovers, its list, its end.

use p2_frame::{Close, ErrorCode, Frame, Resume, ResumeStream, StreamEnd};

use crate::raw::{Raw, data, open, stream};
use crate::siege::Siege;
use crate::support::long_or;
use crate::support::table::Outcome;

/// The list of a side without streams.
pub fn empty_list(opened: u64, seen: u64) -> Resume {
    Resume {
        streams: Vec::new(),
        local_opened: opened,
        peer_opened: seen,
        last: true,
        ext: Vec::new(),
    }
}

pub fn takeover_storm() -> Outcome {
    // Its own session, from link to link, as fast as links come.
    Siege::new(&[]).tolerated().run(&["too many takeovers"], |target| {
        let Some(first) = target.open() else { return 0 };
        let ticket = first.ticket.clone();
        let mut live = vec![first];
        let mut won = 0;
        for epoch in 2..=40 {
            if let Ok(raw) = Raw::resume(target.address, &ticket, epoch, vec![empty_list(0, 0)]) {
                live.push(raw);
                won += 1;
            }
            if target.is_over() {
                break;
            }
        }
        assert!(won <= 10, "{won} takeovers in a moment");
        if let Some(mut last) = live.pop() {
            last.close();
        }
        0
    })
}

pub fn takeovers_that_move_a_byte() -> Outcome {
    // A takeover counts only against a link that moved nothing: here each moves a byte.
    Siege::new(&[]).tolerated().run(&[], |target| {
        let Some(mut live) = target.open() else { return 0 };
        let ticket = live.ticket.clone();
        let _ = live.send(&[open(stream(0), "x")]);
        for offset in 0..long_or(2000, 100) {
            let _ = live.send(&[data(stream(0), offset, "x")]);
            // Until the byte is acknowledged, it may still be on its way.
            let acked = |frame| match frame {
                Some(Frame::Credit(credit)) => credit.acked > offset,
                None => true,
                _ => false,
            };
            while !acked(live.frame()) {}
            let entry = ResumeStream {
                stream: stream(0),
                received: 0,
                acked: 0,
                limit: 0,
                sent: offset + 1,
                end: StreamEnd::Open,
                stop: false,
                recv_end: false,
            };
            let list = Resume { streams: vec![entry], ..empty_list(1, 0) };
            match Raw::resume(target.address, &ticket, offset + 2, vec![list]) {
                Ok(raw) => live = raw,
                Err(_) => break,
            }
            if target.is_over() {
                break;
            }
        }
        live.close();
        0
    })
}

pub fn links_lost_and_found() -> Outcome {
    // A link lost and resumed is nothing to be limited, but it need not be told each time.
    Siege::new(&[]).tolerated().run(&[], |target| {
        let Some(mut live) = target.open() else { return 0 };
        let ticket = live.ticket.clone();
        let _ = live.send(&[Frame::Pong(p2_frame::Pong { id: 9, time: 9 })]);
        for epoch in 2..long_or(5000, 300) {
            let _ = live.socket.shutdown(std::net::Shutdown::Both);
            match Raw::resume(target.address, &ticket, epoch, vec![empty_list(0, 0)]) {
                Ok(raw) => live = raw,
                Err(_) => break,
            }
            if target.is_over() {
                break;
            }
        }
        live.close();
        0
    })
}

pub fn resume_lists() -> Outcome {
    // Parts without end, lists that contradict, streams listed twice.
    let entry = |n| ResumeStream {
        stream: stream(n),
        received: 0,
        acked: 0,
        limit: 0,
        sent: 0,
        end: StreamEnd::Open,
        stop: false,
        recv_end: false,
    };
    let ext: Vec<(u16, Vec<u8>)> = (0..32).map(|tag| (tag, vec![0; 32])).collect();
    let one = |n, opened| Resume {
        streams: vec![entry(n)],
        last: false,
        ext: ext.clone(),
        ..empty_list(opened, 0)
    };
    let flood: Vec<Resume> = (0..20_000).map(|n| one(n, 1 << 40)).collect();
    let lists: Vec<Vec<Resume>> = vec![
        vec![Resume { last: false, ..empty_list(0, 0) }; 3],
        vec![one(0, 1), Resume { last: true, ..one(0, 1) }],
        vec![one(0, 1), Resume { last: true, ..one(1, 2) }],
        vec![empty_list(0, 5)],
        vec![Resume { streams: vec![entry(7)], ..empty_list(3, 0) }],
        // As many as there may be, and never the last: until the handshake has had its time.
        flood,
    ];
    Siege::new(&[]).tolerated().run(&["RESUME lists more streams", "malformed"], |target| {
        for list in &lists {
            let Some(first) = target.open() else { return 0 };
            let ticket = first.ticket.clone();
            let answer = Raw::resume(target.address, &ticket, 2, list.clone());
            assert!(answer.is_err(), "a list of {} parts was taken", list.len());
        }
        0
    })
}

pub fn sessions_without_end() -> Outcome {
    // A session after the other, each left behind without a word; honest newcomers find room.
    Siege::new(&[]).tolerated().run(&[], |target| {
        for n in 0..200 {
            let Ok(mut raw) = Raw::open(target.address, &format!("evil{n}")) else { continue };
            let _ = raw.send(&[open(stream(0), "x"), data(stream(0), 0, "hello\n")]);
        }
        0
    })
}

pub fn sessions_closed_at_once() -> Outcome {
    Siege::new(&[]).tolerated().run(&[], |target| {
        for n in 0..200 {
            let Ok(mut raw) = Raw::open(target.address, &format!("evil{n}")) else { continue };
            let code = ErrorCode::new(u32::MAX - n);
            let reason = "\u{1b}]0;gone\u{7}\r\n".repeat(10);
            let close = Frame::Close(Close { code, reason, ack: n % 2 == 0, ext: Vec::new() });
            let _ = raw.send(&[close.clone(), open(stream(0), "late"), close]);
        }
        0
    })
}

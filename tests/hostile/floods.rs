//! Frames that are well formed, in numbers that are not.

use std::time::Duration;

use p2_frame::{
    Blocked, CodecId, Credit, ErrorCode, Fin, Frame, Gap, GoAway, Open, Ping, Pong, Receipt, Reset,
};

use crate::bombs;
use crate::raw::{coded, data, encoded, header, open, stream};
use crate::siege::{MEMORY, Siege, Target};
use crate::support::long_or;
use crate::support::table::Outcome;

const NO_DIGEST: u64 = 0x2d06_8005_38d3_94c2;

/// A flood of `count` items on a new link, after `first`, which the receiver must end.
fn flood(target: &Target, count: u64, first: &[Frame], make: impl Fn(u64) -> Vec<Frame>) -> u64 {
    let Some(mut raw) = target.open_deaf() else { return 0 };
    if raw.send(first).is_err() {
        return 0;
    }
    let mut next = 0;
    let sent = target.flood(&mut raw, |block| {
        block.extend_from_slice(&encoded(&make(next)));
        next += 1;
        next < count
    });
    target.expect_close(&raw);
    sent
}

/// The same, where the link may live: it is closed here in the end.
fn storm(target: &Target, count: u64, first: &[Frame], make: impl Fn(u64) -> Vec<Frame>) -> u64 {
    let Some(mut raw) = target.open_deaf() else { return 0 };
    if raw.send(first).is_err() {
        return 0;
    }
    let mut next = 0;
    let sent = target.flood(&mut raw, |block| {
        block.extend_from_slice(&encoded(&make(next)));
        next += 1;
        next < count && !target.is_over()
    });
    raw.close();
    sent
}

pub fn open_and_reset() -> Outcome {
    Siege::new(&[]).run(&["exceeded a limit: resets"], |target| {
        flood(target, 1_000_000, &[], |n| {
            let reset = Reset { stream: stream(n), code: ErrorCode::CANCELLED, final_offset: 0 };
            vec![open(stream(n), "x"), Frame::Reset(reset)]
        })
    })
}

pub fn empty_data() -> Outcome {
    Siege::new(&[]).run(&["exceeded a limit: empty DATA frames in a row"], |target| {
        flood(target, 1_000_000, &[open(stream(0), "x")], |_| vec![data(stream(0), 0, "")])
    })
}

pub fn almost_empty_data() -> Outcome {
    // One byte after each 99 empty frames is no row of a hundred.
    let first = [open(stream(0), "x")];
    Siege::new(&[]).tolerated().run(&[], |target| {
        storm(target, 1_000_000, &first, |n| {
            let bytes = if n % 100 == 99 { "x" } else { "" };
            vec![data(stream(0), n / 100, bytes)]
        })
    })
}

pub fn pings_unread() -> Outcome {
    Siege::new(&[]).run(&["exceeded a limit: PING frames"], |target| {
        let Some(mut raw) = target.open() else { return 0 };
        let mut id = 0;
        let sent = target.flood(&mut raw, |block| {
            block.extend_from_slice(&encoded(&[Frame::Ping(Ping { id, time: 0 })]));
            id += 1;
            id < 1_000_000
        });
        target.expect_close(&raw);
        sent
    })
}

pub fn opens_without_end() -> Outcome {
    Siege::new(&[]).run(&["exceeded a limit: streams open at once (at most 1024)"], |target| {
        flood(target, 100_000, &[], |n| vec![open(stream(n), "x")])
    })
}

pub fn opens_that_are_refused() -> Outcome {
    // A line and a STOP for each may be due, but not at the attacker's speed.
    Siege::new(&["--only=in"])
        .tolerated()
        .run(&[], |target| storm(target, 1_000, &[], |n| vec![open(stream(n), format!("no{n}"))]))
}

pub fn metadata() -> Outcome {
    // Known gap: a session that is gone for good keeps its 1,024 streams, 14 MiB of them, for its ttl.
    let siege = Siege::new(&[]).gap(256 << 20, 0.05, Duration::from_millis(100));
    siege.run(&["streams open at once"], |target| {
        let entry = |n: usize| (format!("{n:016}"), "v".repeat(16));
        let metadata: Vec<_> = (0..32).map(entry).collect();
        let ext: Vec<(u16, Vec<u8>)> = (0..32).map(|tag| (tag, vec![0; 32])).collect();
        flood(target, 100_000, &[], |n| {
            vec![Frame::Open(Open {
                stream: stream(n),
                label: u32::MAX,
                name: format!("{n:0255}"),
                priority: (n % 5) as u8,
                unidirectional: true,
                metadata: metadata.clone(),
                ext: ext.clone(),
            })]
        })
    })
}

pub fn tiny_frames() -> Outcome {
    let first = [open(stream(0), "x")];
    Siege::new(&[])
        .tolerated()
        .run(&[], |target| storm(target, 250_000, &first, |n| vec![data(stream(0), n, "x")]))
}

pub fn tiny_frames_on_many_streams() -> Outcome {
    // A hundred thousand acknowledgements to think about, on a thousand streams by turns.
    // Known gap: each byte is a write into a file of its own, and honest transfers get slow.
    let first: Vec<Frame> = (0..1000).map(|n| open(stream(n), "x")).collect();
    let siege = Siege::new(&[]).gap(MEMORY, 0.005, Duration::from_millis(100));
    siege.tolerated().run(&[], |target| {
        storm(target, 100_000, &first, |n| vec![data(stream(n % 1000), n / 1000, "x")])
    })
}

pub fn repeated_data() -> Outcome {
    // Within the credit of one window, the same 64 KiB again and again: no credit is used up.
    let noughts = bombs::gzip(&vec![0; 64 << 10]);
    let first = [open(stream(0), "x"), coded(stream(0), 0, CodecId::GZIP, 64 << 10, &noughts)];
    Siege::new(&[]).tolerated().run(&[], |target| {
        let again = coded(stream(0), 0, CodecId::GZIP, 64 << 10, &noughts);
        storm(target, long_or(1_000_000, 20_000), &first, |_| vec![again.clone()])
    })
}

pub fn answers_to_nothing() -> Outcome {
    // All that a side may send without a budget, a million times.
    let both = Frame::Open(Open {
        stream: stream(0),
        label: 1,
        name: "both".to_owned(),
        priority: 0,
        unidirectional: false,
        metadata: Vec::new(),
        ext: Vec::new(),
    });
    Siege::new(&[]).tolerated().run(&[], |target| {
        let Some(mut raw) = target.open_deaf() else { return 0 };
        let mut block = encoded(&[
            Frame::Pong(Pong { id: 77, time: 0 }),
            Frame::Receipt(Receipt { received: 0 }),
            Frame::Credit(Credit { stream: stream(0), acked: 0, limit: 1 << 40 }),
            Frame::Credit(Credit { stream: stream(0), acked: 0, limit: 0 }),
            Frame::Blocked(Blocked { stream: stream(0), offset: 0 }),
        ]);
        block.extend_from_slice(&header(0x70, 0x40, 9, 100, 3, &[0; 100]));
        if raw.send(std::slice::from_ref(&both)).is_err() {
            return 0;
        }
        let mut left = long_or(1_000_000, 200_000) / 6;
        let sent = target.flood(&mut raw, |out| {
            out.extend_from_slice(&block);
            left -= 1;
            left > 0 && !target.is_over()
        });
        raw.close();
        sent
    })
}

pub fn goaways() -> Outcome {
    Siege::new(&[]).tolerated().run(&[], |target| {
        storm(target, long_or(1_000_000, 100_000), &[open(stream(0), "x")], |_| {
            vec![Frame::GoAway(GoAway {
                code: ErrorCode::NO_ERROR,
                last_stream: 0,
                deadline_ms: u64::MAX,
                reason: "\u{1b}[2Jgo".repeat(20),
                ext: Vec::new(),
            })]
        })
    })
}

pub fn gaps_on_many_streams() -> Outcome {
    // Each mark is a line in a file beside the stream's: files that are open while it is written.
    let first: Vec<Frame> = (0..900).map(|n| open(stream(n), format!("g{n}"))).collect();
    Siege::new(&[]).tolerated().run(&[], |target| {
        storm(target, long_or(1_000_000, 20_000), &first, |n| {
            let gap = Gap { stream: stream(n % 900), offset: 0, dropped: 1 + n / 900 };
            vec![Frame::Gap(gap)]
        })
    })
}

pub fn short_streams_beside_many() -> Outcome {
    // What a stream's end costs must not grow with the number of the others.
    let idle = 1000;
    let first: Vec<Frame> = (0..idle).map(|n| open(stream(n), format!("idle{n}"))).collect();
    Siege::new(&[]).tolerated().run(&[], |target| {
        storm(target, long_or(200_000, 4_000), &first, |n| {
            let id = stream(idle + n);
            let fin = Fin { stream: id, final_offset: 0, digest: NO_DIGEST };
            vec![open(id, format!("{n:0200}")), Frame::Fin(fin)]
        })
    })
}

//! As much memory as the rules let a peer take.

use std::sync::Mutex;
use std::time::Duration;

use p2_frame::{Blocked, CodecId, Frame};

use crate::bombs;
use crate::raw::{Raw, coded, encoded, open, stream};
use crate::siege::Siege;
use crate::support::long_or;
use crate::support::table::Outcome;

const BLOCK: u32 = 64 << 10;

pub fn every_window_filled() -> Outcome {
    // A thousand streams, each filled to its credit with what is almost nothing on the wire.
    // Known gap: 400 KB on the wire are 256 MiB, which the receiver holds and then writes.
    let noughts = bombs::gzip(&vec![0; BLOCK as usize]);
    let siege = Siege::new(&[]).gap(352 << 20, 0.002, Duration::from_secs(60));
    siege.tolerated().run(&[], |target| {
        let Some(mut raw) = target.open_deaf() else { return 0 };
        let opens: Vec<Frame> = (0..1000).map(|n| open(stream(n), "w")).collect();
        if raw.send(&opens).is_err() {
            return 0;
        }
        let mut next = 0;
        let sent = target.flood(&mut raw, |block| {
            let (turn, index) = (next / 1000, next % 1000);
            let offset = turn * u64::from(BLOCK);
            let frame = coded(stream(index), offset, CodecId::GZIP, BLOCK, &noughts);
            block.extend_from_slice(&encoded(&[frame]));
            next += 1;
            next < 4000
        });
        raw.close();
        sent
    })
}

pub fn windows_grown_for_nothing() -> Outcome {
    // Windows may grow for who waits; who sends nothing may not take them from the others.
    Siege::new(&[]).tolerated().run(&[], |target| {
        let Some(mut raw) = target.open_deaf() else { return 0 };
        let opens: Vec<Frame> = (0..1000).map(|n| open(stream(n), "b")).collect();
        if raw.send(&opens).is_err() {
            return 0;
        }
        let mut left = long_or(1_000_000_u64, 100_000);
        let sent = target.flood(&mut raw, |block| {
            let waits = Blocked { stream: stream(left % 1000), offset: 256 << 10 };
            block.extend_from_slice(&encoded(&[Frame::Blocked(waits)]));
            left -= 1;
            left > 0 && !target.is_over()
        });
        raw.close();
        sent
    })
}

pub fn a_context_for_every_stream() -> Outcome {
    // The decoders of one link are bounded; four links have four bounds.
    let payload = bombs::zstd_stream(&crate::support::log(1, BLOCK as usize));
    let held: Mutex<Vec<Raw>> = Mutex::default();
    // Known gap: sessions that were closed keep their contexts until their streams are drained.
    let siege = Siege::new(&[]).gap(640 << 20, 0.01, Duration::from_secs(1));
    let outcome = siege.tolerated().run(&[], |target| {
        let mut held = held.lock().expect("nobody panicked");
        held.clear();
        let mut sent = 0;
        for _ in 0..4 {
            let Some(mut raw) = target.open_deaf() else { return sent };
            let mut next = 0;
            sent += target.flood(&mut raw, |block| {
                let id = stream(next);
                let first = coded(id, 0, CodecId::ZSTD, BLOCK, &payload);
                block.extend_from_slice(&encoded(&[open(id, "z"), first]));
                next += 1;
                next < 1000 && !target.is_over()
            });
            held.push(raw);
        }
        held.iter_mut().for_each(Raw::close);
        sent
    });
    held.into_inner().expect("nobody panicked").clear();
    outcome
}

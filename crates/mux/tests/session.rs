//! Two whole sessions: streams from open to end, over one link and over many.

mod pair;

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use p2_frame::{Blocked, Credit, Fin, Frame, Gap, Reset, Stop};
use p2_mux::{
    Attachment, CodecId, Config, ErrorCode, Event, LinkError, OpenError, OpenOptions, Priority,
    ProcessBudget, Read, Received, RecvState, Role, SentFrame, Session, StreamError, StreamId,
    Time, Transmit,
};
use pair::{Pair, drain};

#[test]
fn bytes_written_on_one_side_are_read_on_the_other_and_the_end_is_confirmed() {
    let mut pair = Pair::new();
    let options = OpenOptions { label: 7, priority: Priority::High, ..OpenOptions::named("app") };
    let id = pair.client.session.open(pair.now, options.clone()).unwrap();
    assert_eq!(pair.client.session.write(pair.now, id, b"hello ").unwrap(), 6);
    let mut chunk = Bytes::from_static(b"world");
    assert_eq!(pair.client.session.write_chunk(pair.now, id, &mut chunk).unwrap(), 5);
    pair.client.session.finish(pair.now, id).unwrap();
    pair.settle();
    let there = pair.server.session.accept().unwrap();
    assert_eq!(there, id);
    assert_eq!(pair.server.session.options(there), Some(&options));
    let mut got = Vec::new();
    assert!(drain(pair.now, &mut pair.server.session, there, &mut got));
    assert_eq!(got, b"hello world");
    assert_eq!(pair.client.session.send_outcome(id), None, "read, but not yet told");
    pair.settle();
    assert_eq!(pair.client.session.send_outcome(id), Some(Ok(())));
}

#[test]
fn both_directions_of_a_stream_end_on_their_own() {
    let mut pair = Pair::new();
    let id = pair.client.session.open(pair.now, OpenOptions::named("echo")).unwrap();
    pair.client.session.write(pair.now, id, b"ping").unwrap();
    pair.client.session.finish(pair.now, id).unwrap();
    pair.settle();
    pair.server.session.accept().unwrap();
    let mut got = Vec::new();
    assert!(drain(pair.now, &mut pair.server.session, id, &mut got));
    pair.server.session.write(pair.now, id, b"pong").unwrap();
    pair.settle();
    let mut back = Vec::new();
    assert!(!drain(pair.now, &mut pair.client.session, id, &mut back));
    pair.server.session.finish(pair.now, id).unwrap();
    pair.settle();
    assert!(drain(pair.now, &mut pair.client.session, id, &mut back));
    assert_eq!((got.as_slice(), back.as_slice()), (&b"ping"[..], &b"pong"[..]));
    pair.client.session.release(pair.now, id);
    pair.server.session.release(pair.now, id);
    pair.settle();
    assert!(pair.client.session.stats().streams.is_empty());
    assert!(pair.server.session.stats().streams.is_empty());
}

#[test]
fn a_stream_that_takes_another_class_goes_first_with_what_it_has_already() {
    let mut pair = Pair::new();
    let now = pair.now;
    let open = |pair: &mut Pair, name, priority| {
        let options = OpenOptions { priority, ..OpenOptions::named(name) };
        pair.client.session.open(now, options).unwrap()
    };
    let (first, second) =
        (open(&mut pair, "a", Priority::Normal), open(&mut pair, "b", Priority::Low));
    pair.settle();
    let block = vec![7u8; 100 << 10];
    for id in [first, second] {
        assert_eq!(pair.client.session.write(now, id, &block).unwrap(), block.len());
    }
    let leading = |pair: &mut Pair| {
        let mut batch = Vec::new();
        pair.client.session.poll_transmit(now, &mut batch);
        batch.iter().find_map(|one| match one {
            Transmit::Data(job) => Some(job.stream),
            _ => None,
        })
    };
    pair.client.session.set_priority(now, second, Priority::Realtime);
    assert_eq!(leading(&mut pair), Some(second));
    assert_eq!(pair.client.session.options(second).map(|o| o.priority), Some(Priority::Realtime));

    // Over the next link everything that is not acknowledged goes again, in the new order.
    pair.cut();
    pair.connect().unwrap();
    pair.client.session.set_priority(now, first, Priority::High);
    let mut got = [Vec::new(), Vec::new()];
    for _ in 0..8 {
        pair.settle();
        for (id, got) in [first, second].into_iter().zip(&mut got) {
            drain(now, &mut pair.server.session, id, got);
        }
    }
    assert!(got.iter().all(|got| *got == block));
    // One that is over is left alone.
    pair.client.session.finish(now, first).unwrap();
    pair.settle();
    pair.client.session.set_priority(now, first, Priority::Bulk);
}

#[test]
fn a_batch_holds_no_more_bytes_to_be_encoded_than_are_asked_for() {
    let cases = [(CodecId::GZIP, 20_000, 2), (CodecId::GZIP, 0, 1), (CodecId::NONE, 20_000, 4)];
    for (codec, limit, frames) in cases {
        let now = Time::default();
        let mut client = Session::new(Config::new(Role::Client), ProcessBudget::default());
        client.attach(now, Attachment::new(1, codec)).unwrap();
        for name in ["a", "b"] {
            let id = client.open(now, OpenOptions::named(name)).unwrap();
            assert_eq!(client.write(now, id, &[7; 60 << 10]).unwrap(), 60 << 10);
        }
        client.limit_encoding(limit);
        let mut batch = Vec::new();
        client.poll_transmit(now, &mut batch);
        let data = batch.iter().filter(|item| matches!(item, Transmit::Data(_)));
        assert_eq!(data.count(), frames, "{codec}: frames of 16 KiB, of which the link takes 64");
    }
}

#[test]
fn frames_of_streams_that_compete_are_as_long_on_the_link_whatever_they_shrink_to() {
    for (shrinks_to, later) in
        [(1, [16 << 10, 16 << 10]), (2, [32 << 10, 32 << 10]), (9, [64 << 10, 64 << 10])]
    {
        let now = Time::default();
        let mut client = Session::new(Config::new(Role::Client), ProcessBudget::default());
        client.attach(now, Attachment::new(1, CodecId::GZIP)).unwrap();
        for name in ["a", "b"] {
            let id = client.open(now, OpenOptions::named(name)).unwrap();
            assert_eq!(client.write(now, id, &[7; 200 << 10]).unwrap(), 200 << 10);
        }
        client.limit_encoding(20_000);
        let mut batch = || {
            let mut batch = Vec::new();
            client.poll_transmit(now, &mut batch);
            let sent: Vec<_> = batch
                .iter()
                .filter_map(|item| match item {
                    Transmit::Data(job) => {
                        let (stream, raw_len, codec) = (job.stream, job.raw_len, job.codec);
                        Some(SentFrame {
                            stream,
                            raw_len,
                            wire: u64::from(raw_len / shrinks_to),
                            codec,
                        })
                    }
                    Transmit::Control(_) => None,
                })
                .collect();
            client.sent(now, 1_000, 2, &sent);
            sent.iter().map(|frame| frame.raw_len).collect::<Vec<_>>()
        };
        assert_eq!(batch(), [16 << 10, 16 << 10], "nothing is known of either stream");
        assert_eq!([batch()[0], batch()[0]], later, "to {shrinks_to}");
    }
}

#[test]
fn a_short_message_goes_out_on_a_link_that_is_full_of_bulk() {
    let mut pair = Pair::new();
    let (now, client) = (pair.now, &mut pair.client.session);
    let bulk = client.open(now, OpenOptions::named("bulk")).unwrap();
    let mut out = Vec::new();
    let mut raw = |client: &mut p2_mux::Session| {
        out.clear();
        client.poll_transmit(now, &mut out);
        let data = |item: &Transmit| match item {
            Transmit::Data(job) => Some((job.stream, job.raw_len)),
            Transmit::Control(_) => None,
        };
        let data: Vec<_> = out.iter().filter_map(data).collect();
        let wire = data.iter().map(|(_, len)| u64::from(*len) + 28).sum();
        client.sent(now, wire, out.len() as u64, &[]);
        data
    };
    assert_eq!(client.write(now, bulk, &[1; 192 << 10]).unwrap(), 192 << 10);
    let mut sent = 0;
    while client.wants_transmit() {
        sent += raw(client).iter().map(|(_, len)| len).sum::<u32>();
    }
    assert!(sent < 192 << 10, "more waits for the link alone");
    assert!(!client.wants_transmit());

    let echo = client.open(now, OpenOptions::named("echo")).unwrap();
    client.write(now, echo, &[2; 64]).unwrap();
    assert!(client.wants_transmit());
    assert_eq!(raw(client), [(echo, 64)]);

    let mut beyond = 0;
    for _ in 0..20 {
        let other = client.open(now, OpenOptions::named("echo")).unwrap();
        client.write(now, other, &[2; 1 << 10]).unwrap();
        beyond += raw(client).len();
    }
    assert_eq!(beyond, 8, "and no more than eight kilobytes of them");
    assert!(!client.wants_transmit());
}

#[test]
fn waiting_for_credit_is_told_behind_the_last_bytes_that_had_some() {
    let config = Config { initial_window: 3 << 10, ..Config::new(Role::Server) };
    let mut pair = Pair::with(Config::new(Role::Client), config);
    let (now, client) = (pair.now, &mut pair.client.session);
    let id = client.open(now, OpenOptions::named("app")).unwrap();
    assert_eq!(client.write(now, id, &[1; 4 << 10]).unwrap(), 3 << 10);
    let mut batch = Vec::new();
    client.poll_transmit(now, &mut batch);
    let kinds: Vec<_> = batch
        .iter()
        .filter_map(|item| match item {
            Transmit::Data(job) => Some(("data", u64::from(job.raw_len))),
            Transmit::Control(Frame::Blocked(blocked)) => Some(("blocked", blocked.offset)),
            Transmit::Control(_) => None,
        })
        .collect();
    assert_eq!(kinds, [("data", 3 << 10), ("blocked", 3 << 10)]);
    client.sent(now, 3 << 10, 2, &[]);
    assert_eq!(client.write(now, id, &[1]).unwrap(), 0);
    assert!(!client.wants_transmit(), "and it is told once");
}

#[test]
fn waiting_for_credit_is_told_of_what_was_written_during_an_outage() {
    let config = Config { initial_window: 3 << 10, ..Config::new(Role::Server) };
    let mut pair = Pair::with(Config::new(Role::Client), config);
    let id = pair.client.session.open(pair.now, OpenOptions::named("app")).unwrap();
    pair.settle();
    pair.cut();
    let written = pair.client.session.write(pair.now, id, &[1; 9 << 10]).unwrap();
    assert_eq!(written, 9 << 10, "without a link sources go on");
    pair.connect().unwrap();
    let (now, client) = (pair.now, &mut pair.client.session);
    assert_eq!(client.write(now, id, &[1]).unwrap(), 0, "before anything was sent again");
    let mut batch = Vec::new();
    client.poll_transmit(now, &mut batch);
    let told = batch.iter().filter_map(|item| match item {
        Transmit::Control(Frame::Blocked(blocked)) => Some(blocked.offset),
        _ => None,
    });
    assert_eq!(told.collect::<Vec<_>>(), [3 << 10]);
}

#[test]
fn a_stalled_reader_bounds_what_its_sender_retains_and_harms_nobody_else() {
    let mut pair = Pair::new();
    let stalled = pair.client.session.open(pair.now, OpenOptions::named("stalled")).unwrap();
    let other = pair.client.session.open(pair.now, OpenOptions::named("other")).unwrap();
    let block = vec![1u8; 64 << 10];
    let mut taken = 0;
    for _ in 0..100 {
        taken += pair.client.session.write(pair.now, stalled, &block).unwrap();
        pair.settle();
    }
    assert_eq!(taken, 256 << 10, "one initial window");
    let mut got = Vec::new();
    for _ in 0..100 {
        let mut rest = Bytes::from(block.clone());
        while !rest.is_empty() {
            pair.client.session.write_chunk(pair.now, other, &mut rest).unwrap();
            pair.settle();
            drain(pair.now, &mut pair.server.session, other, &mut got);
        }
    }
    assert_eq!(got.len(), 100 * block.len());
    assert!(pair.client.session.retained() <= 512 << 10);
}

#[test]
fn a_reader_that_keeps_up_earns_a_larger_window() {
    let mut pair = Pair::new();
    let id = pair.client.session.open(pair.now, OpenOptions::named("bulk")).unwrap();
    let mut got = Vec::new();
    let mut rest = Bytes::from(vec![7u8; 128 << 20]);
    while !rest.is_empty() {
        pair.client.session.write_chunk(pair.now, id, &mut rest).unwrap();
        pair.settle();
        drain(pair.now, &mut pair.server.session, id, &mut got);
    }
    let window = pair.server.session.stream_stats(id).unwrap().window;
    assert_eq!(window, 16 << 20);
}

#[test]
fn a_reset_reaches_the_reader_after_the_bytes_before_it() {
    let mut pair = Pair::new();
    let id = pair.client.session.open(pair.now, OpenOptions::named("app")).unwrap();
    pair.client.session.write(pair.now, id, b"partial").unwrap();
    pair.settle();
    pair.server.session.accept().unwrap();
    pair.client.session.reset(pair.now, id, ErrorCode::SOURCE_FAILED);
    pair.settle();
    let read = pair.server.session.read(pair.now, id, 100).unwrap();
    assert!(matches!(read, Read::Data { .. }));
    let read = pair.server.session.read(pair.now, id, 100);
    assert_eq!(read, Err(StreamError::Reset(ErrorCode::SOURCE_FAILED)));
}

#[test]
fn a_stop_fails_the_writer_with_the_readers_reason_and_frees_what_it_held() {
    let mut pair = Pair::new();
    let id = pair.client.session.open(pair.now, OpenOptions::named("app")).unwrap();
    pair.client.session.write(pair.now, id, &[0; 1000]).unwrap();
    pair.settle();
    pair.server.session.accept().unwrap();
    pair.server.session.stop(pair.now, id, ErrorCode::SINK_FAILED);
    pair.settle();
    let stopped = StreamError::Stopped(ErrorCode::SINK_FAILED);
    assert_eq!(pair.client.session.write(pair.now, id, b"x"), Err(stopped.clone()));
    assert_eq!(pair.client.session.send_outcome(id), Some(Err(stopped)));
    assert_eq!(pair.client.session.retained(), 0);
    let state = pair.server.session.stream_stats(id).unwrap().recv_state;
    assert_eq!(state, Some(RecvState::Over));
}

#[test]
fn streams_beyond_the_peers_limit_wait_until_one_ends() {
    let server = Config { max_streams: 2, ..Config::new(Role::Server) };
    let mut pair = Pair::with(Config::new(Role::Client), server);
    let open = |pair: &mut Pair| pair.client.session.open(pair.now, OpenOptions::named("s"));
    let first = open(&mut pair).unwrap();
    open(&mut pair).unwrap();
    assert_eq!(open(&mut pair), Err(OpenError::TooMany(2)));
    pair.settle();
    pair.server.session.accept().unwrap();
    pair.server.session.finish(pair.now, first).unwrap();
    pair.client.session.finish(pair.now, first).unwrap();
    pair.settle();
    drain(pair.now, &mut pair.server.session, first, &mut Vec::new());
    drain(pair.now, &mut pair.client.session, first, &mut Vec::new());
    pair.settle();
    assert!(pair.client.events.iter().any(|event| matches!(event, Event::CanOpen)));
    open(&mut pair).unwrap();
    pair.settle();
}

#[test]
fn an_orderly_close_waits_for_every_stream() {
    let mut pair = Pair::new();
    let id = pair.client.session.open(pair.now, OpenOptions::named("app")).unwrap();
    pair.client.session.write(pair.now, id, b"last words").unwrap();
    pair.client.session.finish(pair.now, id).unwrap();
    pair.client.session.close("done");
    pair.settle();
    assert!(pair.client.session.ended().is_none());
    pair.server.session.accept().unwrap();
    drain(pair.now, &mut pair.server.session, id, &mut Vec::new());
    pair.server.session.finish(pair.now, id).unwrap();
    pair.settle();
    drain(pair.now, &mut pair.client.session, id, &mut Vec::new());
    pair.settle();
    let (here, there) = (pair.client.session.ended(), pair.server.session.ended());
    assert_eq!(here.map(|e| (e.code, e.by_peer)), Some((ErrorCode::NO_ERROR, false)));
    assert_eq!(there.map(|e| (e.code, e.by_peer)), Some((ErrorCode::NO_ERROR, true)));
    assert!(pair.client.session.is_drained() && pair.server.session.is_drained());
}

#[test]
fn a_thousand_streams_given_up_at_once_do_not_cost_the_link() {
    for accepted in [true, false] {
        let mut pair = Pair::new();
        let open = |pair: &mut Pair| pair.client.session.open(pair.now, OpenOptions::named("s"));
        let ids: Vec<StreamId> = (0..1_024).map(|_| open(&mut pair).unwrap()).collect();
        pair.settle();
        while accepted && pair.server.session.accept().is_some() {}
        for id in &ids {
            pair.client.session.release(pair.now, *id);
        }
        for _ in 0..200 {
            pair.settle();
            pair.wait(Duration::from_millis(100));
        }
        for id in ids.iter().filter(|_| accepted) {
            assert!(pair.server.session.read(pair.now, *id, 1).is_err());
            pair.server.session.release(pair.now, *id);
        }
        for _ in 0..200 {
            pair.settle();
            pair.wait(Duration::from_millis(100));
        }
        assert_eq!((pair.client.session.live(), pair.server.session.live()), (0, 0));
        assert!(pair.server.session.accept().is_none(), "what was taken back is not offered");
    }
}

#[test]
fn a_stream_that_was_stopped_is_never_reported_as_delivered() {
    for finish_first in [true, false] {
        let mut pair = Pair::new();
        let id = pair.client.session.open(pair.now, OpenOptions::named("app")).unwrap();
        pair.client.session.write(pair.now, id, b"all of it").unwrap();
        if finish_first {
            pair.client.session.finish(pair.now, id).unwrap();
        }
        pair.settle();
        pair.server.session.accept().unwrap();
        pair.server.session.set_manual_ack(id, true);
        pair.server.session.stop(pair.now, id, ErrorCode::SINK_FAILED);
        if !finish_first {
            pair.client.session.finish(pair.now, id).unwrap();
        }
        pair.connect().unwrap();
        pair.settle();
        let outcome = pair.client.session.send_outcome(id);
        assert_eq!(outcome, Some(Err(StreamError::Stopped(ErrorCode::SINK_FAILED))));
    }
}

/// WIRE.md, W-7.12: how long the application keeps its handle is nothing that a peer could know.
#[test]
fn frames_for_a_stream_that_is_over_are_ignored_whether_it_is_still_held_or_not() {
    for held in [true, false] {
        let mut pair = Pair::new();
        let options = OpenOptions { unidirectional: true, ..OpenOptions::named("app") };
        let stream = pair.client.session.open(pair.now, options).unwrap();
        pair.client.session.write(pair.now, stream, b"over").unwrap();
        pair.client.session.finish(pair.now, stream).unwrap();
        pair.settle();
        let (now, server) = (pair.now, &mut pair.server.session);
        server.accept().unwrap();
        assert!(drain(now, server, stream, &mut Vec::new()));
        if !held {
            server.release(now, stream);
        }
        pair.settle();
        assert_eq!(pair.client.session.send_outcome(stream), Some(Ok(())));
        let code = ErrorCode::CANCELLED;
        for frame in [
            Frame::Fin(Fin { stream, final_offset: 9, digest: 1 }),
            Frame::Reset(Reset { stream, code, final_offset: 9 }),
            Frame::Gap(Gap { stream, offset: 9, dropped: 9 }),
            Frame::Blocked(Blocked { stream, offset: 1 << 40 }),
            Frame::Stop(Stop { stream, code }),
            Frame::Credit(Credit { stream, acked: 7, limit: 7 }),
        ] {
            let kind = frame.kind();
            assert_eq!(
                pair.server.session.receive(pair.now, frame, 30),
                Ok(Received::Done),
                "{kind:?}, held: {held}"
            );
        }
        let known = pair.server.session.stream_stats(stream);
        assert_eq!(known.map(|stats| stats.bytes_received), held.then_some(4));
    }
}

#[test]
fn silence_ends_a_link_and_the_session_lives_on() {
    let mut pair = Pair::new();
    pair.settle();
    let start = pair.now;
    let dead = loop {
        pair.wait(Duration::from_secs(1));
        if let Err(error) = pair.client.session.handle_timeout(pair.now) {
            break error;
        }
        assert!(pair.now.since(start) < Duration::from_secs(30));
    };
    assert!(matches!(dead, LinkError::Dead(_)), "{dead}");
    pair.connect().unwrap();
    pair.client.session.open(pair.now, OpenOptions::named("app")).unwrap();
    pair.settle();
    assert!(pair.server.session.accept().is_some());
}

/// What one run of [`churn`] has to come out as.
struct Model {
    sent: BTreeMap<u64, Vec<u8>>,
    got: BTreeMap<u64, Vec<u8>>,
    ended: BTreeMap<u64, bool>,
}

/// Random streams, writes and reads over a link that is cut at random bytes.
fn churn(seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut pair = Pair::new();
    let mut ids: Vec<StreamId> = Vec::new();
    let mut model = Model { sent: BTreeMap::new(), got: BTreeMap::new(), ended: BTreeMap::new() };
    let mut open: Vec<StreamId> = Vec::new();
    let mut cuts = 0;
    for _ in 0..400 {
        let now = pair.now;
        match rng.u8(0..10) {
            0 if ids.len() < 20 => {
                let unidirectional = true;
                let options = OpenOptions { unidirectional, ..OpenOptions::named("s") };
                let id = pair.client.session.open(now, options).unwrap();
                ids.push(id);
                open.push(id);
                model.sent.insert(id.to_wire(), Vec::new());
            }
            1..=4 if !open.is_empty() => {
                let id = *rng.choice(&open).unwrap();
                let data: Vec<u8> = (0..rng.usize(0..30_000)).map(|_| rng.u8(..)).collect();
                let taken = pair.client.session.write(now, id, &data).unwrap();
                model.sent.get_mut(&id.to_wire()).unwrap().extend(&data[..taken]);
            }
            5 if !open.is_empty() && rng.u8(..) < 80 => {
                let id = open.swap_remove(rng.usize(0..open.len()));
                pair.client.session.finish(now, id).unwrap();
            }
            6 if rng.bool() => {
                cuts += 1;
                if rng.bool() {
                    pair.cut();
                    pair.wait(Duration::from_millis(rng.u64(0..5_000)));
                }
                pair.connect().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
            7 => pair.wait(Duration::from_millis(rng.u64(0..30))),
            _ => {
                let max = rng.usize(1..60_000);
                pair.step(max).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
            }
        }
        read_all(&mut pair, &mut model, seed);
    }
    for id in open {
        pair.client.session.finish(pair.now, id).unwrap();
    }
    for _ in 0..200 {
        pair.settle();
        read_all(&mut pair, &mut model, seed);
    }
    pair.settle();
    for id in ids {
        let key = id.to_wire();
        assert!(model.got.get(&key) == model.sent.get(&key), "seed {seed}, {cuts} cuts, {id}");
        assert_eq!(model.ended.get(&key), Some(&true), "seed {seed}, {id}");
        let outcome = pair.client.session.send_outcome(id);
        assert_eq!(outcome, Some(Ok(())), "seed {seed}, {id}");
    }
    let totals = pair.server.session.stats().totals;
    assert_eq!(totals.duplicates_discarded, 0, "seed {seed}: replay starts where the peer stands");
}

fn read_all(pair: &mut Pair, model: &mut Model, seed: u64) {
    let now: Time = pair.now;
    while let Some(id) = pair.server.session.accept() {
        model.got.insert(id.to_wire(), Vec::new());
        model.ended.insert(id.to_wire(), false);
    }
    for (key, into) in &mut model.got {
        let ended = model.ended.get_mut(key).unwrap();
        if !*ended {
            let id = StreamId::from_wire(*key).unwrap();
            *ended = drain(now, &mut pair.server.session, id, into);
            assert!(model.sent[key].starts_with(into), "seed {seed}: {id} differs");
        }
    }
}

#[test]
fn a_link_cut_at_random_moments_loses_and_repeats_nothing() {
    for seed in 0..150 {
        churn(seed);
    }
}

#[test]
fn a_writer_that_waits_for_credit_alone_is_counted_while_it_waits_and_after() {
    let mut pair = Pair::new();
    let id = pair.client.session.open(pair.now, OpenOptions::named("app")).unwrap();
    let window = Config::new(Role::Server).initial_window as usize;
    let bytes = vec![7; window + 1];
    assert_eq!(pair.client.session.write(pair.now, id, &bytes).unwrap(), window);
    let began = pair.now;
    assert_eq!(pair.client.session.credit_blocked(pair.now), Duration::ZERO);
    pair.settle();
    pair.wait(Duration::from_secs(3));
    let waited = pair.now.since(began);
    assert_eq!(pair.client.session.credit_blocked(pair.now), waited, "it still waits");
    pair.server.session.accept().unwrap();
    drain(pair.now, &mut pair.server.session, id, &mut Vec::new());
    pair.settle();
    let until = pair.now;
    assert_eq!(pair.client.session.write(pair.now, id, &bytes[window..]).unwrap(), 1);
    pair.wait(Duration::from_secs(3));
    assert_eq!(pair.client.session.credit_blocked(pair.now), until.since(began));
}

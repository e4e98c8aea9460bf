//! Every seed and every finding of the fuzz targets below the program, on stable.

#[path = "../../../../fuzz/src/allocation.rs"]
mod allocation;
#[path = "../../../../fuzz/src/codec.rs"]
mod codec;
#[path = "../../../../fuzz/src/handshake.rs"]
mod handshake;
#[path = "../../../../fuzz/src/input.rs"]
mod input;
#[path = "../../../../fuzz/src/pair.rs"]
mod pair;
#[path = "../../../../fuzz/src/replay.rs"]
mod replay;
#[path = "../../../../fuzz/src/roundtrip.rs"]
mod roundtrip;
#[path = "../../../../fuzz/src/session/mod.rs"]
mod session;

mod seeds;

use p2_codec::{CodecId, Registry};

#[test]
fn seeds_and_findings_of_handshake_hold() {
    replay::keep("handshake", true, &seeds::handshake());
    replay::replay("handshake", handshake::check);
}

#[test]
fn only_honest_handshakes_among_the_seeds_lead_to_a_link() {
    for (name, input) in seeds::handshake() {
        assert_eq!(handshake::run(&input), name.starts_with("link-"), "{name}");
    }
}

#[test]
fn seeds_and_findings_of_session_hold() {
    replay::keep("session", true, &seeds::session());
    replay::replay("session", session::check);
}

#[test]
fn the_seeds_of_session_reach_every_part_of_its_life() {
    let mut all = session::Reached::default();
    for (_, input) in seeds::session() {
        let reached = session::run(&input);
        all.sent += reached.sent;
        all.received += reached.received;
        all.finished += reached.finished;
        all.resumed += reached.resumed;
        all.broken += reached.broken;
        all.ended |= reached.ended;
    }
    let parts = [all.sent > 500, all.received > 500, all.finished > 1, all.resumed > 2];
    assert!(parts == [true; 4] && all.broken > 2 && all.ended, "{all:?}");
}

#[test]
fn seeds_and_findings_of_the_codecs_hold() {
    for (name, id) in CODECS {
        // Without its feature a codec cannot be asked.
        if Registry::builtin().get(id).is_some() {
            replay::keep(name, false, &seeds::codec(id));
            replay::replay(name, |input| codec::check(id, input));
        }
    }
}

#[test]
fn honest_seeds_of_the_codecs_are_decoded_and_hostile_ones_are_not() {
    for (_, id) in CODECS {
        if Registry::builtin().get(id).is_some() {
            for (name, input) in seeds::codec(id) {
                let decoded = codec::run(id, &input);
                assert_eq!(decoded > 0, !name.starts_with("bad-"), "{id}: {name}");
            }
        }
    }
}

const CODECS: [(&str, CodecId); 4] = [
    ("gzip", CodecId::GZIP),
    ("zstd", CodecId::ZSTD),
    ("snappy", CodecId::SNAPPY),
    ("lz4", CodecId::LZ4),
];

#[test]
fn seeds_and_findings_of_roundtrip_hold() {
    replay::keep("roundtrip", true, &seeds::roundtrip());
    replay::replay("roundtrip", roundtrip::check);
    let compressed: usize = seeds::roundtrip().iter().map(|(_, seed)| roundtrip::run(seed)).sum();
    assert!(compressed > 10, "{compressed} payloads went compressed");
}

#[test]
fn seeds_and_findings_of_pair_hold() {
    replay::keep("pair", true, &seeds::pair());
    replay::replay("pair", pair::check);
    let bytes: u64 = seeds::pair().iter().map(|(_, seed)| pair::run(seed)).sum();
    assert!(bytes > 10_000, "{bytes} bytes came through");
}

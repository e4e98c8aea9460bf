//! Hostile peers: what they do, and what must come of it while honest transfers go on.
#![allow(dead_code, unreachable_pub, reason = "the modules are one program")]
#![allow(clippy::print_stdout, reason = "what a failed row has to say")]

#[path = "hostile/bombs.rs"]
mod bombs;
#[path = "hostile/exact.rs"]
mod exact;
#[path = "hostile/floods.rs"]
mod floods;
#[path = "hostile/memory.rs"]
mod memory;
#[path = "hostile/names.rs"]
mod names;
#[path = "support/raw.rs"]
mod raw;
#[path = "hostile/sender.rs"]
mod sender;
#[path = "hostile/sessions.rs"]
mod sessions;
#[path = "hostile/siege.rs"]
mod siege;
#[path = "hostile/strangers.rs"]
mod strangers;
#[path = "support/mod.rs"]
mod support;

use support::table::{self, Outcome, Row};

const fn row(name: &'static str, what: &'static str, run: fn() -> Outcome) -> Row {
    Row { name, what, run }
}

const ROWS: &[Row] = &[
    // They mostly wait, beside the others.
    row("stranger_stops", "handshakes that stop at each byte", strangers::a_handshake_that_stops),
    row("half_frame", "a frame that stops before its last byte", strangers::a_frame_that_stops),
    row("names_files", "80 names and session names, as files", names::names_of_files),
    row("names_terminal", "80 names as lines", names::names_and_lines_on_a_terminal),
    row("exact_frames", "limits of frames at N and N+1", exact::frames),
    row("exact_sessions", "limits of sessions at N and N+1", exact::sessions),
    row("exact_strangers", "64 strangers, and one more", exact::strangers),
    row("open_reset", "10^6 OPEN and RESET", floods::open_and_reset),
    row("empty_data", "10^6 empty DATA", floods::empty_data),
    row("almost_empty_data", "99 empty DATA and a byte, 10^6", floods::almost_empty_data),
    row("ping_unread", "10^6 PING, never reading", floods::pings_unread),
    row("open_only", "10^5 OPEN", floods::opens_without_end),
    row("open_refused", "1000 OPEN that nobody asked for", floods::opens_that_are_refused),
    row("metadata", "10^5 OPEN with all that may be in it", floods::metadata),
    row("tiny_frames", "DATA of one byte", floods::tiny_frames),
    row("tiny_frames_many", "the same on 1000 streams", floods::tiny_frames_on_many_streams),
    row("repeated_data", "the same 64 KiB again and again", floods::repeated_data),
    row(
        "answers_to_nothing",
        "PONG, RECEIPT, CREDIT, BLOCKED, unknown",
        floods::answers_to_nothing,
    ),
    row("goaway", "GOAWAY without end", floods::goaways),
    row("gaps", "GAP on 900 streams", floods::gaps_on_many_streams),
    row("short_streams", "short streams beside 1000 idle ones", floods::short_streams_beside_many),
    row("lengths", "0xFFFFFFFF in each length", bombs::lengths),
    row("codec_bombs", "bombs for each codec", bombs::codec_bombs),
    row("codec_not_offered", "codecs that were not offered", bombs::codec_not_negotiated),
    row("credit", "credit and receipts that cannot be", bombs::credit),
    row("blocked", "waiting at an offset never granted", bombs::waiting_for_what_was_not_granted),
    row("beyond_credit", "DATA beyond its credit", bombs::beyond_credit),
    row("offsets", "gaps, overlaps, second ends, ids", bombs::offsets),
    row("windows_filled", "1000 windows filled with zeros", memory::every_window_filled),
    row("windows_grown", "BLOCKED without a byte", memory::windows_grown_for_nothing),
    row("contexts", "4 links of 1000 zstd contexts", memory::a_context_for_every_stream),
    row("slow_handshakes", "1000 handshakes, byte by byte", strangers::slow_handshakes),
    row("silent_links", "connections without a word", strangers::connections_without_a_word),
    row(
        "other_protocols",
        "HTTP, SSH, TLS, noise, and they stay",
        strangers::other_protocols_that_stay,
    ),
    row("handshake_lies", "malformed handshakes", strangers::handshakes_that_lie),
    row("guesses", "guesses at a known session", strangers::resume_guesses),
    row("replays", "handshakes sent again", strangers::replayed_handshakes),
    row(
        "wrong_proofs",
        "takeovers with wrong and old proofs",
        strangers::takeovers_with_a_wrong_proof,
    ),
    row("takeovers", "takeovers without a pause", sessions::takeover_storm),
    row(
        "takeovers_moving",
        "takeovers that move a byte each",
        sessions::takeovers_that_move_a_byte,
    ),
    row("lost_and_found", "links lost and resumed", sessions::links_lost_and_found),
    row("resume_lists", "lists without end, that contradict", sessions::resume_lists),
    row("sessions_left", "sessions left behind", sessions::sessions_without_end),
    row("sessions_closed", "CLOSE and what comes after it", sessions::sessions_closed_at_once),
    row("names_without_end", "empty streams with new names", names::names_without_end),
    row("one_name", "one name again and again", names::one_name_again_and_again),
    row("s_streams", "sender: 1000 streams filled at it", sender::streams_opened_at_a_sender),
    row("s_no_ack", "sender: all credit, no acknowledgement", sender::nothing_acknowledged),
    row("s_no_credit", "sender: never any credit", sender::never_any_credit),
    row("s_credit", "sender: credit that cannot be", sender::credit_for_a_sender),
    row("s_goaway", "sender: GOAWAY without end", sender::goaways_at_a_sender),
    row("s_stale", "sender: somebody always was faster", sender::always_stale),
    row("s_one_byte", "sender: the smallest frames wanted", sender::smallest_frames_wanted),
    row("s_lengths", "sender: 0xFFFFFFFF", sender::lengths_at_a_sender),
    row("s_bombs", "sender: PING and a bomb", sender::bombs_and_pings_at_a_sender),
    row("s_dying_links", "sender: links that die at once", sender::links_that_die_at_once),
    row("s_noise", "sender: noise without end", sender::noise_without_end_at_a_sender),
    row("s_stop", "sender: STOP for every stream", sender::every_stream_stopped),
];

fn main() -> std::process::ExitCode {
    table::main("hostile peers", ROWS)
}

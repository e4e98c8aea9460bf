//! What may happen to a link, to either end of it and to a sink, and what must come of it: every
//! byte once, in real processes, by real sockets.
//!
//! `cargo test --features full --test matrix` runs all rows, `... --test matrix r07` one.
//! `P2_LONG=1` chooses the long forms.
#![allow(unreachable_pub, reason = "one test of several files")]

#[path = "matrix/cuts.rs"]
mod cuts;
#[path = "matrix/liars.rs"]
mod liars;
#[path = "support/netns.rs"]
mod netns;
#[path = "matrix/networks.rs"]
mod networks;
#[path = "matrix/outages.rs"]
mod outages;
#[path = "matrix/paths.rs"]
mod paths;
#[path = "matrix/peer.rs"]
mod peer;
#[path = "matrix/sinks.rs"]
mod sinks;
#[path = "matrix/source.rs"]
mod source;
#[path = "matrix/stage.rs"]
mod stage;
#[path = "support/mod.rs"]
mod support;

use support::table::{self, Outcome, Row};

const fn row(name: &'static str, what: &'static str, run: fn() -> Outcome) -> Row {
    Row { name, what, run }
}

const ROWS: &[Row] = &[
    row("r01_cut_anywhere", "links cut all over a transfer, by FIN and RST", cuts::anywhere),
    row(
        "r02_cut_new_handshake",
        "the first handshake cut after every byte",
        cuts::handshake_of_a_new_session,
    ),
    row("r02_cut_resume_handshake", "a resume cut after every byte", cuts::handshake_of_a_resume),
    row("r03_cut_five_deep", "five cut resumes after each cut", cuts::five_deep),
    row(
        "r04_last_acknowledgement_lost",
        "the resume's list acknowledges the rest",
        liars::last_acknowledgement,
    ),
    row("r05_claims_more_than_sent", "a peer that has bytes nobody sent", liars::claims_more),
    row(
        "r06_claims_less_than_acknowledged",
        "a peer that forgot what it acknowledged",
        liars::claims_less,
    ),
    row(
        "r07_late_bytes_of_an_old_link",
        "a silent link, replaced, then delivering",
        paths::late_bytes,
    ),
    row("r08_two_resumes_race", "two links for one session at once", liars::race),
    row(
        "r09_takeover_without_proof",
        "wrong and recorded proofs for a live session",
        liars::takeover,
    ),
    row(
        "r12_pipe_receiver_restarts",
        "the receiver's output was a pipe",
        outages::pipe_receiver_restarts,
    ),
    row("r14_slow_sink", "a reader of 4 MiB/s", sinks::slow),
    row("r15_stopped_sink", "nobody reads for three timeouts", sinks::stopped),
    row("r16_disk_full", "a disk of 4 MiB and a stream of 16", sinks::full),
    row(
        "r17_outage_with_busy_source",
        "no link, and a source that never rests",
        outages::busy_source,
    ),
    row("r18_time_to_live", "no link until the session expires", outages::expires),
    row("r19_sender_killed", "SIGKILL at random", outages::sender_killed),
    row("r20_suspended", "SIGSTOP for longer than the timeout, at each end", outages::suspended),
    row("r21_another_address", "the sender's address changes", networks::another_address),
    row("r22_hole_both_ways", "no packet passes, either way", networks::hole_both_ways),
    row("r23_hole_one_way", "no packet passes, one way, then the other", networks::hole_one_way),
    row("r24_flapping", "the interface goes down and up", networks::flapping),
    row("r25_kernel_reset", "the kernel resets the connection", networks::kernel_reset),
    row("r26_poor_path", "far, narrow, sliced, stalling", paths::poor),
    row("r27_random_loss", "packets are lost at random", networks::random_loss),
    row("r31_another_server", "a different server at the same address", outages::another_server),
    row("r32_hundred_at_once", "a hundred sessions lose their links at once", outages::hundred),
    row("flipped_bits", "one bit flips on a link without checksums", paths::flipped),
];

fn main() -> std::process::ExitCode {
    table::main("fault matrix", ROWS)
}

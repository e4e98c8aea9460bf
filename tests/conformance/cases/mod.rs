//! The cases, by the sections of WIRE.md.

mod bodies;
mod codecs;
mod credit;
mod frames;
mod handshake;
mod hello;
mod liveness;
mod preface;
mod resume;
mod resume_list;
mod retry;
mod session_end;
mod streams;

use super::Case;

/// Every case.
pub fn all() -> Vec<Case> {
    [
        preface::CASES,
        frames::CASES,
        bodies::CASES,
        hello::CASES,
        handshake::CASES,
        streams::CASES,
        credit::CASES,
        codecs::CASES,
        resume::CASES,
        resume_list::CASES,
        retry::CASES,
        liveness::CASES,
        session_end::CASES,
    ]
    .concat()
}

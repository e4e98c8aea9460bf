//! Two whole sessions under a seed: every fault, every cut, and a model that knows what must come
//! out.
//!
//! Nothing here reads a clock or a random device. One `u64` decides the settings, the plans of the
//! applications, the delays of the links and the moments of the faults; the same seed gives the
//! same run, byte for byte. [`World`] plays a random run over links with latency, loss of the end,
//! black holes and late deliveries; [`cuts`] cuts one session at every byte.
//!
//! ```
//! let report = p2_sim::simulate(7, false).expect("nothing is lost and nothing comes twice");
//! assert_eq!(report.hash, p2_sim::simulate(7, false).unwrap().hash);
//! ```
#![forbid(unsafe_code)]
#![warn(missing_docs)]

mod app;
mod carrier;
mod clock;
mod corpus;
pub mod cuts;
mod endpoint;
mod fault;
mod flaw;
mod identity;
mod log;
mod model;
mod pipe;
mod plan;
mod rng;
mod scenario;
mod world;

pub use scenario::Scenario;
pub use world::{Report, World};

/// Why a run failed, in words.
pub type Failure = String;

/// Plays the run that `seed` describes; `echo` prints its events.
///
/// # Errors
/// What went wrong first: a lost, repeated or changed byte, a broken bound, or no progress.
pub fn simulate(seed: u64, echo: bool) -> Result<Report, Failure> {
    World::new(Scenario::from_seed(seed), echo).run()
}

/// The line that plays a failed seed again.
pub fn replay_line(seed: u64) -> String {
    format!("P2_SIM_SEED={seed} cargo test -p p2-sim --features full replay -- --nocapture")
}

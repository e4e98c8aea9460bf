//! Mistakes a driver could make, on demand: the suite has to find each of them.
//!
//! `P2_SIM_FLAW` names one; the runner in `mutants/` sets it. Without it nothing is wrong.

use std::sync::OnceLock;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Half a frame of the old link stands before the new link's bytes.
    KeepParser,
    /// Encoders live on across links.
    KeepEncoders,
    /// Encoders and decoders live on across links.
    KeepContexts,
    /// What was encoded for the old link goes out on the new one.
    KeepOutput,
    /// Late payloads of an old link are delivered as if they were the new link's.
    Unfenced,
    /// Payloads of one stream are delivered in the wrong order.
    Swap,
}

pub(crate) fn flaw() -> Option<Flaw> {
    static FLAW: OnceLock<Option<Flaw>> = OnceLock::new();
    *FLAW.get_or_init(|| {
        let name = std::env::var("P2_SIM_FLAW").ok()?;
        Some(match name.as_str() {
            "keep-parser" => Flaw::KeepParser,
            "keep-encoders" => Flaw::KeepEncoders,
            "keep-contexts" => Flaw::KeepContexts,
            "keep-output" => Flaw::KeepOutput,
            "unfenced" => Flaw::Unfenced,
            "swap" => Flaw::Swap,
            other => panic!("P2_SIM_FLAW={other} is unknown"),
        })
    })
}

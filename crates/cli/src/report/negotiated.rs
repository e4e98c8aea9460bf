//! What two sides agreed on, in words.

use p2_codec::Registry;
use p2_transport::{CodecId, Negotiated};

use super::progress::Side;

/// The codec this session's bytes go with, and its level where it has levels: `zstd:1`.
pub(crate) fn codec(agreed: &Negotiated, side: Side) -> String {
    let id = match side {
        Side::Sender => agreed.to_peer,
        Side::Receiver => agreed.from_peer,
    };
    let registry = Registry::builtin();
    let capabilities = registry.get(id).map(|codec| codec.capabilities());
    match capabilities.filter(|found| found.levels.start() < found.levels.end()) {
        Some(found) if side == Side::Sender => format!("{id}:{}", found.default_level),
        _ => id.to_string(),
    }
}

/// Each side's list and the choice.
pub(crate) fn lists(agreed: &Negotiated) -> String {
    format!(
        "codecs   here {}   there {}   chosen {} to the peer, {} from it",
        list(&agreed.ours),
        list(&agreed.theirs),
        agreed.to_peer,
        agreed.from_peer,
    )
}

fn list(codecs: &[CodecId]) -> String {
    let names: Vec<String> = codecs.iter().map(ToString::to_string).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(",") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_and_choice_are_said_in_full() {
        let mut agreed = Negotiated::default();
        agreed.ours = vec![CodecId::ZSTD, CodecId::GZIP];
        agreed.theirs = vec![CodecId::GZIP];
        agreed.to_peer = CodecId::GZIP;
        agreed.from_peer = CodecId::GZIP;
        assert_eq!(
            lists(&agreed),
            "codecs   here zstd,gzip   there gzip   chosen gzip to the peer, gzip from it"
        );
        assert_eq!(codec(&agreed, Side::Sender), "gzip:1");
        assert_eq!(codec(&agreed, Side::Receiver), "gzip");
        assert!(lists(&Negotiated::default()).contains("here none"));
    }
}

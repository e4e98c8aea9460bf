//! Which codec a sender uses: a pure function of both offers, so that both sides get the same.

use p2_frame::CodecId;

/// What a side tells its peer: a codec that it *decodes*, and its limits. Order is preference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Offer {
    /// The codec.
    pub id: CodecId,
    /// The largest window it decodes, as a base-2 logarithm of bytes; 0 where there is none.
    pub window_log: u8,
    /// Raw bytes it takes in one frame.
    pub max_raw: u32,
}

/// What [`negotiate`] found for one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The codec to start with: the sender's first that the receiver decodes, else `none`.
    pub codec: CodecId,
    /// All that the sender may use, in its order of preference. Empty: only raw frames.
    pub common: Vec<CodecId>,
}

impl Choice {
    /// True when the sides share no codec and the sender did not ask for raw bytes: worth a
    /// warning, or a refusal if the user required a codec.
    pub fn is_fallback(&self) -> bool {
        self.common.is_empty()
    }
}

/// Chooses for one direction: `sender` is what the sending side can encode, in its order of
/// preference; `receiver` is what the other side offered to decode.
///
/// The sender's order decides. Ids that a side does not know are ignored, doubles count once, and
/// every receiver takes raw bytes whether it offers `none` or not. Each side calls it twice, once
/// per direction, and compares with what the peer announced.
///
/// ```
/// use p2_codec::{Offer, negotiate};
/// use p2_codec::CodecId;
///
/// let offer = |id| Offer { id, window_log: 17, max_raw: 65_536 };
/// let choice = negotiate(
///     &[CodecId::ZSTD, CodecId::GZIP],
///     &[offer(CodecId::SNAPPY), offer(CodecId::GZIP), offer(CodecId::ZSTD)],
/// );
/// assert_eq!(choice.codec, CodecId::ZSTD);
/// assert_eq!(choice.common, [CodecId::ZSTD, CodecId::GZIP]);
/// ```
pub fn negotiate(sender: &[CodecId], receiver: &[Offer]) -> Choice {
    let decodes = |id| id == CodecId::NONE || receiver.iter().any(|offer| offer.id == id);
    let mut common: Vec<CodecId> = Vec::new();
    for &id in sender {
        if decodes(id) && !common.contains(&id) {
            common.push(id);
        }
    }
    Choice { codec: common.first().copied().unwrap_or(CodecId::NONE), common }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn offer(id: CodecId) -> Offer {
        Offer { id, window_log: 15, max_raw: 65_536 }
    }

    fn ids() -> impl Strategy<Value = Vec<CodecId>> {
        prop::collection::vec(prop_oneof![0u8..=6, 0xC0u8..=0xC2].prop_map(CodecId::new), 0..12)
    }

    #[test]
    fn without_a_common_codec_bytes_go_raw_and_it_shows() {
        let choice = negotiate(&[CodecId::ZSTD], &[offer(CodecId::GZIP)]);
        assert_eq!((choice.codec, choice.is_fallback()), (CodecId::NONE, true));
        let wanted = negotiate(&[CodecId::NONE], &[offer(CodecId::GZIP)]);
        assert_eq!((wanted.codec, wanted.is_fallback()), (CodecId::NONE, false));
    }

    proptest! {
        #[test]
        fn both_sides_compute_the_same_for_both_directions(a in ids(), b in ids()) {
            // Each side holds its own offers and has received copies of the other's.
            let (a_offers, b_offers): (Vec<_>, Vec<_>) =
                (a.iter().copied().map(offer).collect(), b.iter().copied().map(offer).collect());
            let sent_as = |offers: &[Offer]| offers.iter().map(|o| o.id).collect::<Vec<_>>();
            let at_a = (negotiate(&a, &b_offers), negotiate(&sent_as(&b_offers), &a_offers));
            let at_b = (negotiate(&sent_as(&a_offers), &b_offers), negotiate(&b, &a_offers));
            prop_assert_eq!(&at_a, &at_b);
            // What one direction can use the other can too, raw bytes aside.
            let coded = |c: &Choice| {
                let mut ids: Vec<_> = c.common.iter().copied().filter(|&i| i != CodecId::NONE).collect();
                ids.sort_by_key(|id| id.get());
                ids
            };
            prop_assert_eq!(coded(&at_a.0), coded(&at_a.1));
        }

        #[test]
        fn the_choice_is_the_senders_first_that_the_receiver_decodes(a in ids(), b in ids()) {
            let offers: Vec<_> = b.iter().copied().map(offer).collect();
            let choice = negotiate(&a, &offers);
            let first = a.iter().copied().find(|id| *id == CodecId::NONE || b.contains(id));
            prop_assert_eq!(choice.codec, first.unwrap_or(CodecId::NONE));
            for (n, id) in choice.common.iter().enumerate() {
                prop_assert!(a.contains(id) && (*id == CodecId::NONE || b.contains(id)));
                prop_assert!(!choice.common[..n].contains(id));
            }
        }

        #[test]
        fn the_receivers_order_and_doubles_change_nothing(a in ids(), mut b in ids()) {
            let offers: Vec<_> = b.iter().copied().map(offer).collect();
            let before = negotiate(&a, &offers);
            b.reverse();
            b.extend_from_within(..);
            let offers: Vec<_> = b.iter().copied().map(offer).collect();
            prop_assert_eq!(before, negotiate(&a, &offers));
        }
    }
}

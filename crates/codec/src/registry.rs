//! The codecs of this build, and the only file that knows cargo features.

use std::fmt;
use std::sync::Arc;

use p2_frame::CodecId;

use crate::codec::Codec;
use crate::error::RegisterError;
use crate::limits;
use crate::negotiate::Offer;

#[cfg(feature = "lz4")]
#[path = "lz4.rs"]
mod lz4;
#[cfg(feature = "snappy")]
#[path = "snappy.rs"]
mod snappy;
#[cfg(feature = "zstd")]
#[path = "zstd.rs"]
mod zstd;

/// The codecs that come with P2, as far as this build has them.
///
/// Each type's module states its bytes on the wire, its memory and its worst-case growth.
pub mod builtin {
    #[cfg(feature = "lz4")]
    pub use super::lz4::Lz4;
    #[cfg(feature = "snappy")]
    pub use super::snappy::Snappy;
    #[cfg(feature = "zstd")]
    pub use super::zstd::Zstd;
    pub use crate::gzip::Gzip;
}

/// The codecs that a process can use, in order of preference.
///
/// `none` (raw bytes) is always possible and is no codec, so it is not in here.
///
/// ```
/// use p2_codec::Registry;
/// use p2_codec::CodecId;
///
/// let registry = Registry::builtin();
/// assert_eq!(registry.get(CodecId::GZIP).unwrap().name(), "gzip");
/// assert_eq!(registry.id_of("none"), Some(CodecId::NONE));
/// let offers = registry.offers(&[CodecId::GZIP, CodecId::new(0xC3)]);
/// assert_eq!(offers.len(), 1, "what is not registered is not offered");
/// ```
#[derive(Clone, Default)]
pub struct Registry {
    codecs: Vec<Arc<dyn Codec>>,
}

impl Registry {
    /// The codecs of this build: zstd where its feature is on, gzip always, then lz4 and snappy.
    ///
    /// Zstd comes first because it shrinks more for less work; gzip is what every build shares.
    pub fn builtin() -> Self {
        Self {
            codecs: vec![
                #[cfg(feature = "zstd")]
                Arc::new(builtin::Zstd),
                Arc::new(builtin::Gzip),
                #[cfg(feature = "lz4")]
                Arc::new(builtin::Lz4),
                #[cfg(feature = "snappy")]
                Arc::new(builtin::Snappy),
            ],
        }
    }

    /// No codec at all: everything goes raw until one is registered.
    pub fn empty() -> Self {
        Self::default()
    }

    /// Adds a codec behind the others.
    ///
    /// # Errors
    /// [`RegisterError`] when its id is reserved or taken, or its name taken or unusable. Ids 1 to
    /// 4 are accepted only under their own names.
    pub fn register(&mut self, codec: Arc<dyn Codec>) -> Result<(), RegisterError> {
        let (id, name) = (codec.id(), codec.name());
        if !is_usable(name) {
            return Err(RegisterError::BadName { name: name.to_owned() });
        }
        let third_party = (0xC0..=0xFE).contains(&id.get());
        if !third_party && reserved_name(id) != Some(name) {
            return Err(RegisterError::ReservedId { id: id.get() });
        }
        if let Some(taken) = self.get(id) {
            return Err(RegisterError::DuplicateId { id: id.get(), name: taken.name().to_owned() });
        }
        let known = |id| reserved_name(CodecId::new(id)) == Some(name);
        if self.by_name(name).is_some() || (third_party && (1..=4).any(known)) {
            return Err(RegisterError::DuplicateName { name: name.to_owned() });
        }
        self.codecs.push(codec);
        Ok(())
    }

    /// The codec of this id.
    pub fn get(&self, id: CodecId) -> Option<&Arc<dyn Codec>> {
        self.codecs.iter().find(|codec| codec.id() == id)
    }

    /// The codec of this name.
    pub fn by_name(&self, name: &str) -> Option<&Arc<dyn Codec>> {
        self.codecs.iter().find(|codec| codec.name() == name)
    }

    /// The id behind a name that a user typed, `none` included.
    pub fn id_of(&self, name: &str) -> Option<CodecId> {
        match name {
            "none" => Some(CodecId::NONE),
            name => self.by_name(name).map(|codec| codec.id()),
        }
    }

    /// All codecs, the preferred ones first.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<dyn Codec>> {
        self.codecs.iter()
    }

    /// Those of `ids` that are registered, and no others: what was not offered is not decoded.
    pub fn only(&self, ids: &[CodecId]) -> Self {
        let codecs = self.codecs.iter().filter(|codec| ids.contains(&codec.id()));
        Self { codecs: codecs.cloned().collect() }
    }

    /// What to tell a peer: the codecs of `preference` that are registered, in that order, each
    /// once, with the default limits. `none` may be among them; it is implied for every peer.
    pub fn offers(&self, preference: &[CodecId]) -> Vec<Offer> {
        let mut offers: Vec<Offer> = Vec::new();
        for &id in preference {
            if offers.iter().any(|offer| offer.id == id) {
                continue;
            }
            let window_log = match self.get(id) {
                Some(codec) => codec.capabilities().window_log,
                None if id == CodecId::NONE => 0,
                None => continue,
            };
            offers.push(Offer { id, window_log, max_raw: limits::MAX_RAW });
        }
        offers
    }
}

impl fmt::Debug for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.codecs.iter().map(|codec| codec.name())).finish()
    }
}

fn reserved_name(id: CodecId) -> Option<&'static str> {
    match id {
        CodecId::GZIP => Some("gzip"),
        CodecId::ZSTD => Some("zstd"),
        CodecId::SNAPPY => Some("snappy"),
        CodecId::LZ4 => Some("lz4"),
        _ => None,
    }
}

fn is_usable(name: &str) -> bool {
    (1..=16).contains(&name.len())
        && name != "none"
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_".contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Capabilities, Decoder, DecoderLimits, Encoder, EncoderConfig};
    use crate::error::CodecError;

    /// Gzip under another id and name.
    #[derive(Debug)]
    struct Renamed(u8, &'static str);

    impl Codec for Renamed {
        fn id(&self) -> CodecId {
            CodecId::new(self.0)
        }
        fn name(&self) -> &str {
            self.1
        }
        fn capabilities(&self) -> Capabilities {
            builtin::Gzip.capabilities()
        }
        fn max_encoded_len(&self, raw: usize) -> usize {
            builtin::Gzip.max_encoded_len(raw)
        }
        fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
            builtin::Gzip.encoder(config)
        }
        fn decoder(&self, limits: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
            builtin::Gzip.decoder(limits)
        }
    }

    #[test]
    fn a_third_party_registers_under_its_own_id_and_comes_last() {
        let mut registry = Registry::builtin();
        registry.register(Arc::new(Renamed(0xC3, "acme-7"))).unwrap();
        assert_eq!(registry.iter().last().unwrap().name(), "acme-7");
        assert!(registry.iter().any(|codec| codec.id() == CodecId::GZIP));
        assert_eq!(registry.id_of("acme-7"), Some(CodecId::new(0xC3)));
        assert_eq!(registry.offers(&[CodecId::new(0xC3)])[0].id, CodecId::new(0xC3));
    }

    #[test]
    fn ids_and_names_of_others_are_refused_by_name() {
        let mut registry = Registry::builtin();
        registry.register(Arc::new(Renamed(0xC3, "acme"))).unwrap();
        let mut refuse = |id, name| registry.register(Arc::new(Renamed(id, name))).unwrap_err();
        assert_eq!(
            refuse(0xC3, "other"),
            RegisterError::DuplicateId { id: 0xC3, name: "acme".into() }
        );
        assert_eq!(refuse(0xC4, "acme"), RegisterError::DuplicateName { name: "acme".into() });
        assert_eq!(refuse(0xC4, "zstd"), RegisterError::DuplicateName { name: "zstd".into() });
        assert_eq!(refuse(1, "gzip"), RegisterError::DuplicateId { id: 1, name: "gzip".into() });
        for id in [0, 5, 0xBF, 0xFF] {
            assert_eq!(refuse(id, "mine"), RegisterError::ReservedId { id });
        }
        for name in ["", "none", "Mine", "a b", "seventeen-letters", "\x1b[2J"] {
            assert_eq!(refuse(0xC4, name), RegisterError::BadName { name: name.into() });
        }
    }

    #[test]
    fn an_empty_registry_takes_a_known_codec_under_its_own_name_only() {
        let mut registry = Registry::empty();
        assert!(registry.register(Arc::new(Renamed(1, "gzop"))).is_err());
        registry.register(Arc::new(Renamed(1, "gzip"))).unwrap();
        assert_eq!(format!("{registry:?}"), r#"["gzip"]"#);
    }

    #[test]
    fn offers_keep_the_order_and_drop_doubles_and_strangers() {
        let asked = [CodecId::NONE, CodecId::new(0xC9), CodecId::GZIP, CodecId::NONE];
        let offers = Registry::builtin().offers(&asked);
        let ids: Vec<_> = offers.iter().map(|offer| offer.id).collect();
        assert_eq!(ids, [CodecId::NONE, CodecId::GZIP]);
        assert_eq!((offers[1].window_log, offers[1].max_raw), (15, 65_536));
    }
}

//! Codec names: what this build has, and what to say of those it has not.

use p2_codec::Registry;

use super::CodecId;

/// Codecs that exist, each behind the cargo feature of its name.
pub(crate) const OPTIONAL: [(&str, CodecId); 3] =
    [("zstd", CodecId::ZSTD), ("snappy", CodecId::SNAPPY), ("lz4", CodecId::LZ4)];

/// The codec of this name (`none`, `gzip`, …), if this build has it.
///
/// # Errors
/// Words that list what this build has and, where a rebuild would help, say how.
pub(crate) fn parse_codec(text: &str) -> Result<CodecId, String> {
    let name = text.trim().to_ascii_lowercase();
    let built = built();
    if let Some((id, _)) = built.iter().find(|(_, known)| *known == name) {
        return Ok(*id);
    }
    let names: Vec<&str> = built.iter().map(|(_, name)| name.as_str()).collect();
    let names = names.join(", ");
    if OPTIONAL.iter().any(|(known, _)| *known == name) {
        return Err(format!(
            "this build has no {name}: rebuild with `--features {name}`; it has {names}"
        ));
    }
    if name.is_empty() {
        return Err(format!("a codec's name is missing; this build has {names}"));
    }
    Err(format!("there is no codec `{name}`; this build has {names}"))
}

/// The codecs of this build in order of preference, `none` last.
pub(crate) fn built() -> Vec<(CodecId, String)> {
    let registry = Registry::builtin();
    let mut all: Vec<(CodecId, String)> = registry
        .iter()
        .map(|codec| (codec.id(), codec.name().to_owned()))
        .filter(|(id, _)| *id != CodecId::NONE)
        .collect();
    all.push((CodecId::NONE, "none".to_owned()));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_and_none_are_in_every_build() {
        assert_eq!(parse_codec("gzip"), Ok(CodecId::GZIP));
        assert_eq!(parse_codec(" GZIP "), Ok(CodecId::GZIP));
        assert_eq!(parse_codec("none"), Ok(CodecId::NONE));
    }

    #[test]
    fn a_codec_that_needs_a_feature_is_found_or_says_so() {
        for (name, id) in OPTIONAL {
            match parse_codec(name) {
                Ok(found) => assert_eq!(found, id),
                Err(words) => {
                    let expected =
                        format!("this build has no {name}: rebuild with `--features {name}`");
                    assert!(words.starts_with(&expected), "{words}");
                }
            }
        }
    }

    #[test]
    fn an_unknown_codec_is_answered_with_the_list() {
        let words = parse_codec("brotli").expect_err("unknown");
        assert!(words.starts_with("there is no codec `brotli`; this build has "), "{words}");
        assert!(words.contains("gzip") && words.ends_with("none"), "{words}");
        assert!(parse_codec("").expect_err("empty").contains("missing"));
    }
}

//! Turns any name of a peer into one safe path component, and never two names into the same one.

/// Longest component made here: leaves room below 255 bytes for `~4294967295` and `~gaps`.
pub(crate) const MAX_COMPONENT: usize = 240;

/// Room for `~` and the sixteen hex digits of a shortened name.
const HASH_LEN: usize = 17;

/// Percent-encodes `name` into one path component of at most [`MAX_COMPONENT`] bytes.
///
/// Letters, digits and `._-+@=,` of ASCII stay, except a leading dot or dash; every other byte
/// becomes `%XX`, so `~` never occurs except before what is added here. The empty name becomes
/// `%empty`. A longer result is cut and ends in `~` and a hash of the whole name.
pub(crate) fn component(name: &str) -> String {
    if name.is_empty() {
        return "%empty".to_owned();
    }
    let mut encoded = String::with_capacity(name.len());
    let mut cut = 0;
    for (at, byte) in name.bytes().enumerate() {
        if encoded.len() <= MAX_COMPONENT - HASH_LEN {
            cut = encoded.len();
        }
        let leading = at == 0 && matches!(byte, b'.' | b'-');
        if !leading && (byte.is_ascii_alphanumeric() || b"._-+@=,".contains(&byte)) {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for nibble in [byte >> 4, byte & 15] {
                let digit = char::from_digit(u32::from(nibble), 16).unwrap_or('0');
                encoded.push(digit.to_ascii_uppercase());
            }
        }
    }
    if encoded.len() > MAX_COMPONENT {
        encoded.truncate(cut);
        encoded.push_str(&format!("~{:016x}", fnv1a(name.as_bytes())));
    }
    encoded
}

/// The component of the `number`-th stream of one name in one session: `app`, `app~2`, `app~3`.
pub(crate) fn numbered(component: &str, number: u32) -> String {
    match number {
        0 | 1 => component.to_owned(),
        n => format!("{component}~{n}"),
    }
}

// FNV-1a is stable over releases and platforms, which std's hasher does not promise. A forged
// collision does no harm: equal components are numbered like equal names.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::sink::escape::tests::hostile_names;

    #[test]
    fn ordinary_names_stay_as_they_are() {
        for name in ["app", "web-1.log", "a_b+c@d=e,f", "A9"] {
            assert_eq!(component(name), name);
        }
    }

    #[test]
    fn separators_dots_and_dashes_in_front_are_encoded() {
        assert_eq!(component("../x"), "%2E.%2Fx");
        assert_eq!(component(".."), "%2E.");
        assert_eq!(component("-rf"), "%2Drf");
        assert_eq!(component("a b~2%"), "a%20b%7E2%25");
        assert_eq!(component("é"), "%C3%A9");
        assert_eq!(component(""), "%empty");
        assert_eq!(component("%empty"), "%25empty");
    }

    #[test]
    fn names_at_the_length_limit_stay_and_one_more_byte_is_hashed() {
        assert_eq!(component(&"x".repeat(240)), "x".repeat(240));
        let cut = component(&"x".repeat(241));
        assert_eq!(cut.len(), 240);
        assert!(cut.starts_with(&format!("{}~", "x".repeat(223))), "{cut}");
        assert_ne!(cut, component(&"x".repeat(242)));
    }

    #[test]
    fn a_cut_never_splits_an_escape() {
        for lead in 0..3 {
            let name = format!("{}{}", "x".repeat(lead), "/".repeat(250));
            let encoded = component(&name);
            let (body, hash) = encoded.rsplit_once('~').expect("hashed");
            assert_eq!(hash.len(), 16);
            assert!(body.trim_start_matches('x').len() % 3 == 0, "{encoded}");
        }
    }

    #[test]
    fn eighty_hostile_names_become_eighty_safe_components() {
        let mut seen = HashMap::new();
        for name in hostile_names() {
            let safe = component(&name);
            assert!(!safe.is_empty() && safe.len() <= MAX_COMPONENT, "{name:?}");
            assert!(!safe.starts_with(['.', '-', '~']), "{name:?} -> {safe}");
            assert!(safe.bytes().all(|b| b.is_ascii_graphic() && b != b'/'), "{name:?} -> {safe}");
            if let Some(other) = seen.insert(safe.clone(), name.clone()) {
                panic!("{name:?} and {other:?} both become {safe}");
            }
        }
    }

    #[test]
    fn later_streams_of_the_same_name_are_numbered() {
        assert_eq!(numbered("app", 1), "app");
        assert_eq!(numbered("app", 2), "app~2");
        assert!(numbered(&"x".repeat(MAX_COMPONENT), u32::MAX).len() <= 255);
    }
}

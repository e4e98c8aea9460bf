//! Names that a peer chooses: one safe path component each, never two the same, and nothing of them
//! acts on a terminal.

use p2_cli::fuzzing::{component, line, numbered, text};

/// The longest component.
const LONGEST: usize = 240;

/// Input: names with a zero byte between them.
pub(crate) fn check(input: &[u8]) {
    run(input);
}

/// As [`check`]; how many names became components.
pub(crate) fn run(input: &[u8]) -> usize {
    escapes(input);
    let names = input.splitn(8, |byte| *byte == 0).map(String::from_utf8_lossy);
    let names: Vec<String> = names.map(|name| name.into_owned()).collect();
    let safe: Vec<String> = names.iter().map(|name| component(name)).collect();
    for (at, (name, component)) in names.iter().zip(&safe).enumerate() {
        is_safe(name, component);
        for (other, same) in names[..at].iter().zip(&safe) {
            // Of names that are too long a hash tells them apart, which can be forged.
            let alike = component == same && !component.contains('~');
            assert_eq!(alike, name == other && !component.contains('~'), "{name:?}, {other:?}");
        }
        let (second, third) = (numbered(component, 2), numbered(component, 3));
        assert!(second != third && !safe.contains(&second), "{second}");
        assert!(
            numbered(component, u32::MAX).len() <= 255 && second.starts_with(component.as_str())
        );
    }
    safe.len()
}

fn is_safe(name: &str, component: &str) {
    assert!((1..=LONGEST).contains(&component.len()), "{name:?}: {component}");
    assert!(!component.starts_with(['.', '-', '~']), "{name:?}: {component}");
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-+@=,%~".contains(&byte);
    assert!(component.bytes().all(allowed), "{name:?}: {component}");
    // It says what it stands for, so no other name has it.
    if component == "%empty" {
        assert_eq!(name, "");
        return;
    }
    let (body, hash) = component.split_once('~').unwrap_or((component, ""));
    let meant = decoded(body);
    if hash.is_empty() {
        assert_eq!(meant, name.as_bytes(), "{component}");
    } else {
        assert!(hash.len() == 16 && name.as_bytes().starts_with(&meant), "{name:?}: {component}");
    }
}

fn decoded(component: &str) -> Vec<u8> {
    let mut parts = component.split('%');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2).expect("an escape has two digits");
        assert!(!digits.contains(|digit: char| digit.is_ascii_lowercase()), "{component}");
        bytes.push(u8::from_str_radix(digits, 16).expect("an escape is hexadecimal"));
        bytes.extend_from_slice(rest.as_bytes());
    }
    bytes
}

fn escapes(input: &[u8]) {
    let lossy = String::from_utf8_lossy(input);
    let shown = text(&lossy);
    assert!(!shown.chars().any(acts), "{shown:?}");
    assert_eq!(text(&shown), shown, "what is shown is text like any other");
    let mut out = b"before".to_vec();
    line(input, &mut out);
    let out = String::from_utf8(out).expect("a line is text");
    let body = out.strip_suffix('\r').filter(|_| input.ends_with(b"\r")).unwrap_or(&out);
    assert!(body.starts_with("before") && !body.chars().any(|c| c != '\t' && acts(c)), "{out:?}");
}

/// Moves a terminal's cursor, reorders its text, or breaks its line.
fn acts(c: char) -> bool {
    const ACTIVE: [char; 16] = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{202a}', '\u{202b}', '\u{202c}', '\u{202d}',
        '\u{202e}', '\u{2066}', '\u{2067}', '\u{2068}', '\u{2069}', '\u{2028}', '\u{2029}',
        '\u{feff}', '\u{fff9}',
    ];
    c.is_control() || ACTIVE.contains(&c)
}

//! Path patterns: `*`, `?`, `[a-z]`, `[!x]` within a component, `**` for any depth.

use std::path::{Path, PathBuf};

/// Files one pattern can follow; a bound on descriptors and streams.
const MOST: usize = 10_000;

/// Directories below a `**` that are looked into.
const DEPTH: usize = 32;

/// A parsed pattern.
#[derive(Debug, Clone)]
pub(super) struct Glob {
    root: PathBuf,
    parts: Vec<Part>,
}

#[derive(Debug, Clone)]
enum Part {
    Literal(String),
    Wild(Vec<char>),
    AnyDepth,
}

impl Glob {
    pub(super) fn new(pattern: &str) -> Self {
        let root = if pattern.starts_with('/') { "/" } else { "" };
        let parts = pattern
            .split('/')
            .filter(|part| !part.is_empty())
            .map(|part| match part {
                "**" => Part::AnyDepth,
                part if part.contains(['*', '?', '[']) => Part::Wild(part.chars().collect()),
                part => Part::Literal(part.to_owned()),
            })
            .collect();
        Self { root: root.into(), parts }
    }

    /// The regular files that match now, in order.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        walk(&self.root, &self.parts, 0, &mut found);
        found.sort();
        found.dedup();
        found
    }
}

fn walk(at: &Path, parts: &[Part], depth: usize, found: &mut Vec<PathBuf>) {
    let Some((part, rest)) = parts.split_first() else {
        if found.len() < MOST && at.metadata().is_ok_and(|metadata| metadata.is_file()) {
            found.push(at.to_owned());
        }
        return;
    };
    match part {
        Part::Literal(name) => walk(&at.join(name), rest, depth, found),
        Part::Wild(pattern) => {
            for name in names(at) {
                // As in a shell, a leading dot has to be written.
                if (!name.starts_with('.') || pattern.first() == Some(&'.'))
                    && matches(pattern, &name.chars().collect::<Vec<_>>())
                {
                    walk(&at.join(name), rest, depth, found);
                }
            }
        }
        Part::AnyDepth => {
            walk(at, rest, depth, found);
            if depth < DEPTH {
                for name in names(at).into_iter().filter(|name| !name.starts_with('.')) {
                    let below = at.join(name);
                    // Links are not followed: they may lead back up.
                    if below.symlink_metadata().is_ok_and(|metadata| metadata.is_dir()) {
                        walk(&below, parts, depth + 1, found);
                    }
                }
            }
        }
    }
}

/// Names that are not UTF-8 match no pattern.
fn names(directory: &Path) -> Vec<String> {
    let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
    let Ok(entries) = directory.read_dir() else {
        return Vec::new();
    };
    entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect()
}

/// Linear but for one step back to the last `*`, so no pattern is slow.
fn matches(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p + 1, n));
                p += 1;
                continue;
            }
            Some(_) => {
                if let Some(width) = one(&pattern[p..], name[n]) {
                    p += width;
                    n += 1;
                    continue;
                }
            }
            None => {}
        }
        match &mut star {
            Some((after, from)) => {
                *from += 1;
                (p, n) = (*after, *from);
            }
            None => return false,
        }
    }
    pattern[p..].iter().all(|c| *c == '*')
}

/// Whether the first element of `pattern` takes `c`, and how long that element is.
fn one(pattern: &[char], c: char) -> Option<usize> {
    match pattern.first()? {
        '?' => Some(1),
        '[' => match set(pattern, c) {
            Some((true, width)) => Some(width),
            Some((false, _)) => None,
            // Without its closing bracket it stands for itself.
            None => (c == '[').then_some(1),
        },
        same => (*same == c).then_some(1),
    }
}

fn set(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let first = 1 + usize::from(negated);
    // A bracket right at the beginning is a member.
    let end = first + 1 + pattern.get(first + 1..)?.iter().position(|c| *c == ']')?;
    let members = &pattern[first..end];
    let mut at = 0;
    let mut member = false;
    while let Some(low) = members.get(at) {
        match (members.get(at + 1), members.get(at + 2)) {
            (Some('-'), Some(high)) => {
                member |= (*low..=*high).contains(&c);
                at += 3;
            }
            _ => {
                member |= *low == c;
                at += 1;
            }
        }
    }
    Some((member != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_match_as_in_a_shell() {
        let table = [
            ("*.log", "app.log", true),
            ("*.log", "app.log.1", false),
            ("app-?.log", "app-1.log", true),
            ("app-?.log", "app-12.log", false),
            ("a[0-3x]b", "a2b", true),
            ("a[0-3x]b", "axb", true),
            ("a[0-3x]b", "a4b", false),
            ("a[!0-9]b", "acb", true),
            ("a[!0-9]b", "a1b", false),
            ("a[]]b", "a]b", true),
            ("a[b", "a[b", true),
            ("*a*b*c*", "xxaxxbxxcxx", true),
            ("*a*b*c*", "xxaxxcxxbxx", false),
            ("**", "x", true),
            ("*", "", true),
            ("?", "ä", true),
        ];
        for (pattern, name, expected) in table {
            let pattern_chars: Vec<char> = pattern.chars().collect();
            let name_chars: Vec<char> = name.chars().collect();
            assert_eq!(matches(&pattern_chars, &name_chars), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn a_hostile_pattern_is_not_slow() {
        let pattern: Vec<char> = "a*".repeat(200).chars().chain(['b']).collect();
        let name = vec!['a'; 250];
        assert!(!matches(&pattern, &name));
    }

    #[test]
    fn files_are_found_across_directories_and_sorted() {
        let dir = tempfile::tempdir().expect("temp dir");
        let root = dir.path();
        for path in ["b/x.log", "a/x.log", "a/deep/er/x.log", "a/x.txt", "a/.hidden.log", "x.log"] {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().expect("parent")).expect("mkdir");
            std::fs::write(path, "").expect("write");
        }
        std::fs::create_dir(root.join("a/dir.log")).expect("mkdir");
        let find = |pattern: &str| -> Vec<String> {
            let pattern = format!("{}/{pattern}", root.display());
            let strip =
                |path: &PathBuf| path.strip_prefix(root).expect("below").display().to_string();
            Glob::new(&pattern).files().iter().map(strip).collect()
        };
        assert_eq!(find("*/x.log"), ["a/x.log", "b/x.log"]);
        assert_eq!(find("**/x.log"), ["a/deep/er/x.log", "a/x.log", "b/x.log", "x.log"]);
        assert_eq!(find("a/*.log"), ["a/x.log"]);
        assert_eq!(find("a/.*.log"), ["a/.hidden.log"]);
        assert!(find("nothing/*").is_empty());
    }
}

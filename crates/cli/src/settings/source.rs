//! What `send` reads: the sources, their text forms and the names their streams get.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

pub(crate) use super::attributes::{StreamAttributes, WhenFull};
use super::simulation::GEN_KEYS;
pub(crate) use super::simulation::{GenShape, GenSpec};

/// Longest stream name on the wire, in bytes.
pub(crate) const MAX_NAME: usize = 255;

/// Where the bytes of one or more streams come from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum SourceSpec {
    /// Simulated traffic.
    Gen(GenSpec),
    /// This process's standard input.
    Stdin,
    /// A file, sent once.
    File(PathBuf),
    /// A file or a pattern of files, followed as they grow.
    Tail(TailPattern),
    /// The standard output of a command, run by `sh -c`.
    Exec(String),
    /// Each connection accepted at this `HOST:PORT` becomes a stream.
    TcpListen(String),
    /// Each connection accepted at this socket path becomes a stream.
    UnixListen(PathBuf),
}

/// A source and the name asked for it.
///
/// After [`assign_names`] the sources of exactly one stream (stdin, file, a tailed path, a
/// command) have a name. The others keep what the user gave: with a name `NAME` their streams are
/// called [`Source::stream_name`]`(n, ..)`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Source {
    /// The name given or derived.
    pub(crate) name: Option<String>,
    /// What to read.
    pub(crate) spec: SourceSpec,
}

/// What `--tail` follows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TailPattern {
    /// One path, which need not exist yet.
    Path(PathBuf),
    /// A pattern with `*`, `?` or `[…]`; files that appear later become new streams.
    Glob(String),
}

/// Why a source was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum SourceError {
    /// There is a name but nothing to read.
    #[error("`{input}` names nothing to read; write `{example}`")]
    Empty {
        /// What was given.
        input: String,
        /// A well-formed value.
        example: &'static str,
    },
    /// The name is longer than a stream's name can be.
    #[error("the name `{name}…` is longer than {MAX_NAME} bytes")]
    LongName {
        /// The beginning of the name.
        name: String,
    },
    /// A `--gen` key that does not exist.
    #[error(
        "`{key}` is not a setting of --gen; there are streams, rate, size, count, total, shape"
    )]
    GenKey {
        /// What was given.
        key: String,
    },
    /// A `--gen` key without a value, or given twice.
    #[error("`{key}` {problem}")]
    GenForm {
        /// The key.
        key: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A `--gen` value that is not one.
    #[error("{key}: {reason}")]
    GenValue {
        /// The key.
        key: String,
        /// Why the value was refused.
        reason: String,
    },
    /// An address without a port.
    #[error("`{input}` is not an address to listen on; write `127.0.0.1:PORT`")]
    Address {
        /// What was given.
        input: String,
    },
    /// Two sources ask for the same name.
    #[error("two sources are named `{name}`; give each its own name: `NAME=…`")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// Standard input can be read once only.
    #[error("--stdin can be given once")]
    StdinTwice,
}

impl Source {
    /// `[NAME=]SPEC` of `--gen`: `3`, `load=3`, `streams=2,rate=1000/s`, `load=streams=2,…`.
    ///
    /// # Errors
    /// [`SourceError`] naming the key and why its value was refused.
    pub(crate) fn parse_gen(input: &str) -> Result<Self, SourceError> {
        let (name, spec) = match split_name(input)? {
            // `streams=2` is a setting, not a name.
            (Some(name), _) if GEN_KEYS.contains(&name) => (None, input),
            split => split,
        };
        let spec = spec.trim();
        if spec.is_empty() {
            let example = "load=streams=2,rate=1000/s";
            return Err(SourceError::Empty { input: input.to_owned(), example });
        }
        Ok(Self { name: name.map(str::to_owned), spec: SourceSpec::Gen(spec.parse()?) })
    }

    /// `[NAME]` of `--stdin[=NAME]`.
    ///
    /// # Errors
    /// [`SourceError::LongName`].
    pub(crate) fn parse_stdin(input: &str) -> Result<Self, SourceError> {
        let name = check_name(input)?;
        Ok(Self { name: (!name.is_empty()).then(|| name.to_owned()), spec: SourceSpec::Stdin })
    }

    /// `[NAME=]PATH` of `--file`.
    ///
    /// # Errors
    /// [`SourceError`] when there is no path or the name is too long.
    pub(crate) fn parse_file(input: &str) -> Result<Self, SourceError> {
        let (name, path) = named(input, "app=/var/log/app.log")?;
        Ok(Self { name, spec: SourceSpec::File(path.into()) })
    }

    /// `[NAME=]PATH|GLOB` of `--tail`.
    ///
    /// # Errors
    /// [`SourceError`] when there is no path or the name is too long.
    pub(crate) fn parse_tail(input: &str) -> Result<Self, SourceError> {
        let (name, path) = named(input, "app=/var/log/app*.log")?;
        let pattern = if path.contains(['*', '?', '[']) && !Path::new(&path).exists() {
            TailPattern::Glob(path)
        } else {
            TailPattern::Path(path.into())
        };
        Ok(Self { name, spec: SourceSpec::Tail(pattern) })
    }

    /// `[NAME=]CMD` of `--exec`. A command that begins with an assignment is written
    /// `NAME=LANG=C cmd` or, without a name, `=LANG=C cmd`.
    ///
    /// # Errors
    /// [`SourceError`] when there is no command or the name is too long.
    pub(crate) fn parse_exec(input: &str) -> Result<Self, SourceError> {
        let (name, command) = named(input, "journal=journalctl -f")?;
        Ok(Self { name, spec: SourceSpec::Exec(command) })
    }

    /// `[NAME=]HOST:PORT` of `--tcp`.
    ///
    /// # Errors
    /// [`SourceError`] when the address has no port or the name is too long.
    pub(crate) fn parse_tcp(input: &str) -> Result<Self, SourceError> {
        let (name, address) = named(input, "syslog=127.0.0.1:5140")?;
        let port = address.rsplit_once(':').map(|(host, port)| (host, port.parse::<u16>()));
        match port {
            Some((host, Ok(_))) if !host.is_empty() => {
                Ok(Self { name, spec: SourceSpec::TcpListen(address) })
            }
            _ => Err(SourceError::Address { input: address }),
        }
    }

    /// `[NAME=]PATH` of `--unix`.
    ///
    /// # Errors
    /// [`SourceError`] when there is no path or the name is too long.
    pub(crate) fn parse_unix(input: &str) -> Result<Self, SourceError> {
        let (name, path) = named(input, "app=/run/app.sock")?;
        Ok(Self { name, spec: SourceSpec::UnixListen(path.into()) })
    }

    /// The demo traffic of a `send` without a source: three streams, the classic lines.
    #[must_use]
    pub(crate) fn demo() -> Self {
        Self { name: None, spec: SourceSpec::Gen(GenSpec { streams: 3, ..GenSpec::default() }) }
    }

    /// The name of the `n`th stream (from 1) of a source that makes several, or `stream<number>`
    /// when no name was given; `number` counts the streams of the whole run from 1.
    ///
    /// A source of exactly one stream keeps its name as it is: see [`assign_names`].
    #[must_use]
    pub(crate) fn stream_name(&self, n: u32, number: u32) -> String {
        match (&self.name, &self.spec) {
            (Some(name), SourceSpec::Gen(spec)) if spec.streams == 1 => name.clone(),
            (Some(name), SourceSpec::Gen(_)) => format!("{name}{n}"),
            (Some(name), SourceSpec::TcpListen(_) | SourceSpec::UnixListen(_)) => {
                format!("{name}-{n}")
            }
            (Some(name), _) => name.clone(),
            (None, _) => format!("stream{number}"),
        }
    }

    /// The names of its streams, as far as they are known before it is read.
    pub(crate) fn known_streams(&self) -> Vec<String> {
        match (&self.name, &self.spec) {
            (None, _)
            | (_, SourceSpec::TcpListen(_) | SourceSpec::UnixListen(_))
            | (_, SourceSpec::Tail(TailPattern::Glob(_))) => Vec::new(),
            (_, SourceSpec::Gen(spec)) => {
                (1..=spec.streams).map(|n| self.stream_name(n, n)).collect()
            }
            (Some(name), _) => vec![name.clone()],
        }
    }
}

/// Gives every source of exactly one stream its name: the one given, else the file's name, the
/// command's word or `stdin`; a derived name that is taken gets `-2`, `-3` and so on.
///
/// # Errors
/// [`SourceError::Duplicate`] when the user gave one name twice, [`SourceError::StdinTwice`].
pub(crate) fn assign_names(sources: &mut [Source]) -> Result<(), SourceError> {
    let mut taken = HashSet::new();
    let mut stdin = 0;
    for source in sources.iter() {
        stdin += u32::from(source.spec == SourceSpec::Stdin);
        if let Some(name) = &source.name {
            if !taken.insert(name.clone()) {
                return Err(SourceError::Duplicate { name: name.clone() });
            }
        }
    }
    if stdin > 1 {
        return Err(SourceError::StdinTwice);
    }
    for source in sources.iter_mut().filter(|source| source.name.is_none()) {
        let Some(base) = derived_name(&source.spec) else {
            continue;
        };
        let mut name = base.clone();
        let mut n = 2_u32;
        while !taken.insert(name.clone()) {
            name = format!("{base}-{n}");
            n += 1;
        }
        source.name = Some(name);
    }
    Ok(())
}

/// Splits `[NAME=]VALUE`; an empty value is an error.
fn named(input: &str, example: &'static str) -> Result<(Option<String>, String), SourceError> {
    let (name, value) = split_name(input)?;
    if value.trim().is_empty() {
        return Err(SourceError::Empty { input: input.to_owned(), example });
    }
    Ok((name.map(str::to_owned), value.to_owned()))
}

/// Splits at the first `=`, if what stands before it can be a name. Paths (`/a=b`), patterns and
/// command lines (`echo a=b`) cannot; a leading `=` says that no name is given.
pub(crate) fn split_name(input: &str) -> Result<(Option<&str>, &str), SourceError> {
    match input.split_once('=') {
        Some(("", value)) => Ok((None, value)),
        Some((name, value)) if is_name(name) => Ok((Some(check_name(name)?), value)),
        _ => Ok((None, input)),
    }
}

/// Whether it is taken for a name where one may stand in front.
pub(crate) fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@' | '+'))
}

/// Whether it fits the wire.
pub(crate) fn check_name(name: &str) -> Result<&str, SourceError> {
    if name.len() > MAX_NAME {
        return Err(SourceError::LongName { name: name.chars().take(20).collect() });
    }
    Ok(name)
}

fn derived_name(spec: &SourceSpec) -> Option<String> {
    let name = match spec {
        SourceSpec::Stdin => "stdin".to_owned(),
        SourceSpec::File(path) | SourceSpec::Tail(TailPattern::Path(path)) => {
            path.file_name().map_or_else(|| "file".into(), |name| name.to_string_lossy().into())
        }
        SourceSpec::Exec(command) => {
            let word = command
                .split_whitespace()
                .find(|word| !word.split_once('=').is_some_and(|(name, _)| is_name(name)))
                .unwrap_or("exec");
            let word = word.rsplit('/').next().unwrap_or(word);
            let word: String =
                word.chars().filter(|c| is_name(c.encode_utf8(&mut [0; 4]))).collect();
            if word.is_empty() { "exec".to_owned() } else { word }
        }
        SourceSpec::Gen(_)
        | SourceSpec::Tail(TailPattern::Glob(_))
        | SourceSpec::TcpListen(_)
        | SourceSpec::UnixListen(_) => return None,
    };
    let mut end = name.len().min(MAX_NAME - 8);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    Some(name.get(..end).unwrap_or("file").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec_of(input: &str) -> GenSpec {
        match Source::parse_gen(input).expect(input).spec {
            SourceSpec::Gen(spec) => spec,
            other => panic!("{input}: {other:?}"),
        }
    }

    #[test]
    fn gen_takes_a_number_or_settings_each_with_an_optional_name() {
        for (input, name, streams) in [
            ("3", None, 3),
            ("load=3", Some("load"), 3),
            ("streams=2", None, 2),
            ("load=streams=2", Some("load"), 2),
            ("rate=5/s", None, 1),
            ("load=rate=5/s,streams=7", Some("load"), 7),
        ] {
            let source = Source::parse_gen(input).expect(input);
            assert_eq!(source.name.as_deref(), name, "{input}");
            assert_eq!(spec_of(input).streams, streams, "{input}");
        }
    }

    #[test]
    fn a_name_is_what_stands_before_the_first_equals_sign_and_looks_like_one() {
        for (input, name, path) in [
            ("app=/var/log/a.log", Some("app"), "/var/log/a.log"),
            ("/var/log/a.log", None, "/var/log/a.log"),
            ("/tmp/a=b", None, "/tmp/a=b"),
            ("app=/tmp/a=b", Some("app"), "/tmp/a=b"),
            ("=app=b", None, "app=b"),
            ("my file=x", None, "my file=x"),
            ("größe=x", Some("größe"), "x"),
        ] {
            let source = Source::parse_file(input).expect(input);
            assert_eq!(source.name.as_deref(), name, "{input}");
            assert_eq!(source.spec, SourceSpec::File(path.into()), "{input}");
        }
        assert!(matches!(Source::parse_file("app="), Err(SourceError::Empty { .. })));
        let long = "n".repeat(256) + "=/x";
        assert!(matches!(Source::parse_file(&long), Err(SourceError::LongName { .. })));
    }

    #[test]
    fn tail_tells_a_path_from_a_pattern() {
        let pattern = |input| match Source::parse_tail(input).expect(input).spec {
            SourceSpec::Tail(pattern) => pattern,
            other => panic!("{other:?}"),
        };
        assert_eq!(pattern("app=/v/a.log"), TailPattern::Path("/v/a.log".into()));
        assert_eq!(pattern("app=/v/*.log"), TailPattern::Glob("/v/*.log".into()));
        assert_eq!(pattern("/v/a?.log"), TailPattern::Glob("/v/a?.log".into()));
    }

    #[test]
    fn tcp_needs_a_host_and_a_port() {
        for good in ["syslog=127.0.0.1:5140", "[::1]:5140", "localhost:0"] {
            assert!(Source::parse_tcp(good).is_ok(), "{good}");
        }
        for bad in ["5140", ":5140", "localhost", "localhost:port", "localhost:70000"] {
            assert!(matches!(Source::parse_tcp(bad), Err(SourceError::Address { .. })), "{bad}");
        }
    }

    #[test]
    fn names_are_derived_and_made_distinct() {
        let mut sources = vec![
            Source::parse_file("/var/log/app.log").expect("file"),
            Source::parse_file("/other/app.log").expect("file"),
            Source::parse_exec("/usr/bin/journalctl -f").expect("exec"),
            Source::parse_exec("=LANG=C make all").expect("exec"),
            Source::parse_stdin("").expect("stdin"),
            Source::parse_gen("2").expect("gen"),
            Source::parse_tail("t=/x").expect("tail"),
        ];
        assign_names(&mut sources).expect("distinct");
        let names: Vec<_> = sources.iter().map(|source| source.name.as_deref()).collect();
        let expected = [
            Some("app.log"),
            Some("app.log-2"),
            Some("journalctl"),
            Some("make"),
            Some("stdin"),
            None,
            Some("t"),
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn one_name_for_two_sources_is_refused() {
        let app = Source::parse_file("app=/a").expect("file");
        let mut sources = vec![app.clone(), app];
        let error = assign_names(&mut sources).expect_err("twice");
        assert_eq!(error, SourceError::Duplicate { name: "app".to_owned() });
        let stdin = Source::parse_stdin("").expect("stdin");
        let other = Source::parse_stdin("x").expect("stdin");
        assert_eq!(assign_names(&mut [stdin, other]), Err(SourceError::StdinTwice));
    }

    #[test]
    fn streams_of_one_source_are_numbered() {
        assert_eq!(Source::demo().stream_name(2, 5), "stream5");
        assert_eq!(Source::parse_gen("load=2").expect("gen").stream_name(2, 5), "load2");
        assert_eq!(Source::parse_gen("load=1").expect("gen").stream_name(1, 5), "load");
        assert_eq!(Source::parse_tcp("in=[::1]:1").expect("tcp").stream_name(3, 9), "in-3");
    }
}

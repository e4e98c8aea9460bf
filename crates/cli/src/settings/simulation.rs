//! Simulated traffic: how much, how fast and of what shape.

use std::collections::HashSet;

use super::source::SourceError;
use crate::units;

/// Simulated traffic.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GenSpec {
    /// How many streams, from 1.
    pub(crate) streams: u32,
    /// Messages a second on each stream; `None` is the shape's own pace (one a second for
    /// [`GenShape::Message`], as fast as the link takes them for the others).
    pub(crate) rate: Option<f64>,
    /// Bytes in a message, its newline included; `None` is the shape's own size.
    pub(crate) size: Option<u64>,
    /// Messages on each stream; `None` is without end.
    pub(crate) count: Option<u64>,
    /// Bytes on each stream after which it ends; the last message is cut to fit.
    pub(crate) total: Option<u64>,
    /// What the messages look like.
    pub(crate) shape: GenShape,
}

impl Default for GenSpec {
    fn default() -> Self {
        Self {
            streams: 1,
            rate: None,
            size: None,
            count: None,
            total: None,
            shape: GenShape::default(),
        }
    }
}

/// What simulated messages look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, strum::Display, strum::EnumString)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum GenShape {
    /// `stream1 message 2026-02-03T20:15:00Z`, one line each.
    #[default]
    Message,
    /// Lines like those of a web server's log.
    Log,
    /// Bytes that no codec can shrink.
    Random,
    /// Zero bytes.
    Zeros,
    /// One JSON object a line.
    Json,
}

/// The settings of `--gen`.
pub(crate) const GEN_KEYS: [&str; 6] = ["streams", "rate", "size", "count", "total", "shape"];

impl std::str::FromStr for GenSpec {
    type Err = SourceError;

    /// `3` or `streams=2,rate=1000/s,size=200B,count=100000,total=1GiB,shape=log`.
    fn from_str(input: &str) -> Result<Self, SourceError> {
        let input = input.trim();
        let mut spec = Self::default();
        if !input.is_empty() && input.bytes().all(|b| b.is_ascii_digit()) {
            spec.streams = streams(input)?;
            return Ok(spec);
        }
        let mut seen = HashSet::new();
        for item in input.split(',') {
            let (key, value) = item.split_once('=').unwrap_or((item, ""));
            let (key, value) = (key.trim(), value.trim());
            if !GEN_KEYS.contains(&key) {
                return Err(SourceError::GenKey { key: key.to_owned() });
            }
            if value.is_empty() {
                return Err(form(key, "needs a value"));
            }
            if !seen.insert(key) {
                return Err(form(key, "is given twice"));
            }
            match key {
                "streams" => spec.streams = streams(value)?,
                "rate" => spec.rate = Some(positive_rate(value)?),
                "size" => spec.size = Some(positive_size(key, value, MAX_MESSAGE)?),
                "total" => spec.total = Some(positive_size(key, value, u64::MAX)?),
                "count" => {
                    let count = value
                        .parse()
                        .map_err(|_| bad(key, format!("`{value}` is not a number of messages")))?;
                    spec.count = Some(count);
                }
                _ => {
                    spec.shape = value.parse().map_err(|_| {
                        bad(key, format!("`{value}` is none of message, log, random, zeros, json"))
                    })?;
                }
            }
        }
        Ok(spec)
    }
}

/// The largest simulated message: it is built in memory as a whole.
const MAX_MESSAGE: u64 = 16 << 20;

/// The most streams one `--gen` makes; the session's own limit is the real bound.
const MAX_GEN_STREAMS: u32 = 1_000_000;

fn streams(value: &str) -> Result<u32, SourceError> {
    match value.parse() {
        Ok(n @ 1..=MAX_GEN_STREAMS) => Ok(n),
        _ => Err(bad("streams", format!("`{value}` is not in 1..={MAX_GEN_STREAMS}"))),
    }
}

fn positive_rate(value: &str) -> Result<f64, SourceError> {
    let rate = units::parse_rate(value).map_err(|error| bad("rate", error.to_string()))?;
    if rate > 0.0 { Ok(rate) } else { Err(bad("rate", "must be above 0/s".to_owned())) }
}

fn positive_size(key: &str, value: &str, max: u64) -> Result<u64, SourceError> {
    match units::parse_size(value) {
        Ok(0) => Err(bad(key, "must be at least 1B".to_owned())),
        Ok(size) if size > max => {
            Err(bad(key, format!("`{value}` is more than {}", units::format_size(max))))
        }
        Ok(size) => Ok(size),
        Err(error) => Err(bad(key, error.to_string())),
    }
}

fn bad(key: &str, reason: String) -> SourceError {
    SourceError::GenValue { key: key.to_owned(), reason }
}

fn form(key: &str, problem: &'static str) -> SourceError {
    SourceError::GenForm { key: key.to_owned(), problem }
}

#[cfg(test)]
mod tests {
    use super::super::source::{Source, SourceSpec};
    use super::*;

    fn spec_of(input: &str) -> GenSpec {
        match Source::parse_gen(input).expect(input).spec {
            SourceSpec::Gen(spec) => spec,
            other => panic!("{input}: {other:?}"),
        }
    }

    #[test]
    fn gen_reads_every_setting() {
        let spec =
            spec_of("load=streams=2,rate=1000/s,size=200B,count=100000,total=1GiB,shape=log");
        let expected = GenSpec {
            streams: 2,
            rate: Some(1000.0),
            size: Some(200),
            count: Some(100_000),
            total: Some(1 << 30),
            shape: GenShape::Log,
        };
        assert_eq!(spec, expected);
    }

    #[test]
    fn a_bad_gen_names_the_setting() {
        for (input, words) in [
            ("", "names nothing to read"),
            ("load=", "names nothing to read"),
            ("0", "streams: `0` is not in 1..=1000000"),
            ("streams=99999999", "streams:"),
            ("rate=1000", "rate: `1000` has no unit; did you mean `1000/s`?"),
            ("rate=0/s", "rate: must be above 0/s"),
            ("size=200", "size: `200` has no unit"),
            ("size=0B", "size: must be at least 1B"),
            ("size=1GiB", "size: `1GiB` is more than 16 MiB"),
            ("count=many", "count: `many` is not a number"),
            ("shape=round", "shape: `round` is none of message, log"),
            ("load=speed=3", "`speed` is not a setting of --gen"),
            ("rate=1/s,rate=2/s", "`rate` is given twice"),
            ("streams=", "`streams` needs a value"),
            ("streams=2,", "`` is not a setting"),
            ("-1", "`-1` is not a setting"),
        ] {
            let error = Source::parse_gen(input).expect_err(input).to_string();
            assert!(error.contains(words), "{input}: {error}");
        }
    }
}

//! What `p2 bench` measures, validated.

use std::path::PathBuf;
use std::time::Duration;

use super::CodecId;
use super::codec::built;
use crate::args::BenchArgs;

/// What is measured, with what, for how long.
#[derive(Debug, Clone)]
pub(crate) struct BenchSettings {
    /// One JSON object instead of tables.
    pub(crate) json: bool,
    /// Of each transfer.
    pub(crate) span: Duration,
    /// How many at once, in the order given, each once.
    pub(crate) streams: Vec<u32>,
    /// Each once; never empty.
    pub(crate) codecs: Vec<CodecId>,
    /// What is sent.
    pub(crate) data: DataKind,
}

/// Bytes to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DataKind {
    /// Made-up lines of a web server's log.
    Log,
    /// Noise that no codec makes smaller.
    Random,
    /// A user's own.
    File(PathBuf),
}

impl BenchSettings {
    /// Fills in what was left out, and drops what was said twice.
    pub(crate) fn from_args(args: BenchArgs) -> Self {
        let mut codecs = args.codecs;
        if codecs.is_empty() {
            codecs = built().into_iter().map(|(id, _)| id).collect();
        }
        Self {
            json: args.json,
            span: Duration::from_secs_f64(args.seconds),
            streams: once(args.streams),
            codecs: once(codecs),
            data: args.data,
        }
    }
}

fn once<T: PartialEq>(list: Vec<T>) -> Vec<T> {
    let mut kept = Vec::with_capacity(list.len());
    for item in list {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// `log`, `random`, or a path.
///
/// # Errors
/// Nothing was given.
pub(crate) fn parse_data(text: &str) -> Result<DataKind, String> {
    match text {
        "" => Err("write log, random or a file's path".to_owned()),
        "log" => Ok(DataKind::Log),
        "random" => Ok(DataKind::Random),
        path => Ok(DataKind::File(path.into())),
    }
}

/// A number of seconds that a person waits for.
///
/// # Errors
/// It is not a number, or out of range.
pub(crate) fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.01..=600.0).contains(&seconds) => Ok(seconds),
        _ => Err("write a number from 0.01 to 600".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::{Cli, Command};

    fn read(line: &[&str]) -> Result<BenchSettings, clap::Error> {
        let cli = Cli::read([&["p2", "bench"], line].concat())?;
        let Command::Bench(args) = cli.command else { panic!("not bench") };
        Ok(BenchSettings::from_args(*args))
    }

    #[test]
    fn by_default_every_codec_carries_log_lines_on_1_8_and_100_streams() {
        let settings = read(&[]).expect("defaults");
        assert_eq!(settings.streams, [1, 8, 100]);
        assert_eq!(settings.data, DataKind::Log);
        assert!(settings.codecs.contains(&CodecId::GZIP));
        assert!(settings.codecs.contains(&CodecId::NONE));
        assert!(!settings.json);
    }

    #[test]
    fn what_is_said_twice_is_measured_once() {
        let settings = read(&["--streams=4,4,2", "--codecs=gzip,none,gzip"]).expect("valid");
        assert_eq!(settings.streams, [4, 2]);
        assert_eq!(settings.codecs, [CodecId::GZIP, CodecId::NONE]);
    }

    #[test]
    fn a_file_is_what_is_neither_log_nor_random() {
        assert_eq!(read(&["--data=random"]).expect("valid").data, DataKind::Random);
        let file = read(&["--data=/var/log/syslog"]).expect("valid").data;
        assert_eq!(file, DataKind::File("/var/log/syslog".into()));
        assert!(read(&["--data="]).is_err());
    }

    #[test]
    fn what_cannot_be_measured_is_refused() {
        for line in
            ["--streams=0", "--streams=10001", "--seconds=0", "--seconds=1h", "--codecs=brotli"]
        {
            let error = read(&[line]).expect_err(line);
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }
}

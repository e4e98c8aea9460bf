//! What was measured, as tables for people and as JSON for programs.
//!
//! The fields below are the JSON's. Rates are bytes or messages in a second, times are seconds.
//! Fields may be added; those that are here keep their meaning.

use std::time::Duration;

use serde::Serialize;

use super::super::columns::columns;
use crate::sink::escape_text;

/// Everything.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// The program's version.
    pub(super) version: &'static str,
    /// `release` or `debug`.
    pub(super) build: &'static str,
    /// The kernel and the processor, as `linux x86_64`.
    pub(super) system: String,
    /// Threads that can run at once.
    pub(super) cores: usize,
    /// Of each transfer.
    pub(super) seconds: f64,
    /// What was sent in `transfers`: `log`, `random` or a file's path.
    pub(super) data: String,
    /// Codecs alone, on one core.
    pub(super) codecs: Vec<CodecSpeed>,
    /// Large writes through a session.
    pub(super) transfers: Vec<Transfer>,
    /// Short messages through a session, without compression.
    pub(super) small: Small,
    /// Messages there and back, without compression: alone, then beside bulk streams.
    pub(super) echo: Vec<Echo>,
}

#[derive(Debug, Serialize)]
pub(super) struct CodecSpeed {
    pub(super) codec: String,
    pub(super) data: String,
    /// Raw bytes for each encoded byte.
    pub(super) ratio: f64,
    pub(super) encode_bytes_per_s: f64,
    pub(super) decode_bytes_per_s: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Transfer {
    pub(super) codec: String,
    pub(super) streams: u32,
    /// Raw bytes that arrived.
    pub(super) bytes_per_s: f64,
    /// Raw bytes for each byte on the wire.
    pub(super) ratio: f64,
}

#[derive(Debug, Default, Serialize)]
pub(super) struct Small {
    pub(super) message_bytes: u32,
    pub(super) streams: u32,
    pub(super) messages_per_s: f64,
}

#[derive(Debug, Serialize)]
pub(super) struct Echo {
    pub(super) message_bytes: u32,
    /// Streams that filled the link meanwhile.
    pub(super) bulk_streams: u32,
    pub(super) p50_s: f64,
    pub(super) p99_s: f64,
    /// Messages measured.
    pub(super) count: usize,
}

impl Answer {
    pub(super) fn new(debug: bool, span: Duration, data: String) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION"),
            build: if debug { "debug" } else { "release" },
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            seconds: span.as_secs_f64(),
            data,
            codecs: Vec::new(),
            transfers: Vec::new(),
            small: Small::default(),
            echo: Vec::new(),
        }
    }

    pub(super) fn text(&self) -> String {
        let (build, cores) = (self.build, self.cores);
        let mut text = format!("p2 {}   {build} build   {}", self.version, self.system);
        text.push_str(&format!("   {cores} core{}\n", if cores == 1 { "" } else { "s" }));
        if !self.codecs.is_empty() {
            text.push_str("\ncodecs alone, on one core\n");
            let rows: Vec<[String; 5]> = self.codecs.iter().map(CodecSpeed::row).collect();
            let head = ["codec", "data", "ratio", "encode", "decode"];
            text.push_str(&columns(head, &rows, 3));
        }
        let data = escape_text(&self.data);
        text.push_str(&format!("\nthrough a session over loopback, both ends here: {data}\n"));
        let rows: Vec<[String; 4]> = self.transfers.iter().map(Transfer::row).collect();
        text.push_str(&columns(["codec", "streams", "ratio", "rate"], &rows, 3));
        let Small { message_bytes, streams, messages_per_s } = &self.small;
        text.push_str(&format!(
            "\nmessages of {message_bytes} bytes on {streams} streams: {} a second\n",
            count(*messages_per_s)
        ));
        for Echo { message_bytes, bulk_streams, p50_s, p99_s, .. } in &self.echo {
            let beside = match bulk_streams {
                0 => "alone".to_owned(),
                bulk => format!("beside {bulk} bulk streams"),
            };
            text.push_str(&format!(
                "echo of {message_bytes} bytes {beside}: median {}, 99 of 100 within {}\n",
                short_time(*p50_s),
                short_time(*p99_s)
            ));
        }
        text
    }
}

impl CodecSpeed {
    fn row(&self) -> [String; 5] {
        [
            self.codec.clone(),
            escape_text(&self.data),
            format!("{:.2}", self.ratio),
            speed(self.encode_bytes_per_s),
            speed(self.decode_bytes_per_s),
        ]
    }
}

impl Transfer {
    fn row(&self) -> [String; 4] {
        [
            self.codec.clone(),
            self.streams.to_string(),
            format!("{:.2}", self.ratio),
            speed(self.bytes_per_s),
        ]
    }
}

/// As the other commands write speeds.
fn speed(bytes_per_s: f64) -> String {
    let megabytes = bytes_per_s / 1e6;
    if megabytes < 9.95 { format!("{megabytes:.1} MB/s") } else { format!("{megabytes:.0} MB/s") }
}

fn count(each_second: f64) -> String {
    match each_second {
        n if n >= 1e6 => format!("{:.2} million", n / 1e6),
        n if n >= 1e4 => format!("{:.0} thousand", n / 1e3),
        n => format!("{n:.0}"),
    }
}

fn short_time(seconds: f64) -> String {
    match seconds * 1e6 {
        micros if micros < 9_950.0 => format!("{micros:.0} us"),
        micros => format!("{:.0} ms", micros / 1e3),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found() -> Answer {
        let mut found = Answer::new(false, Duration::from_millis(500), "log".into());
        found.cores = 2;
        found.codecs.push(CodecSpeed {
            codec: "gzip".into(),
            data: "log".into(),
            ratio: 6.5,
            encode_bytes_per_s: 4.4e8,
            decode_bytes_per_s: 1.2e9,
        });
        let transfer =
            |streams| Transfer { codec: "none".into(), streams, bytes_per_s: 1.5e9, ratio: 0.999 };
        found.transfers = vec![transfer(1), transfer(100)];
        found.small = Small { message_bytes: 128, streams: 100, messages_per_s: 2.95e6 };
        let echo = |bulk_streams, p50_s| Echo {
            message_bytes: 64,
            bulk_streams,
            p50_s,
            p99_s: 0.0121,
            count: 9,
        };
        found.echo = vec![echo(0, 17.7e-6), echo(4, 0.000_44)];
        found
    }

    #[test]
    fn the_tables_have_every_figure_with_its_unit() {
        let found = found();
        let expected = format!(
            "p2 {}   release build   {}   2 cores\n\
             \n\
             codecs alone, on one core\n\
             codec  data  ratio    encode     decode\n\
             gzip   log    6.50  440 MB/s  1200 MB/s\n\
             \n\
             through a session over loopback, both ends here: log\n\
             codec  streams  ratio       rate\n\
             none         1   1.00  1500 MB/s\n\
             none       100   1.00  1500 MB/s\n\
             \n\
             messages of 128 bytes on 100 streams: 2.95 million a second\n\
             echo of 64 bytes alone: median 18 us, 99 of 100 within 12 ms\n\
             echo of 64 bytes beside 4 bulk streams: median 440 us, 99 of 100 within 12 ms\n",
            found.version, found.system
        );
        assert_eq!(found.text(), expected);
    }

    #[test]
    fn the_name_of_a_file_cannot_drive_the_terminal() {
        let mut found = found();
        found.data = "a\u{1b}[2J".into();
        assert!(!found.text().contains('\u{1b}'));
    }
}

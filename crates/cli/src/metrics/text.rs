//! Figures as text: the OpenMetrics format, or the older one of Prometheus for who asks for no other.

use std::fmt::Write as _;
use std::time::Duration;

use p2_transport::Histogram;

use super::catalog::{Family, Kind};
use super::sheet::{Sheet, Value};

/// Which of the two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus' text format 0.0.4.
    Plain,
}

impl Format {
    /// The one that an `Accept` header asks for.
    pub(super) fn negotiate(accept: &str) -> Self {
        let wanted = |part: &str| {
            let mut fields = part.split(';').map(str::trim);
            let name = fields.next().is_some_and(|name| name == "application/openmetrics-text");
            let fits = |field: &str| match field.split_once('=') {
                Some(("version", version)) => version.trim_matches('"').starts_with("1."),
                Some(("q", weight)) => weight.parse::<f32>().is_ok_and(|weight| weight > 0.0),
                _ => true,
            };
            name && fields.all(fits)
        };
        if accept.split(',').any(|part| wanted(part.trim())) {
            Self::OpenMetrics
        } else {
            Self::Plain
        }
    }

    /// The `Content-Type` of what [`render`] makes.
    pub(super) const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Plain => "text/plain; version=0.0.4; charset=utf-8",
        }
    }
}

/// The whole sheet.
pub(super) fn render(sheet: &Sheet, format: Format) -> String {
    let mut text = String::with_capacity(32 << 10);
    for (family, rows) in sheet.families() {
        head(&mut text, family, format);
        for (labels, value) in rows {
            match value {
                Value::Whole(count) => line(&mut text, family, "", labels, &count.to_string()),
                Value::Real(figure) => line(&mut text, family, "", labels, &real(*figure)),
                Value::Times(times) => distribution(&mut text, family, labels, times),
            }
        }
    }
    if format == Format::OpenMetrics {
        text.push_str("# EOF\n");
    }
    text
}

fn head(text: &mut String, family: &Family, format: Format) {
    // OpenMetrics names a counter without the suffix of its samples.
    let name = match (format, family.kind) {
        (Format::OpenMetrics, Kind::Counter) => family.name.trim_end_matches("_total"),
        _ => family.name,
    };
    let _ = writeln!(text, "# HELP {name} {}.", family.help);
    let _ = writeln!(text, "# TYPE {name} {}", family.kind.word());
}

fn line(text: &mut String, family: &Family, suffix: &str, labels: &[String], value: &str) {
    let _ = write!(text, "{}{suffix}", family.name);
    let names = family.labels.iter().copied().chain(["le"]);
    for (at, (name, label)) in names.zip(labels).enumerate() {
        let _ = write!(text, "{}{name}=\"", if at == 0 { '{' } else { ',' });
        escape(text, label);
        text.push('"');
    }
    let end = if labels.is_empty() { "" } else { "}" };
    let _ = writeln!(text, "{end} {value}");
}

/// Both formats escape the same three, and take everything else as it is.
fn escape(text: &mut String, label: &str) {
    for character in label.chars() {
        match character {
            '\\' => text.push_str("\\\\"),
            '"' => text.push_str("\\\""),
            '\n' => text.push_str("\\n"),
            other => text.push(other),
        }
    }
}

fn distribution(text: &mut String, family: &Family, labels: &[String], times: &Histogram) {
    let mut below = 0_u64;
    let bounds = times.bounds().iter().map(|bound| real(bound.as_secs_f64()));
    for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(times.counts()) {
        below = below.saturating_add(*count);
        let labels = [labels, &[bound]].concat();
        line(text, family, "_bucket", &labels, &below.to_string());
    }
    line(text, family, "_sum", labels, &seconds(times.sum()));
    line(text, family, "_count", labels, &below.to_string());
}

fn seconds(time: Duration) -> String {
    real(time.as_secs_f64())
}

/// With a decimal point always: the two formats disagree on how else a bound is to be written.
fn real(figure: f64) -> String {
    format!("{figure:?}")
}

#[cfg(test)]
mod tests {
    use super::super::catalog;
    use super::*;

    const BOUNDS: &[Duration] = &[Duration::from_millis(200), Duration::from_secs(1)];

    fn sheet() -> Sheet {
        let mut sheet = Sheet::default();
        let mut times = Histogram::new(BOUNDS);
        for millis in [100, 1_000, 1_500, 2_000] {
            times.observe(Duration::from_millis(millis));
        }
        sheet.put(&catalog::QUEUE_WAIT, &["high"], times);
        sheet.put(&catalog::PAYLOAD_BYTES, &["a\"\\\n\u{e9}", "sent"], u64::MAX);
        sheet.put(&catalog::LINKS, &[], 2_u64);
        sheet.put(&catalog::CREDIT_BLOCKED, &[], Duration::from_millis(2_500));
        sheet
    }

    const SAMPLES: &str = r#"p2_links_total 2
p2_payload_bytes_total{stream="a\"\\\né",direction="sent"} 18446744073709551615
p2_credit_blocked_seconds_total 2.5
p2_queue_wait_seconds_bucket{priority="high",le="0.2"} 1
p2_queue_wait_seconds_bucket{priority="high",le="1.0"} 2
p2_queue_wait_seconds_bucket{priority="high",le="+Inf"} 4
p2_queue_wait_seconds_sum{priority="high"} 4.6
p2_queue_wait_seconds_count{priority="high"} 4
"#;

    #[test]
    fn both_formats_have_the_same_samples_under_headers_of_their_own() {
        for (format, header, end) in [
            (Format::OpenMetrics, "# TYPE p2_links counter\n", "# EOF\n"),
            (Format::Plain, "# TYPE p2_links_total counter\n", "_count{priority=\"high\"} 4\n"),
        ] {
            let text = render(&sheet(), format);
            assert!(text.contains(header) && text.ends_with(end), "{text}");
            let samples = |line: &&str| !line.starts_with('#');
            let found: String =
                text.lines().filter(samples).map(|line| format!("{line}\n")).collect();
            assert_eq!(found, SAMPLES);
        }
    }

    #[test]
    fn the_format_is_the_one_that_is_asked_for() {
        let prometheus = "application/openmetrics-text;version=1.0.0,\
                          application/openmetrics-text;version=0.0.1;q=0.75,\
                          text/plain;version=0.0.4;q=0.5,*/*;q=0.1";
        for (accept, format) in [
            (prometheus, Format::OpenMetrics),
            ("application/openmetrics-text", Format::OpenMetrics),
            ("application/openmetrics-text; version=0.0.1", Format::Plain),
            ("application/openmetrics-text; version=1.0.0; q=0", Format::Plain),
            ("text/plain", Format::Plain),
            ("*/*", Format::Plain),
            ("", Format::Plain),
        ] {
            assert_eq!(Format::negotiate(accept), format, "{accept}");
        }
    }
}

//! Durations, sizes and rates as people write them, with the unit always named.

use std::time::Duration;

/// Why a quantity was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum UnitError {
    /// Nothing was given.
    #[error("empty; write {example}")]
    Empty {
        /// A well-formed value.
        example: &'static str,
    },
    /// A number without a unit, whose meaning would be a guess.
    #[error("`{input}` has no unit; did you mean `{hint}`?")]
    Bare {
        /// What was given.
        input: String,
        /// The same number with the likeliest unit.
        hint: String,
    },
    /// A unit that does not exist.
    #[error("`{unit}` is not a unit here; use {units}")]
    Unit {
        /// What stood where the unit should be.
        unit: String,
        /// The units that exist.
        units: &'static str,
    },
    /// The part before the unit is not a number.
    #[error("`{input}` does not begin with a number; write {example}")]
    Number {
        /// What was given.
        input: String,
        /// A well-formed value.
        example: &'static str,
    },
    /// A rate without its `/s`.
    #[error("`{input}` is not a rate; did you mean `{input}/s`?")]
    NotARate {
        /// What was given.
        input: String,
    },
    /// Too large to be counted.
    #[error("`{input}` is too large")]
    TooLarge {
        /// What was given.
        input: String,
    },
}

const DURATION_UNITS: &str = "ms, s, m, h or d, as in `500ms`, `15s` or `2m`";
const SIZE_UNITS: &str = "B, kB, MB, GB, KiB, MiB or GiB, as in `64MiB`";
const RATE_UNITS: &str = "/s, /m or /h, as in `1000/s`";

/// A duration: `500ms`, `15s`, `2m`, `24h`, `7d`, `1.5s`, `1m30s`.
///
/// # Errors
/// [`UnitError`] names the part that is wrong; a bare number is refused with a hint.
pub(crate) fn parse_duration(input: &str) -> Result<Duration, UnitError> {
    const EXAMPLE: &str = "a duration such as `15s`";
    let too_large = || UnitError::TooLarge { input: input.to_owned() };
    let mut rest = input.trim();
    if rest.is_empty() {
        return Err(UnitError::Empty { example: EXAMPLE });
    }
    let mut nanos: u128 = 0;
    while !rest.is_empty() {
        let (number, tail) =
            Decimal::take(rest).map_err(|error| error.into_unit_error(input, EXAMPLE))?;
        let end = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, next) = tail.split_at(end);
        let scale: u128 = match unit.trim() {
            "" => {
                return Err(UnitError::Bare { input: input.to_owned(), hint: format!("{input}s") });
            }
            "ns" => 1,
            "us" | "µs" => 1_000,
            "ms" => 1_000_000,
            "s" | "sec" => 1_000_000_000,
            "m" | "min" => 60 * 1_000_000_000,
            "h" => 3_600 * 1_000_000_000,
            "d" => 86_400 * 1_000_000_000,
            other => {
                return Err(UnitError::Unit { unit: other.to_owned(), units: DURATION_UNITS });
            }
        };
        let part = number.times(scale).ok_or_else(too_large)?;
        nanos = nanos.checked_add(part).ok_or_else(too_large)?;
        rest = next;
    }
    u64::try_from(nanos).map(Duration::from_nanos).map_err(|_| too_large())
}

/// A number of bytes: `200B`, `4kB` (1000), `64MiB` (1024 × 1024), `1.5GiB`.
///
/// # Errors
/// [`UnitError`] names the part that is wrong; a bare number and the ambiguous `64M` are refused
/// with a hint.
pub(crate) fn parse_size(input: &str) -> Result<u64, UnitError> {
    const EXAMPLE: &str = "a size such as `64MiB`";
    let text = input.trim();
    if text.is_empty() {
        return Err(UnitError::Empty { example: EXAMPLE });
    }
    let (number, unit) =
        Decimal::take(text).map_err(|error| error.into_unit_error(input, EXAMPLE))?;
    let scale: u128 = match unit.trim().to_ascii_lowercase().as_str() {
        "" => {
            return Err(UnitError::Bare { input: text.to_owned(), hint: format!("{text}MiB") });
        }
        "b" => 1,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "tb" => 1_000_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        "tib" => 1 << 40,
        "k" | "m" | "g" | "t" => {
            return Err(UnitError::Bare { input: text.to_owned(), hint: format!("{text}iB") });
        }
        _ => {
            return Err(UnitError::Unit { unit: unit.trim().to_owned(), units: SIZE_UNITS });
        }
    };
    number
        .times(scale)
        .and_then(|bytes| u64::try_from(bytes).ok())
        .ok_or_else(|| UnitError::TooLarge { input: input.to_owned() })
}

/// Bytes a second: `2MiB/s`, `500kB/s`, `10Mbit/s`.
///
/// # Errors
/// [`UnitError`], as for [`parse_size`]; the `/s` must be there.
pub(crate) fn parse_byte_rate(input: &str) -> Result<u64, UnitError> {
    let text = input.trim();
    if text.is_empty() {
        return Err(UnitError::Empty { example: "a rate such as `2MiB/s`" });
    }
    let Some(amount) = text.strip_suffix("/s") else {
        if text.bytes().all(|b| b.is_ascii_digit() || b == b'.') {
            return Err(UnitError::Bare { input: text.to_owned(), hint: format!("{text}MiB/s") });
        }
        return Err(UnitError::NotARate { input: text.to_owned() });
    };
    let lower = amount.to_ascii_lowercase();
    for (unit, bytes) in [("kbit", 125), ("mbit", 125_000), ("gbit", 125_000_000_u128)] {
        if let Some(number) = lower.strip_suffix(unit) {
            let (number, rest) = Decimal::take(number.trim())
                .map_err(|error| error.into_unit_error(input, "a rate such as `10Mbit/s`"))?;
            if rest.is_empty() {
                return number
                    .times(bytes)
                    .and_then(|bytes| u64::try_from(bytes).ok())
                    .ok_or_else(|| UnitError::TooLarge { input: input.to_owned() });
            }
        }
    }
    match parse_size(amount) {
        Err(UnitError::Bare { hint, .. }) => {
            Err(UnitError::Bare { input: text.to_owned(), hint: format!("{hint}/s") })
        }
        other => other,
    }
}

/// Events a second: `1000/s`, `30/m`, `0.5/s`.
///
/// # Errors
/// [`UnitError`], as for [`parse_duration`]; the `/s` must be there.
pub(crate) fn parse_rate(input: &str) -> Result<f64, UnitError> {
    const EXAMPLE: &str = "a rate such as `1000/s`";
    let text = input.trim();
    if text.is_empty() {
        return Err(UnitError::Empty { example: EXAMPLE });
    }
    let (number, unit) =
        Decimal::take(text).map_err(|error| error.into_unit_error(input, EXAMPLE))?;
    let seconds = match unit.trim() {
        "" => {
            return Err(UnitError::Bare { input: text.to_owned(), hint: format!("{text}/s") });
        }
        "/s" => 1.0,
        "/m" | "/min" => 60.0,
        "/h" => 3_600.0,
        other => {
            return Err(UnitError::Unit { unit: other.to_owned(), units: RATE_UNITS });
        }
    };
    Ok(number.as_f64() / seconds)
}

/// A size in words, as on the status line: `200 B`, `3.1 MiB`.
#[must_use]
pub(crate) fn format_size(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut value = bytes as f64;
    let mut unit = 0;
    // 1023.95 would be shown as 1024.0, so the next unit begins there.
    while value >= 1023.95 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or("B");
    let text = format!("{value:.1}");
    let text = text.strip_suffix(".0").unwrap_or(&text);
    format!("{text} {name}")
}

/// A duration in words: `40 ms`, `0.4 s`, `15 s`, `2 m 5 s`, `24 h`.
#[must_use]
pub(crate) fn format_duration(duration: Duration) -> String {
    let millis = duration.as_millis();
    if millis < 100 {
        return format!("{millis} ms");
    }
    if millis < 9_950 {
        let text = format!("{:.1}", duration.as_secs_f64());
        return format!("{} s", text.strip_suffix(".0").unwrap_or(&text));
    }
    let seconds = duration.as_secs() + u64::from(duration.subsec_millis() >= 500);
    let (days, hours, minutes, secs) =
        (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    // Two units say enough; the second is left out when it is zero.
    let parts = [(days, "d"), (hours, "h"), (minutes, "m"), (secs, "s")];
    let first = parts.iter().position(|(n, _)| *n > 0).unwrap_or(3);
    let words: Vec<String> = parts
        .iter()
        .skip(first)
        .take(2)
        .filter(|(n, _)| *n > 0)
        .map(|(n, unit)| format!("{n} {unit}"))
        .collect();
    words.join(" ")
}

/// A non-negative decimal, exact to nine places.
#[derive(Debug, Clone, Copy)]
struct Decimal {
    whole: u64,
    fraction: u64,
    scale: u64,
}

enum DecimalError {
    Missing,
    TooLarge,
}

impl DecimalError {
    fn into_unit_error(self, input: &str, example: &'static str) -> UnitError {
        let input = input.to_owned();
        match self {
            Self::Missing => UnitError::Number { input, example },
            Self::TooLarge => UnitError::TooLarge { input },
        }
    }
}

impl Decimal {
    /// Takes the number at the start of `text`; returns it and the rest.
    fn take(text: &str) -> Result<(Self, &str), DecimalError> {
        let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (digits, rest) = text.split_at(end);
        if digits.is_empty() {
            return Err(DecimalError::Missing);
        }
        let whole = digits.parse().map_err(|_| DecimalError::TooLarge)?;
        let Some(after) = rest.strip_prefix('.') else {
            return Ok((Self { whole, fraction: 0, scale: 1 }, rest));
        };
        let end = after.find(|c: char| !c.is_ascii_digit()).unwrap_or(after.len());
        let (places, rest) = after.split_at(end);
        if places.is_empty() {
            return Err(DecimalError::Missing);
        }
        // Nine places are a nanosecond; what is finer has no effect on anything here.
        let places = places.get(..places.len().min(9)).unwrap_or(places);
        let fraction = places.parse().map_err(|_| DecimalError::TooLarge)?;
        let scale = places.bytes().fold(1_u64, |scale, _| scale.saturating_mul(10));
        Ok((Self { whole, fraction, scale }, rest))
    }

    fn times(self, unit: u128) -> Option<u128> {
        let whole = u128::from(self.whole).checked_mul(unit)?;
        let part = u128::from(self.fraction).checked_mul(unit)? / u128::from(self.scale.max(1));
        whole.checked_add(part)
    }

    #[expect(clippy::cast_precision_loss, reason = "a rate needs no more than 52 bits")]
    fn as_f64(self) -> f64 {
        self.whole as f64 + self.fraction as f64 / self.scale.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_with_their_unit() {
        for (text, millis) in [
            ("500ms", 500),
            ("15s", 15_000),
            ("2m", 120_000),
            ("24h", 86_400_000),
            ("1d", 86_400_000),
            ("1.5s", 1_500),
            ("1m30s", 90_000),
            ("0s", 0),
            (" 5s ", 5_000),
            ("5 s", 5_000),
            ("250us", 0),
        ] {
            assert_eq!(parse_duration(text).map(|d| d.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn a_duration_that_is_not_one_says_why() {
        for (text, words) in [
            ("15", "`15` has no unit; did you mean `15s`?"),
            ("1m30", "`1m30` has no unit; did you mean `1m30s`?"),
            ("", "empty"),
            ("soon", "does not begin with a number"),
            ("-5s", "does not begin with a number"),
            ("5.s", "does not begin with a number"),
            ("5 parsecs", "`parsecs` is not a unit here; use ms, s, m, h or d"),
            ("99999999999999999999s", "too large"),
            ("18446744073709551615d", "too large"),
        ] {
            let error = parse_duration(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_read_with_their_unit() {
        for (text, bytes) in [
            ("200B", 200),
            ("4kB", 4_000),
            ("4KB", 4_000),
            ("4KiB", 4_096),
            ("64MiB", 64 << 20),
            ("64mib", 64 << 20),
            ("1.5GiB", 3 << 29),
            ("2 TB", 2_000_000_000_000),
            ("0B", 0),
            ("18446744073709551615B", u64::MAX),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
    }

    #[test]
    fn a_size_that_is_not_one_says_why() {
        for (text, words) in [
            ("64", "`64` has no unit; did you mean `64MiB`?"),
            ("64M", "did you mean `64MiB`?"),
            ("", "empty"),
            ("MiB", "does not begin with a number"),
            ("-1B", "does not begin with a number"),
            ("1.2.3MiB", "`.3MiB` is not a unit"),
            ("3 potatoes", "`potatoes` is not a unit here; use B, kB"),
            ("18446744073709551616B", "too large"),
            ("17000000TiB", "too large"),
        ] {
            let error = parse_size(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn byte_rates_need_their_second() {
        for (text, rate) in
            [("2MiB/s", 2 << 20), ("500kB/s", 500_000), ("10Mbit/s", 1_250_000), ("8kbit/s", 1_000)]
        {
            assert_eq!(parse_byte_rate(text), Ok(rate), "{text}");
        }
        for (text, words) in [
            ("2MiB", "did you mean `2MiB/s`?"),
            ("2", "did you mean `2MiB/s`?"),
            ("2/s", "did you mean `2MiB/s`?"),
            ("2M/s", "did you mean `2MiB/s`?"),
            ("xMbit/s", "does not begin with a number"),
            ("", "empty"),
            ("/s", "empty"),
        ] {
            let error = parse_byte_rate(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn rates_count_events_in_a_second() {
        for (text, rate) in [("1000/s", 1000.0), ("30/m", 0.5), ("0.5/s", 0.5), ("3600/h", 1.0)] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for (text, words) in [
            ("1000", "did you mean `1000/s`?"),
            ("fast", "does not begin with a number"),
            ("1000Hz", "`Hz` is not a unit here; use /s"),
            ("", "empty"),
        ] {
            let error = parse_rate(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn sizes_are_shown_with_one_place_at_most() {
        for (bytes, text) in [
            (0, "0 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (3_250_586, "3.1 MiB"),
            (64 << 20, "64 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (u64::MAX, "16384 PiB"),
        ] {
            assert_eq!(format_size(bytes), text);
        }
    }

    #[test]
    fn durations_are_shown_in_two_units_at_most() {
        for (millis, text) in [
            (0, "0 ms"),
            (99, "99 ms"),
            (400, "0.4 s"),
            (5_000, "5 s"),
            (15_000, "15 s"),
            (51_400, "51 s"),
            (59_600, "1 m"),
            (125_000, "2 m 5 s"),
            (3_600_000, "1 h"),
            (90_061_000, "1 d 1 h"),
        ] {
            assert_eq!(format_duration(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn what_is_no_text_of_a_unit_never_panics() {
        for text in ["9".repeat(400), "1.".to_owned() + &"9".repeat(400) + "s", "µ5µ".into()] {
            let _ = parse_duration(&text);
            let _ = parse_size(&text);
            let _ = parse_rate(&text);
            let _ = parse_byte_rate(&text);
        }
    }
}

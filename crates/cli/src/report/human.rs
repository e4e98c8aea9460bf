//! Numbers as people read them: `4.3 GiB`, `7.1x`, `23 ms`, `51 s`.

use std::time::Duration;

const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes in the largest binary unit that leaves at least one.
pub(crate) fn bytes(count: u64) -> String {
    let (value, unit) = scaled(count);
    format!("{} {}", short(value), unit_name(unit))
}

/// Bytes each second over a span of time.
pub(crate) fn rate(count: u64, over: Duration) -> String {
    let seconds = over.as_secs_f64();
    if seconds <= 0.0 {
        return "0 B/s".to_owned();
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates, never negative
    let each = (count as f64 / seconds) as u64;
    format!("{}/s", bytes(each))
}

/// A part of a whole in one unit where the part still shows in it: `3.1 of 64 MiB`.
pub(crate) fn of(part: u64, whole: u64) -> String {
    let (_, unit) = scaled(whole);
    let in_unit = short(part as f64 / 1024_f64.powi(unit));
    if part == 0 || in_unit != "0" {
        format!("{in_unit} of {}", bytes(whole))
    } else {
        format!("{} of {}", bytes(part), bytes(whole))
    }
}

/// How many raw bytes one wire byte carried; `-` when nothing was sent.
pub(crate) fn ratio(raw: u64, wire: u64) -> String {
    if wire == 0 || raw == 0 {
        return "-".to_owned();
    }
    let ratio = raw as f64 / wire as f64;
    if ratio < 99.95 { format!("{ratio:.1}x") } else { format!("{ratio:.0}x") }
}

/// A round trip: `0.3 ms`, `23 ms`, `1.2 s`.
pub(crate) fn rtt(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    if ms < 999.5 { format!("{} ms", below_ten(ms)) } else { span(time) }
}

/// A span of time: `0.4 s`, `51 s`, `2 m 5 s`, `3 h 4 m`, `2 d 1 h`.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 59.5 {
        return format!("{} s", below_ten(seconds));
    }
    let whole = time.as_secs() + u64::from(time.subsec_millis() >= 500);
    let (days, hours, minutes) = (whole / 86_400, whole / 3_600 % 24, whole / 60 % 60);
    let pair = |large: u64, a: &str, small: u64, b: &str| match small {
        0 => format!("{large} {a}"),
        _ => format!("{large} {a} {small} {b}"),
    };
    match (days, hours) {
        (0, 0) => pair(minutes, "m", whole % 60, "s"),
        (0, _) => pair(hours, "h", minutes, "m"),
        _ => pair(days, "d", hours, "h"),
    }
}

/// A count with its noun: `1 stream`, `3 streams`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{} {noun}s", grouped(n)) }
}

/// Digits in groups of three: `70,123`.
pub(crate) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The value in its unit; a value that would be shown as 1024 is one of the next unit.
fn scaled(count: u64) -> (f64, i32) {
    let (mut value, mut unit) = (count as f64, 0);
    while value >= 1023.5 && unit < 6 && (unit > 0 || count > 1023) {
        value /= 1024.0;
        unit += 1;
    }
    (value, unit)
}

fn unit_name(unit: i32) -> &'static str {
    usize::try_from(unit).ok().and_then(|at| UNITS.get(at)).copied().unwrap_or("B")
}

/// One decimal below a hundred, unless it is a zero.
fn short(value: f64) -> String {
    decimal(value, 99.95)
}

fn below_ten(value: f64) -> String {
    decimal(value, 9.95)
}

fn decimal(value: f64, below: f64) -> String {
    if value >= below {
        return format!("{value:.0}");
    }
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_a_unit_and_at_most_one_decimal() {
        for (count, text) in [
            (0, "0 B"),
            (1, "1 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (217_088, "212 KiB"),
            (650_117_120, "620 MiB"),
            (4_617_089_843, "4.3 GiB"),
            (64 << 20, "64 MiB"),
            ((1 << 20) - 1, "1 MiB"),
            (16_857_958_809, "15.7 GiB"),
            (u64::MAX, "16 EiB"),
        ] {
            assert_eq!(bytes(count), text);
        }
    }

    #[test]
    fn a_part_is_shown_in_the_unit_of_the_whole_if_it_shows_there() {
        assert_eq!(of(3_250_586, 64 << 20), "3.1 of 64 MiB");
        assert_eq!(of(0, 64 << 20), "0 of 64 MiB");
        assert_eq!(of(3 << 10, 64 << 20), "3 KiB of 64 MiB");
        assert_eq!(of(64 << 20, 64 << 20), "64 of 64 MiB");
    }

    #[test]
    fn ratios_need_something_on_the_wire() {
        assert_eq!(ratio(710, 100), "7.1x");
        assert_eq!(ratio(99, 100), "1.0x");
        assert_eq!(ratio(12_345, 100), "123x");
        assert_eq!(ratio(0, 100), "-");
        assert_eq!(ratio(5, 0), "-");
    }

    #[test]
    fn times_are_as_exact_as_they_are_short() {
        let ms = Duration::from_millis;
        assert_eq!(rtt(Duration::from_micros(310)), "0.3 ms");
        assert_eq!(rtt(ms(23)), "23 ms");
        assert_eq!(rtt(ms(1_200)), "1.2 s");
        for (time, text) in [
            (ms(0), "0 s"),
            (ms(400), "0.4 s"),
            (ms(2_000), "2 s"),
            (ms(51_200), "51 s"),
            (ms(59_700), "1 m"),
            (ms(125_000), "2 m 5 s"),
            (ms(11_040_000), "3 h 4 m"),
            (ms(176_400_000), "2 d 1 h"),
        ] {
            assert_eq!(span(time), text);
        }
    }

    #[test]
    fn counts_agree_with_their_noun() {
        assert_eq!(count(1, "stream"), "1 stream");
        assert_eq!(count(0, "stream"), "0 streams");
        assert_eq!(count(70_123, "frame"), "70,123 frames");
        assert_eq!(grouped(1_000_000), "1,000,000");
        assert_eq!(rate(3 << 20, Duration::from_secs(2)), "1.5 MiB/s");
        assert_eq!(rate(3, Duration::ZERO), "0 B/s");
    }
}

//! One line each interval that says how a session goes.

use std::time::Duration;

use p2_transport::SessionStats;

use super::human;
use super::progress::{Side, moved};
use crate::sink::escape_text;

/// The line; `before` is the raw count of the last line, `since` the time from it.
pub(crate) fn line(side: Side, stats: &SessionStats, before: u64, since: Duration) -> String {
    let (raw, wire) = moved(side, stats);
    let verb = match side {
        Side::Sender => "sent",
        Side::Receiver => "received",
    };
    let mut line = format!(
        "stats {}   {verb} {} ({} on the wire, {})   {}   {}",
        escape_text(&stats.name),
        human::bytes(raw),
        human::bytes(wire),
        human::ratio(raw, wire),
        human::rate(raw.saturating_sub(before), since),
        human::count(stats.streams.len() as u64, "stream"),
    );
    if stats.retained_limit > 0 && side == Side::Sender {
        line.push_str(&format!("   held {}", human::of(stats.retained, stats.retained_limit)));
    }
    if let Some(rtt) = stats.rtt {
        line.push_str(&format!("   rtt {}", human::rtt(rtt)));
    }
    line.push_str(&format!("   reconnects {}", stats.reconnects));
    if !stats.link_up {
        line.push_str("   no link");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_totals_rate_and_health() {
        let mut stats = SessionStats::default();
        stats.name = "web1-logs".into();
        stats.raw_sent = 4_617_089_843;
        stats.wire_sent = 650_117_120;
        stats.retained = 3_250_586;
        stats.retained_limit = 64 << 20;
        stats.rtt = Some(Duration::from_millis(23));
        stats.reconnects = 1;
        assert_eq!(
            line(Side::Sender, &stats, 4_617_089_843 - (20 << 20), Duration::from_secs(10)),
            "stats web1-logs   sent 4.3 GiB (620 MiB on the wire, 7.1x)   2 MiB/s   0 streams   \
             held 3.1 of 64 MiB   rtt 23 ms   reconnects 1   no link"
        );
        stats.link_up = true;
        stats.rtt = None;
        assert_eq!(
            line(Side::Receiver, &stats, 0, Duration::from_secs(10)),
            "stats web1-logs   received 0 B (0 B on the wire, -)   0 B/s   0 streams   reconnects 1"
        );
    }
}

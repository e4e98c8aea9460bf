//! The receipt: one line when a session is done, and a table of its streams for who asks.

use p2_transport::{HalfState, SessionStats, SessionSummary, StreamStats};

use super::human;
use super::ledger::Ledger;
use super::progress::Side;
use crate::sink::escape_text;

/// The line at the end: what moved, what it cost, and whether all of it arrived.
pub(crate) fn done_line(side: Side, summary: &SessionSummary) -> String {
    let (raw, wire) = match side {
        Side::Sender => (summary.raw_sent, summary.wire_sent),
        Side::Receiver => (summary.raw_received, summary.wire_received),
    };
    let streams = summary.other_streams.saturating_add(summary.streams.len() as u64);
    let ledger = Ledger::of_summary(summary);
    let mut line = format!(
        "done   {} in {}, {} on the wire ({})   reconnects {}   {ledger}",
        human::bytes(raw),
        human::count(streams, "stream"),
        human::bytes(wire),
        human::ratio(raw, wire),
        summary.reconnects,
    );
    if summary.dropped > 0 {
        line.push_str(&format!("   dropped by choice {}", human::bytes(summary.dropped)));
    }
    if summary.reset_streams > 0 {
        let ended = human::count(summary.reset_streams, "stream");
        line.push_str(&format!("   {ended} ended early"));
    } else if ledger == Ledger::default() {
        line.push_str("   all acknowledged");
    }
    if side == Side::Receiver {
        line.push_str(&format!("   session {}", escape_text(&summary.name)));
    }
    line
}

/// The table of streams and the session's health below it. `stats` are the last ones.
pub(crate) fn table(summary: &SessionSummary, stats: &SessionStats) -> String {
    let mut rows = vec![HEADINGS.map(str::to_owned)];
    rows.extend(summary.streams.iter().map(row));
    if summary.other_streams > 0 {
        let mut others = row(&summary.others);
        others[0] = "...".to_owned();
        others[1] = format!("{} more", human::grouped(summary.other_streams));
        others[2] = "-".to_owned();
        others[11] = "-".to_owned();
        rows.push(others);
    }
    let mut text = aligned(&rows);
    let rtt = match (stats.rtt, stats.min_rtt) {
        (Some(last), Some(best)) => {
            format!("   rtt {} (best {})", human::rtt(last), human::rtt(best))
        }
        (Some(last), None) => format!("   rtt {}", human::rtt(last)),
        _ => String::new(),
    };
    text.push_str(&format!(
        "heartbeats   sent {}   answered {}   missed {}   peer's answered {}{rtt}\n",
        stats.pings_sent, stats.pongs_received, stats.pings_missed, stats.pings_answered,
    ));
    text.push_str(&format!(
        "session {}   lasted {}   reconnects {}   without a link {}   replayed {}   {}\n",
        escape_text(&summary.name),
        human::span(summary.lasted),
        summary.reconnects,
        human::span(summary.outage),
        human::bytes(summary.replayed_bytes),
        Ledger::of_summary(summary),
    ));
    text
}

const HEADINGS: [&str; 12] = [
    "stream",
    "name",
    "codec",
    "sent",
    "received",
    "wire out",
    "wire in",
    "ratio",
    "frames out",
    "frames in",
    "replayed",
    "end",
];

fn row(stream: &StreamStats) -> [String; 12] {
    let codec = match stream.bytes_sent {
        0 => stream.codec_received,
        _ => stream.codec_sent,
    };
    [
        stream.label.to_string(),
        escape_text(&stream.name),
        codec.map_or_else(|| "-".to_owned(), |codec| codec.to_string()),
        human::bytes(stream.bytes_sent),
        human::bytes(stream.bytes_received),
        human::bytes(stream.wire_sent),
        human::bytes(stream.wire_received),
        human::ratio(
            stream.bytes_sent.saturating_add(stream.bytes_received),
            stream.wire_sent.saturating_add(stream.wire_received),
        ),
        human::grouped(stream.frames_sent),
        human::grouped(stream.frames_received),
        human::bytes(stream.replayed),
        end(stream).to_owned(),
    ]
}

fn end(stream: &StreamStats) -> &'static str {
    let halves = [stream.send_state, stream.recv_state];
    if stream.digest_verified == Some(false) {
        "damaged"
    } else if halves.contains(&HalfState::Reset) {
        "ended early"
    } else if halves.iter().all(|half| matches!(half, HalfState::Finished | HalfState::Absent)) {
        if stream.digest_verified == Some(true) { "verified" } else { "acknowledged" }
    } else {
        "open"
    }
}

/// Columns of equal width two spaces apart; names and words to the left, numbers to the right.
fn aligned(rows: &[[String; 12]]) -> String {
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..HEADINGS.len()).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            match column {
                1 | 2 | 11 => line.push_str(&format!("{cell:<width$}")),
                _ => line.push_str(&format!("{cell:>width$}")),
            }
            line.push_str("  ");
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use p2_transport::CodecId;

    use super::*;

    fn summary() -> SessionSummary {
        let mut app = StreamStats::default();
        app.label = 7;
        app.name = "app".into();
        app.codec_sent = Some(CodecId::ZSTD);
        app.bytes_sent = 4_617_089_843;
        app.wire_sent = 650_117_120;
        app.frames_sent = 70_123;
        app.replayed = 217_088;
        app.send_state = HalfState::Finished;
        app.recv_state = HalfState::Absent;
        let mut db = app.clone();
        (db.label, db.name) = (12, "d\u{1b}b".into());
        (db.bytes_sent, db.wire_sent, db.frames_sent) = (10, 12, 1);
        (db.replayed, db.codec_sent, db.send_state) = (0, Some(CodecId::NONE), HalfState::Reset);
        let mut summary = SessionSummary::default();
        summary.name = "web1-logs".into();
        summary.lasted = Duration::from_secs(300);
        summary.outage = Duration::from_secs(51);
        summary.streams = vec![app, db];
        summary.other_streams = 1;
        summary.raw_sent = 4_617_089_843;
        summary.wire_sent = 650_117_120;
        summary.reconnects = 2;
        summary.replayed_bytes = 217_088;
        summary
    }

    #[test]
    fn the_receipt_reads_as_promised() {
        assert_eq!(
            done_line(Side::Sender, &summary()),
            "done   4.3 GiB in 3 streams, 620 MiB on the wire (7.1x)   reconnects 2   lost 0   \
             duplicated 0   all acknowledged"
        );
    }

    #[test]
    fn the_receipt_does_not_claim_what_is_not_so() {
        let mut bad = summary();
        bad.lost = 5;
        bad.dropped = 2048;
        assert!(
            done_line(Side::Sender, &bad)
                .ends_with("lost 5 B   duplicated 0   dropped by choice 2 KiB")
        );
        bad.reset_streams = 1;
        assert!(done_line(Side::Sender, &bad).ends_with("   1 stream ended early"));
        assert!(done_line(Side::Receiver, &bad).ends_with("ended early   session web1-logs"));
    }

    #[test]
    fn the_table_has_a_row_for_each_stream_and_the_health_below() {
        let mut stats = SessionStats::default();
        stats.pings_sent = 60;
        stats.pongs_received = 58;
        stats.pings_missed = 2;
        stats.rtt = Some(Duration::from_millis(23));
        stats.min_rtt = Some(Duration::from_millis(21));
        let expected = "\
stream  name    codec     sent  received  wire out  wire in  ratio  frames out  frames in  replayed  end
     7  app     zstd   4.3 GiB       0 B   620 MiB      0 B   7.1x      70,123          0   212 KiB  acknowledged
    12  d\\x1bb  none      10 B       0 B      12 B      0 B   0.8x           1          0       0 B  ended early
   ...  1 more  -          0 B       0 B       0 B      0 B      -           0          0       0 B  -
heartbeats   sent 60   answered 58   missed 2   peer's answered 0   rtt 23 ms (best 21 ms)
session web1-logs   lasted 5 m   reconnects 2   without a link 51 s   replayed 212 KiB   lost 0   duplicated 0
";
        assert_eq!(table(&summary(), &stats), expected);
    }
}

//! `p2 top`: sessions and streams as they move, redrawn on a terminal, else one table a look.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::terminal::{INTERRUPT, Terminal};
use super::{Look, nothing_runs, print, rows};
use crate::args::TopArgs;
use crate::exit::Exit;
use crate::report::{bytes, count, span};
use crate::signal::Signals;
use crate::status::{SessionState, Status, StreamStatus};

/// Looks come no faster: each asks every process.
const SHORTEST: Duration = Duration::from_millis(100);

/// Streams in a table without a terminal.
const STREAMS: usize = 50;

/// Shows it until it is told to end.
///
/// # Errors
/// Nothing runs and there is no terminal to wait at, or stdout cannot be written.
pub(crate) async fn run(args: TopArgs) -> anyhow::Result<Exit> {
    let mut signals = Signals::listen()?;
    let interval = args.interval.max(SHORTEST);
    let mut terminal = Terminal::take();
    let mut left = args.count;
    let mut next = Instant::now();
    loop {
        // A process that ends, or begins, is no reason to stop watching the others.
        let look = match Look::at(args.process.as_deref()).await {
            Ok(look) => look,
            Err(error) if terminal.is_none() => return Err(error.into()),
            Err(_) => Look::default(),
        };
        match &terminal {
            Some(terminal) => terminal.draw(&screen(&look, interval, terminal.height()))?,
            None if look.is_empty() => return Err(nothing_runs().into()),
            None => print(&format!("{}\n", screen(&look, interval, usize::MAX)))?,
        }
        left = left.map(|left| left.saturating_sub(1));
        if left == Some(0) {
            return Ok(Exit::Success);
        }
        // Looks that took longer than the interval are not made up for.
        next = (next + interval).max(Instant::now());
        loop {
            tokio::select! {
                () = sleep_until(next) => break,
                exit = signals.draining() => return Ok(exit),
                key = key(&mut terminal) => match key {
                    b'q' | b'Q' => return Ok(Exit::Success),
                    INTERRUPT => return Ok(Exit::Interrupted),
                    _ => {}
                },
            }
        }
    }
}

async fn key(terminal: &mut Option<Terminal>) -> u8 {
    match terminal {
        Some(terminal) => match terminal.keys.recv().await {
            Some(key) => key,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
}

/// All of it, in about `height` lines: streams that move least are left out.
fn screen(look: &Look, interval: Duration, height: usize) -> String {
    let mut text = summary(look, interval);
    text.push('\n');
    let all = look.statuses.iter();
    let sessions: Vec<_> =
        all.flat_map(|one| one.sessions.iter().map(|session| (one.pid, session))).collect();
    if !sessions.is_empty() {
        text.push_str(&rows::sessions(sessions.iter().copied()));
    }
    for status in &look.statuses {
        for problem in &status.problems {
            text.push_str(&format!("! {}\n", crate::sink::escape_text(problem)));
        }
    }
    for silent in &look.silent {
        text.push_str(&format!("! {silent}\n"));
    }
    let mut streams: Vec<(&str, &StreamStatus)> = sessions
        .iter()
        .flat_map(|(_, one)| one.streams.iter().map(|stream| (one.name.as_str(), stream)))
        .collect();
    let rank = |stream: &StreamStatus| stream.bytes_per_second.unwrap_or(0.0);
    streams
        .sort_by(|(_, a), (_, b)| rank(b).total_cmp(&rank(a)).then(b.raw_bytes.cmp(&a.raw_bytes)));
    let open: u64 = sessions.iter().map(|(_, session)| session.streams_open).sum();
    // A blank line, the headings and the line about the others.
    let room = height.saturating_sub(text.lines().count() + 3).min(STREAMS);
    streams.truncate(room);
    if !streams.is_empty() {
        text.push('\n');
        text.push_str(&rows::streams(streams.iter().copied()));
    }
    let more = open.saturating_sub(streams.len() as u64);
    if more > 0 {
        text.push_str(&format!("and {} that move less\n", count(more, "stream")));
    }
    text
}

fn summary(look: &Look, interval: Duration) -> String {
    let sessions = || look.statuses.iter().flat_map(|status: &Status| &status.sessions);
    let number = sessions().count() as u64;
    let without = |state| state != SessionState::Up && state != SessionState::Closed;
    let down = match sessions().filter(|session| without(session.state)).count() {
        0 => String::new(),
        down => format!(" ({down} without a link)"),
    };
    let rate = sessions().filter_map(|session| session.bytes_per_second).sum::<f64>();
    let total = sessions().fold(0_u64, |sum, one| sum.saturating_add(one.raw_bytes));
    format!(
        "p2 top   {}   {}{down}   {}   {}   {} in all   every {}   q: quit",
        jiff::Zoned::now().strftime("%H:%M:%S"),
        count(number, "session"),
        count(sessions().map(|session| session.streams_open).sum(), "stream"),
        rows::rate(Some(rate)),
        bytes(total),
        span(interval),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::SessionStatus;

    fn look(streams: u32) -> Look {
        let stream = |label: u32| StreamStatus {
            label,
            name: format!("s{label}"),
            bytes_per_second: Some(f64::from(label)),
            ..StreamStatus::default()
        };
        let session = SessionStatus {
            name: "web1".into(),
            state: SessionState::Up,
            streams_open: u64::from(streams),
            streams: (1..=streams).map(stream).collect(),
            ..SessionStatus::default()
        };
        let status = Status { pid: 7, sessions: vec![session], ..Status::default() };
        Look { statuses: vec![status], silent: Vec::new() }
    }

    #[test]
    fn the_busiest_streams_come_first_and_the_screen_is_not_overrun() {
        let text = screen(&look(100), Duration::from_secs(1), 24);
        assert!(text.lines().count() <= 24, "{text}");
        let rows: Vec<&str> = text.lines().filter(|line| line.contains(" s1")).collect();
        assert!(rows[0].contains("s100"), "{text}");
        assert!(text.contains("and 82 streams that move less"), "{text}");
        let one = screen(&look(1), Duration::from_secs(1), 24);
        assert!(!one.contains("move less"), "{one}");
    }

    #[test]
    fn a_small_window_still_shows_the_sessions() {
        let text = screen(&look(10), Duration::from_secs(1), 3);
        assert!(text.contains("web1"), "{text}");
        assert!(screen(&Look::default(), Duration::from_secs(1), 24).contains("0 sessions"));
    }
}

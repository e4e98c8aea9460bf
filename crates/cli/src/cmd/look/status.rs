//! `p2 status`: how the senders and receivers of this user are.

use super::{Look, nothing_runs, print, rows};
use crate::args::StatusArgs;
use crate::exit::Exit;
use crate::report::{bytes, count, of, span};
use crate::sink::escape_text;
use crate::status::{SessionStatus, SinkStatus, SourceStatus, Status};

/// Streams of one session that are shown; `--json` has more.
const STREAMS: usize = 20;

/// Says it.
///
/// # Errors
/// Nothing runs, or a process does not answer.
pub(crate) async fn run(args: StatusArgs) -> anyhow::Result<Exit> {
    let look = Look::at(args.process.as_deref()).await?;
    if look.is_empty() {
        return Err(nothing_runs().into());
    }
    let healthy = look.silent.is_empty() && look.statuses.iter().all(|status| status.healthy);
    let mut text = String::new();
    for status in &look.statuses {
        match (args.json, args.check) {
            (true, _) => {
                text.push_str(&serde_json::to_string(status)?);
                text.push('\n');
            }
            (false, true) => {
                for problem in &status.problems {
                    text.push_str(&format!("process {}: {}\n", status.pid, escape_text(problem)));
                }
            }
            (false, false) => text.push_str(&process(status)),
        }
    }
    print(&text)?;
    look.silent.iter().for_each(crate::error::UserError::report);
    Ok(match (args.check, look.silent.is_empty()) {
        (true, _) if !healthy => Exit::Failure,
        (false, false) => Exit::Failure,
        _ => Exit::Success,
    })
}

fn process(status: &Status) -> String {
    let roles = match status.roles.is_empty() {
        true => "p2".to_owned(),
        false => format!("p2 {}", status.roles.join(" and ")),
    };
    let mut text = format!(
        "{roles}   process {}   running for {}   version {}{}\n",
        status.pid,
        span(rows::time(status.uptime_seconds)),
        escape_text(&status.version),
        if status.draining { "   draining" } else { "" },
    );
    for listener in &status.listeners {
        let down = match listener.sessions_down {
            0 => String::new(),
            down => format!(" ({down} without a link)"),
        };
        text.push_str(&format!(
            "  listening on {}   {}{down}, {} ended   {} accepted, {} refused\n",
            escape_text(&listener.address),
            count(listener.sessions, "session"),
            listener.sessions_ended,
            count(listener.links_accepted, "link"),
            listener.links_refused,
        ));
    }
    status.sinks.iter().for_each(|sink| text.push_str(&sink_line(sink)));
    status.sessions.iter().for_each(|one| text.push_str(&session(one)));
    for problem in &status.problems {
        text.push_str(&format!("  ! {}\n", escape_text(problem)));
    }
    text
}

fn sink_line(sink: &SinkStatus) -> String {
    let place = sink.place.as_deref().map_or_else(|| "stdout".to_owned(), escape_text);
    let errors = match sink.errors {
        0 => String::new(),
        some => format!("   {}", count(some, "error")),
    };
    format!(
        "  writing to {place} ({})   {} open, {} finished, {} ended early   {}{errors}\n",
        sink.ack,
        count(sink.streams_open, "stream"),
        sink.streams_finished,
        sink.streams_failed,
        bytes(sink.bytes),
    )
}

fn session(session: &SessionStatus) -> String {
    let way = if session.side == "send" { "to" } else { "from" };
    let mut text = format!(
        "  session {} (#{}) {way} {}   {}   codec {}",
        escape_text(&session.name),
        session.number,
        escape_text(&session.peer),
        rows::state(session),
        escape_text(&session.codec),
    );
    if let Some(rtt) = rows::round_trip(session) {
        text.push_str(&format!("   rtt {rtt}"));
    }
    if session.reconnects > 0 {
        text.push_str(&format!(
            "   reconnects {} ({} without a link)",
            session.reconnects,
            span(rows::time(session.outage_seconds))
        ));
    }
    text.push_str(&format!(
        "\n    {}   {}, {} on the wire ({})   unacknowledged {}",
        rows::rate(session.bytes_per_second),
        bytes(session.raw_bytes),
        bytes(session.wire_bytes),
        rows::ratio(session.ratio),
        bytes(session.unacked_bytes),
    ));
    if session.side == "send" {
        let held = of(session.retained_bytes, session.retained_limit_bytes);
        text.push_str(&format!("   held {held}"));
    }
    text.push('\n');
    let mut streams: Vec<_> = session.streams.iter().collect();
    streams.truncate(STREAMS);
    if !streams.is_empty() {
        let table = rows::streams(streams.iter().map(|one| (session.name.as_str(), *one)));
        table.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    }
    let more = session.streams_open.saturating_sub(streams.len() as u64);
    if more > 0 {
        text.push_str(&format!("    and {more} more streams\n"));
    }
    session.sources.iter().filter_map(source).for_each(|line| text.push_str(&line));
    text
}

/// Only of a source that has something to tell.
fn source(source: &SourceStatus) -> Option<String> {
    let mut words = Vec::new();
    if source.paused {
        words.push("paused: no room in the stream".to_owned());
    }
    if let Some(backlog) = source.backlog_bytes.filter(|backlog| *backlog > 0) {
        words.push(format!("{} behind", bytes(backlog)));
    }
    if source.dropped_bytes > 0 {
        words.push(format!("{} dropped", bytes(source.dropped_bytes)));
    }
    (!words.is_empty())
        .then(|| format!("    source {}: {}\n", escape_text(&source.name), words.join(", ")))
}

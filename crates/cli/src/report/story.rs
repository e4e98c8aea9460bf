//! A session's story: each event's record, its line if it deserves one, and the numbers in between.

use std::time::{Duration, Instant};

use p2_transport::{Connection, LinkState, SessionEvent, SessionStats};
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::MissedTickBehavior;

use super::pace::Pace;
use super::progress::{Narrator, Side, Watched, moved};
use super::{Event, Mode, Report, Slot, negotiated, stats_lines, trace};

/// How often the status line is drawn.
const DRAW_EVERY: Duration = Duration::from_millis(250);

impl Report {
    /// Tells the session's story until it ends, from this call on. Cancelled, it only stops telling.
    pub(crate) fn watch(
        self,
        connection: Connection,
        watched: Watched,
    ) -> impl Future<Output = ()> + Send {
        // Here and not in the task: a short session may be over before the task begins.
        let events = connection.events();
        async move { self.tell(&connection, events, watched).await }
    }

    async fn tell(
        &self,
        connection: &Connection,
        mut events: broadcast::Receiver<SessionEvent>,
        watched: Watched,
    ) {
        let mut link = connection.link();
        let name = connection.name();
        let side = watched.side;
        let slot = Slot::new(&self.0);
        let mut narrator = Narrator::new(watched, &name, self.0.mode == Mode::Bar);
        narrator.set_codec(negotiated::codec(&connection.codecs(), side));
        // The first link may have come before the subscription, and may have gone; so may the first
        // attempt.
        if matches!(*link.borrow(), LinkState::Up { .. }) {
            self.missed(connection, &mut narrator);
        }
        link.mark_changed();
        let mut draw = tokio::time::interval(DRAW_EVERY);
        draw.set_missed_tick_behavior(MissedTickBehavior::Skip);
        let mut pace = Pace::new();
        let mut said = Pace::new();
        let closed = connection.closed();
        tokio::pin!(closed);
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Ok(event) => {
                        self.told(connection, &mut narrator, side, &name, &event);
                        if matches!(event, SessionEvent::Closed(_)) {
                            return;
                        }
                    }
                    Err(RecvError::Lagged(count)) => {
                        self.event(&Event::of("events_lost", &name).with("count", count));
                    }
                    Err(RecvError::Closed) => return,
                },
                // After the events: what they tell is not told twice.
                Ok(()) = link.changed(), if !narrator.hears() => {
                    self.missed(connection, &mut narrator);
                }
                _ = &mut closed => {
                    // What was said before the end is still told; the end itself may have been
                    // before the subscription.
                    while let Ok(event) = events.try_recv() {
                        self.told(connection, &mut narrator, side, &name, &event);
                    }
                    return;
                }
                _ = draw.tick(), if self.0.mode == Mode::Bar || self.0.every.is_some() => {
                    let due = self.0.every.is_some_and(|every| said.since.elapsed() >= every);
                    if !due && self.0.mode != Mode::Bar {
                        continue;
                    }
                    let stats = connection.stats();
                    if self.0.mode == Mode::Bar {
                        let rate = pace.rate(moved(side, &stats).0);
                        let state = link.borrow().clone();
                        let status = narrator.status(&state, &stats, &rate);
                        slot.show(status, &stats, side);
                    }
                    if due {
                        self.interval(side, &stats, &mut said);
                    }
                }
            }
        }
    }

    /// One event: its record, and its line if it deserves one. The numbers are a snapshot of every
    /// stream, so they are asked for only where a line has them.
    fn told(
        &self,
        connection: &Connection,
        narrator: &mut Narrator,
        side: Side,
        name: &str,
        event: &SessionEvent,
    ) {
        trace::session(name, event);
        if self.records() {
            Event::from_session(name, event).iter().for_each(|record| self.event(record));
        }
        let up = matches!(event, SessionEvent::LinkUp { .. });
        if up {
            narrator.set_codec(negotiated::codec(&connection.codecs(), side));
        }
        if side == Side::Receiver && matches!(event, SessionEvent::HeartbeatReceived) {
            self.heartbeat();
        }
        let state = || connection.link().borrow().clone();
        if let Some(line) = narrator.line(event, state, || connection.stats()) {
            self.caused(&line);
            if up {
                self.caused(&negotiated::lists(&connection.codecs()));
            }
        }
    }

    /// Tells what the link's state says of the time before the first event.
    fn missed(&self, connection: &Connection, narrator: &mut Narrator) {
        let state = connection.link().borrow().clone();
        let (address, reason) = match &state {
            LinkState::Up { address, .. } => (address.clone(), None),
            // Without a link so far there is none to lose, but the first attempt may have failed.
            LinkState::Down { reason, attempt, retry_in: Some(next), .. }
                if connection.stats().links == 0 =>
            {
                let failed = attempt.saturating_sub(1);
                let line = narrator.attempt_failed(failed, reason, *next);
                line.iter().for_each(|line| self.caused(line));
                return;
            }
            LinkState::Down { reason, .. } if connection.stats().links > 0 => {
                (connection.peer().address, Some(reason))
            }
            _ => return,
        };
        if let Some(line) = narrator.connected(&address, || connection.stats()) {
            self.caused(&line);
            self.caused(&negotiated::lists(&connection.codecs()));
        }
        if let Some(reason) = reason {
            let line = narrator.lost(reason, || state.clone(), || connection.stats());
            line.iter().for_each(|line| self.caused(line));
        }
    }

    fn interval(&self, side: Side, stats: &SessionStats, said: &mut Pace) {
        let record = Event::progress(stats);
        self.event(&record);
        let line = stats_lines::line(side, stats, said.count, said.since.elapsed());
        *said = Pace { since: Instant::now(), count: moved(side, stats).0 };
        if self.0.mode != Mode::Silent {
            self.line(&line);
        }
    }
}

#[cfg(test)]
mod tests {
    use p2_transport::{Client, Server};
    use tokio::net::{TcpListener, TcpStream};

    use super::super::screen::tests::Captured;
    use super::*;
    use crate::settings::OutputSettings;

    const PATIENCE: Duration = Duration::from_secs(60);

    async fn down(connection: &Connection) {
        let mut link = connection.link();
        let down = link.wait_for(|state| matches!(state, LinkState::Down { .. }));
        tokio::time::timeout(PATIENCE, down).await.expect("in time").expect("a session");
    }

    #[tokio::test]
    async fn a_link_that_was_lost_before_the_watch_began_is_told_with_its_reason_once() {
        let server = Server::builder().bind("127.0.0.1:0").await.expect("a port");
        let behind = server.local_addr().to_string();
        let between = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = between.local_addr().expect("an address").to_string();
        let relay = tokio::spawn(async move {
            let (mut near, _) = between.accept().await.expect("a link");
            let mut far = TcpStream::connect(behind).await.expect("the server");
            tokio::io::copy_bidirectional(&mut near, &mut far).await
        });
        let client = Client::builder().session_name("web1").connect(&address).await;
        let client = client.expect("a link");
        let connection = server.accept().await.expect("a session");
        relay.abort();
        down(&connection).await;

        let captured = Captured::default();
        let settings = OutputSettings::default();
        let report = Report::with(&settings, Mode::Plain, captured.screen(false), None);
        let watched = Watched { side: Side::Receiver, peer: "web1".into() };
        let telling = tokio::spawn(report.watch(connection.clone(), watched));
        let mut said = String::new();
        let began = Instant::now();
        while !said.contains("! link lost: ") {
            assert!(began.elapsed() < PATIENCE, "only {said:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
            said.push_str(&captured.take());
        }
        connection.abort(p2_transport::ErrorCode::CANCELLED, "the test is over");
        tokio::time::timeout(PATIENCE, telling).await.expect("in time").expect("no panic");
        said.push_str(&captured.take());
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        assert!(lines[0].starts_with("connected web1   codec "), "{said}");
        assert!(lines[1].starts_with("codecs   here "), "{said}");
        let reason = lines[2].strip_prefix("! link lost: ").expect("the loss");
        let reason = reason.strip_suffix(". Waiting for the sender.   session web1");
        assert!(reason.is_some_and(|reason| !reason.is_empty()), "{said}");
        drop(client);
    }
}

//! The steps that are P2's: receiver, handshake, codecs, round trip, limits.

use std::io;
use std::time::Duration;

use p2_transport::dial::{Dial, Target};
use p2_transport::{ConnectError, Connection};
use rustix::process::{Resource, getrlimit};

use super::Chart;
use crate::error::UserError;
use crate::settings::{Address, DoctorSettings};
use crate::ssh::{SshDial, Way};

/// Round trips to look at, how often, and how long at most.
const ROUNDS: u64 = 5;
const BEAT: Duration = Duration::from_millis(100);
const LISTEN: Duration = Duration::from_secs(5);
/// Descriptors below which a receiver of many streams is short of them.
const FEW_FILES: u64 = 1024;

pub(super) async fn examine(settings: &DoctorSettings, chart: &mut Chart) -> io::Result<()> {
    let client = settings.connection.client(&settings.retry).session_name("doctor").heartbeat(BEAT);
    let ssh = settings.ssh.clone().map(SshDial::new);
    let connected = match &ssh {
        Some(ssh) => client.connect_with(ssh.clone()).await,
        None => client.connect_with(dialler(settings)).await,
    };
    let connection = match connected {
        Ok(connection) => connection,
        Err(error) => {
            let step = if is_link(&error) { "receiver" } else { "handshake" };
            if step == "handshake" {
                chart.ok("receiver", &receiver(settings, ssh.as_ref()))?;
            }
            return chart.fail(step, &UserError::from(only(error)));
        }
    };
    chart.ok("receiver", &receiver(settings, ssh.as_ref()))?;
    let (peer, codecs) = (connection.peer(), connection.codecs());
    chart.ok("handshake", &format!("with {} at {}", peer.agent, peer.address))?;
    let names: Vec<String> = codecs.theirs.iter().map(ToString::to_string).collect();
    let found = format!("{} to the peer; it has {}", codecs.to_peer, names.join(", "));
    chart.ok("codecs", &found)?;
    round_trip(&connection, chart).await?;
    let closed = tokio::time::timeout(settings.connection.drain_timeout, connection.close()).await;
    match closed {
        Ok(Ok(_)) => chart.ok("end", "the session ended in order"),
        Ok(Err(error)) => chart.fail("end", &UserError::from(error)),
        Err(_) => {
            chart.warn("end", "the session did not end in time", "look at the receiver's log")
        }
    }
}

/// Figures that bound what can be carried.
pub(super) fn limits(settings: &DoctorSettings, chart: &mut Chart) -> io::Result<()> {
    let files = getrlimit(Resource::Nofile).current;
    let buffer = crate::report::bytes(settings.connection.buffer);
    let streams = settings.connection.max_streams;
    let files_text = files.map_or_else(|| "any number of".to_owned(), |files| files.to_string());
    let found = format!("{files_text} open files, {buffer} held, {streams} streams from the peer");
    match files {
        Some(files) if files < FEW_FILES => {
            chart.warn("limits", &found, "more sources than that need `ulimit -n 4096`")
        }
        _ => chart.ok("limits", &found),
    }
}

fn dialler(settings: &DoctorSettings) -> Box<dyn Dial> {
    let target = match &settings.target {
        Address::Unix(path) => Target::Unix(path.clone()),
        tcp @ Address::Tcp { .. } => Target::Tcp(tcp.to_string()),
    };
    target.dialler(settings.retry.connect_timeout)
}

/// That one attempt was made is no news.
fn only(error: ConnectError) -> ConnectError {
    match error {
        ConnectError::RetriesExhausted { attempts: 1, last, .. } => *last,
        other => other,
    }
}

/// Whether the failure was in making the link.
fn is_link(error: &ConnectError) -> bool {
    match error {
        ConnectError::RetriesExhausted { last, .. } => is_link(last),
        ConnectError::Dial(_) => true,
        _ => false,
    }
}

fn receiver(settings: &DoctorSettings, ssh: Option<&SshDial>) -> String {
    match ssh.map(|ssh| (ssh.way(), ssh.greeting())) {
        Some((_, Some(greeting))) => {
            format!("{}, process {}, writes to {}", greeting.agent, greeting.process, greeting.dir)
        }
        Some((Some(Way::Forward(to)), None)) => format!("forwarded to {to}"),
        _ => format!("{} accepts connections", settings.target),
    }
}

async fn round_trip(connection: &Connection, chart: &mut Chart) -> io::Result<()> {
    let enough = async {
        while connection.stats().pongs_received < ROUNDS {
            tokio::time::sleep(BEAT).await;
        }
    };
    let _ = tokio::time::timeout(LISTEN, enough).await;
    let stats = connection.stats();
    match stats.min_rtt {
        Some(best) => {
            let last = stats.rtt.unwrap_or(best);
            let found =
                format!("best {}, last {}", crate::report::rtt(best), crate::report::rtt(last));
            chart.ok("round trip", &found)
        }
        None => {
            let found = "no heartbeat was answered in 5 s";
            chart.warn("round trip", found, "the way is slow; a longer --heartbeat-timeout helps")
        }
    }
}

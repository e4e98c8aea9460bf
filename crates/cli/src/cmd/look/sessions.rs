//! `p2 sessions`: which there are, and the end of one.

use super::{Look, nothing_runs, print, rows};
use crate::args::{SessionsAction, SessionsArgs};
use crate::control::{Found, Reply, Request, find};
use crate::error::UserError;
use crate::exit::Exit;
use crate::sink::escape_text;

/// Does it.
///
/// # Errors
/// Nothing runs, no such session, or a process does not answer.
pub(crate) async fn run(args: SessionsArgs) -> anyhow::Result<Exit> {
    match args.action {
        SessionsAction::List { process } => list(process.as_deref()).await,
        SessionsAction::Drop { name, process } => end(&name, process.as_deref()).await,
    }
}

async fn list(process: Option<&str>) -> anyhow::Result<Exit> {
    let look = Look::at(process).await?;
    if look.is_empty() {
        return Err(nothing_runs().into());
    }
    let all = look.statuses.iter();
    let sessions = all.flat_map(|one| one.sessions.iter().map(|session| (one.pid, session)));
    print(&rows::sessions(sessions))?;
    look.silent.iter().for_each(UserError::report);
    Ok(if look.silent.is_empty() { Exit::Success } else { Exit::Failure })
}

/// Asks the process that has it; several that have one of that name are told apart by the user.
async fn end(name: &str, process: Option<&str>) -> anyhow::Result<Exit> {
    let all = find(process).await?;
    if all.is_empty() {
        return Err(nothing_runs().into());
    }
    let mut holders = Vec::new();
    for found in all {
        if let Some(status) = found.status().await? {
            let has = |session: &crate::status::SessionStatus| {
                session.name == name || format!("#{}", session.number) == name
            };
            if let Some(session) = status.sessions.iter().find(|session| has(session)) {
                holders.push((session.side == "recv", status.pid, found));
            }
        }
    }
    // With both ends on this machine, it is the receiver's that can be dropped.
    if holders.iter().any(|(receives, ..)| *receives) {
        holders.retain(|(receives, ..)| *receives);
    }
    match &holders[..] {
        [] => Err(refused(format!("there is no session {}", escape_text(name)))
            .hint("`p2 sessions list` shows them")
            .into()),
        [(.., found)] => ask(found, name).await,
        several => {
            let pids: Vec<String> = several.iter().map(|(_, pid, _)| pid.to_string()).collect();
            Err(refused(format!(
                "several processes have a session {}: {}",
                escape_text(name),
                pids.join(", ")
            ))
            .hint(format!("name one: `p2 sessions drop {} PROCESS`", escape_text(name)))
            .into())
        }
    }
}

async fn ask(found: &Found, name: &str) -> anyhow::Result<Exit> {
    let request = Request::Drop { session: name.to_owned() };
    match found.ask(&request).await? {
        None => Err(refused("the process has ended".to_owned()).into()),
        Some(Reply { ok: true, message, .. }) => {
            print(&format!("{}\n", escape_text(&message)))?;
            Ok(Exit::Success)
        }
        Some(reply) => Err(refused(escape_text(&reply.message)).into()),
    }
}

fn refused(what: String) -> UserError {
    UserError::new(Exit::Failure, what)
}

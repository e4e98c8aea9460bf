//! What a request does to the process.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use p2_transport::ErrorCode;

use super::{Reply, Request};
use crate::report::{Side, count};
use crate::sink::escape_text;
use crate::status::{Hub, Running};

/// Something that a request can ask for, with its argument; the answer is told to whoever asked.
pub(crate) type Hook = Arc<dyn Fn(String) -> Answer + Send + Sync>;

type Answer = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

/// What can be asked of this process; clones share it.
#[derive(Clone)]
pub(crate) struct Actions {
    hub: Hub,
    patience: Duration,
    hooks: Arc<Mutex<Hooks>>,
}

#[derive(Default)]
struct Hooks {
    log: Option<Hook>,
    reload: Option<Hook>,
}

impl std::fmt::Debug for Actions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Actions")
    }
}

impl Actions {
    /// `patience` is how long a session that is dropped may take for an end in order.
    pub(crate) fn new(hub: &Hub, patience: Duration) -> Self {
        Self { hub: hub.clone(), patience, hooks: Arc::default() }
    }

    /// What changes the log's level from now on.
    pub(crate) fn on_log(&self, hook: Hook) {
        self.hooks().log = Some(hook);
    }

    /// What reads the configuration again from now on.
    pub(crate) fn on_reload(&self, hook: Hook) {
        self.hooks().reload = Some(hook);
    }

    /// Does it.
    pub(super) async fn run(&self, request: Request) -> Reply {
        match request {
            Request::Status => Reply::status(self.hub.measured_status().await),
            Request::Drop { session } => self.drop_session(&session),
            Request::Log { level } => {
                let hook = self.hooks().log.clone();
                call(hook, level, "the log's level of this process cannot be changed").await
            }
            Request::Reload => {
                let hook = self.hooks().reload.clone();
                call(hook, String::new(), "this process was started without a configuration").await
            }
            Request::Retry => self.retry(),
        }
    }

    fn retry(&self) -> Reply {
        let senders: Vec<_> = self.senders().collect();
        senders.iter().for_each(|session| session.connection.retry_now());
        match senders.len() {
            0 => Reply::refused("this process has no session that dials"),
            some => Reply::done(format!("{} told to dial now", count(some as u64, "session"))),
        }
    }

    fn senders(&self) -> impl Iterator<Item = Arc<Running>> {
        self.hub.sessions().into_iter().filter(|session| session.side == Side::Sender)
    }

    fn drop_session(&self, wanted: &str) -> Reply {
        let number = wanted.strip_prefix('#').and_then(|number| number.parse::<u64>().ok());
        let all = self.hub.sessions();
        let is_wanted = |session: &Running| match number {
            Some(number) => session.number == number,
            None => session.connection.name() == wanted,
        };
        let found: Vec<&Arc<Running>> = all.iter().filter(|one| is_wanted(one)).collect();
        let shown = escape_text(wanted);
        match found[..] {
            [] => Reply::refused(format!("there is no session {shown}")),
            [one] if one.side == Side::Sender => Reply::refused(format!(
                "session {shown} belongs to a sender: end it by SIGTERM to its process, \
                 {}",
                std::process::id()
            )),
            [one] => {
                end(Arc::clone(one), self.patience);
                Reply::done(format!("session {shown} is told to end"))
            }
            _ => {
                let numbers: Vec<String> =
                    found.iter().map(|session| format!("#{}", session.number)).collect();
                Reply::refused(format!(
                    "{} are named {shown}: choose one by its number, {}",
                    count(found.len() as u64, "session"),
                    numbers.join(" or ")
                ))
            }
        }
    }

    fn hooks(&self) -> MutexGuard<'_, Hooks> {
        self.hooks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// In order if the sender ends its streams in time, else at once.
fn end(session: Arc<Running>, patience: Duration) {
    tokio::spawn(async move {
        let closing = tokio::time::timeout(patience, session.connection.close()).await;
        if closing.is_err() {
            session.connection.abort(ErrorCode::CANCELLED, "dropped at the receiver");
        }
    });
}

async fn call(hook: Option<Hook>, argument: String, absent: &str) -> Reply {
    match hook {
        None => Reply::refused(absent),
        Some(hook) => match hook(argument).await {
            Ok(done) => Reply::done(done),
            Err(why) => Reply::refused(why),
        },
    }
}

//! Commands that look at the processes of this user through their control sockets.

mod rows;
mod sessions;
mod status;
mod terminal;
mod top;

pub(super) use self::sessions::run as sessions;
pub(super) use self::status::run as status;
pub(super) use self::top::run as top;

use std::io::{self, Write};

use tokio::task::JoinSet;

use crate::control::{Found, find};
use crate::error::UserError;
use crate::exit::Exit;
use crate::status::Status;

/// A look at several processes at once.
#[derive(Debug, Default)]
struct Look {
    /// In the order of their numbers.
    statuses: Vec<Status>,
    /// Processes that do not answer as they should.
    silent: Vec<UserError>,
}

impl Look {
    /// Looks at the processes that `wanted` names, or at all.
    async fn at(wanted: Option<&str>) -> Result<Self, UserError> {
        let mut asking = JoinSet::new();
        for found in find(wanted).await? {
            asking.spawn(async move { Found::status(&found).await });
        }
        let mut look = Self::default();
        while let Some(asked) = asking.join_next().await {
            match asked {
                Ok(Ok(status)) => look.statuses.extend(status),
                Ok(Err(error)) => look.silent.push(error),
                Err(error) => look.silent.push(UserError::new(Exit::Failure, error.to_string())),
            }
        }
        look.statuses.sort_by_key(|status| status.pid);
        Ok(look)
    }

    fn is_empty(&self) -> bool {
        self.statuses.is_empty() && self.silent.is_empty()
    }
}

/// What to say when there is nobody to look at.
fn nothing_runs() -> UserError {
    UserError::new(Exit::NoConnection, "no `p2 send` and no `p2 recv` of this user runs")
        .hint("processes of other users, and those started with --control off, are not seen")
}

/// Writes an answer to stdout.
fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}

//! What `send` reads: every source becomes streams that are pumped, finished and accounted for.
//!
//! A source is a [`pump::Produce`]; [`pump::deliver`] moves its bytes into a
//! [`destination::Writer`]. Nothing here knows a session but `session.rs`, so that every source is
//! tested against a destination in memory. A failing source ends its own stream only.

mod context;
mod destination;
mod event;
mod exec;
mod file;
mod generate;
mod labels;
mod limit;
mod listen;
mod live;
mod outcome;
mod pump;
mod ring;
mod session;
mod set;
mod stdin;
mod stop;
mod tail;
#[cfg(test)]
mod testing;

pub(crate) use event::{Observer, SourceEvent};
pub(crate) use outcome::SourcesOutcome;
pub(crate) use stop::Stop;

use crate::settings::attributes::AttributeTable;
#[cfg(test)]
use crate::settings::source::TailPattern;
use crate::settings::source::{Source, SourceSpec};
use crate::status::Sources;
use context::Context;
use destination::Destination;
use set::Set;
use std::io;
use std::sync::Arc;
use stop::StopSignal;
use tokio::sync::watch;

/// What is to be sent; it may change while it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wanted {
    /// Every source of one stream has its name ([`crate::settings::source::assign_names`]).
    pub(crate) sources: Vec<Source>,
    /// What each stream is asked to be.
    pub(crate) attributes: AttributeTable,
}

/// Why none of `sources` can send a byte, if that is certain before they are begun: they are files
/// that cannot be read.
pub(crate) fn nothing_to_send(sources: &[Source]) -> Option<Vec<io::Error>> {
    let unreadable = |source: &Source| match &source.spec {
        SourceSpec::File(path) => file::unreadable(path),
        _ => None,
    };
    sources.iter().map(unreadable).collect()
}

/// Runs all `sources` until each has ended, and says how.
///
/// At [`Stop::Drain`] endless sources end and their streams are finished orderly; at [`Stop::Now`],
/// or when the session ends, everything ends at once. Dropping the future ends everything, too. Each
/// source is in `list` while it runs.
pub(crate) async fn run<D: Destination>(
    sources: Vec<Source>,
    attributes: AttributeTable,
    destination: D,
    stop: watch::Receiver<Stop>,
    observer: Observer,
    list: Sources,
) -> SourcesOutcome {
    let (_never, wanted) = watch::channel(Wanted { sources, attributes });
    follow(wanted, destination, stop, observer, list).await
}

/// The same with sources that change: new ones are begun, those that are not wanted any more are
/// drained, and open streams take over limits and classes.
pub(crate) async fn follow<D: Destination>(
    mut wanted: watch::Receiver<Wanted>,
    destination: D,
    mut stop: watch::Receiver<Stop>,
    observer: Observer,
    list: Sources,
) -> SourcesOutcome {
    let (ask, signal) = watch::channel(*stop.borrow_and_update());
    let Wanted { sources, attributes } = wanted.borrow_and_update().clone();
    let context =
        Arc::new(Context::new(destination, attributes, StopSignal::new(signal), observer, list));
    let mut set = Set::default();
    set.change(&context, sources);

    let (mut asked, mut ended, mut steered) = (true, false, true);
    let session = context.ended();
    tokio::pin!(session);
    loop {
        tokio::select! {
            task = set.tasks.join_next() => match task {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => context.record_unopened("?", &std::io::Error::other(error)),
            },
            () = &mut session, if !ended => {
                ended = true;
                ask.send_replace(Stop::Now);
            }
            changed = wanted.changed(), if steered => {
                steered = changed.is_ok();
                // Who drains begins nothing new.
                if steered && *ask.borrow() == Stop::Running {
                    let Wanted { sources, attributes } = wanted.borrow_and_update().clone();
                    context.change(attributes);
                    set.change(&context, sources);
                }
            }
            changed = stop.changed(), if asked => {
                asked = changed.is_ok();
                let step = *stop.borrow_and_update();
                ask.send_if_modified(|now| {
                    let later = step > *now;
                    *now = step.max(*now);
                    later
                });
            }
        }
    }
    context.take_outcome()
}

#[cfg(test)]
mod tests;

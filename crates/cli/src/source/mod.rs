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
mod outcome;
mod pump;
mod ring;
mod session;
mod stdin;
mod stop;
mod tail;
#[cfg(test)]
mod testing;

pub(crate) use event::{Observer, SourceEvent};
pub(crate) use outcome::SourcesOutcome;
pub(crate) use stop::Stop;

use crate::settings::attributes::AttributeTable;
use crate::settings::source::{Source, SourceSpec, TailPattern};
use crate::status::Sources;
use context::Context;
use destination::Destination;
use std::sync::Arc;
use stop::StopSignal;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Runs all `sources` until each has ended, and says how.
///
/// At [`Stop::Drain`] endless sources end and their streams are finished orderly; at [`Stop::Now`],
/// or when the session ends, everything ends at once. Dropping the future ends everything, too. Each source is in `list` while it runs.
/// Expects that every source of one stream has its name ([`crate::settings::source::assign_names`]).
pub(crate) async fn run<D: Destination>(
    sources: Vec<Source>,
    attributes: AttributeTable,
    destination: D,
    mut stop: watch::Receiver<Stop>,
    observer: Observer,
    list: Sources,
) -> SourcesOutcome {
    let (ask, signal) = watch::channel(*stop.borrow_and_update());
    let context =
        Arc::new(Context::new(destination, attributes, StopSignal::new(signal), observer, list));
    let mut tasks = start(&context, sources);

    let (mut asked, mut ended) = (true, false);
    let session = context.ended();
    tokio::pin!(session);
    loop {
        tokio::select! {
            task = tasks.join_next() => match task {
                None => break,
                Some(Ok(())) => {}
                Some(Err(error)) => context.record_unopened("?", &std::io::Error::other(error)),
            },
            () = &mut session, if !ended => {
                ended = true;
                ask.send_replace(Stop::Now);
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

/// Starts every source. Numbers are given in the order of the command line.
fn start<D: Destination>(context: &Arc<Context<D>>, sources: Vec<Source>) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let mut files = Vec::new();
    let mut number = 0_u32;
    for source in sources {
        let stop = context.stop.clone();
        number = number.saturating_add(1);
        let name = source.stream_name(1, number);
        match source.spec.clone() {
            SourceSpec::Gen(spec) => {
                for n in 1..=spec.streams {
                    number = number.saturating_add(u32::from(n > 1));
                    let identity = context.identify(&source.stream_name(n, number));
                    let generator = generate::Generator::new(
                        identity.name.clone(),
                        number.into(),
                        spec.clone(),
                        stop.clone(),
                    );
                    tasks.spawn(context.clone().carry(identity, Ok(generator)));
                }
            }
            SourceSpec::Stdin => {
                let identity = context.identify(&name);
                tasks.spawn(context.clone().carry(identity, stdin::ThreadReader::stdin(stop)));
            }
            SourceSpec::File(path) => files.push((context.identify(&name), path)),
            SourceSpec::Exec(command) => {
                let identity = context.identify(&name);
                let run =
                    exec::Run::start(&identity.name, &command, stop, context.observer.clone());
                tasks.spawn(context.clone().carry(identity, run));
            }
            SourceSpec::Tail(TailPattern::Path(path)) => {
                let identity = context.identify(&name);
                tasks.spawn(tail::follow_path(context.clone(), identity, path));
            }
            SourceSpec::Tail(TailPattern::Glob(pattern)) => {
                number -= 1;
                tasks.spawn(tail::follow_pattern(context.clone(), source.name, pattern));
            }
            SourceSpec::TcpListen(address) => {
                number -= 1;
                tasks.spawn(listen::tcp(context.clone(), source, address));
            }
            SourceSpec::UnixListen(path) => {
                number -= 1;
                tasks.spawn(listen::unix(context.clone(), source, path));
            }
        }
    }
    if !files.is_empty() {
        tasks.spawn(file::send_all(context.clone(), files));
    }
    tasks
}

#[cfg(test)]
mod tests;

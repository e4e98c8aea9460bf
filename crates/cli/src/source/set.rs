//! The sources of a run: what is added is begun, what is taken out is drained.

use super::context::Context;
use super::destination::Destination;
use super::stop::Stop;
use super::{exec, file, generate, listen, stdin, tail};
use crate::settings::source::{Source, SourceSpec, TailPattern};
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Sources under way, and those that have ended: they are not begun twice.
#[derive(Default)]
pub(super) struct Set {
    pub(super) tasks: JoinSet<()>,
    sources: Vec<(Source, watch::Sender<Stop>)>,
    /// Streams are numbered in the order of their sources.
    number: u32,
    room: file::Room,
}

impl Set {
    /// Lets the set be this one.
    pub(super) fn change<D: Destination>(
        &mut self,
        context: &Arc<Context<D>>,
        sources: Vec<Source>,
    ) {
        self.sources.retain(|(source, ask)| {
            let stays = sources.contains(source);
            if !stays {
                ask.send_replace(Stop::Drain);
            }
            stays
        });
        let mut files = Vec::new();
        for source in sources {
            if self.sources.iter().any(|(known, _)| *known == source) {
                continue;
            }
            let (ask, own) = watch::channel(Stop::Running);
            self.begin(context.of_source(own), &source, &mut files);
            self.sources.push((source, ask));
        }
        if !files.is_empty() {
            self.tasks.spawn(file::send_all(self.room.clone(), files));
        }
    }

    fn begin<D: Destination>(
        &mut self,
        context: Arc<Context<D>>,
        source: &Source,
        files: &mut Vec<(Arc<Context<D>>, super::context::Identity, std::path::PathBuf)>,
    ) {
        let stop = context.stop.clone();
        self.number = self.number.saturating_add(1);
        let name = source.stream_name(1, self.number);
        match source.spec.clone() {
            SourceSpec::Gen(spec) => {
                for n in 1..=spec.streams {
                    self.number = self.number.saturating_add(u32::from(n > 1));
                    let identity = context.identify(&source.stream_name(n, self.number));
                    let generator = generate::Generator::new(
                        identity.name.clone(),
                        self.number.into(),
                        spec.clone(),
                        stop.clone(),
                    );
                    self.tasks.spawn(context.clone().carry(identity, Ok(generator)));
                }
            }
            SourceSpec::Stdin => {
                let identity = context.identify(&name);
                self.tasks.spawn(context.carry(identity, stdin::ThreadReader::stdin(stop)));
            }
            SourceSpec::File(path) => {
                let identity = context.identify(&name);
                files.push((context, identity, path));
            }
            SourceSpec::Exec(command) => {
                let identity = context.identify(&name);
                let run =
                    exec::Run::start(&identity.name, &command, stop, context.observer.clone());
                self.tasks.spawn(context.carry(identity, run));
            }
            SourceSpec::Tail(TailPattern::Path(path)) => {
                let identity = context.identify(&name);
                self.tasks.spawn(tail::follow_path(context, identity, path));
            }
            SourceSpec::Tail(TailPattern::Glob(pattern)) => {
                self.number -= 1;
                self.tasks.spawn(tail::follow_pattern(context, source.name.clone(), pattern));
            }
            SourceSpec::TcpListen(address) => {
                self.number -= 1;
                self.tasks.spawn(listen::tcp(context, source.clone(), address));
            }
            SourceSpec::UnixListen(path) => {
                self.number -= 1;
                self.tasks.spawn(listen::unix(context, source.clone(), path));
            }
        }
    }
}

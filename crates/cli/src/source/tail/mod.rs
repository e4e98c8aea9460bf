//! Growing files: each followed path is one stream, whatever happens to the file behind it.
//!
//! Polling is the truth here: it works on every file system, also where notifications do not.
//! A file is sent from its beginning. Two things cannot be seen by anyone who polls: a file that is
//! truncated and has grown past its old size again within one interval, and a file that is there
//! only between two polls.

mod claims;
mod follow;
mod glob;

use super::context::{Context, Identity};
use super::destination::Destination;
use super::event::Observer;
use super::pump::Produce;
use super::stop::StopSignal;
use crate::status::SourceCounters;
use bytes::Bytes;
use claims::Claims;
use follow::{Follow, Step, identity};
use glob::Glob;
use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// How often a silent file and a pattern are looked at.
const INTERVAL: Duration = Duration::from_millis(250);

/// How long a file that a pattern found may be gone before its stream ends. Without an end, names
/// with a date in them would use up the streams of a session.
const ABSENCE: Duration = Duration::from_secs(600);

/// Follows one path, which need not exist yet.
pub(super) async fn follow_path<D: Destination>(
    context: Arc<Context<D>>,
    stream: Identity,
    path: PathBuf,
) {
    let follower = Follower::new(&context, &stream, Follow::new(path, Claims::default()));
    context.carry(stream, Ok(follower)).await;
}

/// Follows every file that matches now or later. A file that is sent already, and was renamed to a
/// name that matches too, is no new stream.
pub(super) async fn follow_pattern<D: Destination>(
    context: Arc<Context<D>>,
    name: Option<String>,
    pattern: String,
) {
    let shown = name.clone().unwrap_or_else(|| pattern.clone());
    let claims = Claims::default();
    let mut followed = HashSet::new();
    let mut names = HashSet::new();
    let mut streams: JoinSet<PathBuf> = JoinSet::new();
    let mut stop = context.stop.clone();
    let glob = Arc::new(Glob::new(&pattern));
    let mut told = false;
    loop {
        // Asked first: a file made before the drain is seen by the scan that follows.
        let draining = stop.draining();
        let (glob, claimed, known) = (glob.clone(), claims.clone(), std::mem::take(&mut followed));
        let scan = tokio::task::spawn_blocking(move || scan(&glob, &claimed, known)).await;
        let found = match scan {
            Ok((found, known)) => {
                followed = known;
                found
            }
            Err(error) => return context.record_unopened(&shown, &io::Error::other(error)),
        };
        if found.is_empty() && followed.is_empty() && !told {
            told = true;
            context
                .observer
                .warn(&shown, format!("no file matches {pattern} yet; waiting for one"));
        }
        for (path, follow) in found {
            let stream = unique(&mut names, stream_name(name.as_deref(), &path));
            let stream = context.identify_as(&stream, name.as_deref().unwrap_or(&stream));
            let mut follower = Follower::new(&context, &stream, follow);
            follower.patience = Some(ABSENCE);
            let carry = context.clone().carry(stream, Ok(follower));
            streams.spawn(async move {
                carry.await;
                path
            });
        }
        if draining {
            break;
        }
        tokio::select! {
            () = tokio::time::sleep(INTERVAL) => {}
            () = stop.drain() => {}
        }
        while let Some(ended) = streams.try_join_next() {
            // A file that comes back after its stream has ended is a new one.
            if let Ok(path) = ended.as_ref().map(PathBuf::as_path) {
                if !path.exists() {
                    followed.remove(path);
                }
            }
        }
    }
    while streams.join_next().await.is_some() {}
}

/// The matches that are new, opened so that no rename can come between.
fn scan(
    glob: &Glob,
    claims: &Claims,
    mut followed: HashSet<PathBuf>,
) -> (Vec<(PathBuf, Follow)>, HashSet<PathBuf>) {
    let mut new = Vec::new();
    let mut seen = Vec::new();
    for path in glob.files() {
        let Some(id) = identity(&path) else { continue };
        seen.push(id);
        if followed.contains(&path) || claims.knows(id) {
            continue;
        }
        let mut follow = Follow::new(path.clone(), claims.clone());
        // A file that cannot be opened is followed all the same: it says so, and it may get better.
        if !matches!(follow.open(), Ok(false)) {
            followed.insert(path.clone());
            new.push((path, follow));
        }
    }
    claims.scanned(&seen);
    (new, followed)
}

fn stream_name(name: Option<&str>, path: &Path) -> String {
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    name.map_or_else(|| file.clone().into_owned(), |name| format!("{name}-{file}"))
}

fn unique(taken: &mut HashSet<String>, base: String) -> String {
    let mut name = base.clone();
    let mut n = 2_u32;
    while !taken.insert(name.clone()) {
        name = format!("{base}-{n}");
        n += 1;
    }
    name
}

/// A followed path as a source.
struct Follower {
    name: String,
    follow: Option<Follow>,
    /// How long the file may be absent; `None`: for ever.
    patience: Option<Duration>,
    absent: Option<Instant>,
    stop: StopSignal,
    observer: Observer,
}

impl Follower {
    fn new<D: Destination>(context: &Context<D>, stream: &Identity, follow: Follow) -> Self {
        Self {
            name: stream.name.clone(),
            follow: Some(follow),
            patience: None,
            absent: None,
            stop: context.stop.clone(),
            observer: context.observer.clone(),
        }
    }
}

impl Produce for Follower {
    fn counted_by(&mut self, counters: Arc<SourceCounters>) {
        if let Some(follow) = &mut self.follow {
            follow.counted_by(counters);
        }
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        loop {
            let Some(mut follow) = self.follow.take() else {
                return Ok(None);
            };
            let draining = self.stop.draining();
            let (mut follow, step) = tokio::task::spawn_blocking(move || {
                let step = follow.step(draining);
                (follow, step)
            })
            .await
            .map_err(io::Error::other)?;
            for note in follow.take_notes() {
                self.observer.warn(&self.name, note);
            }
            self.absent = follow.absent().then(|| self.absent.unwrap_or_else(Instant::now));
            if self.absent.zip(self.patience).is_some_and(|(since, most)| since.elapsed() > most) {
                return Ok(None);
            }
            self.follow = Some(follow);
            match step? {
                Step::Data(data) => return Ok(Some(data)),
                Step::Ended => {
                    self.follow = None;
                    return Ok(None);
                }
                Step::Idle => tokio::select! {
                    () = tokio::time::sleep(INTERVAL) => {}
                    () = self.stop.drain() => {}
                },
            }
        }
    }
}

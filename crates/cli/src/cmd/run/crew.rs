//! The members under way: each has a task, a name and an end of its own.

use std::collections::BTreeMap;

use tokio::sync::watch;
use tokio::task::{Id, JoinSet};

use super::super::process::Process;
use super::super::{recv, send};
use super::change::Difference;
use crate::config::{Member, Task, of_process};
use crate::error::{UserError, is_broken_pipe};
use crate::exit::Exit;
use crate::settings::SendSettings;
use crate::signal::Part;
use crate::source::Wanted;

/// Everything that runs.
pub(super) struct Crew {
    process: Process,
    /// Members speak with their names, and their errors do not end the others.
    several: bool,
    tasks: JoinSet<anyhow::Result<Exit>>,
    running: BTreeMap<Place, Running>,
    /// Whose task it is; those taken out of the file are here and nowhere else.
    names: BTreeMap<Id, Place>,
    exit: Exit,
}

/// Where a member stands in the file.
type Place = (String, String);

/// A member and what steers it.
struct Running {
    member: Member,
    part: Part,
    wanted: Option<watch::Sender<Wanted>>,
    task: Id,
    over: bool,
}

impl Crew {
    pub(super) fn new(process: Process, several: bool) -> Self {
        Self {
            process,
            several,
            tasks: JoinSet::new(),
            running: BTreeMap::new(),
            names: BTreeMap::new(),
            exit: Exit::Success,
        }
    }

    /// The worst of those that have ended.
    pub(super) fn exit(&self) -> Exit {
        self.exit
    }

    /// Begins a member.
    pub(super) fn begin(&mut self, member: Member) {
        let (part, process) = self.process.part(self.several.then_some(member.name.as_str()));
        let (task, wanted) = match member.task.clone() {
            Task::Send(settings) => {
                let (ask, wanted) = watch::channel(wanted_by(&settings));
                (self.tasks.spawn(send::session(*settings, wanted, process)).id(), Some(ask))
            }
            Task::Recv(settings) => {
                (self.tasks.spawn(recv::receiver(*settings, process)).id(), None)
            }
        };
        let place = (member.scope.head(), member.name.clone());
        self.names.insert(task, place.clone());
        self.running.insert(place, Running { member, part, wanted, task, over: false });
    }

    /// Waits for the next end; `None` once nothing runs any more.
    ///
    /// # Errors
    /// Of the only member there is.
    pub(super) async fn ended(&mut self) -> Option<anyhow::Result<()>> {
        let (task, result) = match self.tasks.join_next_with_id().await? {
            Ok((task, result)) => (task, result),
            Err(error) => (error.id(), Err(error.into())),
        };
        let place = self.names.remove(&task);
        let name = place.as_ref().map_or("?", |(_, name)| name.as_str()).to_owned();
        let running = place.and_then(|place| self.running.get_mut(&place));
        if let Some(running) = running.filter(|running| running.task == task) {
            running.over = true;
        }
        let exit = match result {
            Ok(exit) => exit,
            Err(error) if !self.several => return Some(Err(error)),
            // Whoever closed the pipe wants no words.
            Err(error) if is_broken_pipe(&error) => Exit::Endpoint,
            Err(error) => {
                let error = UserError::from(error);
                let report = self.process.report.of_part(&name);
                report.always(&format!("! ended: {}", error.in_one_line()));
                error.exit()
            }
        };
        self.exit = self.exit.worse(exit);
        Some(Ok(()))
    }

    /// Lets these members be the ones that run; `false` if nothing is new.
    pub(super) fn change(&mut self, members: Vec<Member>) -> bool {
        let report = self.process.report.clone();
        let mut news = false;
        let place = |member: &Member| (member.scope.head(), member.name.clone());
        let places: Vec<Place> = members.iter().map(place).collect();
        let gone: Vec<Place> =
            self.running.keys().filter(|place| !places.contains(place)).cloned().collect();
        for place in gone {
            let Some(running) = self.running.remove(&place) else { continue };
            news = true;
            running.part.drain();
            if !running.over {
                report.of_part(&place.1).say("taken out of the file: draining");
            }
        }
        for (member, place) in members.into_iter().zip(places) {
            let Some(running) = self.running.get_mut(&place) else {
                report.of_part(&member.name).say("new in the file");
                news = true;
                self.begin(member);
                continue;
            };
            let mut difference = Difference::between(&running.member, &member);
            difference.restart.retain(|name| !of_process(&name.replace('-', "_")));
            if difference.is_empty() {
                continue;
            }
            news = true;
            let report = report.of_part(&member.name);
            if running.over {
                report.say("changed in the file: begun again");
                self.begin(member);
                continue;
            }
            running.take_over(&member);
            let Difference { live, next_streams, restart } = difference;
            if !live.is_empty() {
                report.say(&format!("from the file: {}", live.join(", ")));
            }
            if !next_streams.is_empty() {
                let names = next_streams.join(", ");
                report.say(&format!("from the file, for streams that open from now on: {names}"));
            }
            if !restart.is_empty() {
                report.always(&format!("! a restart is needed for: {}", restart.join(", ")));
            }
            running.member = member;
        }
        news
    }
}

impl Running {
    fn take_over(&self, member: &Member) {
        if let (Some(ask), Task::Send(settings)) = (&self.wanted, &member.task) {
            let wanted = wanted_by(settings);
            ask.send_if_modified(|now| {
                let changed = *now != wanted;
                *now = wanted;
                changed
            });
        }
    }
}

fn wanted_by(settings: &SendSettings) -> Wanted {
    Wanted { sources: settings.sources.clone(), attributes: settings.attributes.clone() }
}

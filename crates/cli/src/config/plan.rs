//! What a process runs, made of command line, environment and file, as often as it is asked for.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::file::{File, Section};
use super::keys::{Scope, command_tables};
use super::layers::{Chosen, Given, blame, choose, place_of, words};
use super::problem::{Place, Problem};
use super::search;
use super::toml::Value;
use crate::args::{Cli, Command};
use crate::error::UserError;
use crate::service::Limits;
use crate::settings::{
    ConnectionSettings, EventsTarget, LogSettings, MetricsSettings, OutputSettings, RecvSettings,
    RetrySettings, SendSettings, SourceOrigin, SourceSpec, StdinKind,
};
use crate::sink::escape_text;

/// Which command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// `p2 run`: every session and receiver of the file.
    All,
    /// `p2 send`: one session.
    Send,
    /// `p2 recv`: one receiver.
    Recv,
}

/// Where the file is, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    /// None.
    Nowhere,
    /// Found where files are looked for: of it, `send` and `recv` take the top only.
    Found(PathBuf),
    /// Named by the user.
    Named(PathBuf),
}

/// How to make a plan; it can be made again after the file has changed.
#[derive(Debug, Clone)]
pub(crate) struct Recipe {
    /// Which command.
    pub(crate) what: What,
    /// Which file.
    pub(crate) source: Source,
    /// What the command line and the environment say.
    pub(crate) given: Given,
    /// What standard input is.
    pub(crate) stdin: StdinKind,
}

/// What a process runs.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The log.
    pub(crate) log: LogSettings,
    /// What is said.
    pub(crate) output: OutputSettings,
    /// Where figures are served, if at all.
    pub(crate) metrics: Option<MetricsSettings>,
    /// What chose these.
    pub(crate) chosen: Vec<Chosen>,
    /// The sessions, then the receivers; at least one.
    pub(crate) members: Vec<Member>,
}

/// A session or a receiver.
#[derive(Debug)]
pub(crate) struct Member {
    /// By which it is spoken of; distinct.
    pub(crate) name: String,
    /// Its part of the file, or where it would be.
    pub(crate) scope: Scope,
    /// What it does.
    pub(crate) task: Task,
    /// What chose it.
    pub(crate) chosen: Vec<Chosen>,
}

/// What a member does.
#[derive(Debug, Clone)]
pub(crate) enum Task {
    /// A session of ours.
    Send(Box<SendSettings>),
    /// A receiver.
    Recv(Box<RecvSettings>),
}

impl Source {
    /// The file named, else the one found; `/dev/null` is one without settings.
    pub(crate) fn choose(named: Option<PathBuf>) -> Self {
        match named {
            Some(path) => Self::Named(path),
            None => search::find().map_or(Self::Nowhere, Self::Found),
        }
    }

    /// Its path.
    pub(crate) fn path(&self) -> Option<&Path> {
        match self {
            Self::Nowhere => None,
            Self::Found(path) | Self::Named(path) => Some(path),
        }
    }

    /// Whether it has a session or a receiver.
    pub(crate) fn has_sections(&self) -> bool {
        self.read().ok().flatten().is_some_and(|file| {
            [Scope::Send, Scope::Recv].iter().any(|scope| !file.sections(scope).is_empty())
        })
    }

    /// Checks everything in it but its sessions and receivers.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(crate) fn check(&self) -> Result<(), Vec<UserError>> {
        let Some(file) = self.read()? else { return Ok(()) };
        let tables = command_tables().into_iter();
        let parts = tables.filter_map(|scope| Some((file.table(&scope)?, scope)));
        let top = std::iter::once((None, Scope::Top));
        let all = top.chain(parts.map(|(section, scope)| (Some(section), scope)));
        let errors = all.filter_map(|(section, scope)| {
            let chosen = choose(&scope, Some(&file), section, &Given::default());
            let place = section.map_or(Place::START, |section| section.place);
            read(&scope, Some(&file), place, &chosen).err()
        });
        let errors: Vec<UserError> = errors.collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Reads it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub(crate) fn read(&self) -> Result<Option<File>, Vec<UserError>> {
        self.path().map(File::read).transpose()
    }
}

impl Recipe {
    /// Reads the file anew and makes the plan.
    ///
    /// # Errors
    /// Everything that is wrong; nothing of it holds then.
    pub(crate) fn plan(&self) -> Result<Plan, Vec<UserError>> {
        let file = self.source.read()?;
        let chosen = choose(&Scope::Top, file.as_ref(), None, &self.given);
        let process = read(&Scope::Top, file.as_ref(), Place::START, &chosen).map_err(one)?;
        let Command::Run(run) = process.command else { return Err(Vec::new()) };
        let mut members = Vec::new();
        let mut errors = Vec::new();
        for (scope, section) in self.parts(file.as_ref())? {
            match self.member(scope, file.as_ref(), section) {
                Ok(member) => members.push(member),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            errors.extend(together(&members));
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let output = OutputSettings::from_args(run.output, &process.log);
        if output.events == Some(EventsTarget::Stdout) && members.iter().any(Member::on_stdout) {
            let error = UserError::usage("--events - would mix events into the data on stdout");
            return Err(one(error.hint("write events or data to files")));
        }
        let metrics = MetricsSettings::from_args(&run.metrics).map_err(|error| {
            let place = place_of(&error.to_string(), &chosen, Place::START);
            one(match &file {
                Some(file) if place != Place::START => in_file(error, place, file),
                _ => error,
            })
        })?;
        let log = LogSettings::from_args(&process.log);
        Ok(Plan { log, output, metrics, chosen, members })
    }

    /// The parts of the file that are run; for one command, its part if there is one.
    fn parts<'a>(
        &self,
        file: Option<&'a File>,
    ) -> Result<Vec<(Scope, Option<Section<'a>>)>, Vec<UserError>> {
        let all = |scope: Scope| {
            let sections = file.map(|file| file.sections(&scope)).unwrap_or_default();
            sections.into_iter().map(move |section| (scope.clone(), Some(section)))
        };
        match self.what {
            What::All => {
                let Some(file) = file else { return Err(one(nowhere())) };
                let parts: Vec<_> = all(Scope::Send).chain(all(Scope::Recv)).collect();
                if parts.is_empty() {
                    let what = "there is nothing to run: no [[send]] and no [[recv]]";
                    let problem = Problem { place: None, what: what.to_owned(), hints: Vec::new() };
                    return Err(one(problem.in_file(&file.path)));
                }
                Ok(parts)
            }
            What::Send | What::Recv => {
                let scope = if self.what == What::Send { Scope::Send } else { Scope::Recv };
                let named = matches!(self.source, Source::Named(_));
                let mut parts: Vec<_> = all(scope.clone()).filter(|_| named).collect();
                if parts.len() > 1 {
                    parts.retain(|(_, section)| self.wanted(&scope, *section));
                    if parts.len() != 1 {
                        return Err(one(self.ambiguous(&scope)));
                    }
                }
                Ok(vec![parts.pop().unwrap_or((scope, None))])
            }
        }
    }

    /// Whether the command line asks for this part of several.
    fn wanted(&self, scope: &Scope, section: Option<Section<'_>>) -> bool {
        let id = if *scope == Scope::Send { "session" } else { "listen" };
        let own = section.and_then(|section| text(section, id));
        let asked = choose(scope, None, None, &self.given);
        let asked = asked.iter().find(|one| one.key.name == id);
        asked.is_some_and(|one| {
            one.items.iter().any(|item| Some(item.text.as_os_str()) == own.map(AsRef::as_ref))
        })
    }

    fn ambiguous(&self, scope: &Scope) -> UserError {
        let path = self.source.path().map(|path| path.display().to_string()).unwrap_or_default();
        let head = scope.head();
        let flag = if *scope == Scope::Send { "--session NAME" } else { "--listen ADDR" };
        UserError::usage(format!("{} has more than one {head}", escape_text(&path)))
            .hint(format!("choose one with {flag} as it is written there"))
            .hint("`p2 run` runs all of them")
    }

    fn member(
        &self,
        scope: Scope,
        file: Option<&File>,
        section: Option<Section<'_>>,
    ) -> Result<Member, UserError> {
        let place = section.map_or(Place::START, |section| section.place);
        let chosen = choose(&scope, file, section, &self.given);
        let cli = read(&scope, file, place, &chosen)?;
        let placed = |error: UserError| {
            // Without a section the words about flags are enough, unless a value is from the file.
            let fallback = if section.is_some() { place } else { Place::START };
            let at = place_of(&error.to_string(), &chosen, fallback);
            match file {
                Some(file) if section.is_some() || at != Place::START => in_file(error, at, file),
                _ => error,
            }
        };
        match cli.command {
            Command::Send(args) => {
                let stdin = if self.what == What::All { StdinKind::Other } else { self.stdin };
                let settings = SendSettings::from_args(*args, stdin).map_err(placed)?;
                if self.what == What::All && settings.origin != SourceOrigin::Given {
                    let error = UserError::usage("this session has nothing to send");
                    return Err(placed(error.hint("add a [[send.stream]]")));
                }
                let name = settings.session.clone().unwrap_or_else(|| "send".to_owned());
                Ok(Member { name, scope, task: Task::Send(Box::new(settings)), chosen })
            }
            Command::Recv(args) => {
                let settings = RecvSettings::from_args(*args, &cli.log).map_err(placed)?;
                let name = section.and_then(|section| text(section, "name"));
                let name = name.map_or_else(|| settings.listen.to_string(), str::to_owned);
                Ok(Member { name, scope, task: Task::Recv(Box::new(settings)), chosen })
            }
            _ => Err(UserError::usage("neither a session nor a receiver")),
        }
    }
}

impl Plan {
    /// How long the most patient member drains.
    pub(crate) fn patience(&self) -> Duration {
        let drains = self.members.iter().map(|member| member.connection().drain_timeout);
        drains.max().unwrap_or_default()
    }
}

impl Plan {
    /// How long any of its sessions may be without a sign of progress.
    pub(crate) fn limits(&self) -> Limits {
        let none = Limits::default();
        self.members.iter().fold(none, |limits, member| {
            let retry = match &member.task {
                Task::Send(send) => send.retry,
                Task::Recv(_) => RetrySettings::default(),
            };
            limits.or(Limits {
                silence: member.connection().heartbeat_timeout,
                attempt: retry.connect_timeout,
                wait: retry.backoff.max,
            })
        })
    }
}

impl Member {
    /// Its sessions and their links.
    fn connection(&self) -> &ConnectionSettings {
        match &self.task {
            Task::Send(send) => &send.connection,
            Task::Recv(recv) => &recv.connection,
        }
    }

    /// Whether it writes data to standard output.
    pub(crate) fn on_stdout(&self) -> bool {
        matches!(&self.task, Task::Recv(recv) if recv.sink.dir.is_none())
    }

    fn on_stdin(&self) -> bool {
        let stdin = |send: &SendSettings| send.sources.iter().any(|s| s.spec == SourceSpec::Stdin);
        matches!(&self.task, Task::Send(send) if stdin(send))
    }

    /// What is allowed but unwise.
    pub(crate) fn warnings(&self) -> &[String] {
        &self.connection().warnings
    }
}

/// Reads a command line without an environment; what is refused has its place in the file.
pub(crate) fn read(
    scope: &Scope,
    file: Option<&File>,
    place: Place,
    chosen: &[Chosen],
) -> Result<Cli, UserError> {
    Cli::read_alone(words(scope, chosen)).map_err(|error| {
        let problem = blame(&error, chosen, place);
        match file {
            Some(file) => problem.in_file(&file.path),
            None => UserError::usage(escape_text(&problem.what)),
        }
    })
}

/// What members cannot do beside each other.
fn together(members: &[Member]) -> Vec<UserError> {
    let mut errors = Vec::new();
    let mut names = BTreeSet::new();
    for member in members {
        if !names.insert((member.scope.head(), member.name.as_str())) {
            let key = if member.scope == Scope::Send { "session" } else { "name" };
            let name = escape_text(&member.name);
            let error = UserError::usage(format!("two {} are named `{name}`", member.scope.head()));
            errors.push(error.hint(format!("give each its own `{key}`")));
        }
    }
    let several = |uses: fn(&Member) -> bool| members.iter().filter(|one| uses(one)).count() > 1;
    if several(Member::on_stdout) {
        let error = UserError::usage("two receivers would mix their data on stdout");
        errors.push(error.hint("give all but one a `dir`"));
    }
    if several(Member::on_stdin) {
        errors.push(UserError::usage("two sessions cannot both read stdin"));
    }
    errors
}

fn text<'a>(section: Section<'a>, key: &str) -> Option<&'a str> {
    match section.table.get(key).map(|entry| &entry.value) {
        Some(Value::One(one)) => Some(one.text.as_str()),
        _ => None,
    }
}

fn in_file(error: UserError, place: Place, file: &File) -> UserError {
    let hints = error.hints().to_vec();
    Problem { place: Some(place), what: error.to_string(), hints }.in_file(&file.path)
}

/// No file where one is needed.
pub(crate) fn nowhere() -> UserError {
    let places: Vec<String> =
        search::places().iter().map(|path| path.display().to_string()).collect();
    let error = UserError::usage(format!("there is no configuration file: {}", places.join(", ")));
    let first = places.first().cloned().unwrap_or_default();
    error.hint(format!("write one: `p2 config init > {first}`")).hint("or name one: --config FILE")
}

fn one<T>(error: T) -> Vec<T> {
    vec![error]
}

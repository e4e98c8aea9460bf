//! `p2 run`, and `p2 send` and `p2 recv`, which run one session or receiver: as many as the plan
//! has, each on its own, until the last one has ended.
//!
//! SIGHUP reads the file again. What can change while it runs does; the rest is named.

mod change;
mod crew;

use std::sync::Arc;

use tokio::sync::Notify;

use self::crew::Crew;
use super::process::Process;
use crate::config::{Member, Plan, Recipe, What};
use crate::control::{Actions, Control};
use crate::exit::Exit;
use crate::logging;
use crate::service::Service;
use crate::signal::Signals;

/// Runs it until its end. The exit code is the worst of the members'.
///
/// # Errors
/// Of a member, if there is no other; those of several are said as they happen.
pub(crate) async fn run(recipe: Recipe, plan: Plan) -> anyhow::Result<Exit> {
    let payload_on_stdout = plan.members.iter().any(Member::on_stdout);
    let process = Process::start(&plan.output, payload_on_stdout, plan.metrics.as_ref()).await?;
    let mut signals = process.signals.clone();
    process.reloads.call(|reload| tracing::info!(?reload, "the file is read again"));
    let actions = Actions::new(&process.hub, plan.patience());
    let _control = Control::start(&plan.output.control, &actions, &process.report).await;
    let _service = Service::start(&process, plan.limits());
    let asked = Arc::new(Notify::new());
    listen_to(&actions, recipe.source.path().is_some().then(|| Arc::clone(&asked)));
    let mut crew = Crew::new(process.clone(), recipe.what == What::All);
    let mut holds = change::Holds::of(&plan);
    plan.members.into_iter().for_each(|member| crew.begin(member));
    let outcome = loop {
        tokio::select! {
            ended = crew.ended() => match ended {
                Some(Err(error)) => break Err(error),
                Some(Ok(())) => {}
                None => break Ok(crew.exit()),
            },
            () = reload_wanted(&mut signals, &asked), if recipe.source.path().is_some() => {
                process.reloads.tell(Reload::Begins);
                take_over(&recipe, &mut crew, &mut holds, &process).await;
                process.reloads.tell(Reload::Done);
            }
        }
    };
    process.finish().await;
    outcome
}

/// Lets the control socket change the log and, where there is a file, ask for it to be read again.
fn listen_to(actions: &Actions, reload: Option<Arc<Notify>>) {
    actions.on_log(Arc::new(|level| {
        let changed = logging::set_filter(&level);
        let now = logging::filter().unwrap_or(level);
        Box::pin(async move {
            changed.map(|()| format!("log level: {now}")).map_err(|error| error.in_one_line())
        })
    }));
    if let Some(asked) = reload {
        actions.on_reload(Arc::new(move |_| {
            asked.notify_one();
            Box::pin(async {
                Ok("the file is read again; the log says what came of it".to_owned())
            })
        }));
    }
}

/// Waits for SIGHUP or for somebody at the control socket. Cancel safe.
async fn reload_wanted(signals: &mut Signals, asked: &Notify) {
    tokio::select! {
        () = signals.retry() => {}
        () = asked.notified() => {}
    }
}

/// What a service manager wants to know of a file that is read again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reload {
    /// It is being read.
    Begins,
    /// What it says holds, or it was refused.
    Done,
}

/// Reads the file and lets what changed hold; a file that is wrong changes nothing.
async fn take_over(recipe: &Recipe, crew: &mut Crew, holds: &mut change::Holds, process: &Process) {
    let again = recipe.clone();
    let planned = tokio::task::spawn_blocking(move || again.plan()).await;
    let plan = match planned {
        Ok(Ok(plan)) => plan,
        Ok(Err(errors)) => {
            let more = match errors.len() {
                0 | 1 => String::new(),
                n => format!(" (and {} more: `p2 config check`)", n - 1),
            };
            let first = errors.first().map(|error| error.in_one_line()).unwrap_or_default();
            process.report.always(&format!("! the old settings stay: {first}{more}"));
            return;
        }
        Err(error) => {
            process.report.always(&format!("! the old settings stay: {error}"));
            return;
        }
    };
    let (filter, stays) = holds.take_over(&plan);
    let mut news = filter.is_some() || !stays.is_empty();
    if let Some(filter) = filter {
        match logging::set_filter(&filter) {
            Ok(()) => {
                let filter = logging::filter().unwrap_or(filter);
                process.report.say(&format!("log level: {filter}"));
            }
            Err(error) => process.report.always(&format!("! {}", error.in_one_line())),
        }
    }
    if !stays.is_empty() {
        let stays = stays.join(", ");
        process.report.always(&format!("! a restart is needed for: {stays}"));
    }
    news |= crew.change(plan.members);
    if !news {
        process.report.say("the file says nothing new");
    }
}

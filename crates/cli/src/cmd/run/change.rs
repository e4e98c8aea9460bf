//! What differs between two plans, and what of it can hold without a restart.

use std::collections::BTreeSet;
use std::ffi::OsString;

use crate::config::{ATTRIBUTES, Chosen, Member, Plan, SOURCES, Scope};

/// The settings of the process as they hold.
#[derive(Debug)]
pub(super) struct Holds {
    chosen: Vec<Chosen>,
    filter: String,
}

/// The settings of the log's level; they can change.
const LEVEL: [&str; 3] = ["log", "verbose", "quiet"];

impl Holds {
    /// Of a plan that is run.
    pub(super) fn of(plan: &Plan) -> Self {
        Self { chosen: plan.chosen.clone(), filter: plan.log.filter.clone() }
    }

    /// What of a new plan holds from now on: another filter of the log; and what does not, by name.
    pub(super) fn take_over(&mut self, plan: &Plan) -> (Option<String>, Vec<String>) {
        let of_process = |chosen: &Chosen| crate::config::of_process(chosen.key.id());
        let old: Vec<Chosen> = self.chosen.iter().filter(|one| of_process(one)).cloned().collect();
        let new: Vec<Chosen> = plan.chosen.iter().filter(|one| of_process(one)).cloned().collect();
        let stays = differences(&old, &new);
        let stays = stays.into_iter().filter(|name| !LEVEL.contains(&name.as_str())).collect();
        let filter = (self.filter != plan.log.filter).then(|| plan.log.filter.clone());
        *self = Self::of(plan);
        (filter, stays)
    }
}

/// What differs between two plans of one member.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// It holds at once.
    pub(super) live: Vec<String>,
    /// It holds for streams that are opened from now on.
    pub(super) next_streams: Vec<String>,
    /// It needs a restart.
    pub(super) restart: Vec<String>,
}

impl Difference {
    /// From what runs to what is wanted.
    pub(super) fn between(old: &Member, new: &Member) -> Self {
        let mut all = Self::default();
        for name in differences(&old.chosen, &new.chosen) {
            let known = name.as_str();
            let list = match () {
                () if new.scope != Scope::Send => &mut all.restart,
                () if SOURCES.contains(&known) || ["limit", "prio"].contains(&known) => {
                    &mut all.live
                }
                () if ATTRIBUTES.contains(&known) => &mut all.next_streams,
                () => &mut all.restart,
            };
            list.push(name);
        }
        all
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The names of the settings whose values differ. Those of the process are told of it alone.
fn differences(old: &[Chosen], new: &[Chosen]) -> Vec<String> {
    let texts = |all: &[Chosen], name: &str| -> Vec<OsString> {
        let one = all.iter().find(|one| one.key.name == name);
        one.map(|one| one.items.iter().map(|item| item.text.clone()).collect()).unwrap_or_default()
    };
    let names: BTreeSet<&str> = old.iter().chain(new).map(|one| one.key.name.as_str()).collect();
    let differ = names.into_iter().filter(|name| texts(old, name) != texts(new, name));
    differ.map(str::to_owned).collect()
}

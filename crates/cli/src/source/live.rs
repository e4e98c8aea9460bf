//! What of a stream's attributes can change while it is open: its limit and its class.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::watch;

use crate::settings::Priority;
use crate::settings::attributes::{AttributeTable, StreamAttributes};

/// Lets an open stream take another class.
pub(crate) type Steer = Box<dyn Fn(Priority) + Send + Sync>;

/// The attributes of one stream as they hold now.
pub(super) struct Live {
    name: String,
    base: String,
    now: watch::Sender<StreamAttributes>,
    steer: Mutex<Option<Steer>>,
}

impl Live {
    /// Of the stream `name` of the source `base`.
    pub(super) fn new(name: &str, base: &str, attributes: StreamAttributes) -> Self {
        let (now, _) = watch::channel(attributes);
        Self { name: name.to_owned(), base: base.to_owned(), now, steer: Mutex::default() }
    }

    /// Follows every change.
    pub(super) fn follow(&self) -> watch::Receiver<StreamAttributes> {
        self.now.subscribe()
    }

    /// The stream is open: from now on it can be steered.
    pub(super) fn opened(&self, planned: Priority, steer: Option<Steer>) {
        let mut own = self.steer.lock().unwrap_or_else(PoisonError::into_inner);
        *own = steer;
        let priority = self.now.borrow().priority;
        if let Some(steer) = own.as_ref().filter(|_| priority != planned) {
            steer(priority);
        }
    }

    fn change(&self, attributes: StreamAttributes) {
        let before = self.now.send_replace(attributes);
        let priority = self.now.borrow().priority;
        let steer = self.steer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(steer) = steer.as_ref().filter(|_| priority != before.priority) {
            steer(priority);
        }
    }
}

/// Every stream that is not over yet.
#[derive(Default)]
pub(super) struct Register(Vec<Weak<Live>>);

impl Register {
    /// Remembers a stream until it is over.
    pub(super) fn add(&mut self, live: &Arc<Live>) {
        // Only as often as it has doubled, so that many short streams cost little.
        if self.0.len() == self.0.capacity() {
            self.0.retain(|one| one.strong_count() > 0);
        }
        self.0.push(Arc::downgrade(live));
    }

    /// Lets other attributes hold.
    pub(super) fn change(&self, table: &AttributeTable) {
        for live in self.0.iter().filter_map(Weak::upgrade) {
            live.change(attributes_of(table, &live.name, &live.base));
        }
    }
}

/// What is set for `base` holds for the stream `name` unless something else is set for the stream
/// itself.
pub(super) fn attributes_of(table: &AttributeTable, name: &str, base: &str) -> StreamAttributes {
    let mut attributes = table.for_name(name);
    if base != name {
        let (general, all) = (table.for_name(base), table.for_name(""));
        inherit(&mut attributes.id, &all.id, general.id);
        inherit(&mut attributes.priority, &all.priority, general.priority);
        inherit(&mut attributes.codec, &all.codec, general.codec);
        inherit(&mut attributes.level, &all.level, general.level);
        inherit(&mut attributes.limit, &all.limit, general.limit);
        inherit(&mut attributes.when_full, &all.when_full, general.when_full);
    }
    attributes
}

fn inherit<T: PartialEq>(own: &mut T, all: &T, general: T) {
    if own == all {
        *own = general;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::attributes::Assigned;

    fn table(name: &str, value: Priority) -> AttributeTable {
        let priority = vec![Assigned { name: Some(name.to_owned()), value }];
        AttributeTable { priority, ..AttributeTable::default() }
    }

    #[test]
    fn a_class_that_changes_steers_the_streams_it_is_for_once() {
        let live = Arc::new(Live::new("app-1", "app", StreamAttributes::default()));
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        live.opened(Priority::Normal, Some(Box::new(move |p| heard.lock().expect("lock").push(p))));
        let mut register = Register::default();
        register.add(&live);
        for (name, class) in
            [("app", Priority::High), ("app", Priority::High), ("web", Priority::Low)]
        {
            register.change(&table(name, class));
        }
        assert_eq!(*told.lock().expect("lock"), [Priority::High, Priority::Normal]);
        drop(live);
        register.change(&table("app", Priority::Bulk));
        assert_eq!(told.lock().expect("lock").len(), 2);
    }

    #[test]
    fn what_changed_before_the_stream_was_open_is_made_up_for() {
        let live = Arc::new(Live::new("app", "app", StreamAttributes::default()));
        let mut register = Register::default();
        register.add(&live);
        register.change(&table("app", Priority::Bulk));
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&told);
        live.opened(Priority::Normal, Some(Box::new(move |p| heard.lock().expect("lock").push(p))));
        assert_eq!(*told.lock().expect("lock"), [Priority::Bulk]);
    }

    #[test]
    fn streams_that_are_over_take_no_room() {
        let mut register = Register::default();
        for _ in 0..10_000 {
            register.add(&Arc::new(Live::new("x", "x", StreamAttributes::default())));
        }
        assert!(register.0.len() < 16, "{}", register.0.len());
    }
}

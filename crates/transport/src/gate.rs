//! Room for links that have not proven themselves yet.
//!
//! When it is full the *oldest* stranger goes: an honest handshake takes a few round trips, one
//! that is slow on purpose grows old. Refusing the newest would lock honest peers out.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::Notify;

/// Links in their handshake at once: at 16 KiB each, 1 MiB.
pub(crate) const STRANGERS: usize = 64;
/// Of these, from one address. Does not hold for this machine's own: behind ssh everyone has it.
pub(crate) const STRANGERS_PER_ADDRESS: usize = 8;

/// Counts the links in their handshake.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    inside: Mutex<Inside>,
}

#[derive(Debug, Default)]
struct Inside {
    next: u64,
    /// In order of arrival.
    strangers: BTreeMap<u64, Stranger>,
    evicted: u64,
}

#[derive(Debug)]
struct Stranger {
    source: Option<IpAddr>,
    out: Arc<Notify>,
}

/// A place inside; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Place {
    gate: Arc<Gate>,
    ticket: u64,
    out: Arc<Notify>,
}

impl Gate {
    /// Lets a link in. `source` is `None` for links from this machine.
    pub(crate) fn enter(self: &Arc<Self>, source: Option<IpAddr>) -> Place {
        let mut inside = self.inside.lock().unwrap_or_else(PoisonError::into_inner);
        let from_there = |s: &&Stranger| source.is_some() && s.source == source;
        let crowd = inside.strangers.values().filter(from_there).count();
        let victim = if crowd >= STRANGERS_PER_ADDRESS {
            inside.strangers.iter().find(|(_, s)| s.source == source).map(|(ticket, _)| *ticket)
        } else if inside.strangers.len() >= STRANGERS {
            inside.strangers.keys().next().copied()
        } else {
            None
        };
        if let Some(gone) = victim.and_then(|ticket| inside.strangers.remove(&ticket)) {
            inside.evicted = inside.evicted.saturating_add(1);
            gone.out.notify_one();
        }
        let ticket = inside.next;
        inside.next = inside.next.wrapping_add(1);
        let out = Arc::new(Notify::new());
        inside.strangers.insert(ticket, Stranger { source, out: out.clone() });
        Place { gate: self.clone(), ticket, out }
    }

    /// Links inside now.
    pub(crate) fn len(&self) -> usize {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner).strangers.len()
    }
}

impl Place {
    /// Returns once a newer link needed the place.
    pub(crate) async fn evicted(&self) {
        self.out.notified().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut inside = self.gate.inside.lock().unwrap_or_else(PoisonError::into_inner);
        inside.strangers.remove(&self.ticket);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_out(place: &Place) -> bool {
        !place.gate.inside.lock().expect("no panic").strangers.contains_key(&place.ticket)
    }

    #[tokio::test]
    async fn the_ninth_of_one_address_pushes_its_oldest_out() {
        let gate = Arc::new(Gate::default());
        let source = Some(IpAddr::from([192, 0, 2, 1]));
        let other = gate.enter(Some(IpAddr::from([192, 0, 2, 2])));
        let mut places: Vec<Place> =
            (0..STRANGERS_PER_ADDRESS).map(|_| gate.enter(source)).collect();
        assert!(!places.iter().any(is_out));
        places.push(gate.enter(source));
        places[0].evicted().await;
        assert!(is_out(&places[0]) && !places[1..].iter().any(is_out) && !is_out(&other));
    }

    #[test]
    fn the_sixty_fifth_pushes_the_oldest_out() {
        let gate = Arc::new(Gate::default());
        let mut places: Vec<Place> = (0..STRANGERS).map(|_| gate.enter(None)).collect();
        assert!(!places.iter().any(is_out));
        places.push(gate.enter(None));
        assert!(is_out(&places[0]) && !places[1..].iter().any(is_out));
        assert_eq!(gate.len(), STRANGERS);
        drop(places);
        assert_eq!(gate.len(), 0);
    }
}

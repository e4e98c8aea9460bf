//! A TCP relay that misbehaves on command: cuts, resets, silence in one direction or both, late
//! delivery, delay, narrow, sliced and stalling links, flipped bytes, another server.
//!
//! It is made of threads, not of a runtime, so that it neither shares nor disturbs the runtime of
//! what it tests. Everything random comes from one seed.

#[path = "relay/link.rs"]
mod link;
#[path = "relay/pump.rs"]
mod pump;
#[path = "relay/rules.rs"]
mod rules;

use std::collections::VecDeque;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use link::{Link, carry};
pub use rules::{Cut, Rules, Way};

/// How soon a thread that waits notices what it was told.
const TICK: Duration = Duration::from_millis(5);

/// The same for one that waits for bytes, of which there are many.
const READ_TICK: Duration = Duration::from_millis(20);

const WAYS: [Way; 2] = [Way::Up, Way::Down];

/// The relay; dropping it cuts every link and closes its port.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    stop: AtomicBool,
    /// New links are accepted and carry nothing: up, down.
    hole: [AtomicBool; 2],
    /// New links are closed at once, as by `ssh -L` with nothing at its far end.
    refuse: AtomicBool,
    accepted: AtomicU64,
    cuts: AtomicU64,
    /// Bytes: up, down.
    carried: [AtomicU64; 2],
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    target: String,
    rules: Rules,
    /// Of the next links, one each, before `rules` hold again.
    plan: VecDeque<Rules>,
    random: fastrand::Rng,
    links: Vec<Arc<Link>>,
}

impl Relay {
    /// A relay on a free loopback port, which leads to `target`.
    pub fn to(target: &str, seed: u64) -> Self {
        Self::listen("127.0.0.1:0", target, seed).expect("a free loopback port")
    }

    /// A relay on `address`, which leads to `target`.
    pub fn listen(address: &str, target: &str, seed: u64) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            hole: Default::default(),
            refuse: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            carried: Default::default(),
            state: Mutex::new(State {
                target: target.to_owned(),
                rules: Rules::default(),
                plan: VecDeque::new(),
                random: fastrand::Rng::with_seed(seed),
                links: Vec::new(),
            }),
        });
        let acceptor = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || accept(&listener, &shared))
        };
        Ok(Self { address, shared, acceptor: Some(acceptor) })
    }

    /// Where clients connect.
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// Sets what is done to every link from now on.
    pub fn rules(&self, rules: Rules) {
        self.shared.state().rules = rules;
    }

    /// Sets what is done to the next links, one each. Those after them have the standing rules.
    pub fn plan(&self, plan: impl IntoIterator<Item = Rules>) {
        self.shared.state().plan = plan.into_iter().collect();
    }

    /// Links of the plan that were not made yet.
    pub fn planned(&self) -> usize {
        self.shared.state().plan.len()
    }

    /// New links lead to another server.
    pub fn target(&self, target: &str) {
        target.clone_into(&mut self.shared.state().target);
    }

    /// Cuts every link of this moment.
    pub fn cut(&self, how: Cut) {
        for link in &self.shared.state().links {
            link.cut(how, &self.shared);
        }
    }

    /// The links of this moment carry nothing from now on, and nothing closes them. New ones work.
    pub fn freeze(&self) {
        self.each(|link| WAYS.into_iter().for_each(|way| link.freeze(way, true)));
    }

    /// Frozen links go on where they stood: what was in them is delivered late.
    pub fn thaw(&self) {
        self.each(|link| WAYS.into_iter().for_each(|way| link.freeze(way, false)));
    }

    /// A black hole: neither the links of this moment nor new ones carry anything.
    pub fn black_hole(&self) {
        WAYS.into_iter().for_each(|way| self.black_hole_of(way));
    }

    /// A black hole for one direction only.
    pub fn black_hole_of(&self, way: Way) {
        self.shared.hole[way as usize].store(true, Ordering::SeqCst);
        self.each(|link| link.freeze(way, true));
    }

    /// New links are closed at once, until healed.
    pub fn refuse(&self) {
        self.shared.refuse.store(true, Ordering::SeqCst);
    }

    /// New links work, and are not cut. Frozen ones stay as they are: a dead NAT entry.
    pub fn heal(&self) {
        self.shared.hole.iter().for_each(|hole| hole.store(false, Ordering::SeqCst));
        self.shared.refuse.store(false, Ordering::SeqCst);
        self.plan([]);
        self.rules(Rules::default());
    }

    /// Links accepted so far.
    pub fn links(&self) -> u64 {
        self.shared.accepted.load(Ordering::SeqCst)
    }

    /// Links cut so far.
    pub fn cuts(&self) -> u64 {
        self.shared.cuts.load(Ordering::SeqCst)
    }

    /// Bytes carried so far, both directions of all links.
    pub fn carried(&self) -> u64 {
        WAYS.into_iter().map(|way| self.carried_of(way)).sum()
    }

    /// Bytes carried so far in one direction of all links.
    pub fn carried_of(&self, way: Way) -> u64 {
        self.shared.carried[way as usize].load(Ordering::SeqCst)
    }

    /// The first bytes, up and down, of the links of this moment.
    pub fn heads(&self) -> Vec<[Vec<u8>; 2]> {
        self.shared.state().links.iter().map(|link| link.heads()).collect()
    }

    fn each(&self, act: impl Fn(&Link)) {
        self.shared.state().links.iter().for_each(|link| act(link));
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        self.cut(Cut::Fin);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::SeqCst)
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
    while !shared.stopped() {
        match listener.accept() {
            Ok((near, _)) => {
                shared.accepted.fetch_add(1, Ordering::SeqCst);
                if shared.refuse.load(Ordering::SeqCst) {
                    drop(near);
                    continue;
                }
                let shared = Arc::clone(shared);
                let target = shared.state().target.clone();
                thread::spawn(move || {
                    // A target that refuses looks like a far end that closes at once.
                    if let Ok(far) = TcpStream::connect(&target) {
                        let _ = carry(near, far, &shared);
                    }
                });
            }
            Err(_) => thread::sleep(TICK),
        }
    }
}

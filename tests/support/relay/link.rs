//! One client's connection and its continuation to the server, and how it ends.

use std::io;
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

use super::pump::pump;
use super::rules::{Cut, Rules, Way};
use super::{READ_TICK, Shared, TICK};

/// Bytes of the beginning of each direction that a link remembers.
const HEAD: usize = 1024;

#[derive(Debug)]
pub(super) struct Link {
    pub(super) near: TcpStream,
    pub(super) far: TcpStream,
    pub(super) rules: Rules,
    pub(super) seed: u64,
    how: Cut,
    /// Bytes left before the cut: up, down, both.
    left: Mutex<[u64; 3]>,
    heads: Mutex<[Vec<u8>; 2]>,
    over: AtomicBool,
    frozen: [AtomicBool; 2],
}

/// Carries a link until it is over.
pub(super) fn carry(near: TcpStream, far: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    for socket in [&near, &far] {
        // On some systems an accepted socket inherits the listener's mode.
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(READ_TICK))?;
        socket.set_write_timeout(Some(TICK))?;
    }
    let link = {
        let mut state = shared.state();
        let rules = state.plan.pop_front().unwrap_or_else(|| state.rules.clone());
        let link = Arc::new(Link::new(near, far, rules, shared, &mut state.random));
        state.links.retain(|link| !link.over());
        state.links.push(Arc::clone(&link));
        link
    };
    let down = {
        let (link, shared) = (Arc::clone(&link), Arc::clone(shared));
        thread::spawn(move || pump(&link, Way::Down, &shared))
    };
    pump(&link, Way::Up, shared);
    let _ = down.join();
    link.over.store(true, Ordering::SeqCst);
    // The last handles close the sockets; with a linger of zero that is a reset.
    shared.state().links.retain(|other| !Arc::ptr_eq(other, &link));
    Ok(())
}

impl Link {
    fn new(
        near: TcpStream,
        far: TcpStream,
        rules: Rules,
        shared: &Shared,
        random: &mut fastrand::Rng,
    ) -> Self {
        let spent = rules.cuts.is_some_and(|most| shared.cuts.load(Ordering::SeqCst) >= most);
        let left = match spent {
            true => [u64::MAX; 3],
            false => [
                rules.after_up.unwrap_or(u64::MAX),
                rules.after_down.unwrap_or(u64::MAX),
                rules.random.clone().map_or(u64::MAX, |range| random.u64(range)),
            ],
        };
        let how = match rules.how {
            Cut::Either if random.bool() => Cut::Fin,
            Cut::Either => Cut::Rst,
            how => how,
        };
        Self {
            near,
            far,
            rules,
            seed: random.u64(..),
            how,
            left: Mutex::new(left),
            heads: Mutex::default(),
            over: AtomicBool::new(false),
            frozen: [&shared.hole[0], &shared.hole[1]]
                .map(|hole| AtomicBool::new(hole.load(Ordering::SeqCst))),
        }
    }

    pub(super) fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    pub(super) fn frozen(&self, way: Way) -> bool {
        self.frozen[way as usize].load(Ordering::SeqCst)
    }

    pub(super) fn freeze(&self, way: Way, frozen: bool) {
        self.frozen[way as usize].store(frozen, Ordering::SeqCst);
    }

    /// The first bytes of both directions.
    pub(super) fn heads(&self) -> [Vec<u8>; 2] {
        self.heads.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn remember(&self, way: Way, bytes: &[u8]) {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let head = &mut heads[way as usize];
        let room = HEAD.saturating_sub(head.len()).min(bytes.len());
        head.extend_from_slice(&bytes[..room]);
    }

    pub(super) fn cut(&self, how: Cut, shared: &Shared) {
        if !self.over() {
            shared.cuts.fetch_add(1, Ordering::SeqCst);
        }
        self.end(how);
    }

    /// Cuts it as its rules say.
    pub(super) fn cut_by_rule(&self, shared: &Shared) {
        self.cut(self.how, shared);
    }

    /// Ends the link as one of its own ends did.
    pub(super) fn end(&self, how: Cut) {
        if self.over.swap(true, Ordering::SeqCst) {
            return;
        }
        match how {
            Cut::Rst => {
                for socket in [&self.near, &self.far] {
                    let _ = SockRef::from(socket).set_linger(Some(Duration::ZERO));
                }
            }
            Cut::Fin | Cut::Either => {
                let _ = self.near.shutdown(Shutdown::Both);
                let _ = self.far.shutdown(Shutdown::Both);
            }
        }
    }

    /// How many of `wanted` bytes may pass, and whether the link is cut after them.
    pub(super) fn take(&self, way: Way, wanted: usize) -> (usize, bool) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let own = way as usize;
        let pass = (wanted as u64).min(left[own]).min(left[2]);
        for at in [own, 2] {
            if left[at] != u64::MAX {
                left[at] -= pass;
            }
        }
        (pass as usize, left[own] == 0 || left[2] == 0)
    }
}

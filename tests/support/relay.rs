//! A TCP relay that misbehaves on command: cuts, resets, silence, delay, narrow and sliced links.
//!
//! It is made of threads, not of a runtime, so that it neither shares nor disturbs the runtime of
//! what it tests. Everything random comes from one seed.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use socket2::SockRef;

/// How soon a thread that waits notices what it was told.
const TICK: Duration = Duration::from_millis(5);

/// Bytes in flight inside the relay, for each direction of each link.
const IN_FLIGHT: usize = 256 * 1024;

/// Most bytes read at once.
const READ: usize = 16 * 1024;

/// How a cut looks to both ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Cut {
    /// An orderly end (FIN); what was forwarded arrives.
    Fin,
    /// A reset (RST); what is still in the sockets is gone.
    Rst,
    /// One or the other, as the seed has it.
    #[default]
    Either,
}

/// What is done to every link made from now on.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Cut after so many bytes from the client to the server.
    pub after_up: Option<u64>,
    /// Cut after so many bytes from the server to the client.
    pub after_down: Option<u64>,
    /// Cut after a random number of bytes in this range, both directions together.
    pub random: Option<Range<u64>>,
    /// Cut no more links than this; later ones are left whole.
    pub cuts: Option<u64>,
    /// How links are cut.
    pub how: Cut,
    /// Bytes a second, in each direction.
    pub rate: Option<u64>,
    /// Delay of each byte, in each direction.
    pub delay: Duration,
    /// Most bytes in one segment.
    pub slice: Option<usize>,
}

/// The relay; dropping it cuts every link and closes its port.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    target: String,
    stop: AtomicBool,
    /// New links are accepted and carry nothing.
    hole: AtomicBool,
    /// New links are closed at once, as by `ssh -L` with nothing at its far end.
    refuse: AtomicBool,
    accepted: AtomicU64,
    cuts: AtomicU64,
    carried: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    rules: Rules,
    random: fastrand::Rng,
    links: Vec<Arc<Link>>,
}

/// One client's connection and its continuation to the server.
#[derive(Debug)]
struct Link {
    near: TcpStream,
    far: TcpStream,
    rules: Rules,
    how: Cut,
    /// Bytes left before the cut: up, down, both.
    left: Mutex<[u64; 3]>,
    over: AtomicBool,
    frozen: AtomicBool,
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Up,
    Down,
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
            target: target.to_owned(),
            stop: AtomicBool::new(false),
            hole: AtomicBool::new(false),
            refuse: AtomicBool::new(false),
            accepted: AtomicU64::new(0),
            cuts: AtomicU64::new(0),
            carried: AtomicU64::new(0),
            state: Mutex::new(State {
                rules: Rules::default(),
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

    /// Cuts every link of this moment.
    pub fn cut(&self, how: Cut) {
        for link in &self.shared.state().links {
            link.cut(how, &self.shared);
        }
    }

    /// The links of this moment carry nothing from now on, and nothing closes them. New ones work.
    pub fn freeze(&self) {
        self.each(|link| link.frozen.store(true, Ordering::SeqCst));
    }

    /// Frozen links go on where they stood: what was in them is delivered late.
    pub fn thaw(&self) {
        self.each(|link| link.frozen.store(false, Ordering::SeqCst));
    }

    /// A black hole: neither the links of this moment nor new ones carry anything.
    pub fn black_hole(&self) {
        self.shared.hole.store(true, Ordering::SeqCst);
        self.freeze();
    }

    /// New links are closed at once, until healed.
    pub fn refuse(&self) {
        self.shared.refuse.store(true, Ordering::SeqCst);
    }

    /// New links work, and are not cut. Frozen ones stay as they are: a dead NAT entry.
    pub fn heal(&self) {
        self.shared.hole.store(false, Ordering::SeqCst);
        self.shared.refuse.store(false, Ordering::SeqCst);
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
        self.shared.carried.load(Ordering::SeqCst)
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
                thread::spawn(move || {
                    // A target that refuses looks like a far end that closes at once.
                    if let Ok(far) = TcpStream::connect(&shared.target) {
                        let _ = carry(near, far, &shared);
                    }
                });
            }
            Err(_) => thread::sleep(TICK),
        }
    }
}

fn carry(near: TcpStream, far: TcpStream, shared: &Arc<Shared>) -> io::Result<()> {
    for socket in [&near, &far] {
        // On some systems an accepted socket inherits the listener's mode.
        socket.set_nonblocking(false)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(TICK))?;
        socket.set_write_timeout(Some(TICK))?;
    }
    let link = {
        let mut state = shared.state();
        let rules = state.rules.clone();
        let spent = rules.cuts.is_some_and(|most| shared.cuts.load(Ordering::SeqCst) >= most);
        let left = match spent {
            true => [u64::MAX; 3],
            false => [
                rules.after_up.unwrap_or(u64::MAX),
                rules.after_down.unwrap_or(u64::MAX),
                rules.random.clone().map_or(u64::MAX, |range| state.random.u64(range)),
            ],
        };
        let how = match rules.how {
            Cut::Either if state.random.bool() => Cut::Fin,
            Cut::Either => Cut::Rst,
            how => how,
        };
        let link = Arc::new(Link {
            near,
            far,
            rules,
            how,
            left: Mutex::new(left),
            over: AtomicBool::new(false),
            frozen: AtomicBool::new(shared.hole.load(Ordering::SeqCst)),
        });
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
    fn over(&self) -> bool {
        self.over.load(Ordering::SeqCst)
    }

    fn cut(&self, how: Cut, shared: &Shared) {
        if !self.over() {
            shared.cuts.fetch_add(1, Ordering::SeqCst);
        }
        self.end(how);
    }

    /// Ends the link as one of its own ends did.
    fn end(&self, how: Cut) {
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
    fn take(&self, way: Way, wanted: usize) -> (usize, bool) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let own = match way {
            Way::Up => 0,
            Way::Down => 1,
        };
        let pass = (wanted as u64).min(left[own]).min(left[2]);
        for at in [own, 2] {
            if left[at] != u64::MAX {
                left[at] -= pass;
            }
        }
        (pass as usize, left[own] == 0 || left[2] == 0)
    }
}

/// What one direction's reader has for its writer.
enum Item {
    /// Bytes, and when they are due at the other end.
    Bytes(Instant, Vec<u8>),
    /// The sender ended; with `reset`, by force.
    End { reset: bool },
}

/// Moves one direction until the link is over: a thread that reads, and this one that writes when
/// the time has come.
fn pump(link: &Link, way: Way, shared: &Shared) {
    let (from, to) = match way {
        Way::Up => (&link.near, &link.far),
        Way::Down => (&link.far, &link.near),
    };
    let rate = link.rules.rate.unwrap_or(0) as f64;
    let capacity = IN_FLIGHT + (rate * link.rules.delay.as_secs_f64()) as usize;
    thread::scope(|scope| {
        let (queue, waiting) = sync_channel(capacity / READ);
        scope.spawn(move || fill(from, link, shared, &queue));
        drain(to, link, way, shared, &waiting);
    });
}

fn fill(mut from: &TcpStream, link: &Link, shared: &Shared, queue: &SyncSender<Item>) {
    let mut buffer = vec![0; READ];
    while !link.over() && !shared.stopped() {
        let item = match from.read(&mut buffer) {
            Ok(0) => Item::End { reset: false },
            Ok(read) => Item::Bytes(Instant::now() + link.rules.delay, buffer[..read].to_vec()),
            Err(error) if is_timeout(&error) => continue,
            // What is on its way still arrives, as on a real path.
            Err(_) => Item::End { reset: true },
        };
        let last = matches!(item, Item::End { .. });
        if queue.send(item).is_err() || last {
            return;
        }
    }
}

fn drain(mut to: &TcpStream, link: &Link, way: Way, shared: &Shared, queue: &Receiver<Item>) {
    let slice = link.rules.slice.unwrap_or(usize::MAX).max(1);
    let mut clear = Instant::now();
    while !link.over() && !shared.stopped() {
        let (due, bytes) = match queue.recv_timeout(TICK) {
            Ok(Item::Bytes(due, bytes)) => (due, bytes),
            Ok(Item::End { reset: true }) => return link.end(Cut::Rst),
            Ok(Item::End { reset: false }) => {
                // Half-closed: the other direction may still have something to say.
                let _ = to.shutdown(Shutdown::Write);
                return;
            }
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            if !wait(due.max(clear), link, shared) {
                return;
            }
            let (pass, last) = link.take(way, bytes.len().min(slice));
            if write_all(&mut to, &bytes[..pass], link, shared).is_err() {
                // The other direction may still have something to deliver.
                return;
            }
            shared.carried.fetch_add(pass as u64, Ordering::SeqCst);
            if last {
                return link.cut(link.how, shared);
            }
            if let Some(rate) = link.rules.rate {
                let pause = Duration::from_secs_f64(pass as f64 / rate.max(1) as f64);
                // A sleep that took too long is made up for, a pause of the sender is not.
                let floor = Instant::now().checked_sub(TICK).unwrap_or(clear);
                clear = clear.max(floor) + pause;
            }
            bytes = &bytes[pass..];
        }
    }
}

/// Waits for the time, and while the link is frozen. False once the link is over.
fn wait(time: Instant, link: &Link, shared: &Shared) -> bool {
    loop {
        if link.over() || shared.stopped() {
            return false;
        }
        let left = time.saturating_duration_since(Instant::now());
        if link.frozen.load(Ordering::SeqCst) {
            thread::sleep(TICK);
        } else if left.is_zero() {
            return true;
        } else {
            thread::sleep(left.min(TICK));
        }
    }
}

fn write_all(
    to: &mut &TcpStream,
    mut bytes: &[u8],
    link: &Link,
    shared: &Shared,
) -> io::Result<()> {
    while !bytes.is_empty() {
        if link.over() || shared.stopped() {
            return Err(ErrorKind::ConnectionAborted.into());
        }
        match to.write(bytes) {
            Ok(0) => return Err(ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if is_timeout(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

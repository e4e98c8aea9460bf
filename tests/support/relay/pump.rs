//! Moves the bytes of one direction, each when its time has come.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::link::Link;
use super::rules::{Cut, Rules, Way};
use super::{READ_TICK, Shared, TICK};

/// Bytes in flight inside the relay, for each direction of each link, beyond what its delay takes.
const IN_FLIGHT: usize = 256 * 1024;

/// Most bytes read at once.
const READ: usize = 16 * 1024;

/// What one direction's reader has for its writer.
enum Item {
    /// Bytes, and when they are due at the other end.
    Bytes(Instant, Vec<u8>),
    /// The sender ended; with `reset`, by force.
    End { reset: bool },
}

/// Moves one direction until the link is over: a thread that reads, and this one that writes when
/// the time has come.
pub(super) fn pump(link: &Link, way: Way, shared: &Shared) {
    let (from, to) = match way {
        Way::Up => (&link.near, &link.far),
        Way::Down => (&link.far, &link.near),
    };
    let rate = link.rules.rate.unwrap_or(0) as f64;
    let capacity =
        IN_FLIGHT + (rate * (link.rules.delay + link.rules.jitter).as_secs_f64()) as usize;
    let room = Room { capacity, taken: Mutex::new(0), changed: Condvar::new() };
    thread::scope(|scope| {
        let (queue, waiting) = channel();
        let room = &room;
        scope.spawn(move || fill(from, link, way, shared, (&queue, room)));
        drain(to, link, way, shared, (&waiting, room));
    });
}

/// The bytes that one direction holds, however they are cut into pieces.
struct Room {
    capacity: usize,
    taken: Mutex<usize>,
    changed: Condvar,
}

impl Room {
    /// Waits a moment for room, if there is none. Whether there is now.
    fn wait(&self) -> bool {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let full = |taken: &mut usize| *taken >= self.capacity;
        let waited = self.changed.wait_timeout_while(taken, READ_TICK, full);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    fn take(&self, bytes: usize) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) += bytes;
    }

    fn give(&self, bytes: usize) {
        *self.taken.lock().unwrap_or_else(PoisonError::into_inner) -= bytes;
        self.changed.notify_one();
    }
}

fn fill(
    mut from: &TcpStream,
    link: &Link,
    way: Way,
    shared: &Shared,
    (queue, room): (&Sender<Item>, &Room),
) {
    let mut buffer = vec![0; READ];
    let mut random = fastrand::Rng::with_seed(link.seed ^ way as u64);
    while !link.over() && !shared.stopped() {
        if !room.wait() {
            continue;
        }
        let item = match from.read(&mut buffer) {
            Ok(0) => Item::End { reset: false },
            Ok(read) => {
                room.take(read);
                let late = link.rules.delay + link.rules.jitter.mul_f64(random.f64());
                Item::Bytes(Instant::now() + late, buffer[..read].to_vec())
            }
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

fn drain(
    mut to: &TcpStream,
    link: &Link,
    way: Way,
    shared: &Shared,
    (queue, room): (&Receiver<Item>, &Room),
) {
    let slice = link.rules.slice.unwrap_or(usize::MAX).max(1);
    let mut pace = Pace { clear: Instant::now(), passed: 0 };
    while !link.over() && !shared.stopped() {
        let (due, mut bytes) = match queue.recv_timeout(READ_TICK) {
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
        pace.flip(&link.rules, way, &mut bytes);
        link.remember(way, &bytes);
        let mut bytes = bytes.as_slice();
        while !bytes.is_empty() {
            if !wait(due.max(pace.clear), link, way, shared) {
                return;
            }
            let (pass, last) = link.take(way, bytes.len().min(slice));
            if write_all(&mut to, &bytes[..pass], link, shared).is_err() {
                // The other direction may still have something to deliver.
                return;
            }
            shared.carried[way as usize].fetch_add(pass as u64, Ordering::SeqCst);
            if last {
                return link.cut_by_rule(shared);
            }
            pace.passed(&link.rules, pass);
            room.give(pass);
            bytes = &bytes[pass..];
        }
    }
}

/// How far one direction is, and when its path is clear again.
struct Pace {
    clear: Instant,
    passed: u64,
}

impl Pace {
    /// Flips the byte that the rules name, if it is among these that are next to pass.
    fn flip(&self, rules: &Rules, way: Way, bytes: &mut [u8]) {
        let at = match way {
            Way::Up => rules.flip_up,
            Way::Down => rules.flip_down,
        };
        let at = at.and_then(|at| at.checked_sub(self.passed));
        if let Some(byte) = at.and_then(|at| bytes.get_mut(at as usize)) {
            *byte ^= 1;
        }
    }

    fn passed(&mut self, rules: &Rules, bytes: usize) {
        let before = self.passed;
        self.passed += bytes as u64;
        if let Some(rate) = rules.rate {
            let pause = Duration::from_secs_f64(bytes as f64 / rate.max(1) as f64);
            // A sleep that took too long is made up for, a pause of the sender is not.
            let floor = Instant::now().checked_sub(TICK).unwrap_or(self.clear);
            self.clear = self.clear.max(floor) + pause;
        }
        if let Some((every, pause)) = rules.stall {
            if before / every.max(1) != self.passed / every.max(1) {
                self.clear = self.clear.max(Instant::now()) + pause;
            }
        }
    }
}

/// Waits for the time, and while the direction is frozen. False once the link is over.
fn wait(time: Instant, link: &Link, way: Way, shared: &Shared) -> bool {
    loop {
        if link.over() || shared.stopped() {
            return false;
        }
        let left = time.saturating_duration_since(Instant::now());
        if link.frozen(way) {
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

//! A server, clients and a relay that cuts, for the tests beside it.
#![allow(dead_code, unreachable_pub, clippy::print_stdout, reason = "each test file uses a part")]

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use p2_transport::{
    Backoff, Chunk, Client, ClientBuilder, Connection, Server, Stream, StreamOptions,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Longer than any test needs; a test that hangs says where.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Runs `future` to its end or fails with `what`.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(PATIENCE, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing happened for {PATIENCE:?}"),
    }
}

/// A server on a free loopback port.
pub async fn server() -> Server {
    Server::builder().bind("127.0.0.1:0").await.expect("a free port")
}

/// A client that retries quickly.
pub fn client() -> ClientBuilder {
    Client::builder().session_name("test").retry(Backoff {
        min: Duration::from_millis(5),
        max: Duration::from_millis(50),
        ..Backoff::default()
    })
}

/// A connected pair over `address`, which leads to `server`.
pub async fn pair(server: &Server, address: &str) -> (Connection, Connection) {
    let (near, far) =
        within("connecting", async { tokio::join!(client().connect(address), server.accept()) })
            .await;
    (near.expect("connected"), far.expect("accepted"))
}

/// A stream opened at `near` and accepted at `far`.
pub async fn stream(near: &Connection, far: &Connection, name: &str) -> (Stream, Stream) {
    let ours = within("opening", near.open_stream(StreamOptions::named(name))).await.expect("room");
    let theirs = within("accepting", far.accept_stream()).await.expect("it arrives");
    assert_eq!(theirs.name(), name);
    (ours, theirs)
}

/// Reads a stream to its verified end.
pub async fn read_all(stream: &mut Stream) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(chunk) = within("reading", stream.read_chunk()).await.expect("readable") {
        match chunk {
            Chunk::Data { offset, data } => {
                assert_eq!(offset, all.len() as u64, "each byte once and in order");
                all.extend_from_slice(&data);
            }
            Chunk::Gap { offset, dropped } => panic!("gap of {dropped} at {offset}"),
        }
    }
    all
}

/// Accepts streams of `connection` and sends back what they carry, for as long as it lives.
pub fn echo(connection: Connection) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        while let Some(mut stream) = connection.accept_stream().await {
            tokio::spawn(async move {
                while let Ok(Some(Chunk::Data { data, .. })) = stream.read_chunk().await {
                    if stream.write_chunk(data).await.is_err() {
                        return;
                    }
                }
                let _ = stream.finish().await;
            });
        }
    })
}

/// Lines of a log, compressible like one, different for each seed.
pub fn log(seed: u64, bytes: usize) -> Bytes {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut text = String::with_capacity(bytes + 100);
    while text.len() < bytes {
        let (id, took) = (random.u32(..), random.u16(..500));
        text.push_str(&format!("2026-02-03T20:15:00Z INFO request {id:08x} served in {took} ms\n"));
    }
    text.truncate(bytes);
    text.into()
}

/// The seed of a random test, printed so that a failure can be repeated with `P2_SEED`.
pub fn seed() -> u64 {
    let seed = std::env::var("P2_SEED").ok().and_then(|s| s.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("P2_SEED={seed}");
    seed
}

/// A TCP relay under the test's control.
pub struct Relay {
    /// Where clients connect.
    pub address: String,
    control: Arc<Control>,
    task: tokio::task::JoinHandle<()>,
}

struct Control {
    target: Mutex<String>,
    cut: watch::Sender<u64>,
    held: watch::Sender<bool>,
    links: AtomicU64,
    /// Bytes after which each new link is cut, drawn from this range.
    budget: Mutex<Option<(fastrand::Rng, u64, u64)>>,
    cut_next: Mutex<Option<u64>>,
    flip_at: Mutex<Option<u64>>,
    strand: watch::Sender<u64>,
    stranded: Mutex<Vec<TcpStream>>,
}

impl Relay {
    /// A relay to `target`.
    pub async fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let control = Arc::new(Control {
            target: Mutex::new(target.to_owned()),
            cut: watch::Sender::new(0),
            held: watch::Sender::new(false),
            links: AtomicU64::new(0),
            budget: Mutex::new(None),
            cut_next: Mutex::new(None),
            flip_at: Mutex::new(None),
            strand: watch::Sender::new(0),
            stranded: Mutex::new(Vec::new()),
        });
        let shared = control.clone();
        let task = tokio::spawn(async move {
            loop {
                let Ok((near, _)) = listener.accept().await else { continue };
                shared.links.fetch_add(1, Ordering::SeqCst);
                let target = shared.target.lock().expect("no panic").clone();
                tokio::spawn(carry(near, target, shared.clone()));
            }
        });
        Self { address, control, task }
    }

    /// Leads later links to another target.
    pub fn lead_to(&self, target: &str) {
        *self.control.target.lock().expect("no panic") = target.to_owned();
    }

    /// Cuts every link of this moment.
    pub fn cut(&self) {
        self.control.cut.send_modify(|n| *n += 1);
    }

    /// Cuts each later link after `from..to` bytes, counted in both directions.
    pub fn cut_after(&self, seed: u64, from: u64, to: u64) {
        *self.control.budget.lock().expect("no panic") =
            Some((fastrand::Rng::with_seed(seed), from, to));
    }

    /// Cuts the next link after `bytes`, and only that.
    pub fn cut_next(&self, bytes: u64) {
        *self.control.cut_next.lock().expect("no panic") = Some(bytes);
    }

    /// Hangs up on the clients of this moment, but not on the server: it knows nothing yet.
    pub fn strand(&self) {
        self.control.strand.send_modify(|n| *n += 1);
    }

    /// Waits until the server has hung up on every stranded link.
    pub async fn stranded_are_closed(&self) {
        let stranded = std::mem::take(&mut *self.control.stranded.lock().expect("no panic"));
        assert!(!stranded.is_empty());
        for mut link in stranded {
            let mut rest = Vec::new();
            let _ = within("the server hanging up", link.read_to_end(&mut rest)).await;
        }
    }

    /// Cuts no later link.
    pub fn heal(&self) {
        *self.control.budget.lock().expect("no panic") = None;
    }

    /// Flips one bit of the byte at `offset`, client to server, of the next link.
    pub fn flip(&self, offset: u64) {
        *self.control.flip_at.lock().expect("no panic") = Some(offset);
    }

    /// Carries nothing, and closes nothing, while `true`.
    pub fn hold(&self, held: bool) {
        self.control.held.send_replace(held);
    }

    /// Links so far.
    pub fn links(&self) -> u64 {
        self.control.links.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.cut();
        self.task.abort();
    }
}

async fn carry(near: TcpStream, target: String, control: Arc<Control>) {
    let (mut cut, mut strand) = (control.cut.subscribe(), control.strand.subscribe());
    let budget = control
        .budget
        .lock()
        .expect("no panic")
        .as_mut()
        .map_or(u64::MAX, |(random, from, to)| random.u64(*from..*to));
    let budget = control.cut_next.lock().expect("no panic").take().unwrap_or(budget);
    let budget = Arc::new(AtomicU64::new(budget));
    let flip = control.flip_at.lock().expect("no panic").take();
    let Ok(far) = TcpStream::connect(&target).await else { return };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (mut near, mut far) = (near, far);
    let stranded = {
        let (near_read, near_write) = near.split();
        let (far_read, far_write) = far.split();
        let held = || control.held.subscribe();
        tokio::select! {
            () = pump(near_read, far_write, budget.clone(), held(), flip) => false,
            () = pump(far_read, near_write, budget.clone(), held(), None) => false,
            _ = cut.changed() => false,
            _ = strand.changed() => true,
        }
    };
    if stranded {
        control.stranded.lock().expect("no panic").push(far);
    }
}

async fn pump(
    mut from: impl tokio::io::AsyncRead + Unpin,
    mut to: impl tokio::io::AsyncWrite + Unpin,
    budget: Arc<AtomicU64>,
    mut held: watch::Receiver<bool>,
    flip: Option<u64>,
) {
    let mut buffer = vec![0; 16 * 1024];
    let mut carried = 0u64;
    loop {
        let _ = held.wait_for(|held| !held).await;
        let Ok(read) = from.read(&mut buffer).await else { return };
        if read == 0 {
            return;
        }
        let _ = held.wait_for(|held| !held).await;
        let left = budget.load(Ordering::SeqCst);
        let pass = read.min(usize::try_from(left).unwrap_or(usize::MAX));
        if let Some(at) = flip.and_then(|at| at.checked_sub(carried)) {
            if let Some(byte) = usize::try_from(at).ok().and_then(|at| buffer[..pass].get_mut(at)) {
                *byte ^= 0x10;
            }
        }
        if to.write_all(&buffer[..pass]).await.is_err() {
            return;
        }
        carried += pass as u64;
        budget.store(left.saturating_sub(pass as u64), Ordering::SeqCst);
        if left <= pass as u64 {
            return;
        }
    }
}

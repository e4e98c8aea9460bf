//! Idle memory: what a process holds more with many open streams, of which each carried a byte in
//! each direction. Measured in a process of its own, because memory that was freed may stay.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::peer::{Class, Peer, establish};

/// Opened before the first look: the connection, the runtime and the allocator are warm then.
const FIRST: usize = 256;
/// How long a child may take.
const PATIENCE: Duration = Duration::from_secs(600);
/// The first argument of a child.
pub(crate) const CHILD: &str = "--idle-child";

/// Bytes for each stream, both ends together; `None` if it took too long.
pub(crate) fn idle(peer: &str, streams: usize) -> Option<f64> {
    let mut child = Command::new(std::env::current_exe().expect("this program"))
        .args([CHILD, peer, &streams.to_string()])
        .stdout(Stdio::piped())
        .spawn()
        .expect("a child");
    let start = Instant::now();
    while child.try_wait().expect("the child's state").is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().expect("it ends");
            child.wait().expect("it ended");
            eprintln!("{peer}: {streams} streams took more than {PATIENCE:?} to open");
            return None;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().expect("its output");
    assert!(output.status.success(), "{peer}: the child failed");
    let text = String::from_utf8_lossy(&output.stdout);
    Some(text.trim().parse().expect("a figure"))
}

/// What the child does.
pub(crate) async fn child<P: Peer>(streams: usize) -> f64 {
    let (near, mut far) = P::pair(FIRST + streams).await;
    let first = establish::<P>(&near, &mut far, Class::Plain, FIRST).await;
    settle().await;
    let before = resident();
    let more = establish::<P>(&near, &mut far, Class::Plain, streams).await;
    settle().await;
    let after = resident();
    drop((first, more));
    (after - before) / streams as f64
}

/// Late acknowledgements and credit have gone out after this.
async fn settle() {
    tokio::time::sleep(Duration::from_millis(200)).await;
}

fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux's /proc");
    let kib = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB"));
    kib.expect("the resident size").trim().parse::<f64>().expect("a number") * 1024.0
}

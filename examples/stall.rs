//! One of eight streams is not read for a while: what the seven others move meanwhile, and what
//! both ends hold.
//!
//! ```text
//! cargo run --release --example stall -- [SECONDS]     default 60
//! ```
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it speaks to a person")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use p2::{Chunk, Client, CodecId, LinkState, Server, StreamOptions};
use tokio::sync::watch;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let seconds: u64 = std::env::args().nth(1).map_or(Ok(60), |text| text.parse())?;
    let server = Server::builder().bind("127.0.0.1:0").await?;
    let address = server.local_addr();
    let moved: Arc<AtomicU64> = Arc::default();
    let (stall, stalled) = watch::channel(false);
    tokio::spawn(serve(server, moved.clone(), stalled));
    let connection = Client::builder().connect(&address).await?;
    let block = Bytes::from(vec![1_u8; 64 << 10]);
    for index in 0..8 {
        let (connection, block) = (connection.clone(), block.clone());
        let options = StreamOptions::named(index.to_string()).codec(CodecId::NONE);
        tokio::spawn(async move {
            let mut stream = connection.open_stream(options).await?;
            loop {
                stream.write_chunk(block.clone()).await?;
            }
            #[allow(unreachable_code, reason = "gives the task its type")]
            Ok::<(), p2::StreamError>(())
        });
    }
    let measure = async |span: u64| {
        let before = moved.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(span)).await;
        let bytes = moved.load(Ordering::Relaxed) - before;
        bytes as f64 / span as f64 / f64::from(1 << 20)
    };
    measure(2).await;
    let free = measure(5).await;
    println!("all eight read      seven move {free:6.0} MiB/s   resident {}", resident());
    stall.send_replace(true);
    measure(1).await;
    let beside = measure(seconds).await;
    let stats = connection.stats();
    println!(
        "one not for {seconds:3} s   seven move {beside:6.0} MiB/s   resident {}   retained {} KiB",
        resident(),
        stats.retained >> 10
    );
    stall.send_replace(false);
    let again = measure(5).await;
    let up = matches!(*connection.link().borrow(), LinkState::Up { .. });
    println!(
        "all eight again     seven move {again:6.0} MiB/s   resident {}   links {}, up {up}",
        resident(),
        stats.links
    );
    Ok(())
}

/// Reads every stream; the one named `0` not while it is to stall.
async fn serve(server: Server, moved: Arc<AtomicU64>, stalled: watch::Receiver<bool>) {
    let Some(connection) = server.accept().await else { return };
    while let Some(mut stream) = connection.accept_stream().await {
        let (moved, mut stalled) = (moved.clone(), stalled.clone());
        tokio::spawn(async move {
            let stalls = stream.name() == "0";
            while let Ok(Some(chunk)) = stream.read_chunk().await {
                match chunk {
                    _ if stalls => {
                        let _ = stalled.wait_for(|stalled| !stalled).await;
                    }
                    Chunk::Data { data, .. } => {
                        moved.fetch_add(data.len() as u64, Ordering::Relaxed);
                    }
                    _ => {}
                }
            }
        });
    }
}

/// Resident memory of this process, which is both ends.
fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.map_or_else(|| "unknown".to_owned(), |kib| kib.trim().to_owned())
}

//! A server and a client in one process: one stream, every byte acknowledged.
//!
//! `cargo run --example minimal`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it speaks to a person")]

use p2::{Client, Server, StreamOptions};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let server = Server::builder().bind("127.0.0.1:0").await?;
    let address = server.local_addr();

    // The server hands out one connection for each session, and one stream for each that the peer
    // opens. Both survive any number of links.
    let serving = tokio::spawn(async move {
        let connection = server.accept().await.expect("a client connects");
        while let Some(stream) = connection.accept_stream().await {
            let name = stream.name().to_owned();
            let mut lines = BufReader::new(stream).lines();
            while let Some(line) = lines.next_line().await? {
                println!("[{name}] {line}");
            }
        }
        Ok::<(), std::io::Error>(())
    });

    let connection = Client::builder().session_name("example").connect(&address).await?;
    let mut log = connection.open_stream(StreamOptions::named("app").unidirectional(true)).await?;
    for n in 1..=3 {
        log.write_all(format!("line {n}\n").as_bytes()).await?;
    }
    // Returns once the server has read the last byte.
    log.finish().await?;

    // Ends the session in order and tells how it went.
    let summary = connection.close().await?;
    println!(
        "{} bytes sent, {} lost, {} duplicated",
        summary.raw_sent, summary.lost, summary.duplicated
    );
    serving.await??;
    Ok(())
}

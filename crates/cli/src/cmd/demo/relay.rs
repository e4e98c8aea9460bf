//! A relay between two sockets that breaks its connections when told to.

use std::io;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Cuts every connection that goes through the relay; later ones live until the next call.
#[derive(Debug, Clone)]
pub(super) struct Scissors(watch::Sender<u64>);

impl Scissors {
    pub(super) fn cut(&self) {
        self.0.send_modify(|cuts| *cuts = cuts.wrapping_add(1));
    }
}

/// Listens on a free port of loopback and forwards to `target` until the runtime ends.
pub(super) async fn start(target: String) -> io::Result<(String, Scissors)> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?.to_string();
    let (cuts, seen) = watch::channel(0);
    tokio::spawn(async move {
        while let Ok((near, _)) = listener.accept().await {
            tokio::spawn(forward(near, target.clone(), seen.clone()));
        }
    });
    Ok((address, Scissors(cuts)))
}

/// Joins two sockets until one of them ends or the scissors come: then both are dropped at once.
async fn forward(mut near: TcpStream, target: String, mut cuts: watch::Receiver<u64>) {
    cuts.borrow_and_update();
    let Ok(mut far) = TcpStream::connect(target).await else { return };
    for socket in [&near, &far] {
        // Without this every short batch would wait for an acknowledgement of the one before.
        let _ = socket.set_nodelay(true);
    }
    tokio::select! {
        // How a connection ended does not matter here: both sides see it.
        _ = copy_bidirectional(&mut near, &mut far) => {}
        // An error means that nobody cuts any more.
        Ok(()) = cuts.changed() => {}
    }
}

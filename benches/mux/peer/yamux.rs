//! yamux (crate `yamux`): windows tuned by itself, as by default; frames of 16 KiB, as by default.

use std::future::poll_fn;
use std::task::Poll;

use ::yamux::{Config, Connection, Mode, Stream};
use bytes::Bytes;
use futures::{AsyncWriteExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio_util::compat::{Compat, TokioAsyncReadCompatExt};

use super::{Accept, Class, Duplex, Open, Peer, tcp};

pub(crate) struct Yamux;

type Socket = Compat<tokio::net::TcpStream>;
type Order = oneshot::Sender<Stream>;

#[derive(Clone)]
pub(crate) struct Opener(mpsc::Sender<Order>);

pub(crate) struct Acceptor(mpsc::UnboundedReceiver<Stream>);

impl Peer for Yamux {
    type Stream = Stream;
    type Near = Opener;
    type Far = Acceptor;

    async fn pair(streams: usize) -> (Opener, Acceptor) {
        let (near, far) = tcp::connection().await;
        let mut config = Config::default();
        config.set_max_connection_receive_window(None).set_max_num_streams(streams.max(512) + 16);
        let near = Connection::new(near.compat(), config.clone(), Mode::Client);
        let far = Connection::new(far.compat(), config, Mode::Server);
        let (orders, ordered) = mpsc::channel(64);
        let (_, no_orders) = mpsc::channel(1);
        let (to_near, _) = mpsc::unbounded_channel();
        let (to_far, accepted) = mpsc::unbounded_channel();
        tokio::spawn(drive(near, ordered, to_near));
        tokio::spawn(drive(far, no_orders, to_far));
        (Opener(orders), Acceptor(accepted))
    }
}

/// A connection has to be polled by one task, which opens the streams as well.
async fn drive(
    mut connection: Connection<Socket>,
    mut orders: mpsc::Receiver<Order>,
    accepted: mpsc::UnboundedSender<Stream>,
) {
    let mut ordered: Option<Order> = None;
    poll_fn(|cx| {
        loop {
            if ordered.is_none() {
                if let Poll::Ready(Some(order)) = orders.poll_recv(cx) {
                    ordered = Some(order);
                }
            }
            if let Some(order) = ordered.take() {
                match connection.poll_new_outbound(cx) {
                    Poll::Ready(Ok(stream)) => {
                        // Who ordered it may have been stopped at the end of a scenario.
                        let _ = order.send(stream);
                        continue;
                    }
                    Poll::Ready(Err(error)) => panic!("yamux opens no stream: {error}"),
                    Poll::Pending => ordered = Some(order),
                }
            }
            match connection.poll_next_inbound(cx) {
                Poll::Ready(Some(Ok(stream))) => {
                    let _ = accepted.send(stream);
                }
                Poll::Ready(_) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
    })
    .await;
}

impl Open for Opener {
    type Stream = Stream;

    async fn open(&self, _: Class) -> Stream {
        let (order, stream) = oneshot::channel();
        self.0.send(order).await.expect("the connection lives");
        stream.await.expect("a stream")
    }
}

impl Accept for Acceptor {
    type Stream = Stream;

    async fn accept(&mut self) -> Stream {
        self.0.recv().await.expect("the connection lives")
    }
}

impl Duplex for Stream {
    async fn write(&mut self, data: &Bytes) {
        self.write_all(data).await.expect("written");
    }

    async fn write_small(&mut self, data: &'static [u8]) {
        self.write_all(data).await.expect("written");
    }

    /// By packets, which saves the copy that reading into a buffer takes.
    async fn read(&mut self) -> usize {
        loop {
            match self.next().await {
                Some(packet) => match packet.expect("readable").as_ref().len() {
                    0 => {}
                    length => return length,
                },
                None => return 0,
            }
        }
    }

    async fn finish(&mut self) {
        self.close().await.expect("closed");
    }
}

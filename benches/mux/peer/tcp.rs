//! Raw TCP: a connection for each stream. It cannot multiplex, and shows what the kernel gives.

use std::cell::RefCell;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{Accept, BUFFER, Class, Duplex, Open, Peer};

pub(crate) struct Tcp;

thread_local! {
    // One buffer for each thread, not for each stream: it stays in the cache.
    static BUFFERS: RefCell<Vec<u8>> = RefCell::new(vec![0; BUFFER]);
}

impl Peer for Tcp {
    type Stream = TcpStream;
    type Near = SocketAddr;
    type Far = TcpListener;

    async fn pair(_: usize) -> (SocketAddr, TcpListener) {
        let socket = TcpSocket::new_v4().expect("a socket");
        socket.bind(([127, 0, 0, 1], 0).into()).expect("a free port");
        let listener = socket.listen(4096).expect("it listens");
        (listener.local_addr().expect("it is bound"), listener)
    }
}

/// Two ends of one connection, for those who put their streams into it.
pub(crate) async fn connection() -> (TcpStream, TcpStream) {
    let (near, mut far) = Tcp::pair(1).await;
    tokio::join!(near.open(Class::Plain), Accept::accept(&mut far))
}

impl Open for SocketAddr {
    type Stream = TcpStream;

    async fn open(&self, _: Class) -> TcpStream {
        let stream = TcpStream::connect(self).await.expect("connected");
        stream.set_nodelay(true).expect("a TCP option");
        stream
    }
}

impl Accept for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> TcpStream {
        let (stream, _) = TcpListener::accept(self).await.expect("a connection");
        stream.set_nodelay(true).expect("a TCP option");
        stream
    }
}

impl Duplex for TcpStream {
    async fn write(&mut self, data: &Bytes) {
        self.write_all(data).await.expect("written");
    }

    async fn write_small(&mut self, data: &'static [u8]) {
        self.write_all(data).await.expect("written");
    }

    async fn read(&mut self) -> usize {
        let read = self.async_io(Interest::READABLE, || {
            BUFFERS.with_borrow_mut(|buffer| self.try_read(buffer))
        });
        read.await.expect("readable")
    }

    async fn finish(&mut self) {
        self.shutdown().await.expect("shut down");
    }
}

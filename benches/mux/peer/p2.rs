//! P2 by its public interface and with its defaults, digests included; codec none.

use ::p2::{Chunk, Client, CodecId, Connection, Priority, Server, Stream, StreamOptions};
use bytes::Bytes;
use tokio::io::AsyncWriteExt;

use super::{Accept, Class, Duplex, Open, Peer};

/// Every stream in the default class.
pub(crate) struct P2;

/// Each stream in the class that suits it.
pub(crate) struct P2Classes;

#[derive(Clone)]
pub(crate) struct Opener {
    connection: Connection,
    classes: bool,
}

pub(crate) struct Acceptor {
    connection: Connection,
    _server: Server,
}

impl Peer for P2 {
    type Stream = Stream;
    type Near = Opener;
    type Far = Acceptor;

    async fn pair(streams: usize) -> (Opener, Acceptor) {
        pair(streams, false).await
    }
}

impl Peer for P2Classes {
    type Stream = Stream;
    type Near = Opener;
    type Far = Acceptor;

    async fn pair(streams: usize) -> (Opener, Acceptor) {
        pair(streams, true).await
    }
}

async fn pair(streams: usize, classes: bool) -> (Opener, Acceptor) {
    let streams = streams.max(1024) as u64;
    let server = Server::builder().codecs([CodecId::NONE]).max_streams(streams);
    let server = server.bind("127.0.0.1:0").await.expect("it listens");
    let client = Client::builder().codecs([CodecId::NONE]).max_streams(streams);
    let address = server.local_addr();
    let (near, far) = tokio::join!(client.connect(&address), server.accept());
    let near = Opener { connection: near.expect("connected"), classes };
    (near, Acceptor { connection: far.expect("a session"), _server: server })
}

impl Open for Opener {
    type Stream = Stream;

    async fn open(&self, class: Class) -> Stream {
        let priority = match class {
            Class::Bulk if self.classes => Priority::Bulk,
            Class::Urgent if self.classes => Priority::Realtime,
            _ => Priority::Normal,
        };
        let options = StreamOptions::named("s").priority(priority);
        self.connection.open_stream(options).await.expect("room for a stream")
    }
}

impl Accept for Acceptor {
    type Stream = Stream;

    async fn accept(&mut self) -> Stream {
        self.connection.accept_stream().await.expect("the session lives")
    }
}

impl Duplex for Stream {
    async fn write(&mut self, data: &Bytes) {
        self.write_chunk(data.clone()).await.expect("written");
    }

    async fn write_small(&mut self, data: &'static [u8]) {
        self.write_all(data).await.expect("written");
    }

    async fn read(&mut self) -> usize {
        match self.read_chunk().await.expect("readable") {
            Some(Chunk::Data { data, .. }) => data.len(),
            Some(Chunk::Gap { .. }) => panic!("nobody drops bytes here"),
            None => 0,
        }
    }

    async fn finish(&mut self) {
        self.start_finish();
    }
}

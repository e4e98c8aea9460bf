//! HTTP/2 (crate `h2`): a request is a stream. Windows and frames are as large as P2's.

use std::future::poll_fn;

use ::h2::client::{self, ResponseFuture, SendRequest};
use ::h2::{RecvStream, SendStream, server};
use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::mpsc;

use super::{Accept, Class, Duplex, Open, Peer, tcp};

pub(crate) struct H2;

/// P2's largest window.
const WINDOW: u32 = 16 << 20;
/// P2's buffer for all streams.
const CONNECTION_WINDOW: u32 = 64 << 20;
/// P2's largest payload.
const FRAME: u32 = 64 << 10;

type Incoming = (Request<RecvStream>, server::SendResponse<Bytes>);

#[derive(Clone)]
pub(crate) struct Opener(SendRequest<Bytes>);

pub(crate) struct Acceptor(mpsc::UnboundedReceiver<Incoming>);

pub(crate) struct Stream {
    send: SendStream<Bytes>,
    receive: Receive,
}

enum Receive {
    Awaited(ResponseFuture),
    Here(RecvStream),
}

impl Peer for H2 {
    type Stream = Stream;
    type Near = Opener;
    type Far = Acceptor;

    async fn pair(streams: usize) -> (Opener, Acceptor) {
        let (near, far) = tcp::connection().await;
        let streams = u32::try_from(streams.max(1024)).expect("a count of streams");
        let mut client = client::Builder::new();
        client
            .initial_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(streams)
            .initial_max_send_streams(streams as usize)
            .data_frame_budget(usize::MAX)
            .enable_push(false);
        let mut server = server::Builder::new();
        server
            .initial_window_size(WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .max_frame_size(FRAME)
            .max_concurrent_streams(streams)
            // Against floods of small frames, which one of the scenarios is.
            .data_frame_budget(usize::MAX);
        let (near, far) = tokio::join!(client.handshake(near), server.handshake(far));
        let (requests, connection) = near.expect("a handshake");
        tokio::spawn(connection);
        let mut far = far.expect("a handshake");
        let (accepted, incoming) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            // It has to be polled for as long as its streams live.
            while let Some(Ok(next)) = far.accept().await {
                let _ = accepted.send(next);
            }
        });
        (Opener(requests), Acceptor(incoming))
    }
}

impl Open for Opener {
    type Stream = Stream;

    async fn open(&self, _: Class) -> Stream {
        let mut requests = self.0.clone().ready().await.expect("room for a stream");
        let request = Request::post("http://127.0.0.1/").body(()).expect("a valid request");
        let (response, send) = requests.send_request(request, false).expect("a stream");
        Stream { send, receive: Receive::Awaited(response) }
    }
}

impl Accept for Acceptor {
    type Stream = Stream;

    async fn accept(&mut self) -> Stream {
        let (request, mut respond) = self.0.recv().await.expect("the connection lives");
        let send = respond.send_response(Response::new(()), false).expect("a response");
        Stream { send, receive: Receive::Here(request.into_body()) }
    }
}

impl Stream {
    async fn send(&mut self, mut data: Bytes, last: bool) {
        while !data.is_empty() {
            self.send.reserve_capacity(data.len());
            while self.send.capacity() == 0 {
                let granted = poll_fn(|cx| self.send.poll_capacity(cx)).await;
                granted.expect("the stream is open").expect("the connection lives");
            }
            let part = data.split_to(self.send.capacity().min(data.len()));
            let last = last && data.is_empty();
            self.send.send_data(part, last).expect("sent");
        }
    }
}

impl Duplex for Stream {
    async fn write(&mut self, data: &Bytes) {
        self.send(data.clone(), false).await;
    }

    async fn read(&mut self) -> usize {
        if let Receive::Awaited(response) = &mut self.receive {
            self.receive = Receive::Here(response.await.expect("a response").into_body());
        }
        let Receive::Here(body) = &mut self.receive else { return 0 };
        loop {
            let Some(data) = body.data().await else { return 0 };
            let length = data.expect("readable").len();
            if length > 0 {
                body.flow_control().release_capacity(length).expect("it was received");
                return length;
            }
        }
    }

    async fn finish(&mut self) {
        self.send.send_data(Bytes::new(), true).expect("sent");
    }

    async fn write_last(&mut self, data: &'static [u8]) {
        self.send(Bytes::from_static(data), true).await;
    }
}

//! One link at work: a task that reads, a task that writes, and the rules by which it dies.

mod beside;
mod blocks;
mod company;
mod decode;
mod encode;
mod maker;
mod output;
mod pool;
mod reader;
#[cfg(test)]
mod tests;
mod tidings;
mod writer;

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use bytes::BytesMut;
use p2_codec::{ContextBudget, DecoderLimits, Registry};
use p2_mux::CodecId;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::oneshot,
    task::JoinSet,
};

use crate::{DisconnectReason, clock, shared::Shared};

/// No progress for this long, in the middle of a frame or of a write, ends the link.
const STALL: Duration = Duration::from_secs(30);
/// Bytes of decoding contexts that every link may have, whatever the others do.
const OWN_DECODERS: usize = 4 * 1024 * 1024;
/// How long to wait for the peer to hang up after the last frame.
const LINGER: Duration = Duration::from_secs(1);

/// A link whose handshake is over.
pub(crate) struct Established {
    pub(crate) reader: Box<dyn AsyncRead + Send + Unpin>,
    pub(crate) writer: Box<dyn AsyncWrite + Send + Unpin>,
    /// Read and not yet used.
    pub(crate) input: BytesMut,
    /// To be written before anything else.
    pub(crate) output: BytesMut,
    pub(crate) epoch: u64,
    pub(crate) crc: bool,
    /// Told once the first frame of the peer has arrived.
    pub(crate) heard: Option<oneshot::Sender<()>>,
}

/// What all links of a process share for encoding and decoding.
///
/// Encoders have one budget together: over it, they fall back to payloads that stand alone. A
/// decoder cannot choose, so each link has a decoder budget: an honest peer, whose encoders have
/// no larger one, stays within it. Its first part is the link's own, which no other peer can take;
/// the rest comes from one for the process, or many links could each fill theirs.
#[derive(Debug, Clone)]
pub(crate) struct Codecs {
    pub(crate) registry: Arc<Registry>,
    pub(crate) encoders: Arc<ContextBudget>,
    pub(crate) decoders: Arc<ContextBudget>,
    /// Bytes that the decoding contexts of one link may hold.
    pub(crate) decoder_limit: usize,
}

impl Codecs {
    /// The codecs of `registry` that are in `preference`, which is what peers are offered.
    pub(crate) fn new(registry: &Registry, preference: &[CodecId]) -> Self {
        Self {
            registry: Arc::new(registry.only(preference)),
            encoders: ContextBudget::new(ContextBudget::DEFAULT_LIMIT),
            decoders: ContextBudget::new(ContextBudget::DEFAULT_LIMIT),
            decoder_limit: ContextBudget::DEFAULT_LIMIT,
        }
    }
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum End {
    #[error("the peer closed the link")]
    Eof,
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("nothing could be {0} for {n} s", n = STALL.as_secs())]
    Stalled(&'static str),
    #[error("{0}")]
    Link(#[from] p2_mux::LinkError),
    #[error("a frame is damaged: {0}")]
    Frame(#[from] p2_frame::DecodeError),
    #[error("a payload is damaged: {0}")]
    Payload(#[from] p2_codec::CodecError),
    #[error("{0}")]
    Encode(#[from] encode::EncodeError),
    #[error("the session is over")]
    Drained,
    #[error("a newer link took over")]
    Fenced,
    #[error("the link's task failed")]
    Panicked,
}

/// Carries the session until the link dies, another takes over, or the session is over.
pub(crate) async fn run(shared: Arc<Shared>, link: Established, codecs: &Codecs) -> End {
    let epoch = link.epoch;
    let mut fence = shared.fence.subscribe();
    let mut tasks = JoinSet::new();
    let decoders = decode::Decoders::new(
        codecs.registry.clone(),
        ContextBudget::within(&codecs.decoders, OWN_DECODERS, codecs.decoder_limit),
        DecoderLimits::default(),
    );
    let encoders =
        encode::Encoders::new(codecs.registry.clone(), codecs.encoders.clone(), link.crc);
    let reader = reader::Reader {
        shared: shared.clone(),
        epoch,
        input: link.input,
        crc: link.crc,
        decoders,
        heard: link.heard,
        blocks: blocks::Blocks::new(),
        tidings: tidings::Tidings::new(shared.clone()),
        turn: 0,
    };
    tasks.spawn(reader.run(link.reader));
    let writer = writer::Writer::new(shared.clone(), epoch, link.output);
    tasks.spawn(writer.run(encoders, link.writer));
    let end = tokio::select! {
        end = tasks.join_next() => match end {
            Some(Ok(end)) => end,
            _ => End::Panicked,
        },
        _ = fence.wait_for(|current| *current != epoch) => End::Fenced,
    };
    if matches!(end, End::Drained) {
        // The farewell is on its way: hanging up on unread bytes could destroy it.
        let _ = tokio::time::timeout(LINGER, tasks.join_next()).await;
    }
    tasks.shutdown().await;
    let end = shared.with(|state| {
        let over = state.session.ended().is_some();
        let end = if state.link_down(clock::now(), epoch) { end } else { End::Fenced };
        // Once the session is over it does not matter any more how its link ends.
        let reason = if over { DisconnectReason::Finished } else { DisconnectReason::of(&end) };
        state.tally.disconnected(reason);
        end
    });
    shared.hung_up.notify_waiters();
    end
}

/// What `future` yields at once, if anything.
async fn at_hand<F: Future>(mut future: Pin<&mut F>) -> Option<F::Output> {
    poll_fn(|cx| match future.as_mut().poll(cx) {
        Poll::Ready(done) => Poll::Ready(Some(done)),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

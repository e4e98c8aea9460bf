//! A session as its application sees it: it survives its links.

use std::sync::Arc;

use p2_mux::{ErrorCode, OpenError, OpenOptions, StreamId};
use tokio::sync::{broadcast, watch};

use crate::{
    LinkState, Negotiated, PeerInfo, Priority, SessionAccount, SessionError, SessionEvent,
    SessionId, SessionStats, SessionSummary, Stream, StreamError, StreamOptions, clock,
    shared::Shared, stream::Handle,
};

/// One session with a peer. Clones are handles of the same session.
///
/// Links come and go beneath it; [`link`](Self::link) shows how that goes. When the last handle
/// and the last stream are dropped, the session is closed in the background as by
/// [`close`](Self::close).
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use p2_transport::{Client, StreamOptions};
///
/// let connection = Client::builder().connect("127.0.0.1:9000").await?;
/// let mut log = connection.open_stream(StreamOptions::named("app")).await?;
/// log.write_chunk("hello\n".into()).await?;
/// log.start_finish();
/// drop(log);
/// let summary = connection.close().await?;
/// println!("{} bytes sent, {} lost", summary.raw_sent, summary.lost);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Connection {
    shared: Arc<Shared>,
}

impl Connection {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.users.add();
        Self { shared }
    }

    pub(crate) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Opens a stream. It works without a link as well: the peer hears of it with the next one.
    /// Waits while as many streams are open as the peer allows.
    ///
    /// # Cancel safety
    /// Safe: no stream is opened unless it is returned.
    ///
    /// # Errors
    /// [`StreamError::Options`] for a name over 255 bytes or metadata over 1 KiB,
    /// [`StreamError::TooMany`] when the peer takes no new streams, [`StreamError::Session`] when the
    /// session has ended or is closing, from either side; who waits learns of it at once.
    pub async fn open_stream(&self, options: StreamOptions) -> Result<Stream, StreamError> {
        let open = options.to_open();
        // Who finds room does not queue up for it.
        if let Some(stream) = self.try_open(&open, options.manual_ack)? {
            return Ok(stream);
        }
        loop {
            let opening = self.shared().openings.notified();
            tokio::pin!(opening);
            opening.as_mut().enable();
            if let Some(stream) = self.try_open(&open, options.manual_ack)? {
                return Ok(stream);
            }
            opening.await;
        }
    }

    /// The next stream that the peer has opened; `None` once the session has ended.
    ///
    /// # Cancel safety
    /// Safe: no stream is lost.
    pub async fn accept_stream(&self) -> Option<Stream> {
        // Who finds a stream does not queue up for it.
        if let Some(accepted) = self.try_accept() {
            return accepted;
        }
        loop {
            let arrival = self.shared().arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();
            if let Some(accepted) = self.try_accept() {
                return accepted;
            }
            arrival.await;
        }
    }

    /// A stream or the end, if there is either.
    fn try_accept(&self) -> Option<Option<Stream>> {
        let accepted = self.shared().with(|state| {
            // A session that is over in order has no stream left that nobody took; of any other
            // there is nothing left to deliver.
            if state.session.ended().is_some() {
                return Accepted::Ended;
            }
            let id = state.session.accept();
            let taken = id.and_then(|id| Some((id, state.session.shared_options(id)?)));
            taken.map_or(Accepted::Nothing, |(id, options)| Accepted::Stream(id, options))
        });
        match accepted {
            Accepted::Stream(id, options) => {
                let stream = self.stream(id, options, false);
                self.announce_opened(&stream, false);
                Some(Some(stream))
            }
            Accepted::Ended => Some(None),
            Accepted::Nothing => None,
        }
    }

    /// A snapshot of every figure.
    pub fn stats(&self) -> SessionStats {
        self.shared().with(|state| state.stats(clock::now()))
    }

    /// The same together with the streams that have ended, without the first `since` of these: for
    /// whoever sums over all streams from time to time and misses none.
    pub fn account(&self, since: usize) -> SessionAccount {
        self.shared().with(|state| state.account(clock::now(), since))
    }

    /// Whether there is a link, as it changes.
    pub fn link(&self) -> watch::Receiver<LinkState> {
        self.shared().link.subscribe()
    }

    /// What happens from now on. A receiver that is 256 events behind misses the oldest.
    pub fn events(&self) -> broadcast::Receiver<SessionEvent> {
        self.shared().events.subscribe()
    }

    /// The session's name, chosen by the client.
    pub fn name(&self) -> String {
        self.shared().with(|state| state.name.clone())
    }

    /// The session's identity; all zero before the first link.
    pub fn id(&self) -> SessionId {
        self.shared().with(|state| state.id)
    }

    /// Who is at the other end; empty before the first link.
    pub fn peer(&self) -> PeerInfo {
        self.shared().with(|state| state.peer.clone())
    }

    /// What was negotiated on the last link.
    pub fn codecs(&self) -> Negotiated {
        self.shared().with(|state| state.codecs.clone())
    }

    /// Lets one of our streams take another class from now on, with what it has not sent yet. A
    /// stream that has ended stays as it is.
    pub fn set_priority(&self, stream: StreamId, priority: Priority) {
        self.shared().with(|state| state.session.set_priority(clock::now(), stream, priority));
    }

    /// Skips the wait before the next attempt, if one is being waited for.
    pub fn retry_now(&self) {
        self.shared().retry.notify_one();
    }

    /// Ends the session in order: no new streams, and once every stream has ended on both sides, a
    /// farewell that the peer acknowledges. Streams that are still open keep it waiting.
    ///
    /// # Cancel safety
    /// Safe: the session goes on closing.
    ///
    /// # Errors
    /// The [`SessionError`] that ended the session instead.
    pub async fn close(&self) -> Result<SessionSummary, SessionError> {
        self.shared().with(|state| state.close(""));
        self.shared().retry.notify_one();
        self.closed().await
    }

    /// Ends the session at once. Every stream fails, here and at the peer, which learns `code` and
    /// the first 60 characters of `reason` if there is a link.
    pub fn abort(&self, code: ErrorCode, reason: &str) {
        self.shared().fail(SessionError::Aborted { code, reason: reason.to_owned() });
    }

    /// Waits for the session's end, whoever brings it about.
    ///
    /// # Cancel safety
    /// Safe.
    ///
    /// # Errors
    /// The [`SessionError`] that ended the session, unless it was closed in order.
    pub async fn closed(&self) -> Result<SessionSummary, SessionError> {
        self.shared().ended().await.map(|summary| SessionSummary::clone(&summary))
    }

    /// How the session ended; `None` while it has not.
    pub fn outcome(&self) -> Option<Result<(), SessionError>> {
        let outcome = self.shared().outcome.borrow();
        outcome.as_ref().map(|outcome| outcome.as_ref().map(|_| ()).map_err(SessionError::clone))
    }

    /// Waits until no link carries the session. After its end that is when the last frames, such as
    /// the answer to the peer's farewell, have left; a program may exit then.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn hung_up(&self) {
        loop {
            let hung_up = self.shared().hung_up.notified();
            tokio::pin!(hung_up);
            hung_up.as_mut().enable();
            if !self.shared().with(|state| state.session.is_attached()) {
                return;
            }
            hung_up.await;
        }
    }

    fn try_open(&self, open: &OpenOptions, manual: bool) -> Result<Option<Stream>, StreamError> {
        let (now, wanted) = (clock::now(), open.clone());
        let opened = self.shared().with(|state| match state.session.open(now, wanted) {
            Ok(id) => {
                if manual {
                    state.session.set_manual_ack(id, true);
                }
                Ok(state.session.shared_options(id).map(|options| (id, options)))
            }
            Err(OpenError::TooMany(_)) => Ok(None),
            Err(OpenError::SessionEnded(ended)) => {
                Err(StreamError::Session(state.session_error(&ended)))
            }
            Err(error @ OpenError::GoingAway(_)) => Err(StreamError::TooMany(error.to_string())),
            Err(error) => Err(StreamError::Options(error.to_string())),
        })?;
        Ok(opened.map(|(id, options)| {
            let stream = self.stream(id, options, true);
            self.announce_opened(&stream, true);
            stream
        }))
    }

    fn stream(&self, id: StreamId, options: Arc<OpenOptions>, ours: bool) -> Stream {
        Stream::new(Handle::new(self.shared.clone(), id, options, ours))
    }

    fn announce_opened(&self, stream: &Stream, ours: bool) {
        if self.shared().events.receiver_count() == 0 {
            return;
        }
        let (id, label, name) = (stream.id(), stream.label(), stream.name().to_owned());
        self.shared().announce(SessionEvent::StreamOpened { id, label, name, ours });
    }
}

/// What came of asking for a stream that the peer opened.
enum Accepted {
    Stream(StreamId, Arc<OpenOptions>),
    Nothing,
    Ended,
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self::new(self.shared.clone())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if !self.shared.users.try_remove() {
            self.shared.with(|state| self.shared.users.remove(state));
        }
    }
}

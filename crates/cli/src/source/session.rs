//! A P2 session as the destination of sources.

use super::destination::{Destination, Plan, Reader, Writer};
use super::live::Steer;
use super::outcome::Failure;
use bytes::Bytes;
use p2_transport::{
    Chunk, Connection, ErrorCode, RecvStream, SendStream, StreamError, StreamOptions,
};

impl Destination for Connection {
    type Writer = SendStream;
    type Reader = RecvStream;

    async fn open(&self, plan: Plan) -> Result<(SendStream, RecvStream), Failure> {
        Ok(self.open_stream(options(&plan)).await?.split())
    }

    async fn ended(&self) -> String {
        match self.closed().await {
            Ok(_) => "the session was closed".to_owned(),
            Err(error) => error.to_string(),
        }
    }
}

impl Writer for SendStream {
    async fn write(&mut self, chunk: Bytes) -> Result<(), Failure> {
        Ok(self.write_chunk(chunk).await?)
    }

    fn record_gap(&mut self, dropped: u64) -> Result<(), Failure> {
        Ok(SendStream::record_gap(self, dropped)?)
    }

    async fn finish(&mut self) -> Result<(), Failure> {
        Ok(SendStream::finish(self).await?)
    }

    fn reset(&mut self) {
        SendStream::reset(self, ErrorCode::SOURCE_FAILED);
    }

    fn steer(&self) -> Option<Steer> {
        let (connection, id) = (self.connection(), self.id());
        Some(Box::new(move |priority| connection.set_priority(id, priority)))
    }
}

impl Reader for RecvStream {
    async fn read(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            match self.read_chunk().await? {
                Some(Chunk::Data { data, .. }) => return Ok(Some(data)),
                // A socket has no place for a gap, and the peer never drops on its way back.
                Some(_) => {}
                None => return Ok(None),
            }
        }
    }

    fn stop(&mut self) {
        RecvStream::stop(self, ErrorCode::CANCELLED);
    }
}

impl From<StreamError> for Failure {
    fn from(error: StreamError) -> Self {
        match error {
            StreamError::Session(session) => Self::Lost(session.to_string()),
            StreamError::Integrity => Self::Damaged(StreamError::Integrity.to_string()),
            other => Self::Stream(other.to_string()),
        }
    }
}

fn options(plan: &Plan) -> StreamOptions {
    let mut options = StreamOptions::named(plan.name.clone())
        .label(plan.label)
        .priority(plan.attributes.priority)
        .unidirectional(!plan.bidirectional);
    if let Some(codec) = plan.attributes.codec {
        options = options.codec(codec);
    }
    if let Some(level) = plan.attributes.level {
        options = options.level(level);
    }
    for (key, value) in &plan.metadata {
        options = options.metadata(key.as_str(), value.as_str());
    }
    options
}

//! Both ends of a session in this process, joined by a real link over loopback.

use p2_transport::{Client, Connection, ErrorCode, Server};

use crate::error::UserError;
use crate::settings::CodecId;

/// The ends, and the server that keeps the far one.
pub(super) struct Pair {
    pub(super) near: Connection,
    pub(super) far: Connection,
    _server: Server,
}

impl Pair {
    /// A session that sends with `codec` and has room for `streams`.
    ///
    /// # Errors
    /// No free port, or no link to it.
    pub(super) async fn with(codec: CodecId, streams: u32) -> Result<Self, UserError> {
        let streams = u64::from(streams).saturating_add(1);
        let server = Server::builder().codecs([codec]).max_streams(streams);
        let server = server.bind("127.0.0.1:0").await?;
        let near = Client::builder().codecs([codec]).connect(&server.local_addr()).await?;
        let far = server.accept().await;
        let far = far.ok_or_else(|| UserError::usage("the receiver of the bench has ended"))?;
        Ok(Self { near, far, _server: server })
    }
}

impl Drop for Pair {
    /// What was under way when the time was over is of no use to anybody.
    fn drop(&mut self) {
        self.near.abort(ErrorCode::NO_ERROR, "the bench is over");
    }
}

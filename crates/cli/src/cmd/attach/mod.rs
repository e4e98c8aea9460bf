//! `p2 recv --attach`: the way from an ssh connection to a receiver that outlives it.
//!
//! Two processes: this one relays between its own standard input and output and the receiver's
//! socket, and dies with the ssh connection. The receiver is started when it is not there, and stays
//! until it has had no session for a while.

mod place;
mod receiver;
mod relay;

use crate::exit::Exit;
use crate::settings::AttachSettings;
use crate::status::Hub;

/// Runs one of the two.
///
/// # Errors
/// A place that is not safe, a receiver that does not start.
pub(crate) async fn run(settings: AttachSettings) -> anyhow::Result<Exit> {
    match settings.detached {
        true => receiver::run(settings, &Hub::new()).await,
        false => relay::run(&settings).await,
    }
}

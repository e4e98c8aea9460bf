//! What clients and servers are told alike.

use std::{io, sync::Arc, time::Duration};

use p2_codec::Registry;
use p2_mux::{CodecId, Config, PeerLimits, Role, handshake};

use crate::{Link, Token};

/// Streams that a peer's list may hold although they are over here: the last acknowledgements of
/// many short streams may have been lost with one link.
const LISTED_SLACK: u64 = 64 * 1024;
/// The shortest time between heartbeats: below, they measure the scheduler, not the link.
const HEARTBEAT_MIN: Duration = Duration::from_millis(100);

#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) agent: String,
    pub(crate) codecs: Option<Vec<CodecId>>,
    pub(crate) require_codec: bool,
    pub(crate) registry: Arc<Registry>,
    pub(crate) token: Option<Token>,
    pub(crate) config: Config,
}

impl Settings {
    pub(crate) fn new(role: Role) -> Self {
        Self {
            agent: concat!("p2/", env!("CARGO_PKG_VERSION")).into(),
            codecs: None,
            require_codec: false,
            registry: Arc::new(Registry::builtin()),
            token: None,
            config: Config::new(role),
        }
    }

    /// The codecs in order of preference.
    pub(crate) fn preference(&self) -> Vec<CodecId> {
        match &self.codecs {
            Some(codecs) => codecs.clone(),
            None => self.registry.iter().map(|codec| codec.id()).collect(),
        }
    }

    /// The token as a key.
    pub(crate) fn key(&self) -> Option<handshake::Token> {
        self.token.as_ref().map(|token| handshake::Token::new(token.secret()))
    }

    /// This side's part in the handshake of `link`, for a session with `live` streams.
    pub(crate) fn local(
        &self,
        link: &Link,
        boot_id: [u8; 16],
        session_name: String,
        live: u64,
    ) -> io::Result<handshake::Local> {
        // The peer lists what this side opened, and what it opened itself, within our limit.
        let listed = live.saturating_add(self.config.max_streams).saturating_add(LISTED_SLACK);
        Ok(handshake::Local {
            agent: self.agent.clone(),
            codecs: self.registry.offers(&self.preference()),
            require_codec: self.require_codec,
            limits: PeerLimits {
                max_frame: p2_mux::limits::MAX_FRAME,
                initial_window: self.config.initial_window,
                max_streams: self.config.max_streams,
            },
            boot_id,
            nonce: random()?,
            crc: !link.integrity,
            session_name,
            junk_limit: link.junk_limit,
            max_listed: usize::try_from(listed).unwrap_or(usize::MAX),
        })
    }

    pub(crate) fn heartbeat_timeout(&mut self, silence: Duration) {
        self.config.heartbeat_timeout = silence;
    }

    /// Keeps the heartbeat's times within what can work. Once all settings are made.
    pub(crate) fn bound_heartbeat(&mut self) {
        let Config { heartbeat, heartbeat_timeout, .. } = &mut self.config;
        *heartbeat = (*heartbeat).max(HEARTBEAT_MIN);
        if *heartbeat_timeout <= *heartbeat {
            *heartbeat_timeout = heartbeat.saturating_mul(2);
        }
    }
}

/// Fresh bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heartbeat(interval: Duration, timeout: Duration) -> (Duration, Duration) {
        let mut settings = Settings::new(Role::Client);
        settings.config.heartbeat = interval;
        settings.heartbeat_timeout(timeout);
        settings.bound_heartbeat();
        (settings.config.heartbeat, settings.config.heartbeat_timeout)
    }

    #[test]
    fn a_heartbeat_that_cannot_work_becomes_one_that_can() {
        let ms = Duration::from_millis;
        assert_eq!(heartbeat(ms(5000), ms(15_000)), (ms(5000), ms(15_000)));
        assert_eq!(heartbeat(Duration::ZERO, Duration::ZERO), (ms(100), ms(200)));
        assert_eq!(heartbeat(ms(1), ms(300)), (ms(100), ms(300)));
        assert_eq!(heartbeat(ms(5000), ms(5000)), (ms(5000), ms(10_000)));
        assert_eq!(heartbeat(Duration::MAX, ms(1)), (Duration::MAX, Duration::MAX));
    }

    #[test]
    fn a_peer_may_list_every_stream_that_is_live_and_all_it_may_open() {
        let settings = Settings::new(Role::Server);
        let link = Link::new(tokio::io::empty(), tokio::io::sink(), "nobody");
        let local = settings.local(&link, [0; 16], String::new(), 1_000_000).expect("randomness");
        assert!(local.max_listed >= 1_000_000 + p2_mux::limits::MAX_STREAMS as usize);
    }
}

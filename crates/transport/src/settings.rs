//! What clients and servers are told alike.

use std::{io, sync::Arc, time::Duration};

use p2_codec::Registry;
use p2_mux::{CodecId, Config, PeerLimits, Role, handshake};

use crate::{Link, Token};

/// Streams beyond both sides' limits that a peer's list may hold, for limits that have changed.
const LISTED_SLACK: u64 = 64 * 1024;

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

    /// This side's part in the handshake of `link`.
    pub(crate) fn local(
        &self,
        link: &Link,
        boot_id: [u8; 16],
        session_name: String,
    ) -> io::Result<handshake::Local> {
        let listed = self.config.max_streams.saturating_mul(2).saturating_add(LISTED_SLACK);
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
}

/// Fresh bytes from the system's generator.
pub(crate) fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).map_err(|error| io::Error::other(error.to_string()))?;
    Ok(bytes)
}

//! PROOF: knowledge of the secret, over every byte of the handshake so far.

use std::fmt;

use bytes::BytesMut;

use crate::body::{ProofBody, check_extensions, from_bytes, to_bytes};
use crate::error::{DecodeError, EncodeError};
use crate::header::put_frame;
use crate::limits::MAX_CONTROL;
use crate::{CodecId, Extensions, FrameKind};

/// Each side's second frame. Printing it shows neither the proof nor the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Proof {
    /// HMAC-SHA256 over the transcript, with the side's own label. Compare in constant time.
    pub mac: [u8; 32],
    /// The resume secret, from the server on the first link of a session without a token.
    pub secret: Option<[u8; 32]>,
    /// What the sender has worked out from both offers; the peer compares.
    pub choice: CodecChoice,
    /// For later versions.
    pub ext: Extensions,
}

/// The codec that each direction uses unless a stream says otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecChoice {
    /// What the client sends with.
    pub client_to_server: CodecId,
    /// What the server sends with.
    pub server_to_client: CodecId,
}

impl Proof {
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, DecodeError> {
        let body: ProofBody = from_bytes(FrameKind::PROOF, bytes)?;
        check_extensions(FrameKind::PROOF, &body.ext)?;
        let choice = CodecChoice {
            client_to_server: CodecId::new(body.client_to_server),
            server_to_client: CodecId::new(body.server_to_client),
        };
        Ok(Self { mac: body.mac, secret: body.secret, choice, ext: body.ext })
    }

    pub(crate) fn put(&self, out: &mut BytesMut, crc: bool) -> Result<(), EncodeError> {
        check_extensions(FrameKind::PROOF, &self.ext)?;
        let body = ProofBody {
            mac: self.mac,
            secret: self.secret,
            client_to_server: self.choice.client_to_server.get(),
            server_to_client: self.choice.server_to_client.get(),
            ext: self.ext.clone(),
        };
        let bytes = to_bytes(FrameKind::PROOF, &body, MAX_CONTROL)?;
        put_frame(out, FrameKind::PROOF, false, None, &bytes, crc);
        Ok(())
    }
}

impl fmt::Debug for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proof")
            .field("mac", &format_args!("redacted"))
            .field("secret", &self.secret.map(|_| format_args!("redacted")))
            .field("choice", &self.choice)
            .field("ext", &self.ext)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printing_a_proof_shows_no_secret() {
        let choice =
            CodecChoice { client_to_server: CodecId::GZIP, server_to_client: CodecId::NONE };
        let proof = Proof { mac: [171; 32], secret: Some([205; 32]), choice, ext: vec![] };
        assert_eq!(
            format!("{proof:?}"),
            "Proof { mac: redacted, secret: Some(redacted), choice: CodecChoice { \
             client_to_server: gzip, server_to_client: none }, ext: [] }"
        );
    }
}

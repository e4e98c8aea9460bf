//! Keys and proofs: HMAC-SHA256 (RFC 2104) over the transcript, a label for each role.

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// 256 secret bits. Never printed; compared in constant time.
///
/// ```
/// use p2_mux::handshake::Secret;
/// let secret = Secret::new([7; 32]);
/// assert_eq!(format!("{secret:?}"), "Secret(..)");
/// assert_eq!(secret, Secret::new([7; 32]));
/// ```
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// Wraps the bytes.
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for the one place that stores or sends them.
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Eq for Secret {}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// A secret both ends were given: whoever knows it may open sessions.
///
/// ```
/// let token = p2_mux::handshake::Token::new(b"correct horse battery");
/// assert_eq!(format!("{token:?}"), "Token(..)");
/// ```
#[derive(Clone)]
pub struct Token(Secret);

impl Token {
    /// Derives the key from the token's bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(Secret(mac(bytes, b"p2 v1 token", &[])))
    }

    pub(super) const fn key(&self) -> &Secret {
        &self.0
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

/// Running hash of every handshake byte, in the order client, server.
#[derive(Debug, Clone, Default)]
pub(super) struct Transcript(Sha256);

impl Transcript {
    pub(super) fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn hash(&self) -> [u8; 32] {
        self.0.clone().finalize().into()
    }
}

/// The key of a new session's proofs: the token, or zeros that only check the transcript.
pub(super) fn opening_key(token: Option<&Token>) -> Secret {
    token.map_or(Secret([0; 32]), |token| token.key().clone())
}

pub(super) fn client_proof(key: &Secret, transcript: &[u8; 32]) -> Secret {
    Secret(mac(key.expose(), b"p2 v1 client proof", transcript))
}

pub(super) fn server_proof(key: &Secret, transcript: &[u8; 32]) -> Secret {
    Secret(mac(key.expose(), b"p2 v1 server proof", transcript))
}

/// The resume secret of a session that was opened with a token: it never crosses the wire.
pub(super) fn derived_secret(key: &Secret, transcript: &[u8; 32]) -> Secret {
    Secret(mac(key.expose(), b"p2 v1 resume secret", transcript))
}

fn mac(key: &[u8], label: &[u8], message: &[u8]) -> [u8; 32] {
    // HMAC takes keys of every length; the only error of `new_from_slice` cannot happen.
    let Ok(mut mac) = <Hmac<Sha256> as Mac>::new_from_slice(key) else {
        return [0; 32];
    };
    mac.update(label);
    mac.update(message);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_differ_by_role_key_and_transcript() {
        let key = Secret::new([1; 32]);
        let other = Secret::new([2; 32]);
        let proofs = [
            client_proof(&key, &[0; 32]),
            server_proof(&key, &[0; 32]),
            derived_secret(&key, &[0; 32]),
            client_proof(&other, &[0; 32]),
            client_proof(&key, &[1; 32]),
        ];
        for (index, proof) in proofs.iter().enumerate() {
            assert!(proofs.iter().skip(index + 1).all(|other| other != proof), "proof {index}");
        }
    }

    #[test]
    fn the_construction_is_plain_hmac_sha256() {
        // RFC 4231, test case 2.
        let mac = mac(b"Jefe", b"what do ya want ", b"for nothing?");
        let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}

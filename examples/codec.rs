//! A codec of one's own: PackBits (runs of equal bytes) under the third-party id 0xC0.
//!
//! Both ends register it and prefer it; a peer without it would get gzip instead.
//!
//! `cargo run --example codec`
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "it speaks to a person")]

use std::sync::Arc;

use p2::codec::{
    Capabilities, Codec, CodecError, Decoder, DecoderLimits, Encoder, EncoderConfig, Registry,
    conformance,
};
use p2::{Client, CodecId, Server, StreamOptions};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Ids from 0xC0 to 0xFE are free for codecs that do not come with P2.
const PACKBITS: CodecId = CodecId::new(0xC0);
/// The longest run, of equal bytes or of literal ones.
const RUN: usize = 128;

/// A control byte below 128 announces that many literal bytes plus one; one from 128 on says how
/// often, less 126, the next byte comes.
#[derive(Debug)]
struct PackBits;

impl Codec for PackBits {
    fn id(&self) -> CodecId {
        PACKBITS
    }

    fn name(&self) -> &str {
        "packbits"
    }

    /// No context between payloads, one level, and at most 129 bytes from 2.
    fn capabilities(&self) -> Capabilities {
        Capabilities::stateless(0..=0, 0).with_expansion(65)
    }

    /// Literals only: a control byte for every 128.
    fn max_encoded_len(&self, raw: usize) -> usize {
        raw + raw.div_ceil(RUN)
    }

    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
        // Refuses levels and windows that it does not have.
        self.capabilities().resolve(PACKBITS, config)?;
        Ok(Box::new(Packer))
    }

    fn decoder(&self, _: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
        Ok(Box::new(Packer))
    }
}

/// Both directions: there is nothing to remember.
struct Packer;

impl Encoder for Packer {
    fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
        let capacity = out.len();
        let mut at = 0;
        let mut put = |bytes: &[u8]| {
            let full = CodecError::OutputFull { codec: PACKBITS, capacity };
            out.get_mut(at..at + bytes.len()).ok_or(full)?.copy_from_slice(bytes);
            at += bytes.len();
            Ok(())
        };
        let mut rest = raw;
        while !rest.is_empty() {
            let run = run_length(rest);
            if run >= 3 {
                put(&[(run + 126) as u8, rest[0]])?;
                rest = &rest[run..];
            } else {
                let end = (1..rest.len().min(RUN)).find(|&at| run_length(&rest[at..]) >= 3);
                let (literal, after) = rest.split_at(end.unwrap_or(rest.len().min(RUN)));
                put(&[(literal.len() - 1) as u8])?;
                put(literal)?;
                rest = after;
            }
        }
        Ok(at)
    }

    fn reset(&mut self) {}

    fn memory(&self) -> usize {
        0
    }
}

impl Decoder for Packer {
    /// Everything in `payload` was chosen by the peer: nothing is indexed unchecked, and what does
    /// not fit exactly is an error.
    fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        let expected = out.len();
        let corrupt = |what| CodecError::Corrupt { codec: PACKBITS, what };
        let too_long = CodecError::TooLong { codec: PACKBITS, expected };
        let (mut rest, mut at) = (payload, 0);
        while let Some((&control, after)) = rest.split_first() {
            let control = usize::from(control);
            if control < 128 {
                let (literal, after) =
                    after.split_at_checked(control + 1).ok_or(corrupt("literals are missing"))?;
                let place = out.get_mut(at..at + literal.len()).ok_or(too_long.clone())?;
                place.copy_from_slice(literal);
                (rest, at) = (after, at + literal.len());
            } else {
                let (&byte, after) = after.split_first().ok_or(corrupt("a byte is missing"))?;
                let run = control - 126;
                out.get_mut(at..at + run).ok_or(too_long.clone())?.fill(byte);
                (rest, at) = (after, at + run);
            }
        }
        match at {
            actual if actual == expected => Ok(()),
            actual => Err(CodecError::TooShort { codec: PACKBITS, expected, actual }),
        }
    }

    fn reset(&mut self) {}

    fn memory(&self) -> usize {
        0
    }
}

/// How many bytes at the start are equal, up to the longest run.
fn run_length(bytes: &[u8]) -> usize {
    bytes.iter().take(RUN).take_while(|byte| bytes.first() == Some(byte)).count()
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Tries the whole contract: round trips, exact lengths, corruption, worst cases.
    let report = conformance::check(&PackBits)?;
    println!("packbits conforms: {} payloads went there and back", report.payloads);

    let mut registry = Registry::builtin();
    registry.register(Arc::new(PackBits))?;
    let preference = [PACKBITS, CodecId::GZIP];

    let server =
        Server::builder().registry(registry.clone()).codecs(preference).bind("127.0.0.1:0").await?;
    let connection = Client::builder()
        .registry(registry)
        .codecs(preference)
        .connect(&server.local_addr())
        .await?;
    println!("negotiated: {} to the server", connection.codecs().to_peer);

    let serving = tokio::spawn(async move {
        let connection = server.accept().await.expect("a client connects");
        let mut stream = connection.accept_stream().await.expect("it opens a stream");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await?;
        connection.accept_stream().await;
        Ok::<_, std::io::Error>(bytes)
    });

    let pixels = [[0xff; 2_000], [0x00; 2_000]].concat();
    let mut image =
        connection.open_stream(StreamOptions::named("image").unidirectional(true)).await?;
    image.write_all(&pixels).await?;
    image.finish().await?;
    let summary = connection.close().await?;
    println!("{} bytes in {} on the wire", summary.raw_sent, summary.wire_sent);
    assert_eq!(serving.await??, pixels);
    Ok(())
}

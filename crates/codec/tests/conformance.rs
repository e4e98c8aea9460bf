//! Every codec of this build keeps the contract, and the kit notices one that does not.

use p2_codec::{
    Capabilities, Codec, CodecError, Decoder, DecoderLimits, Encoder, EncoderConfig, Registry,
    builtin::Gzip, conformance,
};
use p2_frame::CodecId;

#[test]
fn every_codec_of_this_build_conforms() {
    for codec in Registry::builtin().iter() {
        let report = conformance::check(&**codec).unwrap_or_else(|failure| panic!("{failure}"));
        assert!(report.encoded_bytes < report.raw_bytes);
        assert!(report.corruptions_refused > 0);
        let caps = codec.capabilities();
        assert!(report.encoder_memory <= caps.encoder_memory.max(1), "{report:?}");
        assert!(report.decoder_memory <= caps.decoder_memory, "{report:?}");
    }
}

/// Gzip with one promise broken.
#[derive(Debug, Clone, Copy)]
enum Broken {
    GrowsPastItsBound,
    IgnoresTheLength,
    LeaksEarlierOutput,
    ForgetsToReset,
    SurvivesErrors,
    Panics,
}

struct Side(Broken, Box<dyn Encoder>, Box<dyn Decoder>);

impl Codec for Broken {
    fn id(&self) -> CodecId {
        CodecId::new(0xC0)
    }
    fn name(&self) -> &str {
        "broken"
    }
    fn capabilities(&self) -> Capabilities {
        Gzip.capabilities()
    }
    fn max_encoded_len(&self, raw: usize) -> usize {
        match self {
            Self::GrowsPastItsBound => raw + 10,
            _ => Gzip.max_encoded_len(raw),
        }
    }
    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
        let decoder = Gzip.decoder(&DecoderLimits::default())?;
        Ok(Box::new(Side(*self, Gzip.encoder(config)?, decoder)))
    }
    fn decoder(&self, limits: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
        let encoder = Gzip.encoder(&EncoderConfig::default())?;
        Ok(Box::new(Side(*self, encoder, Gzip.decoder(limits)?)))
    }
}

impl Encoder for Side {
    fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
        self.1.encode(raw, out)
    }
    fn reset(&mut self) {
        if !matches!(self.0, Broken::ForgetsToReset) {
            self.1.reset();
        }
    }
    fn memory(&self) -> usize {
        self.1.memory()
    }
}

impl Decoder for Side {
    fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
        let result = self.2.decode(payload, out);
        match (self.0, &result) {
            (Broken::IgnoresTheLength, Err(CodecError::TooShort { .. })) => Ok(()),
            (Broken::LeaksEarlierOutput, Err(CodecError::Corrupt { .. })) => Ok(()),
            (Broken::SurvivesErrors, Err(CodecError::Poisoned { .. })) => Ok(()),
            (Broken::Panics, Err(CodecError::Corrupt { .. })) => panic!("on purpose"),
            _ => result,
        }
    }
    fn reset(&mut self) {
        self.2.reset();
    }
    fn memory(&self) -> usize {
        self.2.memory()
    }
}

#[test]
fn each_broken_promise_is_found_and_named() {
    let found = |broken: Broken| conformance::check(&broken).unwrap_err().rule;
    assert_eq!(found(Broken::GrowsPastItsBound), "encodes within the stated worst case");
    assert_eq!(found(Broken::IgnoresTheLength), "exact length");
    assert_eq!(found(Broken::LeaksEarlierOutput), "no byte of the output comes from before");
    assert_eq!(found(Broken::ForgetsToReset), "a reset is a fresh start");
    assert_eq!(found(Broken::SurvivesErrors), "an error poisons the context");
    assert_eq!(found(Broken::Panics), "a decoder never panics");
}

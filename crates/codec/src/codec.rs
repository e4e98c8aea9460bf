//! The contract between P2 and a codec: a factory, a stateful encoder, a stateful decoder.

use std::fmt::Debug;
use std::ops::RangeInclusive;

use p2_frame::CodecId;

use crate::error::CodecError;
use crate::limits;

/// A compression method: makes encoders and decoders. Object-safe, so that third parties can
/// [register](crate::Registry::register) one under an id from `0xC0` to `0xFE`.
///
/// A codec works on slices and knows nothing of frames. Run
/// [`conformance::check`](crate::conformance::check) on it; what that checks is the contract.
///
/// ```
/// use p2_codec::{Capabilities, Codec, CodecError, Decoder, DecoderLimits, Encoder, EncoderConfig};
/// use p2_codec::CodecId;
///
/// /// Flips every bit: no compression, but a complete codec.
/// #[derive(Debug)]
/// struct Invert;
///
/// impl Codec for Invert {
///     fn id(&self) -> CodecId { CodecId::new(0xC0) }
///     fn name(&self) -> &str { "invert" }
///     fn capabilities(&self) -> Capabilities { Capabilities::stateless(0..=0, 0) }
///     fn max_encoded_len(&self, raw: usize) -> usize { raw }
///     fn encoder(&self, _: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError> {
///         Ok(Box::new(Inverter))
///     }
///     fn decoder(&self, _: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError> {
///         Ok(Box::new(Inverter))
///     }
/// }
///
/// struct Inverter;
///
/// impl Encoder for Inverter {
///     fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError> {
///         let full = CodecError::OutputFull { codec: CodecId::new(0xC0), capacity: out.len() };
///         let out = out.get_mut(..raw.len()).ok_or(full)?;
///         out.iter_mut().zip(raw).for_each(|(o, r)| *o = !r);
///         Ok(raw.len())
///     }
///     fn reset(&mut self) {}
///     fn memory(&self) -> usize { 0 }
/// }
///
/// impl Decoder for Inverter {
///     fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError> {
///         if payload.len() != out.len() {
///             return Err(CodecError::Corrupt { codec: CodecId::new(0xC0), what: "wrong length" });
///         }
///         out.iter_mut().zip(payload).for_each(|(o, p)| *o = !p);
///         Ok(())
///     }
///     fn reset(&mut self) {}
///     fn memory(&self) -> usize { 0 }
/// }
///
/// p2_codec::conformance::check(&Invert).unwrap();
/// ```
pub trait Codec: Send + Sync + Debug {
    /// The id on the wire, the same on every machine.
    fn id(&self) -> CodecId;

    /// The name that users type: 1 to 16 of `a-z`, `0-9`, `-`, `_`.
    fn name(&self) -> &str;

    /// What it can do and what it costs.
    fn capabilities(&self) -> Capabilities;

    /// The most bytes that one payload of `raw` bytes can become, for `raw` up to 1 MiB.
    fn max_encoded_len(&self, raw: usize) -> usize;

    /// The bytes that an encoder of this configuration holds at most: what the budget is charged.
    ///
    /// [`Capabilities::encoder_memory`] unless a codec knows better.
    fn encoder_memory(&self, config: &EncoderConfig) -> usize {
        let _ = config;
        self.capabilities().encoder_memory
    }

    /// A fresh encoder.
    ///
    /// # Errors
    /// [`CodecError::Level`] or [`CodecError::Window`] outside the [`Capabilities`].
    fn encoder(&self, config: &EncoderConfig) -> Result<Box<dyn Encoder>, CodecError>;

    /// A fresh decoder that allocates no more than its limits need.
    ///
    /// # Errors
    /// [`CodecError::Library`] when the library has no memory for one.
    fn decoder(&self, limits: &DecoderLimits) -> Result<Box<dyn Decoder>, CodecError>;
}

/// One direction of one stream on one link, sending.
///
/// After an error the encoder is unusable until [`reset`](Encoder::reset).
pub trait Encoder: Send {
    /// Encodes `raw` (never empty) into the start of `out` and returns the bytes written.
    ///
    /// What it writes is decodable at once: nothing is held back for a later call. It may refer to
    /// everything since the last reset, so the results must reach the decoder in order, all of
    /// them. With `out` of [`Codec::max_encoded_len`] it does not fail.
    ///
    /// # Errors
    /// [`CodecError::OutputFull`] when `out` is too small, [`CodecError::Library`] otherwise.
    fn encode(&mut self, raw: &[u8], out: &mut [u8]) -> Result<usize, CodecError>;

    /// Forgets everything: the next payload needs a fresh decoder. Keeps its memory.
    fn reset(&mut self);

    /// Bytes of memory that the context holds.
    fn memory(&self) -> usize;
}

/// One direction of one stream on one link, receiving.
///
/// After an error the decoder is unusable until [`reset`](Decoder::reset): it answers
/// [`CodecError::Poisoned`] if it keeps state from payload to payload.
pub trait Decoder: Send {
    /// Decodes one payload and fills `out` exactly: no byte less, none more, all input consumed.
    ///
    /// Allocates nothing by the payload's word. What `out` holds after an error is unspecified.
    ///
    /// # Errors
    /// [`CodecError::TooShort`], [`CodecError::TooLong`], [`CodecError::Corrupt`],
    /// [`CodecError::Poisoned`].
    fn decode(&mut self, payload: &[u8], out: &mut [u8]) -> Result<(), CodecError>;

    /// Forgets everything, errors too: the next payload is a fresh encoder's first. Keeps its memory.
    fn reset(&mut self);

    /// Bytes of memory that the context holds.
    fn memory(&self) -> usize;
}

/// What a codec can do and what it costs.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Capabilities {
    /// Whether payloads refer to earlier ones. If not, each stands alone and any can be dropped.
    pub stateful: bool,
    /// Levels it takes, from fast to small.
    pub levels: RangeInclusive<i32>,
    /// The level for [`EncoderConfig::level`] `None`.
    pub default_level: i32,
    /// The smallest window it can be told to use, as a base-2 logarithm of bytes.
    pub min_window_log: u8,
    /// The largest and usual window, as a base-2 logarithm of bytes; 0 where there is none.
    pub window_log: u8,
    /// The most raw bytes that one byte of payload can become.
    pub expansion: u32,
    /// Bytes that an encoder holds at most at the default level and window.
    pub encoder_memory: usize,
    /// Bytes that a decoder holds at most.
    pub decoder_memory: usize,
}

impl Capabilities {
    /// A codec whose payloads stand alone, without a window, whose memory is of no account.
    pub fn stateless(levels: RangeInclusive<i32>, default_level: i32) -> Self {
        Self {
            stateful: false,
            levels,
            default_level,
            min_window_log: 0,
            window_log: 0,
            expansion: 1,
            encoder_memory: 0,
            decoder_memory: 0,
        }
    }

    /// A codec whose payloads refer to earlier ones within a window of `2^window_log` bytes.
    pub fn stateful(levels: RangeInclusive<i32>, default_level: i32, window_log: u8) -> Self {
        Self {
            stateful: true,
            min_window_log: window_log,
            window_log,
            ..Self::stateless(levels, default_level)
        }
    }

    /// Sets the most raw bytes that one byte of payload can become.
    #[must_use]
    pub fn with_expansion(mut self, expansion: u32) -> Self {
        self.expansion = expansion;
        self
    }

    /// Sets the smallest window that an encoder can be told to use.
    #[must_use]
    pub fn with_min_window_log(mut self, min_window_log: u8) -> Self {
        self.min_window_log = min_window_log;
        self
    }

    /// Sets the bytes that an encoder at its defaults and a decoder hold at most.
    #[must_use]
    pub fn with_memory(mut self, encoder: usize, decoder: usize) -> Self {
        self.encoder_memory = encoder;
        self.decoder_memory = decoder;
        self
    }

    /// The level and the window that `config` asks for, checked against the ranges.
    ///
    /// # Errors
    /// [`CodecError::Level`] or [`CodecError::Window`].
    pub fn resolve(&self, codec: CodecId, config: &EncoderConfig) -> Result<(i32, u8), CodecError> {
        let level = config.level.unwrap_or(self.default_level);
        let (min, max) = (*self.levels.start(), *self.levels.end());
        if !self.levels.contains(&level) {
            return Err(CodecError::Level { codec, level, min, max });
        }
        let window_log = match config.window_log {
            0 => self.window_log,
            asked => asked,
        };
        let (min, max) = (self.min_window_log, self.window_log);
        if !(min..=max).contains(&window_log) {
            return Err(CodecError::Window { codec, window_log, min, max });
        }
        Ok((level, window_log))
    }
}

/// How an encoder works. Fixed for its life: another level or window is another encoder, and a
/// restart on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct EncoderConfig {
    /// The level; `None` is the codec's default.
    pub level: Option<i32>,
    /// The window as a base-2 logarithm of bytes; 0 is the codec's default.
    pub window_log: u8,
    /// True: the encoder resets itself before each payload, so that each stands alone.
    pub stateless: bool,
}

/// What a decoder accepts, which is also what bounds its memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecoderLimits {
    /// Raw bytes in one frame, up to 1 MiB.
    pub max_raw: u32,
    /// The largest window as a base-2 logarithm of bytes.
    pub window_log: u8,
}

impl Default for DecoderLimits {
    fn default() -> Self {
        Self { max_raw: limits::MAX_RAW, window_log: limits::MAX_WINDOW_LOG }
    }
}

//! What the user chose for delivery: where streams go, in which form, and what counts as delivered.

use std::path::PathBuf;

use strum::{Display, EnumString, VariantNames};

/// The form of lines on standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Format {
    /// `[Stream 7] line`
    #[default]
    Prefix,
    /// `[app] line`
    Name,
    /// One JSON object a line.
    Json,
    /// The exact bytes of one stream.
    Raw,
}

/// What must have happened before a byte is acknowledged to its sender.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Display, EnumString, VariantNames)]
#[strum(serialize_all = "lowercase")]
pub(crate) enum Ack {
    /// The sink's write returned.
    #[default]
    Written,
    /// The sink was told to put it on stable storage, and that returned.
    Synced,
}

/// How streams are delivered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SinkSettings {
    /// Form of lines on standard output; has no meaning with `dir`.
    pub(crate) format: Format,
    /// Deliver only the stream of this name; any other is refused.
    pub(crate) only: Option<String>,
    /// Write `DIR/SESSION/NAME` instead of standard output.
    pub(crate) dir: Option<PathBuf>,
    /// What counts as delivered.
    pub(crate) ack: Ack,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_command_line_are_the_variants_in_lower_case() {
        assert_eq!("json".parse::<Format>().ok(), Some(Format::Json));
        assert_eq!("synced".parse::<Ack>().ok(), Some(Ack::Synced));
        assert!("Synced!".parse::<Ack>().is_err());
        assert_eq!(Format::default().to_string(), "prefix");
    }
}

//! Where the control socket is.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

/// Where `p2 status` and its like reach this process.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum ControlPlace {
    /// In a directory of this user, by the process's number.
    #[default]
    Auto,
    /// There.
    At(PathBuf),
    /// Nowhere.
    Off,
}

impl FromStr for ControlPlace {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text {
            "auto" => Self::Auto,
            "off" => Self::Off,
            path => Self::At(path.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_words_are_no_paths() {
        let read = |text: &str| text.parse::<ControlPlace>();
        assert_eq!(read("auto"), Ok(ControlPlace::Auto));
        assert_eq!(read("off"), Ok(ControlPlace::Off));
        assert_eq!(read("./off"), Ok(ControlPlace::At("./off".into())));
    }
}

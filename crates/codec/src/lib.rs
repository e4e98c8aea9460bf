//! P2 codec.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

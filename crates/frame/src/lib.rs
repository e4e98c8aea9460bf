//! P2 frame.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

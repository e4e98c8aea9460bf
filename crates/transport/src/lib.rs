//! P2 transport.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

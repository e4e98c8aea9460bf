//! P2 mux.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

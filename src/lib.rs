//! Many streams over one connection that resumes: nothing lost, nothing twice.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub use p2_transport::*;

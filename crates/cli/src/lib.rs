//! The `p2` program.
#![forbid(unsafe_code)]
#![warn(missing_docs)]

/// Runs the program and returns its exit code.
pub fn main() -> std::process::ExitCode {
    std::process::ExitCode::SUCCESS
}

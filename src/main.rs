//! The `p2` program; everything lives in the `p2-cli` crate.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    p2_cli::main()
}

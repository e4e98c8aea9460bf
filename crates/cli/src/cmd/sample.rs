//! Bytes to measure codecs with: made-up log lines, noise, or a user's own file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use crate::error::UserError;

/// Bytes of what is made up.
const MADE_UP: usize = 1 << 20;
/// Most bytes read of a file.
const MOST: u64 = 4 << 20;

/// The first bytes of a file.
///
/// # Errors
/// [`UserError`] of exit code 2: it cannot be read, or is empty.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, UserError> {
    let failed = |error: io::Error| {
        UserError::usage(format!("cannot read the sample {}: {error}", path.display()))
    };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MOST).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.is_empty() {
        return Err(UserError::usage(format!("the sample {} is empty", path.display())));
    }
    Ok(bytes)
}

/// Noise, the same on every run and machine.
pub(super) fn noise() -> Vec<u8> {
    let mut bytes = vec![0; MADE_UP];
    fastrand::Rng::with_seed(1).fill(&mut bytes);
    bytes
}

/// Lines like a web server's, the same on every run and machine.
pub(super) fn log() -> Vec<u8> {
    const PATHS: [&str; 6] =
        ["/", "/api/v1/orders", "/api/v1/users/me", "/static/app.js", "/login", "/health"];
    const CODES: [u16; 5] = [200, 200, 304, 404, 500];
    let mut random = fastrand::Rng::with_seed(1);
    let mut log = String::with_capacity(MADE_UP + 256);
    let mut millis = 0_u32;
    while log.len() < MADE_UP {
        millis = (millis + random.u32(1..90)) % 3_600_000;
        let path = PATHS.get(random.usize(..PATHS.len())).unwrap_or(&"/");
        let code = CODES.get(random.usize(..CODES.len())).unwrap_or(&200);
        log.push_str(&format!(
            "2026-02-03T20:{:02}:{:02}.{:03}Z INFO web request id={:08x} client=10.0.{}.{} \
             method=GET path={path} status={code} bytes={} took={}ms\n",
            millis / 60_000,
            millis / 1_000 % 60,
            millis % 1_000,
            random.u32(..),
            random.u8(..4),
            random.u8(..),
            random.u32(200..40_000),
            random.u32(1..900),
        ));
    }
    log.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exit::Exit;

    #[test]
    fn what_is_made_up_is_the_same_every_time() {
        assert_eq!((log(), noise()), (log(), noise()));
        assert!(log().len() >= MADE_UP && noise().len() == MADE_UP);
    }

    #[test]
    fn a_file_that_cannot_be_used_is_a_usage_error() {
        let missing = Path::new("/nonexistent/sample");
        assert_eq!(read(missing).expect_err("missing").exit(), Exit::Usage);
        let empty = tempfile::NamedTempFile::new().expect("a file");
        assert_eq!(read(empty.path()).expect_err("empty").exit(), Exit::Usage);
    }
}

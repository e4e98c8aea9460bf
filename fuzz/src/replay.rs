//! Every seed and every finding of a target once more, on stable. Part of the tests of the crates that
//! the targets are about.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Replays the inputs of `target`, and names the first that fails.
#[track_caller]
pub(crate) fn replay(target: &str, check: impl Fn(&[u8])) {
    let mut replayed = 0;
    for folder in ["seeds", "regressions"] {
        for path in inputs(folder, target) {
            let input =
                fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let outcome = catch_unwind(AssertUnwindSafe(|| check(&input)));
            assert!(outcome.is_ok(), "{} fails", path.display());
            replayed += 1;
        }
    }
    assert!(replayed > 0, "{target} has no inputs");
}

/// The inputs that are kept for `target` in `seeds` or `regressions`, in order.
#[allow(dead_code, reason = "not every test looks at them")]
pub(crate) fn inputs(folder: &str, target: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder).join(target);
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Holds the seeds of `target` that a test makes to those that are kept: by their bytes, or by their
/// names where a library may make others. `P2_FUZZ_SEEDS=write` writes them.
#[track_caller]
#[allow(dead_code, reason = "not every seed is made by a test")]
pub(crate) fn keep(target: &str, exact: bool, seeds: &[(String, Vec<u8>)]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/seeds").join(target);
    let write = std::env::var("P2_FUZZ_SEEDS").is_ok_and(|what| what == "write");
    for (name, bytes) in seeds {
        let path = folder.join(name);
        if write {
            fs::create_dir_all(&folder).and_then(|()| fs::write(&path, bytes)).expect("written");
        }
        let kept = fs::read(&path).unwrap_or_default();
        let same = if exact { kept == *bytes } else { !kept.is_empty() };
        assert!(same, "{} is not what is made now: run with P2_FUZZ_SEEDS=write", path.display());
    }
}

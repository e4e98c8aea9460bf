//! Every seed and every regression of the fuzz target `decode`, on stable.

#[path = "../../../fuzz/src/decode.rs"]
mod decode;

use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn seeds_and_regressions_hold() {
    let mut replayed = 0;
    for folder in ["seeds", "regressions"] {
        for path in files(folder) {
            let input = fs::read(&path).unwrap();
            let outcome = std::panic::catch_unwind(|| decode::check(&input));
            assert!(outcome.is_ok(), "{} fails", path.display());
            replayed += 1;
        }
    }
    assert!(replayed >= 20, "only {replayed} inputs found");
}

#[test]
fn every_kind_of_frame_is_among_the_seeds() {
    let seeds: Vec<_> = files("seeds").iter().map(|path| fs::read(path).unwrap()).collect();
    for kind in p2_frame::FrameKind::all() {
        // Seeds of one frame: no cuts, then the header.
        let found = seeds.iter().any(|seed| seed.get(2) == Some(&kind.get()));
        assert!(found, "no seed begins with {kind}");
    }
}

fn files(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz").join(folder);
    let mut files: Vec<_> = fs::read_dir(folder.join("decode"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.file_name().is_some_and(|name| name != ".gitkeep"))
        .collect();
    files.sort();
    files
}

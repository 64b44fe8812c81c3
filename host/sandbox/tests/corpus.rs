//! What the fuzzer of the loader has found worth keeping, tried once more: refused, or run within limits, and never a panic.

#![allow(
    clippy::unwrap_used,
    reason = "a test stops at the first thing that is wrong"
)]

#[allow(
    unreachable_pub,
    clippy::expect_used,
    reason = "it is the fuzzers' own file"
)]
#[path = "../fuzz/fuzz_targets/trial.rs"]
mod trial;

use std::fs;
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;

#[test]
fn nothing_that_was_fuzzed_panics() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let packed = fs::File::open(corpus.join("bytes.tar.gz")).unwrap();
    let mut archive = tar::Archive::new(GzDecoder::new(packed));
    let mut tried = 0;
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        if entry.header().entry_type().is_file() {
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            trial::of(&bytes);
            tried += 1;
        }
    }
    for entry in fs::read_dir(corpus.join("bytes")).unwrap() {
        trial::of(&fs::read(entry.unwrap().path()).unwrap());
        tried += 1;
    }
    assert!(tried > 1_000, "{tried}");
}

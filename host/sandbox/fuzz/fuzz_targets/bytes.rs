//! Arbitrary bytes as a plugin: refused with a reason, or run within limits, and never a panic of the host's.
#![no_main]

#[path = "trial.rs"]
mod trial;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| trial::of(bytes));

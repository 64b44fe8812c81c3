//! Trains image classifiers on libtorch under a sandboxed schedule.

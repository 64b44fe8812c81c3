//! `cargo xtask`: set-up, tests, demo.

fn main() {}

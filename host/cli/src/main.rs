//! The `pixelrate` command.

fn main() {}

//! A file that is added to an SDK is embedded too: the macro that embeds them sees only those that were there.

fn main() {
    println!("cargo:rerun-if-changed=../../sdk");
}

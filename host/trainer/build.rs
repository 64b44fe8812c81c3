//! Lets this crate's tests find libtorch when they run, and tells the crate what it is built from.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    // torch-sys tells where libtorch is to its direct dependants alone.
    if let Ok(folder) = std::env::var("DEP_TCH_LIBTORCH_LIB") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
        let version =
            std::fs::read_to_string(format!("{folder}/../version.py")).unwrap_or_default();
        let version = version
            .lines()
            .find_map(|line| line.strip_prefix("__version__ = "));
        let version = version.unwrap_or("2.11").trim_matches(['\'', '"']);
        println!("cargo:rustc-env=PIXELRATE_LIBTORCH={version}");
    }
    // Absent outside a git checkout, such as in an unpacked archive: the crate copes.
    if let Some(commit) = git(&["rev-parse", "HEAD"]) {
        println!("cargo:rustc-env=PIXELRATE_GIT_COMMIT={commit}");
        if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
            println!("cargo:rerun-if-changed={log}");
        }
    }
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

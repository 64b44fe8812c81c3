//! What is to be tried on a machine with a GPU, for one that has neither Rust nor this repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::libtorch;
use crate::steps::Steps;

/// Builds the trainer's tests and its benchmark of a GPU, and puts them and what runs them into `target/gpu`. They find a GPU
/// with whatever libtorch 2.11 they are built against, if the one that they meet there has a part for CUDA.
///
/// # Errors
/// Something does not build.
pub(crate) fn pack(root: &Path) -> Result<()> {
    libtorch::set_up(root, None)?;
    let told = Steps::new(root).cargo_heard(
        "tests and benchmark",
        [
            "test",
            "--workspace",
            "--locked",
            "--lib",
            "--bench",
            "cuda",
            "--no-run",
            "--message-format",
            "json-render-diagnostics",
        ],
    )?;
    let folder = root.join("target/gpu");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    for (target, name) in [("pixelrate_trainer", "tests"), ("cuda", "cuda")] {
        let built = executable(&told, target)
            .with_context(|| format!("cargo does not tell where it built {target}"))?;
        strip(&built, &folder.join(name))?;
    }
    for name in ["check.sh", "profile.cpp"] {
        fs::copy(root.join("tests/gpu").join(name), folder.join(name))?;
    }
    println!(
        "gpu: copy {} to a machine with a GPU and libtorch 2.11, and call `sh check.sh` there",
        folder.display()
    );
    Ok(())
}

/// Where cargo's messages say that the program of a target is.
fn executable(messages: &str, target: &str) -> Option<PathBuf> {
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["target"]["name"] == target)
        .find_map(|message| Some(PathBuf::from(message["executable"].as_str()?)))
}

/// Without what a debugger reads, it is a fifth of the size.
fn strip(from: &Path, to: &Path) -> Result<()> {
    let status = Command::new("strip")
        .arg("-o")
        .args([to, from])
        .status()
        .context("cannot start strip")?;
    if !status.success() {
        bail!("strip could not make {}", to.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_found_among_cargos_messages() {
        let messages = r#"{"reason":"compiler-artifact","target":{"name":"cuda"},"executable":null}
not a message
{"reason":"compiler-artifact","target":{"name":"other"},"executable":"/deps/other-1"}
{"reason":"compiler-artifact","target":{"name":"cuda"},"executable":"/deps/cuda-1"}
{"reason":"build-finished","success":true}"#;
        assert_eq!(
            executable(messages, "cuda"),
            Some(PathBuf::from("/deps/cuda-1"))
        );
        assert_eq!(executable(messages, "gone"), None);
    }
}

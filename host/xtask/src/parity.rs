//! The packages whose schedules the built-in ones are held against.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, bail};

use crate::python;
use crate::steps::{Steps, Variables};

/// The variable that asks for the test beside the packages themselves, and not by what they gave alone.
pub(crate) const FLAG: &str = "PIXELRATE_PARITY";

/// What PyTorch's wheel is linked against, and never calls where no tensor is on a GPU: 2 GB, which are not fetched.
const UNCALLED: [&str; 11] = [
    "libcublas.so.13",
    "libcublasLt.so.13",
    "libcudnn.so.9",
    "libcufft.so.12",
    "libcufile.so.0",
    "libcurand.so.10",
    "libcusolver.so.12",
    "libcusparse.so.12",
    "libcusparseLt.so.0",
    "libnccl.so.2",
    "libnvshmem_host.so.3",
];

/// Fetches the packages into `target/parity`, and gives their Python.
///
/// # Errors
/// pip cannot fetch them, or the C++ compiler cannot make the stand-ins for CUDA's libraries.
pub(crate) fn python(root: &Path) -> Result<OsString> {
    // The list is whole: what it leaves out is not needed for schedules, CUDA above all.
    let options = ["--no-deps"];
    let found = python::environment(root, "parity", "tests/parity-requirements.txt", &options)?;
    let libraries = found.packages.join("nvidia/cu13/lib");
    if found.packages.join("torch/lib/libtorch_cuda.so").exists() {
        fs::create_dir_all(&libraries).with_context(|| libraries.display().to_string())?;
        for name in UNCALLED {
            stand_in(&libraries.join(name), name)?;
        }
    }
    Ok(found.python)
}

/// Fetches the packages, and gives what tells a step of their Python.
///
/// # Errors
/// As [`python()`].
pub(crate) fn set_up(root: &Path) -> Result<Variables> {
    let python = python(root)?;
    Ok(vec![
        ("PIXELRATE_PARITY_PYTHON", python),
        (FLAG, "1".into()),
    ])
}

/// A library of that name with nothing in it.
fn stand_in(path: &Path, name: &str) -> Result<()> {
    if path.exists() {
        return Ok(());
    }
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".into());
    let mut words = compiler.split_whitespace();
    let status = Command::new(words.next().unwrap_or("c++"))
        .args(words)
        .args(["-shared", "-nostdlib", "-x", "c++", "/dev/null"])
        .arg(format!("-Wl,-soname,{name}"))
        .arg("-o")
        .arg(path)
        .status()
        .with_context(|| format!("cannot start {compiler}"))?;
    if !status.success() {
        bail!("{compiler} could not make {}", path.display());
    }
    Ok(())
}

/// Runs the test; to `bless` is to keep what the packages give as what later runs without them are held to.
///
/// # Errors
/// The packages cannot be had, or a schedule does not agree with one of them.
pub(crate) fn run(root: &Path, bless: bool) -> Result<()> {
    let mut steps = Steps::new(root);
    steps.set_all(set_up(root)?);
    let test = [
        "test",
        "--locked",
        "--package",
        "pixelrate-sandbox",
        "--test",
        "parity",
    ];
    let mut arguments = Vec::from(test);
    if bless {
        steps.set("PIXELRATE_PARITY_BLESS", "1".into());
        arguments.push("plugins_agree_with_the_origins_that_are_here");
    }
    steps.cargo("parity", arguments)
}

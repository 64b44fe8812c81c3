//! A Python of the tests' own, with what reads the logs, from `tests/requirements.txt`.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The Python of `target/python`, made if it is not there or its requirements have changed.
pub(crate) fn environment(root: &Path) -> Result<OsString> {
    let folder = root.join("target/python");
    let wanted = fs::read_to_string(root.join("tests/requirements.txt"))
        .context("tests/requirements.txt")?;
    let record = folder.join("requirements.txt");
    let python = folder.join("bin/python");
    if fs::read_to_string(&record).ok().as_deref() != Some(&wanted) {
        eprintln!(
            "python: making {} with what tests/requirements.txt lists",
            folder.display()
        );
        run(Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder))
        .context("on Debian: apt-get install python3-venv")?;
        let list = root.join("tests/requirements.txt");
        run(Command::new(&python)
            .args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--only-binary=:all:",
                "-r",
            ])
            .arg(list))?;
        fs::write(&record, wanted)?;
    }
    Ok(python.into())
}

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}

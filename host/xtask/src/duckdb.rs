//! DuckDB's command-line program, by which `pixelrate query` answers.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::cache::{self, Scratch};
use crate::python::Python;

/// What pip reads.
const LIST: &str = "host/query/requirements.txt";

/// Fetches the program into the user's cache folder, if it is not there.
///
/// # Errors
/// There is no pip, or it cannot fetch it.
pub(crate) fn set_up(root: &Path) -> Result<()> {
    let list = root.join(LIST);
    let wanted = fs::read_to_string(&list).with_context(|| list.display().to_string())?;
    let Some((_, version)) = wanted.trim().split_once("==") else {
        bail!("{LIST} names no version of duckdb-cli");
    };
    let place = cache::folder()?.join(format!("duckdb-{version}"));
    if place.exists() {
        return Ok(());
    }
    let python = Python::find().filter(Python::has_pip).context(
        "there is no python3 with pip: on Debian or Ubuntu, `apt-get install python3-pip`",
    )?;
    eprintln!(
        "duckdb: fetching {} once (a download of 21 MB, 62 MB on the disk) into {}",
        wanted.trim(),
        place.display()
    );
    let scratch = Scratch::new(&place)?;
    let status = python
        .command()
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--no-deps",
            "--only-binary=:all:",
        ])
        .arg("--target")
        .arg(scratch.path())
        .arg("--requirement")
        .arg(&list)
        .status()
        .context("cannot start python3")?;
    if !status.success() {
        bail!(
            "pip could not fetch {} (its reason is above)",
            wanted.trim()
        );
    }
    scratch.keep()
}

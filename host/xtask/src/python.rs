//! The user's Python, and one of the tests' own beside it.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// A python3 that runs.
pub(crate) struct Python(OsString);

impl Python {
    /// The current one: what `python3` calls, that of a virtual environment included.
    pub(crate) fn find() -> Option<Self> {
        let python = Self("python3".into());
        python.ask("", &[]).is_ok().then_some(python)
    }

    pub(crate) fn command(&self) -> Command {
        Command::new(&self.0)
    }

    /// What a few lines of Python print, trimmed.
    ///
    /// # Errors
    /// It cannot be started, or fails; with what it said, its last line.
    pub(crate) fn ask(&self, code: &str, arguments: &[&OsStr]) -> Result<String> {
        let output = self
            .command()
            .arg("-c")
            .arg(code)
            .args(arguments)
            .output()
            .context("cannot start python3")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            bail!(
                "{}",
                said.trim()
                    .lines()
                    .last()
                    .unwrap_or("python3 failed without a word")
            );
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// The `11` of Python 3.11.
    pub(crate) fn minor(&self) -> Option<u32> {
        self.ask("import sys; print(sys.version_info[1])", &[])
            .ok()?
            .parse()
            .ok()
    }

    pub(crate) fn has_pip(&self) -> bool {
        self.command()
            .args(["-m", "pip", "--version"])
            .output()
            .is_ok_and(|output| output.status.success())
    }

    /// Where its PyTorch lies, if it has one; found without the seconds that an import takes.
    pub(crate) fn torch(&self) -> Option<PathBuf> {
        let code = "import importlib.util as u; s = u.find_spec('torch'); \
                    print(s.submodule_search_locations[0] if s and s.submodule_search_locations else '')";
        self.ask(code, &[])
            .ok()
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
    }
}

/// A Python of the tests' own.
pub(crate) struct Environment {
    /// What to call.
    pub(crate) python: OsString,
    /// Where its packages lie.
    pub(crate) packages: PathBuf,
    /// Folders of its programs, for PATH.
    pub(crate) programs: [PathBuf; 2],
}

/// The Python of `target/<name>`, which has what the file `list` lists; made if it is not there, or the list has changed.
/// pip is given the `options` besides.
///
/// # Errors
/// There is no python3 with pip, or pip cannot fetch what is listed.
pub(crate) fn environment(
    root: &Path,
    name: &str,
    list: &str,
    options: &[&str],
) -> Result<Environment> {
    let folder = root.join("target").join(name);
    let file = root.join(list);
    let wanted = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    let record = folder.join("requirements.txt");
    let own = Python(folder.join("bin/python").into());
    let found = |own: Python, packages: &Path| Environment {
        python: own.0,
        programs: [folder.join("bin"), packages.join("bin")],
        packages: packages.to_owned(),
    };
    let packages = "import sysconfig; print(sysconfig.get_path('purelib'))";
    if fs::read_to_string(&record).ok().as_deref() == Some(&wanted)
        && let Ok(packages) = own.ask(packages, &[])
    {
        return Ok(found(own, packages.as_ref()));
    }
    let python = Python::find().filter(Python::has_pip).context(
        "there is no python3 with pip: on Debian or Ubuntu, `apt-get install python3-pip`",
    )?;
    eprintln!("python: making {} with what {list} lists", folder.display());
    // Without pip of its own: Debian keeps that in a package apart, while the outer pip can install into any folder.
    run(python
        .command()
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args(["-m", "venv", "--clear", "--without-pip"])
        .arg(&folder))?;
    let packages = own.ask(packages, &[])?;
    run(python
        .command()
        .env("PIP_ROOT_USER_ACTION", "ignore")
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            // The outer Python's own packages are none of this folder's business.
            "--no-warn-conflicts",
            "--only-binary=:all:",
            "--target",
            &packages,
        ])
        .args(options)
        .arg("--requirement")
        .arg(&file))?;
    own.ask(OWN_PROGRAMS, &[packages.as_ref()])?;
    fs::write(&record, wanted)?;
    Ok(found(own, packages.as_ref()))
}

/// Programs that pip wrote for the outer Python are this one's, whose packages they need.
const OWN_PROGRAMS: &str = r##"
import pathlib, sys
for program in pathlib.Path(sys.argv[1], "bin").glob("*"):
    if not program.is_file():
        continue
    text = program.read_bytes()
    if text.startswith(b"#!") and b"python" in text.split(b"\n", 1)[0]:
        program.write_bytes(b"#!" + sys.executable.encode() + b"\n" + text.split(b"\n", 1)[1])
"##;

fn run(command: &mut Command) -> Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed");
    }
    Ok(())
}

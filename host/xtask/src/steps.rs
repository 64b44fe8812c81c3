//! Cargo commands, one after another, each with its name and its time.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

/// Runs cargo in the project, with variables of its own.
pub(crate) struct Steps {
    root: PathBuf,
    variables: Vec<(&'static str, OsString)>,
}

impl Steps {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            variables: Vec::new(),
        }
    }

    /// Sets a variable for the steps that follow.
    pub(crate) fn set(&mut self, name: &'static str, value: OsString) -> &mut Self {
        self.variables.push((name, value));
        self
    }

    /// Runs a cargo command in the project's folder.
    pub(crate) fn cargo<'a>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        self.cargo_in("", name, arguments)
    }

    /// Runs a cargo command in a folder of the project.
    pub(crate) fn cargo_in<'a>(
        &self,
        folder: &str,
        name: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<()> {
        Self::timed(name, self.command(folder, arguments), |mut command| {
            command.status()
        })
    }

    /// Runs a cargo command in the project's folder, and gives what it printed to its standard output, which is shown as it
    /// comes.
    pub(crate) fn cargo_told<'a>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String> {
        self.heard(name, arguments, true)
    }

    /// As [`cargo_told`](Self::cargo_told), of a command whose standard output is for us alone.
    pub(crate) fn cargo_heard<'a>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Result<String> {
        self.heard(name, arguments, false)
    }

    fn heard<'a>(
        &self,
        name: &str,
        arguments: impl IntoIterator<Item = &'a str>,
        shown: bool,
    ) -> Result<String> {
        let mut told = String::new();
        Self::timed(name, self.command("", arguments), |mut command| {
            let mut child = command.stdout(Stdio::piped()).spawn()?;
            for line in child
                .stdout
                .take()
                .map(BufReader::new)
                .into_iter()
                .flat_map(BufRead::lines)
            {
                let line = line?;
                if shown {
                    println!("{line}");
                }
                told.push_str(&line);
                told.push('\n');
            }
            child.wait()
        })?;
        Ok(told)
    }

    fn command<'a>(&self, folder: &str, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new("cargo");
        command
            .current_dir(self.root.join(folder))
            .args(arguments)
            .envs(self.variables.iter().cloned());
        // What cargo told us of this crate is not meant for what we run.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CARGO_PKG_")
                || name == "CARGO_MANIFEST_DIR"
                || name == "CARGO_MANIFEST_PATH"
            {
                command.env_remove(name);
            }
        }
        command
    }

    fn timed(
        name: &str,
        command: Command,
        run: impl FnOnce(Command) -> io::Result<ExitStatus>,
    ) -> Result<()> {
        eprintln!("\n== {name}");
        let (began, told) = (Instant::now(), format!("{command:?}"));
        let status = run(command).context("cannot start cargo")?;
        if !status.success() {
            bail!("{name} failed: {told}");
        }
        eprintln!("== {name}: {:.0} s", began.elapsed().as_secs_f64());
        Ok(())
    }
}

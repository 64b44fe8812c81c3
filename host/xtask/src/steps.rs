//! Cargo commands, one after another, each with its name and its time.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
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
        eprintln!("\n== {name}");
        let began = Instant::now();
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
        let status = command.status().context("cannot start cargo")?;
        if !status.success() {
            bail!("{name} failed: {command:?}");
        }
        eprintln!("== {name}: {:.0} s", began.elapsed().as_secs_f64());
        Ok(())
    }
}

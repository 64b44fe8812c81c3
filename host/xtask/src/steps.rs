//! Cargo commands, one after another or beside one another, each with its name and its time.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Names of environment variables, and their values.
pub(crate) type Variables = Vec<(&'static str, OsString)>;

/// Runs cargo in the project, with variables of its own.
pub(crate) struct Steps {
    root: PathBuf,
    variables: Variables,
}

impl Steps {
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            variables: Vec::new(),
        }
    }

    /// Sets a variable for the steps that follow.
    pub(crate) fn set(&mut self, name: &'static str, value: OsString) {
        self.variables.push((name, value));
    }

    /// Sets variables for the steps that follow.
    pub(crate) fn set_all(&mut self, all: Variables) {
        self.variables.extend(all);
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

    /// Begins a cargo command in the project's folder, beside the steps that follow.
    pub(crate) fn cargo_beside<'a>(
        &self,
        name: &'static str,
        arguments: impl IntoIterator<Item = &'a str>,
    ) -> Beside {
        eprintln!("\n== {name}: begins, and is told of at the end");
        let mut command = self.command("", arguments);
        let (began, told) = (Instant::now(), format!("{command:?}"));
        Beside {
            name,
            told,
            output: thread::spawn(move || Ok((command.output()?, began.elapsed()))),
        }
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
        ended(name, &told, status, began.elapsed())
    }
}

/// A command that runs beside others.
#[must_use = "what it finds is known once it is waited for"]
pub(crate) struct Beside {
    name: &'static str,
    told: String,
    output: JoinHandle<io::Result<(Output, Duration)>>,
}

impl Beside {
    /// Waits for its end, and shows all that it printed.
    pub(crate) fn wait(self) -> Result<()> {
        let (output, took) = match self.output.join() {
            Ok(ended) => ended.context("cannot start cargo")?,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        eprintln!("\n== {}", self.name);
        io::stdout().write_all(&output.stdout)?;
        io::stderr().write_all(&output.stderr)?;
        ended(self.name, &self.told, output.status, took)
    }
}

fn ended(name: &str, told: &str, status: ExitStatus, took: Duration) -> Result<()> {
    if !status.success() {
        bail!("{name} failed: {told}");
    }
    eprintln!("== {name}: {:.0} s", took.as_secs_f64());
    Ok(())
}

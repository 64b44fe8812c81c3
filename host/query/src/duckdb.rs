//! DuckDB's command-line program: where it is, and how it is asked.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fmt};

use shared_child::SharedChild;

use crate::{Error, Views};

/// The version that tests hold, and that `cargo xtask setup` fetches.
pub const VERSION: &str = {
    // Cut out of the line that pip reads, so that it stands in one place.
    let line = include_str!("../requirements.txt");
    let (_, version) = line.split_at("duckdb-cli==".len());
    version.trim_ascii()
};

/// The variable that names the program.
pub(crate) const VARIABLE: &str = "PIXELRATE_DUCKDB";

/// How an answer is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table for people, of which the middle of many rows is left out.
    Table,
    /// A line a row, and one of the names.
    Csv,
    /// An array of objects.
    Json,
    /// An object a line.
    JsonLines,
    /// A table for a page in Markdown.
    Markdown,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Table,
        Self::Csv,
        Self::Json,
        Self::JsonLines,
        Self::Markdown,
    ];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Table => "table",
            Self::Csv => "csv",
            Self::Json => "json",
            Self::JsonLines => "jsonlines",
            Self::Markdown => "markdown",
        }
    }

    /// DuckDB's arguments for it.
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Table => &[],
            // A null is an empty field, as it is for all who read CSV, and not a word.
            Self::Csv => &["-csv", "-nullvalue", ""],
            Self::Json => &["-json"],
            Self::JsonLines => &["-jsonlines"],
            Self::Markdown => &["-markdown"],
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|format| format.as_str() == name);
        found.ok_or_else(|| format!("\"{name}\" is no format: use one of {}", known()))
    }
}

/// A DuckDB that can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DuckDb {
    program: PathBuf,
}

impl DuckDb {
    /// Looks for the program: what the variable `PIXELRATE_DUCKDB` names; beside this program; in the user's cache folder,
    /// where `cargo xtask setup` puts it; in the PATH.
    ///
    /// # Errors
    /// [`Error::NoDuckDb`].
    pub fn find() -> Result<Self, Error> {
        if let Some(program) = env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
            return Ok(Self {
                program: program.into(),
            });
        }
        let name = format!("duckdb{}", env::consts::EXE_SUFFIX);
        let beside = env::current_exe().ok();
        let beside = beside.iter().filter_map(|program| program.parent());
        // Where `cargo xtask` puts it.
        let cached = dirs::cache_dir()
            .map(|folder| folder.join(format!("pixelrate/duckdb-{VERSION}/duckdb_cli")));
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = beside
            .map(Path::to_owned)
            .chain(cached)
            .chain(env::split_paths(&path));
        folders
            .map(|folder| folder.join(&name))
            .find(|program| program.is_file())
            .map(|program| Self { program })
            .ok_or(Error::NoDuckDb)
    }

    /// Begins to answer `sql` on standard output, in at most so many bytes of `memory` (as DuckDB writes them: `2GB`); what
    /// needs more is spilled to the disk.
    ///
    /// # Errors
    /// It cannot be started, or the disk's.
    pub fn ask<'a>(
        &self,
        views: &'a Views,
        sql: &str,
        format: Format,
        memory: &str,
    ) -> Result<Answer<'a>, Error> {
        // By a file: a query may be longer than an argument may.
        let query = views.scratch().join("query.sql");
        fs::write(&query, sql).map_err(Error::io("write", &query))?;
        let said = views.scratch().join("said");
        let errors = File::create(&said).map_err(Error::io("create", &said))?;
        let mut command = self.command(views, memory);
        command
            .args(["-batch", "-bail"])
            .args(format.arguments())
            .arg("-f")
            .arg(&query)
            .stdin(Stdio::null())
            .stderr(errors);
        let child = SharedChild::spawn(&mut command).map_err(|source| self.not_started(source))?;
        Ok(Answer {
            child: Arc::new(child),
            stopped: Arc::default(),
            views,
            said,
        })
    }

    /// Opens DuckDB's own shell with the views in it, until the user leaves it.
    ///
    /// # Errors
    /// It cannot be started, or fails.
    pub fn shell(&self, views: &Views, memory: &str) -> Result<(), Error> {
        let status = self
            .command(views, memory)
            .status()
            .map_err(|source| self.not_started(source))?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::Refused(format!("DuckDB ended with {status}")))
        }
    }

    fn command(&self, views: &Views, memory: &str) -> Command {
        let mut command = Command::new(&self.program);
        // Without the user's ~/.duckdbrc, which may change how answers look.
        command.arg("-no-init");
        for setting in [
            format!("set memory_limit = '{}';", memory.replace('\'', "''")),
            format!(".read '{}'", views.setup().display()),
        ] {
            command.arg("-cmd").arg(OsString::from(setting));
        }
        command
    }

    fn not_started(&self, source: std::io::Error) -> Error {
        Error::Start {
            program: self.program.clone(),
            source,
        }
    }
}

/// A query that is being answered.
#[derive(Debug)]
pub struct Answer<'a> {
    child: Arc<SharedChild>,
    stopped: Arc<AtomicBool>,
    views: &'a Views,
    /// What DuckDB says of the query, but for the answer.
    said: PathBuf,
}

impl Answer<'_> {
    /// What ends the answer before its time, from another thread.
    pub fn stopper(&self) -> impl Fn() + Send + 'static {
        let (child, stopped) = (Arc::clone(&self.child), Arc::clone(&self.stopped));
        move || {
            stopped.store(true, Ordering::Relaxed);
            // It may have ended by itself.
            let _ = child.kill();
        }
    }

    /// Waits for the answer's end.
    ///
    /// # Errors
    /// DuckDB's own words about the query; a run's files that became others meanwhile; [`Error::Stopped`];
    /// [`Error::Unread`].
    pub fn finish(self) -> Result<(), Error> {
        let status = self
            .child
            .wait()
            .map_err(Error::io("wait for DuckDB about", &self.said))?;
        if status.success() {
            return Ok(());
        }
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        if is_unread(status) {
            return Err(Error::Unread);
        }
        if let Some(gone) = self.views.gone() {
            return Err(Error::Moved(gone.to_owned()));
        }
        let said = fs::read(&self.said).map_err(Error::io("read", &self.said))?;
        let said = String::from_utf8_lossy(&said);
        Err(Error::Refused(match said.trim() {
            "" => format!("DuckDB ended with {status}"),
            said => said.to_owned(),
        }))
    }
}

/// Whether the program was ended because nobody reads its output any more.
fn is_unread(status: ExitStatus) -> bool {
    #[cfg(unix)]
    {
        /// The same number on every Unix.
        const SIGPIPE: i32 = 13;
        std::os::unix::process::ExitStatusExt::signal(&status) == Some(SIGPIPE)
    }
    #[cfg(not(unix))]
    {
        let _ = status;
        false
    }
}

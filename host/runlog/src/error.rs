//! What can go wrong with a log, told in the words of the person whose run it is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::ArrowError;
use parquet::errors::ParquetError;

/// A failure to write, recover or read a run's log.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The file system refused something.
    #[error("could not {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb: "open", "write", "rename".
        doing: &'static str,
        /// On which file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },

    /// Somebody else holds the lock of the run folder.
    #[error(
        "another process is writing this run: {}{} (wait for it, stop it, or choose another run folder)",
        folder.display(), pid.map(|p| format!(", process {p}")).unwrap_or_default()
    )]
    Locked {
        /// The run folder.
        folder: PathBuf,
        /// The process that said that it holds the lock, if it could be read.
        pid: Option<u32>,
    },

    /// `create` was asked for a folder that holds a log.
    #[error("{} already holds a log: resume it, or choose another folder", folder.display())]
    Exists {
        /// The run folder.
        folder: PathBuf,
    },

    /// A log was expected where none is.
    #[error("{} holds no log: there is no folder `{table}` in it", folder.display())]
    Missing {
        /// The run folder.
        folder: PathBuf,
        /// The table that was looked for.
        table: &'static str,
    },

    /// The rows in the folder belong to another run.
    #[error("{} holds rows of {found}, not of {expected}: is this the right run folder?", path.display())]
    OtherRun {
        /// The file that says so.
        path: PathBuf,
        /// `study/run` that the caller named.
        expected: String,
        /// `study/run` in the file.
        found: String,
    },

    /// A file is not what this crate wrote.
    #[error("{} is damaged: {reason}", path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// The file follows a schema that this version does not know.
    #[error(
        "{} has schema version {version}; this pixelrate reads up to {}: read it with a newer one",
        path.display(), crate::SCHEMA_VERSION
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        version: u32,
    },

    /// A step row came twice or before its turn.
    #[error(
        "a row for step {step} was logged where step {expected} was next: each step is logged once, in order"
    )]
    OutOfOrder {
        /// The step that was given.
        step: u64,
        /// The step that was due.
        expected: u64,
    },

    /// The log is shorter than the checkpoint that the run is to go on from.
    #[error(
        "the log of {} holds the steps below {logged}, but the run is to go on from step {wanted}: the rows between \
         were lost with the machine's power; go on from a checkpoint of step {logged} or earlier, or start again",
        folder.display()
    )]
    MissingSteps {
        /// The run folder.
        folder: PathBuf,
        /// One past the last step that was found; 0 if there is none.
        logged: u64,
        /// The `keep_below_step` that was asked for.
        wanted: u64,
    },

    /// A number does not fit its column.
    #[error("{value} does not fit the column `{column}`, which holds 0 to 9223372036854775807")]
    OutOfRange {
        /// The column.
        column: &'static str,
        /// The number.
        value: String,
    },

    /// Arrow or Parquet refused while writing.
    #[error("could not write {}: {reason}", path.display())]
    Encode {
        /// The file.
        path: PathBuf,
        /// What the encoder said.
        reason: String,
    },

    /// The log stopped at an earlier failure, which is inside; nothing is written after it.
    #[error("the log stopped: {0}")]
    Stopped(#[source] Arc<Error>),

    /// The writer's thread is gone without having said why.
    #[error(
        "the log's writer thread ended unexpectedly; the rows that it had flushed are safe: resume the run"
    )]
    WriterGone,
}

impl Error {
    /// Wraps a system error; meant for `map_err`.
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            doing,
            path: path.to_owned(),
            source,
        }
    }

    /// Wraps what Parquet says of a file that is being written.
    pub(crate) fn encode(path: &Path) -> impl Fn(ParquetError) -> Self {
        move |error| Self::Encode {
            path: path.to_owned(),
            reason: error.to_string(),
        }
    }

    /// Wraps what Arrow says of a file that is being written.
    pub(crate) fn stream(path: &Path) -> impl Fn(ArrowError) -> Self {
        move |error| match error {
            ArrowError::IoError(_, source) => Self::Io {
                doing: "write",
                path: path.to_owned(),
                source,
            },
            other => Self::Encode {
                path: path.to_owned(),
                reason: other.to_string(),
            },
        }
    }

    /// A file that cannot be read as what it should be.
    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// True for a file that was there a moment ago: a writer replaced it under the reader.
    pub(crate) fn vanished(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound)
    }
}

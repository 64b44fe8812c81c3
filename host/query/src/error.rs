//! What can go wrong with a query.

use std::path::{Path, PathBuf};

/// A query that was not answered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// There is no DuckDB.
    #[error(
        "there is no DuckDB to answer with: in pixelrate's sources, `cargo xtask setup` fetches it into the cache folder; \
         elsewhere, `pip install duckdb-cli=={version}`, or name a `duckdb` by the variable {variable}",
        version = crate::VERSION,
        variable = crate::duckdb::VARIABLE
    )]
    NoDuckDb,
    /// The program cannot be started.
    #[error("cannot start {}: {source}", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// DuckDB refused the query, or failed at it.
    #[error("{0}")]
    Refused(String),
    /// The answer was stopped before its end.
    #[error("stopped")]
    Stopped,
    /// Whoever read the answer, such as `head`, has gone.
    #[error("nobody reads the answer any more")]
    Unread,
    /// A run ended while it was read, and its files became others.
    #[error(
        "a run ended while the query read it, so that {} is gone: ask again", .0.display()
    )]
    Moved(PathBuf),
    /// A path that SQL cannot name.
    #[error("{} is no path in UTF-8: give the folder another name", .0.display())]
    Path(PathBuf),
    /// A run's log cannot be read.
    #[error(transparent)]
    Log(#[from] pixelrate_runlog::Error),
    /// A run's settings cannot be read.
    #[error(transparent)]
    Params(#[from] pixelrate_export::Error),
    /// The newest rows of runs under way cannot be written down for DuckDB.
    #[error("cannot write {}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// Why.
        source: parquet::errors::ParquetError,
    },
    /// The file system refused something.
    #[error("cannot {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Error {
    pub(crate) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            doing,
            path,
            source,
        }
    }
}

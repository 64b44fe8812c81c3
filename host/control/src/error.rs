//! What can go wrong at a run's desk, in the user's words.

use std::path::{Path, PathBuf};

/// Why a run could not be steered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be used.
    #[error("cannot {verb} {}: {source}", path.display())]
    Io {
        /// What was tried: read, write, …
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file that this crate writes does not hold what it must.
    #[error("{} is damaged in line {line}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// Files cannot be watched.
    #[error(transparent)]
    Watch(#[from] crate::watch::Error),
}

impl Error {
    pub(crate) fn io(verb: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        move |source| Self::Io {
            verb,
            path: path.to_owned(),
            source,
        }
    }
}

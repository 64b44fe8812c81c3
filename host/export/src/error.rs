//! What can go wrong with an export.

use std::path::{Path, PathBuf};

/// A run that was not exported.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A run's log cannot be read.
    #[error(transparent)]
    Log(#[from] pixelrate_runlog::Error),
    /// A run's `run.toml` cannot be read.
    #[error("{} is damaged: {source}", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: Box<toml::de::Error>,
    },
    /// Two folders hold runs of one study and name, which would be written to one place.
    #[error("{} and {} both hold the run {name}: export them into separate folders", folders[0].display(), folders[1].display())]
    Twice {
        /// `study/run`.
        name: String,
        /// Both.
        folders: [PathBuf; 2],
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

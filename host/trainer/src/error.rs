//! What can go wrong in training, in the user's words.

use std::path::{Path, PathBuf};

use pixelrate_sandbox as sandbox;

/// Why a run could not begin, or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key of the run's spec cannot be what it is.
    #[error("`{key}`: {problem}")]
    Spec {
        /// The key, as the TOML spells it.
        key: String,
        /// What is wrong with it, and what it may be.
        problem: String,
    },
    /// `run.toml` is not a run.
    #[error("{} is not a run that pixelrate wrote: {source}", path.display())]
    SpecFile {
        /// The file.
        path: PathBuf,
        /// Line, column and key.
        source: Box<toml::de::Error>,
    },
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
    /// The data set.
    #[error(transparent)]
    Data(#[from] crate::data::DataError),
    /// The schedule could not be loaded or begun.
    #[error(transparent)]
    Sandbox(#[from] sandbox::Error),
    /// A composition cannot be read, or one of its parts.
    #[error(transparent)]
    Composition(#[from] pixelrate_compose::Error),
    /// The schedule did what it must not, and the study says `abort`.
    #[error(
        "{0}\n  with on_fault = \"hold\" (--hold), a run goes on with the last good value, once there is one"
    )]
    Fault(#[from] sandbox::Fault),
    /// The schedule's state cannot be saved, in a study that says `hold`: a value can be held, and a state cannot.
    #[error(
        "the run stopped because its schedule's state could not be saved for a checkpoint: {0}"
    )]
    Unsaved(sandbox::Fault),
    /// The schedule does not take the state back that a checkpoint has of it.
    #[error("the run cannot continue: its schedule rejects the state that it saved itself: {0}")]
    Unrestored(sandbox::Fault),
    /// The run cannot be steered.
    #[error(transparent)]
    Control(#[from] pixelrate_control::Error),
    /// The log.
    #[error(transparent)]
    Log(#[from] pixelrate_runlog::Error),
    /// A checkpoint cannot be used.
    #[error("the checkpoint {} cannot be used: {problem}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// A checkpoint is whole, and not this run's or not this version's: unlike a damaged one, it is not set aside.
    #[error("the checkpoint {} cannot be used: {problem}", path.display())]
    ForeignCheckpoint {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        problem: String,
    },
    /// Nothing to go on from.
    #[error("{} holds no run: it has no run.toml; name a run's folder, as `pixelrate ps --all` lists them", .0.display())]
    NoRun(PathBuf),
    /// The run folder is in use.
    #[error("{} holds a run already: `pixelrate resume` continues it, unless it is over; to begin anew, name another folder (`--folder`) or move it away", .0.display())]
    RunExists(PathBuf),
    /// CUDA.
    #[error(transparent)]
    Cuda(#[from] pixelrate_cuda::Error),
    /// A step could not be recorded.
    #[error(
        "a step could not be recorded as a CUDA graph, and libtorch may record none in this process any more: {0}\n  PIXELRATE_CUDA_GRAPHS=0 in the environment trains without, more slowly"
    )]
    Recording(Box<Error>),
    /// libtorch.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl Error {
    pub(crate) fn io(verb: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self::Io {
            verb,
            path: path.to_owned(),
            source,
        }
    }
}

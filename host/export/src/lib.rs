//! Runs in the formats of other trackers: TensorBoard's event files, CSV, MLflow's file store, and what a script logs to
//! Weights & Biases.
//!
//! Each run is read and written row by row, so that a run of any length needs little memory; every file is written beside
//! its place and renamed into it. Exporting again writes the same files anew.

mod csv;
mod draft;
mod error;
mod mlflow;
mod params;
mod run;
mod tensorboard;
mod wandb;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

pub use error::Error;
pub use params::{params, word};
use run::Run;

/// What runs can be written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `OUT/<study>/<run>/events.out.tfevents.*`, a folder that `tensorboard --logdir` opens. Its scalars are 32-bit
    /// floats, as TensorBoard's own.
    TensorBoard,
    /// `OUT/<study>/<run>/<table>.csv`: `steps`, `evals`, `events` and, of a run that has ended, `summary`.
    Csv,
    /// `OUT/<study>/<run>.jsonl`, and `OUT/import.py`, which logs them by the `wandb` package.
    Wandb,
    /// A file store, in which a study is an experiment. `mlflow migrate-filestore --source OUT --target sqlite:///mlflow.db`
    /// takes it over; with `MLFLOW_ALLOW_FILE_STORE=true` in the environment, MLflow opens it as it is.
    MlFlow,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::TensorBoard, Self::Csv, Self::Wandb, Self::MlFlow];

    /// Its name on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TensorBoard => "tensorboard",
            Self::Csv => "csv",
            Self::Wandb => "wandb",
            Self::MlFlow => "mlflow",
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

/// How far an export is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The run that is being written.
    pub run: &'a Path,
    /// Its place among all runs, from 0.
    pub index: usize,
    /// Steps of it that are written.
    pub steps: u64,
}

/// What an export wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Runs.
    pub runs: usize,
    /// Steps of them all.
    pub steps: u64,
}

/// Writes the runs in these folders under `out`, one after the other.
///
/// # Errors
/// A run that cannot be read, two runs of one name, or the disk's; the runs before it are written.
pub fn export(
    runs: &[PathBuf],
    format: Format,
    out: &Path,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Written, Error> {
    let mut written = Written::default();
    let mut names = std::collections::BTreeMap::new();
    for (index, folder) in runs.iter().enumerate() {
        let run = Run::read(folder)?;
        if let Some(other) = names.insert((run.study.clone(), run.run.clone()), folder) {
            return Err(Error::Twice {
                name: format!("{}/{}", run.study, run.run),
                folders: [other.clone(), folder.clone()],
            });
        }
        let mut told = 0;
        let mut tell = |steps: u64| {
            told = steps;
            progress(Progress {
                run: folder,
                index,
                steps,
            });
        };
        tell(0);
        match format {
            Format::TensorBoard => tensorboard::write(&run, out, &mut tell),
            Format::Csv => csv::write(&run, out, &mut tell),
            Format::Wandb => wandb::write(&run, out, &mut tell),
            Format::MlFlow => mlflow::write(&run, out, &mut tell),
        }?;
        written.steps += told;
        written.runs += 1;
    }
    Ok(written)
}

//! Where a run is, for whoever looks from outside.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::{Error, files};

const FILE: &str = "status.json";

/// What a run's process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activity {
    /// It trains.
    Training,
    /// It was told to wait.
    Paused,
}

/// Where a run is. Old by half a second at the most while the run trains, and as its process left it afterwards.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The process that trains.
    pub process: u32,
    /// What it does.
    pub activity: Activity,
    /// Steps done.
    pub step: u64,
    /// Steps of the whole run.
    pub total_steps: u64,
    /// The newest step's learning rate; `None` before the first.
    pub learning_rate: Option<f64>,
    /// The newest loss that was read back, in nats; `None` where it is not finite, which JSON cannot say.
    pub train_loss: Option<f64>,
    /// The schedule in force, in a line.
    pub schedule: String,
    /// SHA-256 of its file.
    pub sha256: String,
    /// Schedules that have taken over since the run began.
    pub swaps: u64,
}

impl Status {
    /// The newest status of the run in `run`; `None` if it never had one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(run: &Path) -> Result<Option<Self>, Error> {
        let path = run.join(FILE);
        match fs::read(&path) {
            // One that another version wrote, or a crash cut short, tells nothing.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(Error::io("read", &path)(source)),
        }
    }

    pub(crate) fn write(&self, run: &Path) -> Result<(), Error> {
        let bytes = serde_json::to_vec(self).unwrap_or_default();
        files::write(&run.join(FILE), &bytes, false)
    }
}

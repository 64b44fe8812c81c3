//! The runs that a study asks for, kept in its folder: whoever steers it from another process learns of those that have not
//! begun, which have no folder yet and cannot be asked for anything.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use pixelrate_control::write_whole;
use pixelrate_trainer::spec::RunSpec;
use serde::{Deserialize, Serialize};

use crate::Error;
use crate::plan::Plan;
use crate::runs::Filter;

/// In the study's folder. Nothing that is hidden is taken for a run.
const FILE: &str = ".queue.json";

/// A run that a study asks for: what filters look at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queued {
    /// The study's name.
    pub study: String,
    /// Its own, which its folder will have.
    pub run: String,
    /// The schedule's label in the study.
    pub schedule: String,
    /// Its seed.
    pub seed: u64,
    /// What it is trained on.
    pub dataset: String,
    /// What is trained.
    pub model: String,
}

impl From<&RunSpec> for Queued {
    fn from(spec: &RunSpec) -> Self {
        Self {
            study: spec.study.clone(),
            run: spec.run.clone(),
            schedule: spec.label.clone(),
            seed: spec.seed,
            dataset: spec.training.dataset.clone(),
            model: spec.training.model.clone(),
        }
    }
}

/// Keeps in the study's folder which runs `plan` has.
///
/// # Errors
/// The disk's.
pub fn keep(plan: &Plan, study: &Path) -> Result<(), Error> {
    let runs: Vec<_> = plan.runs.iter().map(Queued::from).collect();
    let path = study.join(FILE);
    let text = serde_json::to_vec(&runs).map_err(|e| Error::io("write", &path, e.into()))?;
    Ok(write_whole(&path, &text)?)
}

/// The runs that all `filters` let through, of those that have not begun in the study at `path`, or in each study below it.
///
/// # Errors
/// A folder or a queue cannot be read.
pub fn waiting(path: &Path, filters: &[Filter]) -> Result<Vec<Queued>, Error> {
    let mut found = of_study(path)?;
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(found);
        }
        Err(source) => return Err(Error::io("list", path, source)),
    };
    for entry in entries {
        let entry = entry.map_err(|source| Error::io("list", path, source))?;
        found.extend(of_study(&entry.path())?);
    }
    found.retain(|run| filters.iter().all(|filter| filter.lets_through(run)));
    Ok(found)
}

/// Those of one study that have no folder yet.
fn of_study(study: &Path) -> Result<Vec<Queued>, Error> {
    let mut runs = planned(study)?.unwrap_or_default();
    runs.retain(|run| !study.join(&run.run).exists());
    Ok(runs)
}

/// All runs that the study in this folder asked for when it was last begun. `None` if it is no study's, or one of an older
/// version, which kept none.
pub(crate) fn planned(study: &Path) -> Result<Option<Vec<Queued>>, Error> {
    let path = study.join(FILE);
    match fs::read(&path) {
        Ok(text) => {
            let runs = serde_json::from_slice(&text);
            runs.map(Some)
                .map_err(|e| Error::io("read", &path, e.into()))
        }
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(source) => Err(Error::io("read", &path, source)),
    }
}

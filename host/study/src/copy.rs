//! A second run folder from a first: what a fork and a replay begin with.

use std::fs;
use std::path::{Path, PathBuf};

use pixelrate_control::{Takeover, Takeovers, pictures_folder, plugin_path};
use pixelrate_trainer::checkpoint;
use pixelrate_trainer::spec::{Found, RunFile, RunSpec};
use pixelrate_trainer::train;

use crate::Error;

/// What a second folder is made of.
pub(crate) struct Copy<'a> {
    /// The first run's folder.
    pub(crate) from: &'a Path,
    /// The second's, which must not be there yet.
    pub(crate) to: &'a Path,
    /// Its spec.
    pub(crate) spec: RunSpec,
    /// What the first found when it began.
    pub(crate) found: Found,
    /// A checkpoint to begin with; `None`: from the first step.
    pub(crate) checkpoint: Option<PathBuf>,
    /// What takes over in it.
    pub(crate) takeovers: Vec<Takeover>,
}

impl Copy<'_> {
    /// Makes the folder. What makes it a run is written last.
    pub(crate) fn make(&self) -> Result<(), Error> {
        let io = |verb| move |path: &Path, source| Error::io(verb, path, source);
        let make = |path: &Path| fs::create_dir_all(path).map_err(|e| io("make")(path, e));
        let copy = |from: &Path, to: &Path| {
            fs::copy(from, to)
                .map(drop)
                .map_err(|e| io("copy")(from, e))
        };
        make(&self.to.join("plugins"))?;
        let first = std::iter::once(&self.found.schedule_sha256);
        for sha256 in first.chain(self.takeovers.iter().map(|takeover| &takeover.sha256)) {
            let (from, to) = (plugin_path(self.from, sha256), plugin_path(self.to, sha256));
            if !to.exists() {
                copy(&from, &to)?;
            }
        }
        copy_all(&pictures_folder(self.from), &pictures_folder(self.to))?;
        if let Some(from) = &self.checkpoint
            && let Some(step) = checkpoint::step_of(from)
        {
            let folder = self.to.join("checkpoints");
            make(&folder)?;
            copy(
                from,
                &folder.join(checkpoint::file_name(step, Some(checkpoint::FORK))),
            )?;
        }
        let mut record = Takeovers::open(self.to)?;
        for takeover in &self.takeovers {
            record.add(takeover)?;
        }
        record.sync()?;
        train::leave_log(self.to, &self.spec, &self.found)?;
        let file = RunFile {
            spec: self.spec.clone(),
            found: Some(self.found.clone()),
        };
        Ok(file.write(self.to)?)
    }
}

/// Copies a folder that need not be there, and what it holds.
fn copy_all(from: &Path, to: &Path) -> Result<(), Error> {
    let entries = match fs::read_dir(from) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        other => other.map_err(|e| Error::io("read", from, e))?,
    };
    fs::create_dir_all(to).map_err(|e| Error::io("make", to, e))?;
    for entry in entries {
        let from = entry.map_err(|e| Error::io("read", from, e))?.path();
        // A file that is being written: it has its own name in a moment.
        if from.extension().is_some_and(|end| end == "part") {
            continue;
        }
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy_all(&from, &to)?;
        } else {
            fs::copy(&from, &to).map_err(|e| Error::io("copy", &from, e))?;
        }
    }
    Ok(())
}

/// The newest checkpoint of `folder` that stands at `step` or before it.
pub(crate) fn checkpoint_before(folder: &Path, step: u64) -> Result<Option<PathBuf>, Error> {
    let mut all = checkpoint::list(folder)?;
    all.retain(|path| checkpoint::step_of(path).is_some_and(|at| at <= step));
    Ok(all.pop())
}

/// Removes a folder that only this program needed.
pub(crate) fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(Error::io("remove", folder, e)),
        _ => Ok(()),
    }
}

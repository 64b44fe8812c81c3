//! What a study knows of its runs that have ended.

use std::path::Path;

use pixelrate_runlog::RunStatus;
use pixelrate_trainer::spec::RunSpec;

use super::RunEnd;
use super::unchanged::{begun, same};
use crate::Error;
use crate::ended::{Ended, EndedRuns};
use crate::report::KeptCurves;

/// What the study's runs left that have ended, so that neither going on with a study nor its report opens each of them.
pub(super) struct Kept {
    pub(super) ended: EndedRuns,
    curves: KeptCurves,
}

impl Kept {
    pub(super) fn of(study: &Path) -> Self {
        Self {
            ended: EndedRuns::of(study),
            curves: KeptCurves::of(study),
        }
    }

    /// As [`unchanged`](super::unchanged), with what is known of a run that has ended; gives its [end](Self::end).
    pub(super) fn unchanged(&self, spec: &RunSpec, study: &Path) -> Result<Option<RunEnd>, Error> {
        let (began, end) = self.began(spec, study)?;
        began.map_or(Ok(()), |began| same(&began, spec, &study.join(&spec.run)))?;
        Ok(end)
    }

    /// The same, of a spec that takes its threads from the run.
    pub(super) fn unchanged_but_for_threads(
        &self,
        spec: &RunSpec,
        study: &Path,
    ) -> Result<(), Error> {
        let (Some(began), _) = self.began(spec, study)? else {
            return Ok(());
        };
        let mut spec = spec.clone();
        spec.training.threads = began.training.threads;
        same(&began, &spec, &study.join(&spec.run))
    }

    /// As what a run was begun, if it was, and its [end](Self::end).
    fn began(
        &self,
        spec: &RunSpec,
        study: &Path,
    ) -> Result<(Option<RunSpec>, Option<RunEnd>), Error> {
        // What is wrong with its files is told by its own process.
        let ended = self.ended.get(&spec.run).ok().flatten();
        let end = ended.as_ref().and_then(result);
        let began = match ended.and_then(|ended| ended.file) {
            Some(file) => Some(file.spec),
            None => begun(&study.join(&spec.run))?,
        };
        Ok((began, end))
    }

    /// The end of a run that has a result. One that failed runs again.
    pub(super) fn end(&self, spec: &RunSpec) -> Option<RunEnd> {
        result(&self.ended.get(&spec.run).ok()??)
    }

    /// Keeps what a run left, if it has ended.
    pub(super) fn keep(&self, spec: &RunSpec, folder: &Path) {
        if matches!(self.ended.get(&spec.run), Ok(Some(_))) {
            self.ended.save();
            self.curves.keep(folder);
        }
    }
}

fn result(ended: &Ended) -> Option<RunEnd> {
    match ended.summary.status {
        RunStatus::Finished => Some(RunEnd::Finished),
        RunStatus::Diverged => Some(RunEnd::Diverged),
        RunStatus::Failed | RunStatus::Stopped => None,
    }
}
